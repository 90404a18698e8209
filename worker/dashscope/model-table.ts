/** The model table: what the vendor's model, size, limit and price pages said in mid-2026, and where they are silent, why we chose. */
import type { ModelInfo, Quota } from "../../schemas/limits.ts";
import type { ModelFacts } from "./models.ts";

type Facts = Omit<ModelFacts, "model">;
type Sizes = ModelInfo["sizes"];

/** The five sizes of the `max` and `plus` family: 16:9, 4:3, 1:1, 3:4, 9:16. One prober saw `max` take more; nobody promises it. */
const FIVE_SIZES: Sizes = {
  kind: "fixed",
  sizes: ["1664*928", "1472*1104", "1328*1328", "1104*1472", "928*1664"],
  default: "1664*928",
};
const EDIT_SIZES: Sizes = { kind: "sides", min: 512, max: 2048, default: null };

function areaOf(minSide: number, maxSide: number, maxRatio: number, byDefault: string | null): Sizes {
  return { kind: "area", minArea: minSide ** 2, maxArea: maxSide ** 2, maxRatio, default: byDefault };
}

const PER_SECOND = 1000;
const PER_MINUTE = 60_000;

function quota(starts: number, periodMs: number, inProgress: number | null = null): Quota {
  return { starts, periodMs, inProgress };
}

/** `-max` and `-edit-max`: documented, and seen in a real answer's flow-control header. */
export const TWO_A_MINUTE = quota(2, PER_MINUTE);
const TWO_A_SECOND = quota(2, PER_SECOND);

const ALL_OPTIONS = { negativePrompt: true, promptExtend: true, seed: true, watermark: true };

/** What most of the family share. `defaultN` is 1 everywhere, also where upstream's own default is 4: images cost money. */
const qwenText: Facts = {
  workflows: ["image-from-text"],
  sizes: FIVE_SIZES,
  maxN: 1,
  defaultN: 1,
  images: { min: 0, max: 0 },
  promptMaxChars: 800,
  negativePromptMaxChars: 500,
  supports: ALL_OPTIONS,
  priceClass: "high",
  asyncPath: null,
  regions: ["sg", "bj"],
  promptExtendDefault: true,
  quota: TWO_A_MINUTE,
};
const qwenEdit: Facts = {
  ...qwenText,
  workflows: ["image-from-reference"],
  sizes: EDIT_SIZES,
  maxN: 6,
  images: { min: 1, max: 3 },
};
const qwenBoth: Facts = {
  ...qwenText,
  workflows: ["image-from-text", "image-from-reference"],
  sizes: areaOf(512, 2048, 8, "2048*2048"),
  maxN: 6,
  images: { min: 1, max: 3 },
  promptMaxChars: 1300,
  // No limit is published for 2.0 and 2.1: the strictest known of the family.
  quota: TWO_A_MINUTE,
};
const qwen3: Facts = {
  ...qwenBoth,
  sizes: areaOf(512, 2048, 8, null),
  promptMaxChars: 4500,
  asyncPath: "imageGeneration",
  // 1 a minute is what a tester of 3.0-pro met; the bound on tasks is unknown, so the older models' 2.
  quota: quota(1, PER_MINUTE, 2),
};
const wanText: Facts = {
  ...qwenText,
  sizes: areaOf(1280, 1440, 4, "1280*1280"),
  maxN: 4,
  promptMaxChars: 2100,
  priceClass: "low",
  asyncPath: "imageGeneration",
};
const wan2: Facts = {
  ...wanText,
  sizes: { kind: "sides", min: 512, max: 1440, default: "1024*1024" },
  promptMaxChars: 800,
  asyncPath: "text2image",
  quota: quota(2, PER_SECOND, 2),
};
const wan27: Facts = {
  ...wanText,
  workflows: ["image-from-text", "image-from-reference"],
  sizes: areaOf(768, 2048, 8, "2048*2048"),
  images: { min: 1, max: 3 },
  promptMaxChars: 5000,
  supports: { negativePrompt: false, promptExtend: false, seed: true, watermark: true },
  promptExtendDefault: null,
  quota: quota(5, PER_SECOND, 5),
};

const FIVE_TASKS = quota(5, PER_SECOND, 5);
const plus: Facts = {
  ...qwenText,
  priceClass: "low",
  asyncPath: "text2image",
  quota: quota(2, PER_SECOND, 2),
};
const editPlus: Facts = { ...qwenEdit, priceClass: "low", quota: TWO_A_SECOND };
const pro: Facts = { ...qwenBoth, priceClass: "high" };

/** Name → facts, dated snapshots included. */
export const MODEL_TABLE: Readonly<Record<string, Facts>> = {
  "qwen-image-max": qwenText,
  "qwen-image-max-2025-12-30": qwenText,
  "qwen-image-plus": plus,
  // A distilled max under plus's name; this snapshot alone takes no tasks.
  "qwen-image-plus-2026-01-09": { ...plus, asyncPath: null, quota: TWO_A_SECOND },
  "qwen-image": { ...plus, priceClass: "medium" },
  "qwen-image-2.0": { ...qwenBoth, priceClass: "low" },
  "qwen-image-2.0-2026-03-03": { ...qwenBoth, priceClass: "low" },
  "qwen-image-2.0-pro": pro,
  "qwen-image-2.0-pro-2026-03-03": pro,
  "qwen-image-2.0-pro-2026-04-22": pro,
  "qwen-image-2.0-pro-2026-06-22": pro,
  // Whether 2.1 takes tasks is not known; the synchronous path is common to all.
  "qwen-image-2.1-pro": pro,
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
    quota: TWO_A_SECOND,
  },
  "z-image-turbo": {
    ...qwenText,
    sizes: areaOf(512, 2048, 8, "1024*1536"),
    supports: { negativePrompt: false, promptExtend: true, seed: true, watermark: false },
    promptExtendDefault: false,
    priceClass: "low",
    quota: TWO_A_SECOND,
  },
  "wan2.7-image": wan27,
  "wan2.7-image-pro": { ...wan27, priceClass: "high" },
  "wan2.6-t2i": {
    ...wanText,
    regions: ["sg", "bj", "us"],
    quota: FIVE_TASKS,
    quotaIn: { bj: quota(1, PER_SECOND, 5) },
  },
  // From text it needs the interleaved mode, which answers with a stream of texts and images: only editing is offered.
  "wan2.6-image": {
    ...wanText,
    workflows: ["image-from-reference"],
    sizes: areaOf(768, 1280, 4, null),
    images: { min: 1, max: 3 },
    promptMaxChars: 2000,
    regions: ["sg", "bj", "us"],
    quota: FIVE_TASKS,
  },
  // Pages disagree on the least area (768² or 1280²); a refusal costs nothing, a needless one a good size.
  "wan2.5-t2i-preview": {
    ...wanText,
    sizes: areaOf(768, 1440, 4, "1280*1280"),
    promptMaxChars: 2000,
    asyncPath: "text2image",
    quota: FIVE_TASKS,
  },
  "wan2.5-i2i-preview": {
    ...wanText,
    workflows: ["image-from-reference"],
    sizes: areaOf(768, 1280, 4, null),
    images: { min: 1, max: 3 },
    promptMaxChars: 2000,
    asyncPath: "image2image",
    quota: FIVE_TASKS,
  },
  "wan2.2-t2i-plus": wan2,
  "wan2.2-t2i-flash": wan2,
  "wanx2.1-t2i-plus": wan2,
  "wanx2.1-t2i-turbo": wan2,
};
