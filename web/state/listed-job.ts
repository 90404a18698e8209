import type { Job, JobSummary } from "../../schemas/job.ts";
import type { ModelInfo } from "../../schemas/limits.ts";
import { sidesOf } from "./sizes.ts";

/** A job as the page's lists keep it: what the feed, the list and a full job have in common. */
export type ListedJob = Omit<JobSummary, "client"> & {
  /** Who submitted; null where only the full job is known, which does not carry it. */
  readonly client: string | null;
};

/** As many characters of a prompt as a summary carries. */
const SUMMARY_PROMPT_CHARS = 200;

/** A full job, cut down to what lists show. */
export function listedFromJob(job: Job): ListedJob {
  const { request, attempts, warnings: _warnings, ...shared } = job;
  return {
    ...shared,
    client: null,
    prompt: [...request.prompt].slice(0, SUMMARY_PROMPT_CHARS).join(""),
    size: request.size,
    n: request.n,
    attempts: attempts.length,
    retryAt: attempts.at(-1)?.retryAt ?? null,
  };
}

/** Whether the job is removed once it is unpinned: its time is up at `nowMs` (the server's clock, epoch ms). */
export function endsUnpinned({ pinned, expiresAt }: Pick<ListedJob, "pinned" | "expiresAt">, nowMs: number): boolean {
  return pinned && expiresAt !== null && Date.parse(expiresAt) <= nowMs;
}

/** Width and height in pixels. */
export interface Sides {
  readonly width: number;
  readonly height: number;
}

/**
 * The sides of the job's images: as made, else as asked for, else as its model makes them by default. Null where none of these
 * says it: the model decides.
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

/** The shape to draw the job's prints in, width over height; square where nothing is known. */
export function shapeOf(sides: Sides | null): number {
  return sides === null ? 1 : sides.width / sides.height;
}
