import type { Job } from "../../schemas/job.ts";
import { type Draft, type DraftImage, FRESH_DRAFT } from "./draft.ts";

/**
 * A draft that asks for what a job asked for. Uploads are named by their SHA-256: whoever uses the draft must see which of them
 * this browser still has.
 */
export function draftFromJob(job: Pick<Job, "workflow" | "model" | "request">): Draft {
  const { request } = job;
  return {
    ...FRESH_DRAFT,
    workflow: job.workflow,
    model: job.model,
    prompt: request.prompt,
    negativePrompt: request.negativePrompt ?? "",
    size: request.size,
    n: request.n,
    seed: request.seed === null ? "" : String(request.seed),
    promptExtend: request.promptExtend,
    watermark: request.watermark ?? false,
    priority: request.priority,
    onUncertain: request.onUncertain,
    images: request.images.map((image, index): DraftImage => {
      if (image.kind === "url") return image;
      const { sha256, contentType, bytes } = image;
      return { kind: "file", key: sha256, name: `Image ${index + 1}`, contentType, bytes };
    }),
  };
}
