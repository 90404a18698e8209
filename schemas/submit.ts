import { z } from "zod";
import { Metadata, OnUncertain, Priority, PromptExtendMode } from "./job.ts";
import { WebhookTarget } from "./webhook.ts";

/** The widest bounds of any model. A model's own table narrows them. */
export const MAX_SEED = 2_147_483_647;
export const MAX_DEADLINE_SECONDS = 604_800;
export const MAX_PROMPT_CHARS = 20_000;
export const MAX_IMAGE_BYTES = 10 * 1024 * 1024;
export const MAX_INPUT_IMAGES = 10;
/** The largest body that the platform accepts on its smaller plans. Ten image files of nearly 10 MB fit. */
export const MAX_BODY_BYTES = 100 * 1000 * 1000;

/** Any two sides, or a word like `2K`. The model's table decides which of them it makes. */
const SIZE = /^(?:[1-9]\d{0,4}[*x][1-9]\d{0,4}|[1-9]K)$/i;

/** A visible character: no blank, no control or format character, and no letter that is drawn as nothing. */
const VISIBLE = /[[\p{L}\p{N}\p{P}\p{S}]--[\p{Default_Ignorable_Code_Point}\u{2800}]]/v;
/** Characters that no text for people holds. Upstream refuses them, and counts the call. Line breaks and tabs are allowed. */
const CONTROL = /(?![\t\n\r])\p{Cc}/u;

const text = z
  .string()
  .max(MAX_PROMPT_CHARS)
  .superRefine((value, context) => {
    const at = value.search(CONTROL);
    if (at < 0) return;
    const code = (value.codePointAt(at) ?? 0).toString(16).toUpperCase().padStart(4, "0");
    context.addIssue(`must hold no control character; the one at position ${at + 1} is U+${code}`);
  });

const ours = {
  priority: Priority.optional(),
  maxAttempts: z.int().min(1).max(10).optional(),
  deadlineSeconds: z.int().min(10).max(MAX_DEADLINE_SECONDS).optional(),
  onUncertain: OnUncertain.optional(),
  metadata: Metadata.optional(),
  webhook: WebhookTarget.optional(),
};

const common = {
  prompt: text
    .refine((value) => VISIBLE.test(value), "must say what to draw: it holds nothing that can be seen")
    .meta({ example: "a red bicycle in the rain" }),
  negativePrompt: text.optional(),
  size: z.string().regex(SIZE, "must look like 1664*928 (1664x928 is taken too), or like 2K").optional(),
  n: z.int().min(1).max(6).optional(),
  seed: z.int().min(0).max(MAX_SEED).optional(),
  promptExtend: z.boolean().optional(),
  promptExtendMode: PromptExtendMode.optional().meta({
    description: "How the prompt is extended; models of 3.0 and 2.1.",
  }),
  thinking: z
    .boolean()
    .optional()
    .meta({ description: "Whether the model plans before it draws; models of 3.0, 2.1 and wan2.7." }),
  watermark: z.boolean().optional(),
  model: z.string().min(1).max(100).optional(),
  ...ours,
};

export const TextSubmit = z.strictObject(common).meta({ id: "TextSubmit" });
export type TextSubmit = z.infer<typeof TextSubmit>;

/** A public http(s) address without credentials, a data URL of an image, or the link to one of the client's own images here. */
export const ImageSource = z.string().min(1).meta({ example: "https://example.com/a.png" });

export const ReferenceSubmit = z
  .strictObject({ ...common, images: z.array(ImageSource).min(1).max(MAX_INPUT_IMAGES) })
  .meta({ id: "ReferenceSubmit" });
export type ReferenceSubmit = z.infer<typeof ReferenceSubmit>;
