import { z } from "zod";
import { MAX_INPUT_IMAGES, ReferenceSubmit, TextSubmit } from "../../../schemas/submit.ts";

const { negativePrompt, promptExtend, promptExtendMode, maxAttempts, deadlineSeconds, onUncertain, ...sameInBoth } =
  TextSubmit.shape;
const snakeShape = {
  ...sameInBoth,
  negative_prompt: negativePrompt,
  prompt_extend: promptExtend,
  prompt_extend_mode: promptExtendMode,
  max_attempts: maxAttempts,
  deadline_seconds: deadlineSeconds,
  on_uncertain: onUncertain,
};

/** The spellings that are accepted beside the contract's own. Each field may have either. */
const SnakeTextSubmit = z
  .strictObject(snakeShape)
  .meta({ id: "SnakeTextSubmit", description: "The same in snake_case." });
const SnakeReferenceSubmit = z
  .strictObject({ ...snakeShape, reference_image_url: z.string() })
  .meta({ id: "SnakeReferenceSubmit", description: "The same in snake_case, with one image; `images` is taken too." });

const { prompt, size, n, seed, watermark, thinking, ...oursOnly } = sameInBoth;
const VendorSubmit = z
  .strictObject({
    ...oursOnly,
    input: z.strictObject({
      messages: z
        .array(
          z.strictObject({
            role: z.literal("user"),
            content: z.array(z.union([z.strictObject({ text: prompt }), z.strictObject({ image: z.string() })])),
          }),
        )
        .length(1),
    }),
    parameters: z
      .strictObject({
        size,
        n,
        seed,
        watermark,
        negative_prompt: negativePrompt,
        prompt_extend: promptExtend,
        prompt_extend_mode: promptExtendMode,
        enable_thinking: thinking,
      })
      .optional(),
  })
  .meta({
    id: "VendorSubmit",
    description:
      "DashScope's own envelope. Options of DashScope or OpenAI that change nothing here are taken too, and named in `warnings`.",
  });

export const TextBody = z.union([TextSubmit, SnakeTextSubmit, VendorSubmit]);
export const ReferenceBody = z.union([ReferenceSubmit, SnakeReferenceSubmit, VendorSubmit]);

/** Every part of a form is text, whatever it means. */
const part = (what: string) => z.string().optional().meta({ description: what });

/** A form: the fields of the JSON body as parts, numbers and booleans as text, `metadata` and `webhook` as JSON. */
export const ReferenceForm = z
  .strictObject({
    prompt,
    image: z
      .array(z.string().meta({ override: { type: "string", contentMediaType: "image/*" } }))
      .min(1)
      .max(MAX_INPUT_IMAGES)
      .meta({
        description:
          "Files, addresses or data URLs; the part is repeated. It may be called `images`, `image[]` or `images[]` too.",
      }),
    negativePrompt,
    size,
    n: part("A whole number, as text."),
    seed: part("A whole number, as text."),
    promptExtend: part("`true` or `false`."),
    promptExtendMode,
    thinking: part("`true` or `false`."),
    watermark: part("`true` or `false`."),
    model: oursOnly.model,
    priority: oursOnly.priority,
    maxAttempts: part("A whole number, as text."),
    deadlineSeconds: part("A whole number, as text."),
    onUncertain,
    metadata: part("An object, as JSON."),
    webhook: part("An object, as JSON."),
  })
  .meta({
    id: "ReferenceForm",
    description:
      "The fields of the JSON body as parts, in camelCase or in snake_case; an empty part is one that is not there.",
  });
