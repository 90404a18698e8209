import type { LaneReport } from "../../schemas/limits.ts";
import type { ListedJob } from "./listed-job.ts";

/** A recorded qwen-image-max call took 16.5 s and the vendor's examples 19 to 25 s; used until anything was observed. */
export const FALLBACK_DURATION_MS = 25_000;

/**
 * What one attempt of a model usually takes, in ms: what its lane observed, else the median of the finished jobs at hand that
 * needed a single attempt, else a constant.
 */
export function typicalDurationMs(
  model: string,
  lanes: readonly Pick<LaneReport, "model" | "typicalDurationMs">[],
  jobs: Iterable<Pick<ListedJob, "model" | "status" | "attempts" | "startedAt" | "finishedAt">>,
): number {
  const observed = lanes.find((lane) => lane.model === model)?.typicalDurationMs ?? null;
  if (observed !== null && observed > 0) return observed;
  const durationsMs: number[] = [];
  for (const job of jobs) {
    if (job.model !== model || job.status !== "succeeded" || job.attempts !== 1) continue;
    if (job.startedAt === null || job.finishedAt === null) continue;
    const durationMs = Date.parse(job.finishedAt) - Date.parse(job.startedAt);
    if (durationMs > 0) durationsMs.push(durationMs);
  }
  durationsMs.sort((a, b) => a - b);
  return durationsMs[Math.floor(durationsMs.length / 2)] ?? FALLBACK_DURATION_MS;
}
