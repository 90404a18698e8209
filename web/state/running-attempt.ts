import type { Job } from "../../schemas/job.ts";
import type { ListedJob } from "./listed-job.ts";

/** A running attempt, as both a summary and a full job can tell it. */
export interface RunningAttempt {
  readonly jobId: string;
  readonly model: string;
  readonly attempt: number;
  /** Epoch ms, by the server's clock. */
  readonly startedAtMs: number;
  readonly storing: boolean;
}

/** The attempt that a listed job is at; null while none runs. Its start is the last thing that happened. */
export function listedRun(job: ListedJob): RunningAttempt | null {
  return job.status === "running" ? runOf(job, job.attempts, job.updatedAt) : null;
}

/** The attempt that a job is at; null while none runs. */
export function jobRun(job: Job): RunningAttempt | null {
  const { attempts, updatedAt } = job;
  return job.status === "running" ? runOf(job, attempts.length, attempts.at(-1)?.startedAt ?? updatedAt) : null;
}

function runOf(job: Pick<Job, "id" | "model" | "phase">, attempt: number, startedAt: string): RunningAttempt {
  const { id, model, phase } = job;
  return { jobId: id, model, attempt, startedAtMs: Date.parse(startedAt), storing: phase === "storing" };
}
