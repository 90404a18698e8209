import type { Job } from "../../schemas/job.ts";

/** Failures that the same request meets again: what was asked for must change first. */
const LASTING: ReadonlySet<string | undefined> = new Set([
  "content_rejected",
  "invalid_request",
  "invalid_image",
  "image_unreachable",
]);

/** Whether a failed job is better asked again with changes than tried again as it is. */
export function wantsChanges({ error }: Pick<Job, "error">): boolean {
  return LASTING.has(error?.code);
}
