import { z } from "zod";
import { Metadata, OnUncertain, Priority } from "./job.ts";

/** Widest bounds of any model; a model's own table narrows them. */
export const MAX_SEED = 2_147_483_647;
export const MAX_PROMPT_CHARS = 20_000;
export const MAX_IMAGE_BYTES = 10 * 1024 * 1024;
export const MAX_INPUT_IMAGES = 3;
/** Three images of 10 MB in base64, and room for the rest. */
export const MAX_BODY_BYTES = 42 * 1024 * 1024;

/** Any two sides: which of them a model makes, its own table says, in its own words. */
const SIZE = /^[1-9]\d{0,4}[*x][1-9]\d{0,4}$/i;

const ours = {
  priority: Priority.optional(),
  maxAttempts: z.int().min(1).max(10).optional(),
  deadlineSeconds: z.int().min(10).max(604_800).optional(),
  onUncertain: OnUncertain.optional(),
  metadata: Metadata.optional(),
};

const common = {
  prompt: z
    .string()
    .max(MAX_PROMPT_CHARS)
    .refine((text) => text.trim() !== "", "must say what to draw")
    .meta({ example: "a red bicycle in the rain" }),
  negativePrompt: z.string().max(MAX_PROMPT_CHARS).optional(),
  size: z.string().regex(SIZE, "must look like 1664*928 (1664x928 is taken too)").optional(),
  n: z.int().min(1).max(6).optional(),
  seed: z.int().min(0).max(MAX_SEED).optional(),
  promptExtend: z.boolean().optional(),
  watermark: z.boolean().optional(),
  model: z.string().min(1).max(100).optional(),
  ...ours,
};

export const TextSubmit = z.strictObject(common).meta({ id: "TextSubmit" });
export type TextSubmit = z.infer<typeof TextSubmit>;

/** An http(s) address without credentials in it, or a data URL of an image. */
export const ImageSource = z.string().min(1).meta({ example: "https://example.com/a.png" });

export const ReferenceSubmit = z
  .strictObject({ ...common, images: z.array(ImageSource).min(1).max(MAX_INPUT_IMAGES) })
  .meta({ id: "ReferenceSubmit" });
export type ReferenceSubmit = z.infer<typeof ReferenceSubmit>;
