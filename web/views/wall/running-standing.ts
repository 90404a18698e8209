import { progressOf } from "../../data/shown-progress.ts";
import type { ListedJob } from "../../state/listed-job.ts";
import { listedRunStartMs } from "../../state/running-attempt.ts";
import { type Standing, standingOf } from "../../state/standing.ts";

/** A job that is developing at `nowMs` (server's clock): how far it is, and that in words. */
export function runningStanding(
  job: ListedJob,
  nowMs: number,
): { readonly fraction: number; readonly standing: Standing } {
  const { fraction, words } = progressOf(
    {
      jobId: job.id,
      model: job.model,
      attempt: job.attempts,
      startedAtMs: listedRunStartMs(job),
      storing: job.phase === "storing",
    },
    nowMs,
  );
  const standing = standingOf(job, nowMs);
  const detail = standing.detail === null ? words : `${standing.detail}, ${words}`;
  return { fraction, standing: { ...standing, detail } };
}
