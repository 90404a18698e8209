import type { JobEvent } from "../../../schemas/event.ts";
import type { Attempt, Job, UpstreamReport } from "../../../schemas/job.ts";
import type { Delivery } from "../../../schemas/webhook.ts";
import { ordinal } from "../../lane/core/place.ts";
import {
  bytesText,
  clockText,
  durationText,
  fromNowText,
  inertText,
  quotedLines,
  textRow as row,
  shellQuoted,
} from "./terminal-text.ts";

export interface TimelineContext {
  readonly nowMs: number;
  /** The budget of one attempt, as configured now. */
  readonly budgetMs: number;
  /** From an attempt's start: how long a call past its budget may still deliver. */
  readonly lateAnswerMs: number;
  /** Whether the commands need a token. */
  readonly withToken: boolean;
  /** The job's webhook events; absent means none. */
  readonly deliveries?: readonly Delivery[];
}

interface Told extends Pick<TimelineContext, "nowMs" | "budgetMs" | "lateAnswerMs"> {
  readonly last: JobEvent | undefined;
  /** A day like `2026-11-23`: times on this day are shown without it. */
  readonly day: string;
}

const OUTCOME: Readonly<Record<NonNullable<Attempt["outcome"]>, string>> = {
  succeeded: "delivered",
  succeeded_late: "delivered late, after its budget",
  failed: "failed",
  throttled: "was throttled",
  blocked: "was refused: the lane is blocked",
  timed_out: "ran out of its budget",
  interrupted: "was interrupted",
  canceled: "was called off",
};

/** Upstream's own message and code, and the ids that its support asks for. */
function upstreamRows({ httpStatus, code, message, requestId, taskId }: UpstreamReport): string[] {
  const said = [httpStatus === null ? null : `HTTP ${httpStatus}`, code, message === null ? null : `“${message}”`];
  const ids = [requestId === null ? null : `request ${requestId}`, taskId === null ? null : `task ${taskId}`];
  const words = [said.filter((word) => word !== null).join(" "), ...ids].filter((text) => text !== null && text !== "");
  return words.length === 0 ? [] : [row("", `upstream: ${inertText(words.join(", "))}`)];
}

/** How an attempt ended: `(after 45 s, not counted, may be billed)`. */
function factsOf({ durationMs, outcome, counted, mayBeBilled }: JobEvent["data"]): string {
  const delivered = outcome === "succeeded" || outcome === "succeeded_late";
  const facts = [
    durationMs === undefined ? null : `after ${durationText(durationMs)}`,
    counted === false ? "not counted" : null,
    mayBeBilled === true && !delivered ? "may be billed" : null,
    mayBeBilled === false && outcome === "failed" ? "not billed" : null,
  ].filter((fact) => fact !== null);
  return facts.length === 0 ? "" : ` (${facts.join(", ")})`;
}

const imagesText = (count: number | undefined): string => (count === 1 ? "1 image" : `${count ?? "the"} images`);

function sentence(event: JobEvent, day: string): string[] {
  const { attempt, outcome, upstream, retryAt, images, error, reason } = event.data;
  const because = reason === undefined ? "" : `: ${inertText(reason)}`;
  const next = retryAt === undefined ? "" : clockText(retryAt, day);
  const at = (text: string) => row(clockText(event.at, day), text);
  const under = (text: string | undefined) => (text === undefined ? [] : [row("", inertText(text))]);
  switch (event.type) {
    case "job.queued":
      return [at(event.seq === 1 ? "submitted" : `in line again${because}`)];
    case "attempt.started":
      return [at(`attempt ${attempt} started${because}`)];
    case "attempt.finished": {
      const became = outcome === undefined ? "ended" : OUTCOME[outcome];
      const own = upstream === undefined ? [] : upstreamRows(upstream);
      return [at(`attempt ${attempt} ${became}${factsOf(event.data)}`), ...own, ...under(reason)];
    }
    case "attempt.late": {
      const delivered = outcome === "succeeded_late";
      const became = delivered ? OUTCOME.succeeded_late : "is closed, after its budget";
      const own = upstream === undefined ? [] : upstreamRows(upstream);
      return [at(`attempt ${attempt} ${became}${factsOf(event.data)}`), ...own, ...under(reason)];
    }
    case "job.retrying":
      return [at(`waits until ${next} before the next try${because}`)];
    case "job.storing":
      if (retryAt !== undefined) return [at(`${imagesText(images)} not copied, again at ${next}${because}`)];
      return [at(`copying ${imagesText(images)}${because}`)];
    case "job.succeeded":
      return [at("succeeded")];
    case "job.failed":
      return [at(error === undefined ? "failed" : `failed, ${error.code}: ${inertText(error.message)}`)];
    case "job.canceled":
      return [at("canceled")];
    case "job.retried":
      return [at("retried by hand: attempts and deadline start again")];
    default:
      throw new Error(`no such event: ${JSON.stringify(event.type satisfies never)}`);
  }
}

/**
 * All that happened, read from the log, so that the runs before a retry are shown too. `events` are the newest, in order;
 * when the first of them is not the job's first, a row says how many are left out.
 */
function historyRows(job: Job, events: readonly JobEvent[], day: string, nowMs: number): string[] {
  const skipped = (events[0]?.seq ?? 1) - 1;
  const rows: string[] = [];
  if (skipped > 0) {
    rows.push(row(clockText(job.createdAt, day), "submitted"));
    rows.push(row("…", `${skipped - 1} earlier events, see the command “log”`));
  }
  for (const event of events) rows.push(...sentence(event, day));
  for (const attempt of job.attempts) {
    if (attempt.outcome === null) {
      const ranFor = durationText(nowMs - Date.parse(attempt.startedAt));
      rows.push(
        row("now", `attempt ${attempt.number} has been running for ${ranFor}`),
        ...upstreamRows(attempt.upstream),
      );
    } else if (attempt.stillOpen) {
      rows.push(row("now", `the call of attempt ${attempt.number} is still open: should its answer come, it is taken`));
    }
  }
  return rows;
}

const after = (at: string, ms: number): string => new Date(Date.parse(at) + ms).toISOString();

/** The call that is open and its end: the running attempt, or a call past its budget when the job waits only for that. */
function callRows(job: Job, { budgetMs, lateAnswerMs, day, nowMs }: Told): string[] {
  const until = (at: string) => `until ${clockText(at, day)} (${fromNowText(at, nowMs)})`;
  const running = job.attempts.find((attempt) => attempt.outcome === null);
  if (running !== undefined) {
    return [row("now", "upstream is at work"), row("budget", until(after(running.startedAt, budgetMs)))];
  }
  const open = job.attempts.findLast((attempt) => attempt.stillOpen);
  if (open === undefined) return [];
  return [row("now", `waits for the open call, ${until(after(open.startedAt, lateAnswerMs))}; no attempt is left`)];
}

/** When the next copy is due after one that failed. */
function copyRows(job: Job, last: JobEvent | undefined, day: string, nowMs: number): string[] {
  const copyAt = last?.type === "job.storing" ? last.data.retryAt : undefined;
  if (copyAt === undefined) return [];
  const left = Date.parse(copyAt) - nowMs;
  const when = left > 0 ? `${clockText(copyAt, day)} (${fromNowText(copyAt, nowMs)})` : "now";
  const trouble = job.warnings.find(({ code }) => code === "storing_delayed");
  return [row("next copy", when), ...(trouble === undefined ? [] : [row("delayed", inertText(trouble.message))])];
}

/**
 * The attempts that count against the job's limit: those since its submission or its last retry, at which its deadline begins. A job
 * keeps earlier ones too.
 */
function usedAttempts({ attempts, deadlineAt, request }: Job): number {
  const beganAtMs = Date.parse(deadlineAt) - request.deadlineSeconds * 1000;
  return attempts.filter(({ counted, startedAt }) => counted && Date.parse(startedAt) >= beganAtMs).length;
}

/** What happens next, and when. */
function nextRows(job: Job, told: Told): string[] {
  const { last, day, nowMs } = told;
  const { queue, request } = job;
  const deadline = row("gives up", `${clockText(job.deadlineAt, day)} (${fromNowText(job.deadlineAt, nowMs)})`);
  const spent = row("attempts", `${usedAttempts(job)} of ${request.maxAttempts} used`);
  switch (job.status) {
    case "queued":
    case "retrying": {
      const rows: string[] = [];
      if (queue?.position != null) rows.push(row("place", `${ordinal(queue.position)} in line`));
      if (queue?.estimatedStartAt != null) {
        const at = queue.estimatedStartAt;
        rows.push(row("starts", `about ${clockText(at, day)} (${fromNowText(at, nowMs)})`));
      }
      if (queue !== null) rows.push(row(`${queue.waitingOn}`, inertText(queue.detail)));
      return [...rows, spent, deadline];
    }
    case "running": {
      if (job.phase === "storing") {
        // The images are paid for, so they are copied even past the deadline.
        return [row("now", "upstream delivered; the images are being stored"), ...copyRows(job, last, day, nowMs)];
      }
      return [...callRows(job, told), spent, deadline];
    }
    case "succeeded":
    case "failed":
    case "canceled": {
      const rows = job.error === null ? [] : [row("error", `${job.error.code}: ${inertText(job.error.message)}`)];
      if (job.error !== null) rows.push(row("hint", inertText(job.error.hint)));
      const { expiresAt, pinned } = job;
      if (pinned) rows.push(row("kept until", "it is unpinned or deleted"));
      else if (expiresAt !== null)
        rows.push(row("kept until", `${clockText(expiresAt, day)} (${fromNowText(expiresAt, nowMs)})`));
      return rows;
    }
    default:
      throw new Error(`no such status: ${JSON.stringify(job.status satisfies never)}`);
  }
}

const EXTENSIONS: Readonly<Record<string, string>> = { "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp" };

function imageRows(job: Job): string[] {
  return (job.output?.images ?? []).flatMap((image) => {
    const name = `${job.id}-${image.index}.${EXTENSIONS[image.contentType] ?? "image"}`;
    return [
      row(`image ${image.index}`, `${image.width}×${image.height} ${image.contentType}, ${bytesText(image.bytes)}`),
      row("", `sha256 ${image.sha256}`),
      row("", `curl -o ${name} ${shellQuoted(image.url)}`),
    ];
  });
}

function commandRows(job: Job, withToken: boolean): string[] {
  const token = withToken ? ' -H "Authorization: Bearer $DARKROOM_TOKEN"' : "";
  const command = (name: string, text: string) => row(name, `curl ${text}`);
  const rows: string[] = [];
  if (!job.done) {
    rows.push(command("watch", `-N -H 'Accept: text/event-stream' ${shellQuoted(job.links.events)}`));
    rows.push(command("wait", `-H 'Prefer: wait=60' -H 'Accept: text/plain' ${shellQuoted(job.links.self)}${token}`));
    rows.push(command("cancel", `-X POST ${shellQuoted(job.links.cancel)}${token}`));
  }
  if (job.status === "failed" || job.status === "canceled") {
    rows.push(command("retry", `-X POST ${shellQuoted(job.links.retry)}${token}`));
  }
  rows.push(command("log", `${shellQuoted(`${job.links.self}/events`)}${token}`));
  rows.push(command("json", `${shellQuoted(job.links.self)}${token}`));
  rows.push(command("delete", `-X DELETE ${shellQuoted(job.links.self)}${token}`));
  return rows;
}

/** Each event for the webhook, with its newest try and the next one. */
function webhookRows(job: Job, { deliveries = [], nowMs, withToken }: TimelineContext, day: string): string[] {
  const token = withToken ? ' -H "Authorization: Bearer $DARKROOM_TOKEN"' : "";
  return deliveries.flatMap(({ number, type, state, reason, url, tries, nextTryAt }) => {
    const last = tries.at(-1);
    const why = reason ?? (state === "delivered" ? null : (last?.error ?? null));
    const next =
      nextTryAt === null ? null : `next try at ${clockText(nextTryAt, day)} (${fromNowText(nextTryAt, nowMs)})`;
    const facts = [
      `${tries.length} ${tries.length === 1 ? "try" : "tries"}`,
      why === null ? null : inertText(why),
      next,
    ];
    const resend = `curl -X POST ${shellQuoted(`${job.links.self}/deliveries/${number}/resend`)}${token}`;
    return [
      row(`event ${number}`, `${type} ${state}: ${facts.filter((fact) => fact !== null).join("; ")}`),
      row("", `to ${inertText(url)}`),
      ...(state === "gone" || state === "failed" ? [row("resend", resend)] : []),
    ];
  });
}

function requestLine({ workflow, model, request }: Job): string {
  const facts = [workflow, model, request.size, request.n > 1 ? `${request.n} images` : null];
  const seed = request.seed === null ? null : `seed ${request.seed}`;
  const priority = request.priority === "normal" ? null : `${request.priority} priority`;
  return [...facts, seed, priority].filter((fact) => fact !== null).join(" · ");
}

/** What the job costs its client. */
function costRows({ cost }: Job): string[] {
  if (cost === null) return [];
  const { currency, estimated, charged, atRisk } = cost;
  const rows = [row("charged", `${charged} ${currency} (${estimated} for each attempt that delivers)`)];
  if (atRisk > 0) rows.push(row("at risk", `${atRisk} ${currency}: attempts without an answer may have been billed`));
  return rows;
}

function section(title: string, rows: readonly string[]): string[] {
  return rows.length === 0 ? [] : ["", title, ...rows];
}

/**
 * The job for people with a terminal. Text that somebody else wrote (prompt, upstream's messages, metadata) cannot act on the
 * terminal. `events` are the newest of its log, in order, none younger than the job.
 */
export function jobTimeline(job: Job, events: readonly JobEvent[], context: TimelineContext): string {
  const { nowMs, withToken } = context;
  const day = job.createdAt.slice(0, 10);
  const inputs = job.request.images.map((image, index) =>
    row(
      `input ${index}`,
      image.kind === "url" ? inertText(image.url) : `${image.width}×${image.height} ${image.contentType}, uploaded`,
    ),
  );
  const negative = job.request.negativePrompt === null ? [] : quotedLines(`not: ${job.request.negativePrompt}`);
  const metadata = Object.entries(job.metadata).map(([key, value]) => row(inertText(key), inertText(String(value))));
  const lines = [
    `${job.id}  ${job.status}${job.phase === null ? "" : ` (${job.phase})`}`,
    requestLine(job),
    "",
    ...quotedLines(job.request.prompt),
    ...negative,
    ...inputs,
    ...section(`What happened (${day}, UTC)`, historyRows(job, events, day, nowMs)),
    ...section(
      job.done ? "How it ended" : "What happens next",
      nextRows(job, { ...context, last: events.at(-1), day }),
    ),
    ...section("Images", imageRows(job)),
    ...section("Webhook", webhookRows(job, context, day)),
    ...section("Cost", costRows(job)),
    ...section(
      "Warnings",
      job.warnings
        .filter(({ code }) => code !== "storing_delayed")
        .map((warning) => row("", inertText(`${warning.code}: ${warning.message}`))),
    ),
    ...section("Metadata", metadata),
    ...section("Commands", commandRows(job, withToken)),
  ];
  return `${lines.join("\n")}\n`;
}
