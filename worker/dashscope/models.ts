/** The models of a deployment: the built-in table with what `MODELS` adds and changes. Pure. */
import { z } from "zod";
import { ModelInfo, ModelSizes, Quota } from "../../schemas/limits.ts";
import { WORKFLOWS, type Workflow } from "../../schemas/paths.ts";
import { MAX_INPUT_IMAGES } from "../../schemas/submit.ts";
import { MODEL_TABLE, TWO_A_MINUTE } from "./model-table.ts";
import { REGION_HOSTS, type Region } from "./wire.ts";

/** Where a model's tasks are submitted, by the names in `wirePaths`. */
const ASYNC_PATHS = ["text2image", "image2image", "imageGeneration"] as const;
export type AsyncPath = (typeof ASYNC_PATHS)[number];

/** What is known of a model, the same for every deployment. `modelInfo` adds the deployment's settings. */
export interface ModelFacts extends Omit<ModelInfo, "default" | "asynchronous" | "quota" | "price"> {
  /** Null: synchronous only. Where both exist the task is used, because its id outlasts a crash of this Worker. */
  readonly asyncPath: AsyncPath | null;
  /** The regions where the vendor's price list has the model. */
  readonly regions: readonly Region[];
  /**
   * Upstream's name of the option `thinking`, for models that have it. `enable_thinking` is part of extending the prompt;
   * `thinking_mode` is independent and has no effect with input images.
   */
  readonly thinkingParameter: "enable_thinking" | "thinking_mode";
  /** What upstream does when `prompt_extend` is absent; null when the model has no such option. */
  readonly promptExtendDefault: boolean | null;
  readonly quota: Quota;
  /** The quota of regions where it differs. */
  readonly quotaIn?: Partial<Record<Region, Quota>>;
  /** Per image: CNY in `bj`, USD elsewhere. For an absent region the price is not known. */
  readonly prices: Partial<Record<Region, number>>;
  /** Per image with an extended prompt, where that costs extra. */
  readonly pricesExtended?: Partial<Record<Region, number>>;
}

/** What `LANE_LIMITS` may set for a model. It is merged over the model table. */
export const QuotaOverride = Quota.partial().strict();
export type QuotaOverride = z.infer<typeof QuotaOverride>;

const regionNames = Object.keys(REGION_HOSTS) as [Region, ...Region[]];
const { shape } = ModelInfo;

/** One entry of `MODELS`: a known model to start from (required for a new name), and the differences. */
export const ModelOverride = z.strictObject({
  like: z.string().optional(),
  workflows: z.array(z.enum(WORKFLOWS)).min(1).optional(),
  sizes: ModelSizes.optional(),
  sizesWithImages: shape.sizesWithImages.optional(),
  maxN: z.int().min(1).max(6).optional(),
  images: z
    .strictObject({ min: z.int().min(0), max: z.int().min(0).max(MAX_INPUT_IMAGES) })
    .refine(({ min, max }) => min <= max, "min must not be above max")
    .optional(),
  inputSides: shape.inputSides.optional(),
  promptMaxChars: z.int().min(1).optional(),
  negativePromptMaxChars: z.int().min(1).optional(),
  supports: shape.supports.partial().strict().optional(),
  priceClass: shape.priceClass.optional(),
  asyncPath: z.enum(ASYNC_PATHS).nullable().optional(),
  regions: z.array(z.enum(regionNames)).min(1).optional(),
  quota: QuotaOverride.optional(),
});
export type ModelOverride = z.infer<typeof ModelOverride>;

/** The form of a model's name. */
export const MODEL_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** `MODELS`: model name → differences. A new name must be `like` a built-in model; a built-in name changes that model. */
export const ModelOverrides = z
  .record(z.string().regex(MODEL_NAME, "must be a model's name"), ModelOverride)
  .superRefine((overrides, context) => {
    for (const [name, { like }] of Object.entries(overrides)) {
      const base = like ?? name;
      if (Object.hasOwn(MODEL_TABLE, base)) continue;
      const message =
        like === undefined
          ? `is a new model and needs "like" with a known one: ${Object.keys(MODEL_TABLE).join(", ")}`
          : `names no known model; known are ${Object.keys(MODEL_TABLE).join(", ")}`;
      context.addIssue({ code: "custom", path: like === undefined ? [name] : [name, "like"], message });
    }
  });
export type ModelOverrides = z.infer<typeof ModelOverrides>;

/** The models that a deployment knows. */
export class ModelTable {
  readonly #models: ReadonlyMap<string, ModelFacts>;

  constructor(overrides: ModelOverrides = {}) {
    const models = new Map(Object.entries(MODEL_TABLE).map(([model, facts]) => [model, factsOf(model, facts, {})]));
    for (const [model, override] of Object.entries(overrides)) {
      const base = MODEL_TABLE[override.like ?? model];
      if (base !== undefined) models.set(model, factsOf(model, base, override));
    }
    this.#models = models;
  }

  get names(): readonly string[] {
    return [...this.#models.keys()];
  }

  /** The facts of a model; null for an unknown name. */
  facts(name: string): ModelFacts | null {
    return this.#models.get(name) ?? null;
  }

  /** The models that support a workflow. */
  doing(workflow: Workflow): string[] {
    return this.names.filter((name) => this.facts(name)?.workflows.includes(workflow));
  }

  /**
   * The quota of a model's lane: the table's for the region, with `LANE_LIMITS` merged over it, field by field. A model that
   * was removed from the table (its jobs may still wait) gets the strictest known quota.
   */
  quota(name: string, laneLimits: Readonly<Record<string, QuotaOverride>>, region: Region): Quota {
    const facts = this.facts(name);
    const known = facts?.quotaIn?.[region] ?? facts?.quota ?? TWO_A_MINUTE;
    return overlaid(known, Object.hasOwn(laneLimits, name) ? (laneLimits[name] ?? {}) : {});
  }

  /**
   * Every model that the vendor offers in the deployment's region, and the deployment's defaults even if not offered.
   * Defaults come first.
   */
  infos(settings: ModelSettings): ModelInfo[] {
    return this.names
      .flatMap((name) => this.facts(name) ?? [])
      .map((facts) => ({ facts, info: this.#infoOf(facts, settings) }))
      .filter(({ facts, info }) => info.default.length > 0 || facts.regions.includes(settings.region))
      .map(({ info }) => info)
      .sort((a, b) => b.default.length - a.default.length);
  }

  #infoOf(facts: ModelFacts, settings: ModelSettings): ModelInfo {
    const byDefault = facts.workflows.filter((workflow) => settings.models[workflow] === facts.model);
    return ModelInfo.parse({
      ...facts,
      default: byDefault,
      asynchronous: facts.asyncPath !== null,
      quota: this.quota(facts.model, settings.laneLimits, settings.region),
    });
  }
}

function factsOf(model: string, base: Omit<ModelFacts, "model">, override: ModelOverride): ModelFacts {
  const { like, supports, quota, ...facts } = override;
  const { pricesExtended, ...unpriced } = base;
  const isNew = like !== undefined && like !== model;
  return {
    ...unpriced,
    // The prices of another model do not apply to a new one.
    ...(isNew ? { prices: {} } : given({ pricesExtended })),
    ...given(facts),
    ...(quota === undefined ? {} : { quota: overlaid(base.quota, quota), quotaIn: {} }),
    supports: { ...base.supports, ...given(supports ?? {}) },
    model,
  };
}

type Given<Fields> = { [Name in keyof Fields]: Exclude<Fields[Name], undefined> };

/** The fields that have a value. */
function given<Fields extends object>(fields: Fields): Given<Fields> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Given<Fields>;
}

function overlaid(quota: Quota, override: QuotaOverride): Quota {
  return {
    starts: override.starts ?? quota.starts,
    periodMs: override.periodMs ?? quota.periodMs,
    inProgress: override.inProgress === undefined ? quota.inProgress : override.inProgress,
  };
}

/** The deployment's settings about models: a part of `Config`. */
export interface ModelSettings {
  readonly models: Readonly<Record<Workflow, string>>;
  readonly laneLimits: Readonly<Record<string, QuotaOverride>>;
  readonly region: Region;
}

/** The price of one image in the currency of the region's list; null where it is not known. */
export function priceOf(facts: ModelFacts, region: Region, promptExtend: boolean | null): number | null {
  const extends_ = promptExtend ?? facts.promptExtendDefault ?? false;
  const prices = extends_ && facts.pricesExtended !== undefined ? facts.pricesExtended : facts.prices;
  return prices[region] ?? null;
}
