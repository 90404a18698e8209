import type { Job } from "../../schemas/job.ts";
import type { ListedJob } from "./listed-job.ts";

/** Since when the attempt of a listed job runs, epoch ms: while it generates, its start is the last thing that happened. */
export function listedRunStartMs(job: Pick<ListedJob, "updatedAt">): number {
  return Date.parse(job.updatedAt);
}

/** Since when the newest attempt of a job runs, epoch ms. */
export function runStartMs(job: Pick<Job, "attempts" | "updatedAt">): number {
  return Date.parse(job.attempts.at(-1)?.startedAt ?? job.updatedAt);
}
