import type { FileSubmit } from "../../client/submission.ts";
import { type ModelInfo, sizesFor } from "../../schemas/limits.ts";
import { MAX_DEADLINE_SECONDS, MAX_SEED } from "../../schemas/submit.ts";
import { type Draft, extendModesOf, type JobToRepeat } from "./draft.ts";

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
  const maxAttempts = parseMaxAttempts(draft.maxAttempts);
  const deadlineSeconds = parseDeadline(draft.deadline);
  const mode = extendModesOf(draft.workflow).find((taken) => taken === draft.promptExtendMode);
  return {
    prompt: draft.prompt.trim(),
    model: model.model,
    ...(supports.negativePrompt && negativePrompt !== "" ? { negativePrompt } : {}),
    ...(size === null ? {} : { size }),
    ...(n === model.defaultN ? {} : { n }),
    ...(supports.seed && typeof seed === "number" ? { seed } : {}),
    ...(supports.promptExtend && draft.promptExtend !== null ? { promptExtend: draft.promptExtend } : {}),
    // A stored draft may have a mode that its workflow does not take.
    ...(supports.promptExtendMode && mode !== undefined && draft.promptExtend !== false
      ? { promptExtendMode: mode }
      : {}),
    ...(supports.thinking && draft.thinking !== null ? { thinking: draft.thinking } : {}),
    ...(supports.watermark && draft.watermark ? { watermark: true } : {}),
    ...(draft.priority === "normal" ? {} : { priority: draft.priority }),
    ...(draft.onUncertain === "retry" ? {} : { onUncertain: draft.onUncertain }),
    ...(typeof maxAttempts === "number" ? { maxAttempts } : {}),
    ...(typeof deadlineSeconds === "number" ? { deadlineSeconds } : {}),
    ...(Object.keys(draft.metadata).length === 0 ? {} : { metadata: draft.metadata }),
  };
}

/** All that a job asked for, without its images, and without its seed: the same once more must not give the same image. */
export function repeatFields({ model, request, metadata }: JobToRepeat): RequestFields {
  const { images: _images, seed: _seed, ...asked } = request;
  const given = Object.entries(asked).filter(([, value]) => value !== null && value !== undefined);
  const known = Object.keys(metadata).length === 0 ? {} : { metadata };
  // Each value is the one that a submission had under this name.
  return { ...(Object.fromEntries(given) as Pick<RequestFields, "prompt">), model, ...known };
}

/** The seed as typed: null for none (random), `invalid` when it is not one. */
export function parseSeed(typed: string): number | null | "invalid" {
  const text = typed.trim();
  if (text === "") return null;
  if (!/^\d{1,10}$/.test(text)) return "invalid";
  const seed = Number(text);
  return seed <= MAX_SEED ? seed : "invalid";
}

/** The bounds of the API's `maxAttempts` and, in seconds, of its `deadlineSeconds`. */
export const MOST_ATTEMPTS = 10;
const LEAST_DEADLINE_SECONDS = 10;

/** The number of attempts as typed: null for none (the server's own), `invalid` when it is not one. */
export function parseMaxAttempts(typed: string): number | null | "invalid" {
  const text = typed.trim();
  if (text === "") return null;
  const count = Number(text);
  return Number.isInteger(count) && count >= 1 && count <= MOST_ATTEMPTS ? count : "invalid";
}

/** The deadline, typed in minutes, in seconds: null for none (the server's own), `invalid` when it is out of bounds. */
export function parseDeadline(typed: string): number | null | "invalid" {
  const text = typed.trim();
  if (text === "") return null;
  const seconds = Math.round(Number(text) * 60);
  return seconds >= LEAST_DEADLINE_SECONDS && seconds <= MAX_DEADLINE_SECONDS ? seconds : "invalid";
}
