/**
 * What each model takes and how it answers. Sources: the vendor's model, size and rate-limit pages of 2026, and messages of
 * live refusals.
 */

/** How a request's `size` is checked. Pixels. */
export type SizeRule =
  | { readonly kind: "fixed"; readonly sizes: readonly string[] }
  | {
      readonly kind: "area";
      readonly minSide: number;
      readonly maxSide: number;
      /** The limit with input images, where it differs. */
      readonly maxSideWithImages?: number;
      readonly maxRatio: number;
      /** Words for a size, with their side: `2K`. */
      readonly named?: Readonly<Record<string, number>>;
    }
  | { readonly kind: "side"; readonly min: number; readonly max: number }
  /** The model takes no size. */
  | { readonly kind: "none" };

/** The shape of a synchronous answer and of a task's result. */
export type AnswerFamily = "older" | "edit" | "qwen2" | "qwen3" | "wan2.6" | "z-image" | "legacy";

export type AsyncPath = "text2image" | "image2image" | "imageGeneration";

export interface ModelQuota {
  readonly starts: number;
  readonly periodMs: number;
  /** How many asynchronous tasks run at once. Further ones wait as PENDING. */
  readonly inProgress: number | null;
}

export interface Model {
  readonly name: string;
  readonly family: AnswerFamily;
  readonly sync: boolean;
  readonly asyncPath: AsyncPath | null;
  /** `text2image` also works without the asynchronous header (the SDK says so of wan2.2). */
  readonly syncText2image?: true;
  /** The body is one edit: `function`, `base_image_url` and perhaps `mask_image_url`. */
  readonly editBody?: true;
  readonly images: { readonly min: number; readonly max: number };
  /** `fixed`: 1, any other is refused; `ignored`: the value is not read, and one image is made. */
  readonly n: { readonly max: number; readonly default: number } | "fixed" | "ignored";
  readonly size: SizeRule;
  /** `width*height`; null: about a megapixel in the shape of the last input image. */
  readonly defaultSize: string | null;
  readonly quota: ModelQuota;
}

export const FIVE_SIZES: readonly string[] = ["1664*928", "1472*1104", "1328*1328", "1104*1472", "928*1664"];

const five: SizeRule = { kind: "fixed", sizes: FIVE_SIZES };
const area = (minSide: number, maxSide: number, maxRatio: number) =>
  ({ kind: "area", minSide, maxSide, maxRatio }) as const;
const side: SizeRule = { kind: "side", min: 512, max: 2048 };
const noImages = { min: 0, max: 0 };
const perMinute = (starts: number): ModelQuota => ({ starts, periodMs: 60_000, inProgress: null });
const perSecond = (starts: number, inProgress: number | null = null): ModelQuota => ({
  starts,
  periodMs: 1000,
  inProgress,
});

const older = {
  family: "older",
  sync: true,
  images: noImages,
  n: "fixed",
  size: five,
  defaultSize: "1664*928",
} as const;
const edit = { family: "edit", sync: true, asyncPath: null, images: { min: 1, max: 3 }, defaultSize: null } as const;
const qwen2 = {
  family: "qwen2",
  sync: true,
  asyncPath: null,
  images: { min: 0, max: 3 },
  n: { max: 6, default: 1 },
  size: area(512, 2048, 8),
  defaultSize: "2048*2048",
} as const;
const qwen3 = {
  family: "qwen3",
  sync: true,
  asyncPath: "imageGeneration",
  images: { min: 0, max: 3 },
  n: { max: 6, default: 1 },
  // The page says 2048; live refusals mention 2560 for requests without images.
  size: { ...area(512, 2560, 8), maxSideWithImages: 2048 },
  defaultSize: "2048*2048",
} as const;
const wan26 = { family: "wan2.6", sync: true, asyncPath: "imageGeneration", n: { max: 4, default: 4 } } as const;
const wanText = {
  family: "legacy",
  sync: false,
  asyncPath: "text2image",
  images: noImages,
  n: { max: 4, default: 4 },
  size: { kind: "side", min: 512, max: 1440 },
  defaultSize: "1024*1024",
} as const;
const wanImage = {
  family: "legacy",
  sync: false,
  asyncPath: "image2image",
  images: { min: 1, max: 3 },
  n: { max: 4, default: 4 },
  size: { kind: "none" },
  defaultSize: null,
} as const;

interface ModelRow extends Omit<Model, "name"> {
  readonly name: string | RegExp;
}

/** Exact names come first. A name that ends in a date is a snapshot of the model without the date. */
const MODELS: readonly ModelRow[] = [
  { name: "qwen-image-max", ...older, asyncPath: null, quota: perMinute(2) },
  { name: "qwen-image-plus-2026-01-09", ...older, asyncPath: null, quota: perSecond(2) },
  { name: "qwen-image-plus", ...older, asyncPath: "text2image", quota: perSecond(2, 2) },
  { name: "qwen-image", ...older, asyncPath: "text2image", quota: perSecond(2, 2) },
  { name: "qwen-image-edit-max", ...edit, n: { max: 6, default: 1 }, size: side, quota: perMinute(2) },
  { name: "qwen-image-edit-plus", ...edit, n: { max: 6, default: 1 }, size: side, quota: perSecond(2) },
  { name: "qwen-image-edit", ...edit, n: "ignored", size: { kind: "none" }, quota: perSecond(2) },
  { name: "qwen-image-2.0", ...qwen2, quota: perSecond(2) },
  { name: "qwen-image-2.0-pro", ...qwen2, quota: perSecond(2) },
  { name: "qwen-image-2.1-pro", ...qwen3, asyncPath: null, images: { min: 0, max: 10 }, quota: perSecond(2) },
  { name: "qwen-image-3.0", ...qwen3, quota: perMinute(1) },
  { name: "qwen-image-3.0-pro", ...qwen3, quota: perMinute(1) },
  {
    name: "z-image-turbo",
    family: "z-image",
    sync: true,
    asyncPath: null,
    images: noImages,
    n: "fixed",
    size: area(512, 2048, 8),
    defaultSize: "1024*1536",
    quota: perSecond(2),
  },
  {
    name: "wan2.6-t2i",
    ...wan26,
    images: noImages,
    size: area(768, 1440, 4),
    defaultSize: "1280*1280",
    quota: perSecond(5, 5),
  },
  {
    name: "wan2.6-image",
    ...wan26,
    images: { min: 0, max: 4 },
    size: { ...area(768, 2048, 4), named: { "1K": 1280, "2K": 2048 } },
    defaultSize: "1280*1280",
    quota: perSecond(5, 5),
  },
  {
    name: /^wan2\.7-image(-pro)?$/,
    ...wan26,
    images: { min: 0, max: 9 },
    size: { ...area(768, 4096, 8), maxSideWithImages: 2048, named: { "1K": 1024, "2K": 2048, "4K": 4096 } },
    defaultSize: "2048*2048",
    quota: perSecond(5, 5),
  },
  { name: "wan2.5-t2i-preview", ...wanText, size: area(768, 1440, 4), quota: perSecond(5, 5) },
  { name: /^wan2\.2-t2i-(flash|plus)$/, ...wanText, syncText2image: true, quota: perSecond(2, 2) },
  { name: /^wanx2\.[01]-t2i-(turbo|plus)$/, ...wanText, quota: perSecond(2, 2) },
  { name: "wan2.5-i2i-preview", ...wanImage, quota: perSecond(5, 5) },
  { name: "wanx2.1-imageedit", ...wanImage, editBody: true, images: { min: 1, max: 2 }, quota: perSecond(2, 2) },
];

function find(name: string): ModelRow | undefined {
  return MODELS.find((model) => (typeof model.name === "string" ? model.name === name : model.name.test(name)));
}

/** The model with this name, including dated snapshots; null when upstream has no such model. */
export function findModel(name: string): Model | null {
  const found = find(name) ?? find(name.replace(/-\d{4}-\d{2}-\d{2}$/, ""));
  if (found === undefined) return null;
  // Only the plain names of the older family have tasks; its snapshots are synchronous only.
  const asyncPath = found.family === "older" && /-\d{4}-\d{2}-\d{2}$/.test(name) ? null : found.asyncPath;
  return { ...found, name, asyncPath };
}
