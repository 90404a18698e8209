import type { JobView } from "../contract.ts";

/** An image takes 15 s and more: asking more often than this while one is made tells nothing. */
const GENERATING_SECONDS = 3;
/** Storing takes a fraction of a second. */
const STORING_SECONDS = 1;
/** A place in line may improve when others cancel, so nobody is told to stay away for longer. */
const LONGEST_SECONDS = 60;
/** In line with no estimate. */
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
