import type { Job } from "../../schemas/job.ts";
import type { LaneReport } from "../../schemas/limits.ts";
import type { ListedJob } from "./listed-job.ts";

/** The progress of a running attempt, estimated from the usual duration of attempts. Pure. */

/** The fraction shown when an attempt has taken as long as usual; from there it approaches `ASYMPTOTE` and never reaches it. */
const AT_TYPICAL = 0.9;
const ASYMPTOTE = 0.98;
const STORING_FROM = 0.95;

/** An attempt that takes this many times the usual time is called slow. */
const SLOW_FACTOR = 1.5;

export interface Estimate {
  /** In [0, 1): an estimate never reaches the end. */
  readonly fraction: number;
  readonly words: string;
}

/** `startedAtMs` and `nowMs` by the same clock; `typicalMs` above 0. */
export function estimateProgress(
  run: { readonly startedAtMs: number; readonly storing: boolean },
  typicalMs: number,
  nowMs: number,
): Estimate {
  const elapsedMs = Math.max(0, nowMs - run.startedAtMs);
  const over = elapsedMs / typicalMs - 1;
  const fraction =
    over <= 0 ? AT_TYPICAL * (elapsedMs / typicalMs) : AT_TYPICAL + (ASYMPTOTE - AT_TYPICAL) * (1 - Math.exp(-over));
  if (run.storing) return { fraction: Math.max(STORING_FROM, fraction), words: "saving the image" };
  return { fraction, words: leftWords(typicalMs - elapsedMs, over) };
}

function leftWords(leftMs: number, over: number): string {
  if (over > SLOW_FACTOR - 1) return "taking longer than usual";
  const seconds = Math.ceil(leftMs / 1000);
  return seconds <= 1 ? "any moment now" : `about ${seconds} s left`;
}

/** The furthest progress shown of one run (`run` names job and attempt). */
export interface Shown {
  readonly run: string;
  readonly fraction: number;
}

/** What to show next: never less than was shown of the same run; a new run begins anew. */
export function neverBack(shown: Shown | null, run: string, fraction: number): Shown {
  return shown !== null && shown.run === run && shown.fraction >= fraction ? shown : { run, fraction };
}

/** A running attempt, with what both a summary and a full job contain. */
export interface RunningAttempt {
  readonly jobId: string;
  readonly model: string;
  readonly attempt: number;
  /** Epoch ms, by the server's clock. */
  readonly startedAtMs: number;
  readonly storing: boolean;
}

/** The running attempt of a listed job; null while none runs. Its start is taken from `updatedAt`. */
export function listedRun(job: ListedJob): RunningAttempt | null {
  return job.status === "running" ? runOf(job, job.attempts, job.updatedAt) : null;
}

/** The running attempt of a job; null while none runs. */
export function jobRun(job: Job): RunningAttempt | null {
  const last = job.attempts.at(-1);
  return job.status === "running" ? runOf(job, last?.number ?? 0, last?.startedAt ?? job.updatedAt) : null;
}

function runOf(job: Pick<Job, "id" | "model" | "phase">, attempt: number, startedAt: string): RunningAttempt {
  const { id, model, phase } = job;
  return { jobId: id, model, attempt, startedAtMs: Date.parse(startedAt), storing: phase === "storing" };
}

/** A recorded qwen-image-max call took 16.5 s and the vendor's examples 19 to 25 s; used until anything was observed. */
export const FALLBACK_DURATION_MS = 25_000;

/**
 * The usual duration of one attempt of a model, in ms: as its lane observed, else the median of the known finished jobs that
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
