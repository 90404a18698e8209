import type { Job, JobErrorCode } from "../../schemas/job.ts";
import type { LaneBlock } from "../../schemas/limits.ts";
import type { ListedJob } from "./listed-job.ts";
import { asSentence, capitalised, withLocalTimes } from "./sentence.ts";
import { countdownWords } from "./time-words.ts";

/** How a job is doing, coarsely: what colours, icons and filters go by. */
export type Tone = "waiting" | "running" | "retrying" | "blocked" | "ready" | "failed" | "canceled";

/** Where a job stands, in words. `title` alone is enough for a glance; `detail` says more, and is null where there is none. */
export interface Standing {
  readonly tone: Tone;
  readonly title: string;
  readonly detail: string | null;
}

type Standable = Pick<ListedJob, "status" | "queue" | "phase" | "error" | "retryAt" | "attempts" | "output" | "done">;

/** The tone of a job; `blocked` before all else, since nothing goes on until someone mends it. */
export function toneOf(job: Pick<ListedJob, "status" | "queue">): Tone {
  switch (job.status) {
    case "queued":
      if (job.queue?.waitingOn === "blocked") return "blocked";
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
 * Where the job stands at `nowMs` (the server's clock, epoch ms). Running jobs say what is left by `progress.ts`. `block` is
 * what its lane says of being on hold, where that is known.
 */
export function standingOf(job: Standable, nowMs: number, block: LaneBlock | null = null): Standing {
  const tone = toneOf(job);
  switch (tone) {
    case "waiting":
      return { tone, title: placeWords(job), detail: startWords(job, nowMs) };
    case "retrying":
      return { tone, title: retryWords(job, nowMs), detail: retryReason(job, nowMs) };
    case "blocked":
      return block === null ? toldHold(job, nowMs) : knownHold(block, nowMs);
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

/** The same with what is left of a running attempt, in words; null while none runs. */
export function standingWith(standing: Standing, progressWords: string | null): Standing {
  if (progressWords === null) return standing;
  return { ...standing, detail: standing.detail === null ? progressWords : `${standing.detail}, ${progressWords}` };
}

function placeWords(job: Standable): string {
  const position = job.queue?.position ?? null;
  if (position === null) return "Waiting in line";
  return position === 1 ? "Next in line" : `${ordinal(position)} in line`;
}

function startWords(job: Standable, nowMs: number): string | null {
  const startAt = job.queue?.estimatedStartAt ?? null;
  if (startAt === null) return null;
  const leftMs = Date.parse(startAt) - nowMs;
  return leftMs <= 0 ? "starts any moment" : `starts in about ${countdownWords(leftMs)}`;
}

/** What the lane itself says: the fault, the hint, and when it is tried again, counting down. */
function knownHold({ code, hint, nextProbeAt }: LaneBlock, nowMs: number): Standing {
  const leftMs = Date.parse(nextProbeAt) - nowMs;
  const next = leftMs <= 0 ? "One job is tried now" : `One job is tried in ${countdownWords(leftMs)}`;
  return {
    tone: "blocked",
    title: `On hold: ${code}`,
    detail: `${asSentence(hint)} ${next}; all go on once it gets through.`,
  };
}

function toldHold({ queue }: Standable, nowMs: number): Standing {
  const detail = queue === null ? "Upstream refuses every call for now." : withLocalTimes(queue.detail, nowMs);
  return { tone: "blocked", title: "On hold", detail: asSentence(detail) };
}

/** When the next attempt comes is counted down in the title: here is why. */
function retryReason({ queue }: Standable, nowMs: number): string | null {
  if (queue === null) return null;
  return withLocalTimes(queue.detail.replace(/^waits until \S+ UTC before the next try: /, ""), nowMs);
}

function retryWords(job: Standable, nowMs: number): string {
  const retryAt = job.queue?.estimatedStartAt ?? job.retryAt;
  const which = job.attempts > 0 ? `Attempt ${job.attempts + 1}` : "Next attempt";
  if (retryAt === null) return `${which} follows`;
  const leftMs = Date.parse(retryAt) - nowMs;
  return leftMs <= 0 ? `${which} starts any moment` : `${which} in ${countdownWords(leftMs)}`;
}

/** Of images that are made but could not be fetched yet. */
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

/** What went wrong in the words that one line of a card holds; what can be done about it needs the rest. */
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
};

/** Failures that the same request meets again: what was asked for must change first. */
const LASTING: ReadonlySet<string | undefined> = new Set([
  "content_rejected",
  "invalid_request",
  "invalid_image",
  "image_unreachable",
]);

/** Whether a failed job is better asked again with changes than tried again as it is. */
export function wantsChanges({ error }: Pick<Job, "error">): boolean {
  return LASTING.has(error?.code);
}

/** As much of a prompt as tells jobs apart when it is read aloud. */
const SPOKEN_PROMPT_CHARS = 40;

/** What to tell a screen reader when a job went from one state to another; null when it is not worth a word. */
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

function spokenPrompt(prompt: string): string {
  const chars = [...prompt.replace(/\s+/g, " ").trim()];
  return chars.length <= SPOKEN_PROMPT_CHARS ? chars.join("") : `${chars.slice(0, SPOKEN_PROMPT_CHARS).join("")}…`;
}
