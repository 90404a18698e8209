import { useEffect } from "react";
import type { RunningAttempt } from "../state/progress.ts";
import { type Estimate, estimateProgress, neverBack, type Shown, typicalDurationMs } from "../state/progress.ts";
import { limits } from "./limits.ts";
import { jobList } from "./live-jobs.ts";
import { useServerNowWhile } from "./server-clock.ts";

/** The furthest progress shown of each job on any view, so that going from the list to the job does not set it back. */
const shownByJob = new Map<string, Shown>();

/** More running jobs than any screen shows; those shown longest ago are dropped. */
const MAX_SHOWN = 200;

/** The progress of an attempt, estimated once a second and never less than was shown before. Null while none runs. */
export function useRunProgress(run: RunningAttempt | null): Estimate | null {
  const nowMs = useServerNowWhile(run !== null);
  const estimate = run === null ? null : estimateOf(run, nowMs);
  const name = run === null ? "" : `${run.jobId}/${run.attempt}`;
  const shown = run === null || estimate === null ? null : neverBack(shownOf(run.jobId), name, estimate.fraction);

  const jobId = run?.jobId;
  const fraction = shown?.fraction;
  useEffect(() => {
    if (jobId !== undefined && fraction !== undefined) keepShown(jobId, { run: name, fraction });
  }, [jobId, name, fraction]);

  return estimate === null || shown === null ? null : { fraction: shown.fraction, words: estimate.words };
}

function estimateOf(run: RunningAttempt, nowMs: number): Estimate {
  const typicalMs = typicalDurationMs(run.model, limits.get()?.lanes ?? [], jobList.get().jobs.values());
  return estimateProgress(run, typicalMs, nowMs);
}

function shownOf(jobId: string): Shown | null {
  return shownByJob.get(jobId) ?? null;
}

function keepShown(jobId: string, shown: Shown): void {
  shownByJob.delete(jobId);
  shownByJob.set(jobId, shown);
  const [oldest] = shownByJob.keys();
  if (shownByJob.size > MAX_SHOWN && oldest !== undefined) shownByJob.delete(oldest);
}
