import { z } from "zod";
import { Timestamp } from "./job.ts";
import { WORKFLOWS, type Workflow } from "./paths.ts";

/** At most `starts` in any window of `periodMs`, and at most `inProgress` at once; null for no bound. */
export const Quota = z.object({
  starts: z.int().min(1),
  periodMs: z.int().min(1),
  inProgress: z.int().min(1).nullable(),
});
export type Quota = z.infer<typeof Quota>;

/** Why a lane starts nothing, and when it tries again. */
export const LaneBlock = z.object({
  code: z.string().meta({ description: "Upstream's own code.", example: "InvalidApiKey" }),
  hint: z.string(),
  since: Timestamp,
  nextProbeAt: Timestamp,
});
export type LaneBlock = z.infer<typeof LaneBlock>;

/** A command of the operator that is in effect. */
export const OperatorWord = z.object({
  reason: z.string(),
  since: Timestamp,
  until: Timestamp.nullable().meta({ description: "null: until the operator ends it." }),
});
export type OperatorWord = z.infer<typeof OperatorWord>;

/** The current state of a lane. `pace` 1 is the whole quota; it is lower after upstream throttled. */
export const LaneReport = z
  .object({
    model: z.string(),
    quota: Quota,
    pace: z.number().min(0).max(1),
    startsPerMinute: z.number().meta({ description: "The quota at the believed pace." }),
    mode: z.enum(["open", "one_at_a_time", "blocked"]),
    queued: z.int().min(0),
    inProgress: z.int().min(0),
    nextStartAt: Timestamp.nullable().meta({
      description: "When the quota allows the next start; null when it is now or blocked.",
    }),
    typicalDurationMs: z.int().nullable().meta({ description: "Median of recent attempts; null before the first." }),
    blocked: LaneBlock.nullable(),
    // Both are absent from a lane of an earlier version.
    paused: OperatorWord.nullable()
      .optional()
      .meta({ description: "Nothing starts while the operator has the lane paused." }),
    limit: OperatorWord.nullable()
      .optional()
      .meta({ description: "Set while `quota` is another than the deployment's." }),
  })
  .meta({ id: "LaneReport" });
export type LaneReport = z.infer<typeof LaneReport>;

/** The sizes that a model makes. `default` null: the model decides. `named`: words for a size, like `2K`. */
export const ModelSizes = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("fixed"), sizes: z.array(z.string()), default: z.string() }),
  z.object({ kind: z.literal("sides"), min: z.int(), max: z.int(), default: z.string().nullable().default(null) }),
  z.object({
    kind: z.literal("area"),
    minArea: z.int(),
    maxArea: z.int(),
    maxRatio: z.number(),
    named: z.array(z.string()).default([]),
    default: z.string().nullable().default(null),
  }),
  z.object({ kind: z.literal("none") }),
]);
export type ModelSizes = z.infer<typeof ModelSizes>;

/** What a model takes, for a form that shows limits before a submission exceeds them. */
export const ModelInfo = z.object({
  model: z.string(),
  workflows: z.array(z.enum(WORKFLOWS)),
  default: z.array(z.enum(WORKFLOWS)).meta({ description: "The workflows whose default it is." }),
  sizes: ModelSizes,
  sizesWithImages: ModelSizes.nullable().meta({ description: "Sizes with input images; null: as without." }),
  maxN: z.int(),
  defaultN: z.int(),
  images: z.object({ min: z.int(), max: z.int() }).meta({ description: "Input images of image-from-reference." }),
  inputSides: z.object({ min: z.int(), max: z.int(), refuses: z.boolean() }).nullable().meta({
    description: "Sides of input images in pixels; `refuses`: others are refused, else only advised against.",
  }),
  promptMaxChars: z.int().meta({ description: "Upstream cuts what is longer, without a word." }),
  negativePromptMaxChars: z.int(),
  supports: z.object({
    negativePrompt: z.boolean(),
    promptExtend: z.boolean(),
    promptExtendMode: z.boolean(),
    thinking: z.boolean(),
    seed: z.boolean(),
    watermark: z.boolean(),
  }),
  asynchronous: z.boolean(),
  priceClass: z.enum(["low", "medium", "high"]),
  price: z
    .object({
      currency: z.string().meta({ description: "An ISO 4217 code.", example: "USD" }),
      perImage: z.number().meta({ description: "When `promptExtend` is left out.", example: 0.075 }),
      perImageExtended: z
        .number()
        .nullable()
        .meta({ description: "With `promptExtend: true`, where that costs something else." }),
    })
    .nullable()
    .default(null)
    .meta({ description: "Null: not known; `PRICES` can say it." }),
  quota: Quota,
});
export type ModelInfo = z.infer<typeof ModelInfo>;

/** The sizes that a model makes in a workflow. Some models make smaller images from images than from text. */
export function sizesFor(model: Pick<ModelInfo, "sizes" | "sizesWithImages">, workflow: Workflow): ModelSizes {
  return workflow === "image-from-reference" ? (model.sizesWithImages ?? model.sizes) : model.sizes;
}

export const Limits = z.object({ lanes: z.array(LaneReport), models: z.array(ModelInfo) }).meta({ id: "Limits" });
export type Limits = z.infer<typeof Limits>;

export const Health = z
  .object({
    status: z.enum(["ok", "degraded", "misconfigured"]),
    service: z.literal("darkroom"),
    version: z.string(),
    time: Timestamp,
    upstream: z.object({ region: z.string().nullable(), host: z.string().nullable(), keyConfigured: z.boolean() }),
    lanes: z.array(
      z.object({
        model: z.string(),
        queued: z.int(),
        inProgress: z.int(),
        blocked: LaneBlock.nullable(),
        paused: OperatorWord.nullable().optional(),
      }),
    ),
    authMode: z.enum(["token", "open"]).nullable(),
    problems: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: "Health" });
export type Health = z.infer<typeof Health>;

/** The asker, as `GET /api/session` answers it. */
export const Identity = z
  .object({
    client: z.string().meta({ description: "The client's name; `operator` for the operator." }),
    role: z.enum(["client", "operator"]),
    clients: z.array(z.string()).meta({
      description:
        "Whose jobs the asker may see, and for whom submit: a client's own name; every client's for the operator.",
    }),
  })
  .meta({ id: "Identity" });
export type Identity = z.infer<typeof Identity>;

/** The client's name in the operator's session. */
export const OPERATOR_NAME = "operator";

export const Session = z
  .object({
    client: z.string().meta({ description: `Whose session it is; \`${OPERATOR_NAME}\` for the operator.` }),
    expiresAt: Timestamp,
  })
  .meta({ id: "Session" });
export type Session = z.infer<typeof Session>;
