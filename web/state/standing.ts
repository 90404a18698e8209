import type { Job, JobErrorCode } from "../../schemas/job.ts";
import type { LaneBlock } from "../../schemas/limits.ts";
import type { ListedJob } from "./listed-job.ts";
import { quotaWords } from "./model-words.ts";
import { asSentence, capitalised } from "./sentence.ts";
import { countdownWords } from "./time-words.ts";

/** The coarse state of a job, which decides its colour and icon. */
export type Tone = "waiting" | "running" | "retrying" | "blocked" | "ready" | "failed" | "canceled";

/** The state of a job in words. `title` is enough by itself; `detail` adds to it, or is null. */
export interface Standing {
  readonly tone: Tone;
  readonly title: string;
  readonly detail: string | null;
}

type Standable = Pick<ListedJob, "status" | "queue" | "phase" | "error" | "retryAt" | "attempts" | "output" | "done">;

/** The tone of a job. `blocked` wins over `waiting` and `retrying`: nothing starts until someone acts. */
export function toneOf(job: Pick<ListedJob, "status" | "queue">): Tone {
  switch (job.status) {
    case "queued":
      if (job.queue?.waitingOn === "blocked" || job.queue?.waitingOn === "paused") return "blocked";
      return job.queue?.waitingOn === "backoff" ? "retrying" : "waiting";
    case "retrying":
      return job.queue?.waitingOn === "blocked" ? "blocked" : "retrying";
    case "running":
      return "running";
    case "succeeded":
      return "ready";
    case "failed":
      return "failed";
    case "canceled":
      return "canceled";
  }
}

/**
 * The state of the job at `nowMs` (the server's clock, epoch ms). `progress.ts` estimates the rest of a running attempt. `block` is
 * why the lane is blocked, from the lane's own report; it is newer than the reason in the job.
 */
export function standingOf(job: Standable, nowMs: number, block: LaneBlock | null = null): Standing {
  const tone = toneOf(job);
  switch (tone) {
    case "waiting":
      return { tone, title: placeWords(job), detail: startWords(job, nowMs) };
    case "retrying":
      return { tone, title: retryWords(job, nowMs), detail: job.queue?.reason.failure ?? null };
    case "blocked":
      return holdOf(job, nowMs, block);
    case "running":
      return {
        tone,
        title: job.phase === "storing" ? "Fixing the print" : "Developing",
        detail: copyWords(job, nowMs) ?? (job.attempts > 1 ? `attempt ${job.attempts}` : null),
      };
    case "ready": {
      const count = job.output?.images.length ?? 0;
      return { tone, title: count > 1 ? `${count} images ready` : "Ready", detail: null };
    }
    case "failed":
      return { tone, title: capitalised(job.error?.message ?? "Failed"), detail: job.error?.hint ?? null };
    case "canceled":
      return { tone, title: "Canceled", detail: null };
  }
}

/** The same with the words for the rest of a running attempt; `progressWords` is null while none runs. */
export function standingWith(standing: Standing, progressWords: string | null): Standing {
  if (progressWords === null) return standing;
  return { ...standing, detail: standing.detail === null ? progressWords : `${standing.detail}, ${progressWords}` };
}

/** The server notifies of each change of these places; a place further back may be 30 s old. */
const EXACT_PLACES = 5;

function placeWords(job: Standable): string {
  const position = job.queue?.position ?? null;
  if (position === null) return "Waiting in line";
  if (position === 1) return "Next in line";
  return `${position > EXACT_PLACES ? "About " : ""}${ordinal(position)} in line`;
}

function startWords(job: Standable, nowMs: number): string | null {
  const startAt = job.queue?.estimatedStartAt ?? null;
  if (startAt === null) return null;
  const leftMs = Date.parse(startAt) - nowMs;
  return leftMs <= 0 ? "starts any moment" : `starts in about ${countdownWords(leftMs)}`;
}

/** Why nothing starts: upstream's refusal, what to do about it and when it is tried again; or the operator's pause. */
function holdOf({ queue }: Standable, nowMs: number, block: LaneBlock | null): Standing {
  const tone = "blocked";
  if (queue?.waitingOn === "paused") {
    const { pausedBecause, pausedUntil } = queue.reason;
    const end = pausedUntil === null ? "" : ` It goes on in ${countdownWords(Date.parse(pausedUntil) - nowMs)}.`;
    return {
      tone,
      title: "Paused by the operator",
      detail: `${asSentence(pausedBecause ?? "No reason was given")}${end}`,
    };
  }
  const cause = block ?? queue?.reason.blockedBy ?? null;
  if (cause === null) return { tone, title: "On hold", detail: "Upstream refuses every call for now." };
  const probeAt = block?.nextProbeAt ?? queue?.reason.nextProbeAt ?? null;
  const leftMs = probeAt === null ? 0 : Date.parse(probeAt) - nowMs;
  const next = leftMs <= 0 ? "One job is tried now" : `One job is tried in ${countdownWords(leftMs)}`;
  return {
    tone,
    title: `On hold: ${cause.code}`,
    detail: `${asSentence(cause.hint)} ${next}; all go on once it gets through.`,
  };
}

/** Why a job in line does not start yet, in one sentence; null where its place alone explains it. */
export function waitReason({ queue }: Pick<Standable, "queue">): string | null {
  if (queue === null) return null;
  const { starts, periodMs, pace, inProgress, inProgressLimit, failuresInARow } = queue.reason;
  if (failuresInARow !== null) {
    return `Upstream failed ${failuresInARow} times in a row, so the lane tries one job at a time.`;
  }
  const full = inProgress !== null && inProgressLimit !== null && inProgress >= inProgressLimit;
  if (full) return `${inProgress} of ${inProgressLimit} jobs run, which is all that the account allows at once.`;
  if (starts === null || periodMs === null) return null;
  const quota = `The account allows ${quotaWords({ starts, periodMs, inProgress: null })}`;
  if (pace === null || pace >= 1) return `${quota}.`;
  return `${quota}; upstream throttled, so the lane uses ${Math.round(pace * 100)} % of that.`;
}

function retryWords(job: Standable, nowMs: number): string {
  const retryAt = job.queue?.estimatedStartAt ?? job.retryAt;
  const which = job.attempts > 0 ? `Attempt ${job.attempts + 1}` : "Next attempt";
  if (retryAt === null) return `${which} follows`;
  const leftMs = Date.parse(retryAt) - nowMs;
  return leftMs <= 0 ? `${which} starts any moment` : `${which} in ${countdownWords(leftMs)}`;
}

/** The state of images that are made but not copied yet. */
function copyWords(job: Standable, nowMs: number): string | null {
  if (job.phase !== "storing" || job.retryAt === null) return null;
  const leftMs = Date.parse(job.retryAt) - nowMs;
  return leftMs <= 0 ? "fetching it failed, trying again" : `fetching it failed, again in ${countdownWords(leftMs)}`;
}

/** `1st`, `2nd`, `11th`, `103rd`. */
export function ordinal(position: number): string {
  const teens = position % 100 >= 11 && position % 100 <= 13;
  const ending = teens ? "th" : (["th", "st", "nd", "rd"][position % 10] ?? "th");
  return `${position}${ending}`;
}

/** Failures in words, short enough for one line of a card. */
export const BRIEF_FAILURES: Readonly<Record<JobErrorCode, string>> = {
  attempts_exhausted: "No attempt succeeded",
  deadline_exceeded: "Not done by its deadline",
  outcome_uncertain: "An attempt got no answer",
  result_lost: "The images were lost",
  content_rejected: "Refused by the content check",
  invalid_request: "The request was refused",
  invalid_image: "An image cannot be used",
  image_unreachable: "An image cannot be fetched",
  model_unavailable: "The model is not to be had",
  upstream_rejected: "Refused by upstream",
  budget_exceeded: "The spend limit is reached",
};

/** Failures that the same request would have again: the request must change first. */
const LASTING: ReadonlySet<string | undefined> = new Set([
  "content_rejected",
  "invalid_request",
  "invalid_image",
  "image_unreachable",
]);

/** Whether a failed job is better submitted again with changes than tried again unchanged. */
export function wantsChanges({ error }: Pick<Job, "error">): boolean {
  return LASTING.has(error?.code);
}

/** How much of a prompt is read aloud: enough to distinguish jobs. */
const SPOKEN_PROMPT_CHARS = 40;

/** The announcement of a job's change of state; null for changes that are not announced. */
export function announcementOf(before: ListedJob | undefined, after: ListedJob): string | null {
  if (before === undefined || before.seq >= after.seq) return null;
  const tone = toneOf(after);
  if (toneOf(before) === tone) return null;
  const name = `“${spokenPrompt(after.prompt)}”`;
  switch (tone) {
    case "waiting":
      return before.done ? `${name} is in line again` : null;
    case "running":
      return `${name} is developing`;
    case "retrying":
      return `${name}: an attempt failed, another follows`;
    case "blocked":
      return `${name} is on hold. ${after.queue?.detail.replaceAll("`", "") ?? ""}`.trim();
    case "ready":
      return `${name} is ready`;
    case "failed":
      return `${name} failed. ${after.error?.message ?? ""}`.trim();
    case "canceled":
      return `${name} was canceled`;
  }
}

/** A job's change, with the words that announce it by itself. */
export interface Change {
  readonly tone: Tone;
  readonly words: string;
}

/** Up to this many changes at once are announced one by one; more are counted. */
const MOST_SPOKEN = 3;

/** The words for a count of jobs that came to a state: for one, and for several. */
const COUNTED: Readonly<Record<Tone, readonly [string, string]>> = {
  ready: ["job is ready", "jobs are ready"],
  failed: ["job failed", "jobs failed"],
  canceled: ["job was canceled", "jobs were canceled"],
  blocked: ["job is on hold", "jobs are on hold"],
  retrying: ["job is tried again", "jobs are tried again"],
  running: ["job is developing", "jobs are developing"],
  waiting: ["job is in line again", "jobs are in line again"],
};

/** The one announcement of several changes: `12 jobs are ready. 1 job failed` for many. */
export function announcementOfAll(changes: readonly Change[]): string {
  if (changes.length <= MOST_SPOKEN) return changes.map(({ words }) => words).join(". ");
  const counts = Object.entries(COUNTED).map(([tone, [one, several]]) => {
    const count = changes.filter((change) => change.tone === tone).length;
    return count === 0 ? "" : `${count} ${count === 1 ? one : several}`;
  });
  return counts.filter((words) => words !== "").join(". ");
}

function spokenPrompt(prompt: string): string {
  const chars = [...prompt.replace(/\s+/g, " ").trim()];
  return chars.length <= SPOKEN_PROMPT_CHARS ? chars.join("") : `${chars.slice(0, SPOKEN_PROMPT_CHARS).join("")}…`;
}
