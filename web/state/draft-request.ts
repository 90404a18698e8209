import type { FileSubmit } from "../../client/submission.ts";
import { type ModelInfo, sizesFor } from "../../schemas/limits.ts";
import { MAX_DEADLINE_SECONDS, MAX_SEED } from "../../schemas/submit.ts";
import { type Draft, extendModesOf, type JobToRepeat } from "./draft.ts";

/** A request without its images, the same for both workflows. */
export type RequestFields = FileSubmit;

/**
 * The draft as the API takes it, without its images: only what the person chose and the model supports. The server chooses what
 * is left out. The model is always named, and so is the size that the form shows as chosen.
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

/** A job's request without its images, and without its seed, because a repeat must not give the same image. */
export function repeatFields({ model, request, metadata }: JobToRepeat): RequestFields {
  const { images: _images, seed: _seed, ...asked } = request;
  const given = Object.entries(asked).filter(([, value]) => value !== null && value !== undefined);
  const known = Object.keys(metadata).length === 0 ? {} : { metadata };
  // Safe: each value was given under this name in a submission.
  return { ...(Object.fromEntries(given) as Pick<RequestFields, "prompt">), model, ...known };
}

/** The typed seed: null for none (random), `invalid` when it is no seed. */
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

/** The typed number of attempts: null for none (the server's default), `invalid` when it is out of bounds. */
export function parseMaxAttempts(typed: string): number | null | "invalid" {
  const text = typed.trim();
  if (text === "") return null;
  const count = Number(text);
  return Number.isInteger(count) && count >= 1 && count <= MOST_ATTEMPTS ? count : "invalid";
}

/** The deadline in seconds, typed in minutes: null for none (the server's default), `invalid` when it is out of bounds. */
export function parseDeadline(typed: string): number | null | "invalid" {
  const text = typed.trim();
  if (text === "") return null;
  const seconds = Math.round(Number(text) * 60);
  return seconds >= LEAST_DEADLINE_SECONDS && seconds <= MAX_DEADLINE_SECONDS ? seconds : "invalid";
}
