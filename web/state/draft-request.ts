import type { FileSubmit } from "../../client/submission.ts";
import { type ModelInfo, sizesFor } from "../../schemas/limits.ts";
import { MAX_SEED } from "../../schemas/submit.ts";
import type { Draft } from "./draft.ts";

/** Everything of a request but its images, the same for both workflows. */
export type RequestFields = FileSubmit;

/**
 * The draft as the API takes it, without its images: only what the person chose and the model supports, so that what is left
 * out stays the server's choice. The model is always named, and the size where one is shown as chosen: what was shown is what
 * is asked.
 */
export function requestFields(draft: Draft, model: ModelInfo): RequestFields {
  const { supports } = model;
  const negativePrompt = draft.negativePrompt.trim();
  const seed = parseSeed(draft.seed);
  const sizes = sizesFor(model, draft.workflow);
  const size = sizes.kind === "none" ? null : (draft.size ?? sizes.default);
  const n = Math.min(draft.n, model.maxN);
  return {
    prompt: draft.prompt.trim(),
    model: model.model,
    ...(supports.negativePrompt && negativePrompt !== "" ? { negativePrompt } : {}),
    ...(size === null ? {} : { size }),
    ...(n === model.defaultN ? {} : { n }),
    ...(supports.seed && typeof seed === "number" ? { seed } : {}),
    ...(supports.promptExtend && draft.promptExtend !== null ? { promptExtend: draft.promptExtend } : {}),
    ...(supports.watermark && draft.watermark ? { watermark: true } : {}),
    ...(draft.priority === "normal" ? {} : { priority: draft.priority }),
    ...(draft.onUncertain === "retry" ? {} : { onUncertain: draft.onUncertain }),
  };
}

/** The seed as typed: null for none (random), `invalid` when it is not one. */
export function parseSeed(typed: string): number | null | "invalid" {
  const text = typed.trim();
  if (text === "") return null;
  if (!/^\d{1,10}$/.test(text)) return "invalid";
  const seed = Number(text);
  return seed <= MAX_SEED ? seed : "invalid";
}
