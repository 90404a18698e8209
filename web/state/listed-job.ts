import type { Job, JobSummary } from "../../schemas/job.ts";
import type { ModelInfo } from "../../schemas/limits.ts";
import { sidesOf } from "./sizes.ts";

/** A job as the page's lists keep it: the fields that the feed, the list and a full job share. */
export type ListedJob = Omit<JobSummary, "client"> & {
  /** Who submitted; null where only the full job is known, which does not carry it. */
  readonly client: string | null;
};

/** The number of characters of a prompt in a summary. */
const SUMMARY_PROMPT_CHARS = 200;

/** A full job, reduced to the fields of lists. */
export function listedFromJob(job: Job): ListedJob {
  const { request, attempts, warnings: _warnings, ...shared } = job;
  const last = attempts.at(-1);
  return {
    ...shared,
    client: null,
    prompt: [...request.prompt].slice(0, SUMMARY_PROMPT_CHARS).join(""),
    size: request.size,
    n: request.n,
    // A job keeps only the newest of its uncounted attempts, so their number is not how many were started.
    attempts: last?.number ?? 0,
    // An attempt keeps its `retryAt` after the wait for the next one has ended.
    retryAt: job.status === "retrying" ? (last?.retryAt ?? null) : null,
  };
}

/** Whether the job is removed as soon as it is unpinned: its retention has ended at `nowMs` (the server's clock, epoch ms). */
export function endsUnpinned({ pinned, expiresAt }: Pick<ListedJob, "pinned" | "expiresAt">, nowMs: number): boolean {
  return pinned && expiresAt !== null && Date.parse(expiresAt) <= nowMs;
}

/** Width and height in pixels. */
export interface Sides {
  readonly width: number;
  readonly height: number;
}

/**
 * The sides of the job's images: as made, else as requested, else its model's default. Null where none of these is known, because
 * the model decides.
 */
export function sidesOfJob(
  job: Pick<ListedJob, "model" | "size" | "output">,
  models: readonly Pick<ModelInfo, "model" | "sizes">[],
): Sides | null {
  const image = job.output?.images[0];
  if (image !== undefined && image.width > 0 && image.height > 0) return { width: image.width, height: image.height };
  const sizes = models.find(({ model }) => model === job.model)?.sizes;
  const byDefault = sizes === undefined || sizes.kind === "none" ? null : sizes.default;
  return sidesOf(job.size ?? byDefault ?? "");
}

/** The shape of the job's prints, width over height; square where the sides are not known. */
export function shapeOf(sides: Sides | null): number {
  return sides === null ? 1 : sides.width / sides.height;
}
