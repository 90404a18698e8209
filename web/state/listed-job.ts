import type { Job, JobSummary } from "../../schemas/job.ts";

/** A job as the page's lists keep it: what the feed, the list and a full job have in common. */
export type ListedJob = Omit<JobSummary, "client">;

/** As many characters of a prompt as a summary carries. */
const SUMMARY_PROMPT_CHARS = 200;

/** A full job, cut down to what lists show. */
export function listedFromJob(job: Job): ListedJob {
  const { request, attempts, warnings: _warnings, metadata: _metadata, ...shared } = job;
  return {
    ...shared,
    prompt: [...request.prompt].slice(0, SUMMARY_PROMPT_CHARS).join(""),
    size: request.size,
    n: request.n,
    attempts: attempts.length,
    retryAt: attempts.at(-1)?.retryAt ?? null,
  };
}

/** The shape that the job's images have, or will have as far as the request tells: width over height. Square when it does not. */
export function shapeOf(job: Pick<ListedJob, "size" | "output">): number {
  const image = job.output?.images[0];
  if (image !== undefined && image.width > 0 && image.height > 0) return image.width / image.height;
  const [width, height] = (job.size ?? "").split("*").map(Number);
  return width !== undefined && height !== undefined && width > 0 && height > 0 ? width / height : 1;
}
