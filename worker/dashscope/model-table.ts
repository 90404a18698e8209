/**
 * The models: what each takes, how it is called, what it costs. `source` says for each row where its numbers come from and
 * how sure they are; `docs/live-checks.md` lists the calls that would confirm the others. `MODELS` adds to it and changes it.
 */
import type { ModelSizes, Quota } from "../../schemas/limits.ts";
import type { ModelFacts } from "./models.ts";

export type ModelRow = Omit<ModelFacts, "model"> & { readonly source: string };

/** The five sizes of the `max` and `plus` family: 16:9, 4:3, 1:1, 3:4, 9:16. */
const FIVE_SIZES: ModelSizes = {
  kind: "fixed",
  sizes: ["1664*928", "1472*1104", "1328*1328", "1104*1472", "928*1664"],
  default: "1664*928",
};
const EDIT_SIZES: ModelSizes = { kind: "sides", min: 512, max: 2048, default: null };

function areaOf(
  minSide: number,
  maxSide: number,
  maxRatio: number,
  byDefault: string | null,
  named: readonly string[] = [],
): ModelSizes {
  return {
    kind: "area",
    minArea: minSide ** 2,
    maxArea: maxSide ** 2,
    maxRatio,
    named: [...named],
    default: byDefault,
  };
}

const PER_SECOND = 1000;
const PER_MINUTE = 60_000;

function quota(starts: number, periodMs: number, inProgress: number | null = null): Quota {
  return { starts, periodMs, inProgress };
}

/** `-max` and `-edit-max`: documented, and seen in a real answer's flow-control header. */
export const TWO_A_MINUTE = quota(2, PER_MINUTE);
const TWO_A_SECOND = quota(2, PER_SECOND);

const ALL_OPTIONS = {
  negativePrompt: true,
  promptExtend: true,
  promptExtendMode: false,
  thinking: false,
  seed: true,
  watermark: true,
};

/**
 * CNY per image in Beijing and USD in Singapore, from the vendor's list of mid-2026. USD is its CNY price divided by 7.339,
 * as at resellers.
 */
function prices(bj: number, sg: number): ModelRow["prices"] {
  return { bj, sg };
}

const PAGE = "vendor's page, mid-2026: documented";

/** What most models of the family share. `defaultN` is always 1, even where upstream's default is 4, because images cost money. */
const qwenText: ModelRow = {
  workflows: ["image-from-text"],
  sizes: FIVE_SIZES,
  sizesWithImages: null,
  maxN: 1,
  defaultN: 1,
  images: { min: 0, max: 0 },
  inputSides: null,
  promptMaxChars: 800,
  negativePromptMaxChars: 500,
  supports: ALL_OPTIONS,
  thinkingParameter: "enable_thinking",
  priceClass: "high",
  prices: prices(0.5, 0.075),
  asyncPath: null,
  regions: ["sg", "bj"],
  promptExtendDefault: true,
  quota: TWO_A_MINUTE,
  source: `${PAGE}; quota also in a recorded answer. Sizes: five documented; live messages of 2026 name 512*512 to 1664*1664, the five, and 512*512 to 2048*2048`,
};

/** The vendor's advice, not a rule: other images are accepted and may give worse results. */
const ADVISED_SIDES = { min: 384, max: 3072, refuses: false };

const qwenEdit: ModelRow = {
  ...qwenText,
  workflows: ["image-from-reference"],
  sizes: EDIT_SIZES,
  maxN: 6,
  images: { min: 1, max: 3 },
  inputSides: ADVISED_SIDES,
  source: PAGE,
};
const qwenBoth: ModelRow = {
  ...qwenText,
  workflows: ["image-from-text", "image-from-reference"],
  sizes: areaOf(512, 2048, 8, "2048*2048"),
  maxN: 6,
  images: { min: 1, max: 3 },
  inputSides: ADVISED_SIDES,
  promptMaxChars: 1300,
  quota: TWO_A_MINUTE,
  source: `${PAGE}, area also in live messages. Quota: none published, the strictest of the family is assumed`,
};
/** 3.0 and 2.1: larger sizes from text alone, modes of prompt extension, and thinking. */
const qwen3: ModelRow = {
  ...qwenBoth,
  sizes: areaOf(512, 2560, 8, null),
  sizesWithImages: areaOf(512, 2048, 8, null),
  promptMaxChars: 4500,
  supports: { ...ALL_OPTIONS, promptExtendMode: true, thinking: true },
  prices: {},
  asyncPath: "imageGeneration",
  quota: quota(1, PER_MINUTE, 2),
  source:
    "vendor's page of 2026-10-12: documented up to 2048*2048; 2560*2560 from text in live messages. Quota: one tester met 1 a minute; bound on tasks assumed. Price unknown",
};
const wanText: ModelRow = {
  ...qwenText,
  sizes: areaOf(768, 1440, 4, "1280*1280"),
  maxN: 4,
  promptMaxChars: 2100,
  priceClass: "low",
  prices: prices(0.2, 0.03),
  asyncPath: "imageGeneration",
  source: `${PAGE}; least area from a live message (589824 pixels), as pages disagree between 768*768 and 1280*1280`,
};
const wan2: ModelRow = {
  ...wanText,
  sizes: { kind: "sides", min: 512, max: 1440, default: "1024*1024" },
  // The vendor's pages say 500 and 800. The warning uses the smaller.
  promptMaxChars: 500,
  prices: {},
  asyncPath: "text2image",
  quota: quota(2, PER_SECOND, 2),
  source: `${PAGE}; sides also in a live message. Price not collected`,
};
const wan27: ModelRow = {
  ...wanText,
  workflows: ["image-from-text", "image-from-reference"],
  sizes: areaOf(768, 4096, 8, "2048*2048", ["1K", "2K", "4K"]),
  sizesWithImages: areaOf(768, 2048, 8, null, ["1K", "2K"]),
  images: { min: 1, max: 9 },
  inputSides: { min: 240, max: 8000, refuses: true },
  promptMaxChars: 5000,
  supports: { ...ALL_OPTIONS, negativePrompt: false, promptExtend: false, thinking: true },
  thinkingParameter: "thinking_mode",
  promptExtendDefault: null,
  quota: quota(5, PER_SECOND, 5),
  source:
    "vendor's page of 2026-10-11 and a live message (589824 to 16777216 pixels). Up to 2K with images, and thinking, documented; 4K documented for -pro, and in the same live message for the other. Sides of inputs: documented. Quota: as of wan2.6, assumed",
};

const FIVE_TASKS = quota(5, PER_SECOND, 5);
const plus: ModelRow = {
  ...qwenText,
  priceClass: "low",
  prices: prices(0.2, 0.03),
  asyncPath: "text2image",
  quota: quota(2, PER_SECOND, 2),
  source: PAGE,
};
const editPlus: ModelRow = { ...qwenEdit, priceClass: "low", prices: prices(0.2, 0.03), quota: TWO_A_SECOND };
const fast2: ModelRow = { ...qwenBoth, priceClass: "low", prices: prices(0.2, 0.035) };

/** Name → facts, including dated snapshots. */
export const MODEL_TABLE: Readonly<Record<string, ModelRow>> = {
  "qwen-image-max": qwenText,
  "qwen-image-max-2025-12-30": qwenText,
  "qwen-image-plus": plus,
  // A distilled max under the name of plus. It is the only snapshot without tasks.
  "qwen-image-plus-2026-01-09": { ...plus, asyncPath: null, quota: TWO_A_SECOND },
  "qwen-image": { ...plus, priceClass: "medium", prices: prices(0.25, 0.035) },
  "qwen-image-2.0": fast2,
  "qwen-image-2.0-2026-03-03": fast2,
  "qwen-image-2.0-pro": qwenBoth,
  "qwen-image-2.0-pro-2026-03-03": qwenBoth,
  "qwen-image-2.0-pro-2026-04-22": qwenBoth,
  "qwen-image-2.0-pro-2026-06-22": qwenBoth,
  "qwen-image-2.1-pro": {
    ...qwen3,
    images: { min: 1, max: 10 },
    asyncPath: null,
    quota: TWO_A_MINUTE,
    source:
      "vendor's page of 2026-10-12: 10 references documented; 2560*2560 from text in live messages; mode and thinking from a reseller's schema. Tasks: not known, so the synchronous path. Quota assumed, price unknown",
  },
  "qwen-image-3.0": { ...qwen3, priceClass: "medium" },
  "qwen-image-3.0-pro": qwen3,
  "qwen-image-edit-max": qwenEdit,
  "qwen-image-edit-max-2026-01-16": qwenEdit,
  "qwen-image-edit-plus": editPlus,
  "qwen-image-edit-plus-2025-10-30": editPlus,
  "qwen-image-edit-plus-2025-12-15": editPlus,
  "qwen-image-edit": {
    ...qwenEdit,
    sizes: { kind: "none" },
    maxN: 1,
    supports: { ...ALL_OPTIONS, promptExtend: false },
    promptExtendDefault: null,
    priceClass: "medium",
    prices: prices(0.3, 0.045),
    quota: TWO_A_SECOND,
  },
  "z-image-turbo": {
    ...qwenText,
    sizes: areaOf(512, 2048, 8, "1024*1536"),
    supports: { ...ALL_OPTIONS, negativePrompt: false, watermark: false },
    promptExtendDefault: false,
    priceClass: "low",
    prices: prices(0.1, 0.015),
    pricesExtended: prices(0.2, 0.03),
    quota: TWO_A_SECOND,
    source: "vendor's page of 2026-08-22 and live messages: documented",
  },
  "wan2.7-image": wan27,
  "wan2.7-image-pro": { ...wan27, priceClass: "high", prices: prices(0.5, 0.0766) },
  "wan2.6-t2i": {
    ...wanText,
    regions: ["sg", "bj", "us"],
    quota: FIVE_TASKS,
    quotaIn: { bj: quota(1, PER_SECOND, 5) },
  },
  // From text it needs the interleaved mode, which answers with a stream of texts and images, so only editing is offered.
  "wan2.6-image": {
    ...wanText,
    workflows: ["image-from-reference"],
    sizes: areaOf(768, 2048, 4, null, ["1K", "2K"]),
    images: { min: 1, max: 4 },
    inputSides: { min: 240, max: 8000, refuses: true },
    promptMaxChars: 2000,
    regions: ["sg", "bj", "us"],
    quota: FIVE_TASKS,
    source: `${PAGE}; sizes, number and sides of inputs from its page for this model`,
  },
  "wan2.5-t2i-preview": { ...wanText, promptMaxChars: 2000, asyncPath: "text2image", quota: FIVE_TASKS },
  "wan2.5-i2i-preview": {
    ...wanText,
    workflows: ["image-from-reference"],
    sizes: areaOf(768, 1280, 4, null),
    images: { min: 1, max: 3 },
    inputSides: { min: 384, max: 5000, refuses: true },
    promptMaxChars: 2000,
    asyncPath: "image2image",
    quota: FIVE_TASKS,
    source: `${PAGE}; sides of inputs from a reseller's copy of it`,
  },
  "wan2.2-t2i-plus": wan2,
  "wan2.2-t2i-flash": wan2,
  "wanx2.1-t2i-plus": wan2,
  "wanx2.1-t2i-turbo": wan2,
};
