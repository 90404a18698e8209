import { estimateProgress, neverBack, type Shown } from "../state/progress.ts";
import { typicalDurationMs } from "../state/typical-duration.ts";
import { limits } from "./limits.ts";
import { jobList } from "./live-jobs.ts";

/** The furthest that was shown of each job, on whichever view: going from the list to the job must not set it back. */
const shownByJob = new Map<string, Shown>();

/** A running attempt, as both a summary and a full job can tell it. */
export interface RunningAttempt {
  readonly jobId: string;
  readonly model: string;
  readonly attempt: number;
  readonly startedAtMs: number;
  readonly storing: boolean;
}

/** What to show of a running attempt at `nowMs` (server's clock): never less than before. */
export function progressOf(run: RunningAttempt, nowMs: number): Shown & { readonly words: string } {
  const typicalMs = typicalDurationMs(run.model, limits.get()?.lanes ?? [], jobList.get().jobs.values());
  const estimate = estimateProgress(run, typicalMs, nowMs);
  const shown = neverBack(shownByJob.get(run.jobId) ?? null, `${run.jobId}/${run.attempt}`, estimate.fraction);
  shownByJob.set(run.jobId, shown);
  return { ...shown, words: estimate.words };
}
