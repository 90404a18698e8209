import { type Job, type JobLinks, type JobSummary, NO_REASON, type QueuePlace } from "../../../schemas/job.ts";
import type { CatalogEntry } from "../../catalog/contract.ts";
import type { JobView } from "../contract.ts";

/** Makes the addresses of a job for one reader and one moment; see `auth/links.ts`. */
export interface LinkMaker {
  job(jobId: string): JobLinks;
  image(jobId: string, index: number): string;
  input(jobId: string, index: number): string;
  /** Changes exactly when the same job would get other links. */
  readonly epoch: string;
}

function presentOutput(id: string, output: JobView["output"], links: LinkMaker): Job["output"] {
  if (output === null) return null;
  return { images: output.images.map((image) => ({ ...image, url: links.image(id, image.index) })) };
}

/** The job as the API shows it, in the order of its fields in the spec. */
export function presentJob(view: JobView, links: LinkMaker): Job {
  const { client: _client, tag: _tag, copyAgainAt: _copyAgainAt, spend: _spend, ...shown } = view;
  const images = view.request.images.map((image, index) =>
    image.kind === "upload" ? { ...image, url: links.input(view.id, index) } : image,
  );
  const { output, queue, phase, attempts, cost, error, warnings, metadata, ...head } = shown;
  return {
    ...head,
    request: { ...view.request, images },
    queue,
    phase,
    attempts,
    output: presentOutput(view.id, output, links),
    cost,
    error,
    warnings: [...warnings],
    metadata,
    links: links.job(view.id),
  };
}

/**
 * The job as a share link shows it to anyone: without its cost, all else about its client's spend, the operator's reason for a
 * pause, and the submitter's metadata.
 */
export function presentShared(view: JobView, links: LinkMaker): Job {
  const job = presentJob(view, links);
  const { queue, error } = job;
  const isPaused = queue?.waitingOn === "paused";
  const isOverLimit = error?.code === "budget_exceeded";
  return {
    ...job,
    queue: isPaused
      ? { ...queue, reason: { ...queue.reason, pausedBecause: null }, detail: "paused by the operator" }
      : queue,
    cost: null,
    error: isOverLimit ? { ...error, ...OVER_LIMIT } : error,
    warnings: job.warnings.filter(({ code }) => code !== "budget_alert"),
    metadata: {},
  };
}

const OVER_LIMIT = {
  message: "the client's spend limit had no room for another attempt",
  hint: "The client sees the amounts with its own token.",
} as const;

/** Entries that were stored before places had a reason have none. */
function withReason(queue: CatalogEntry["queue"]): QueuePlace | null {
  return queue === null ? null : { ...queue, reason: queue.reason ?? NO_REASON };
}

/** A catalog's entry as lists and the live feed show it. `place` comes from the lane; null when the job is not queued. */
export function presentSummary(
  { revision: _revision, ...entry }: CatalogEntry,
  client: string,
  links: LinkMaker,
  place: QueuePlace | null,
): JobSummary {
  const { spend: _spend, ...shown } = entry;
  return {
    ...shown,
    client,
    queue: place ?? withReason(entry.queue),
    output: presentOutput(entry.id, entry.output, links),
    pinned: entry.pinned ?? false,
    metadata: entry.metadata ?? {},
    links: links.job(entry.id),
  };
}

/** An image takes 15 s and more, so asking more often while one is made shows nothing new. */
const GENERATING_SECONDS = 3;
/** Storing takes a fraction of a second. */
const STORING_SECONDS = 1;
/** A place in the queue may improve when others cancel, so no longer wait is advised. */
const LONGEST_SECONDS = 60;
/** Queued, with no estimate. */
const UNKNOWN_SECONDS = 5;

function secondsUntil(at: string, nowMs: number): number {
  return Math.min(LONGEST_SECONDS, Math.max(1, Math.ceil((Date.parse(at) - nowMs) / 1000)));
}

/** In how many seconds it is worth asking again, from the job's own estimate; null when it is done. */
export function retryAfterSeconds(
  view: Pick<JobView, "done" | "status" | "phase" | "queue" | "attempts" | "copyAgainAt">,
  nowMs: number,
) {
  if (view.done) return null;
  if (view.copyAgainAt !== null) return secondsUntil(view.copyAgainAt, nowMs);
  if (view.status === "running") return view.phase === "storing" ? STORING_SECONDS : GENERATING_SECONDS;
  const retryAt = view.attempts.at(-1)?.retryAt;
  if (view.status === "retrying" && retryAt !== undefined && retryAt !== null) return secondsUntil(retryAt, nowMs);
  if (view.queue === null) return UNKNOWN_SECONDS;
  if (view.queue.estimatedStartAt !== null) return secondsUntil(view.queue.estimatedStartAt, nowMs);
  // A blocked lane probes once a minute.
  return view.queue.waitingOn === "blocked" ? LONGEST_SECONDS : UNKNOWN_SECONDS;
}
