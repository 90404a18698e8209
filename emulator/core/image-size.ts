import type { Model } from "./model-table.ts";

export interface Pixels {
  readonly width: number;
  readonly height: number;
}

/** Sides of edited images are multiples of this: `1033*1032` gives `1040*1024` (the vendor's example). */
const EDIT_STEP = 16;
const MEGAPIXEL_SIDE = 1024;

function toStep(side: number): number {
  return Math.ceil(side / EDIT_STEP - 0.5) * EDIT_STEP;
}

/** Reads `width*height`; null for any other text. */
export function parseSize(text: string): Pixels | null {
  const parts = /^(\d{1,5})\*(\d{1,5})$/.exec(text);
  return parts === null ? null : { width: Number(parts[1]), height: Number(parts[2]) };
}

/** The sizes that the models with five sizes accept, by the setting `maxSizes`. */
export type MaxSizes = "five" | "1664" | "2048";

function within(min: number, max: number, { width, height }: Pixels): boolean {
  return Math.min(width, height) >= min && Math.max(width, height) <= max;
}

/** Why a model refuses a size for a request with or without images, in upstream's words; null when it accepts the size. */
export function sizeFault(model: Model, text: string, hasImages: boolean, maxSizes: MaxSizes): string | null {
  const rule = model.size;
  if (rule.kind === "none") return "parameter size is not supported by this model";
  const maxSide = rule.kind === "area" ? ((hasImages ? rule.maxSideWithImages : undefined) ?? rule.maxSide) : 0;
  const named = rule.kind === "area" ? rule.named?.[text] : undefined;
  if (named !== undefined) return named <= maxSide ? null : `size ${text} is not supported with input images`;
  const size = parseSize(text);
  if (size === null) return `size must be like "1024*1024", but got "${text}"`;
  const { width, height } = size;
  switch (rule.kind) {
    case "fixed": {
      if (maxSizes === "five") {
        const sizes = rule.sizes.join(",");
        return rule.sizes.includes(text) ? null : `The size does not match the allowed size ${sizes}.`;
      }
      const max = Number(maxSizes);
      return within(512, max, size) ? null : `Size ${text} is out of range [512*512, ${max}*${max}]`;
    }
    case "side":
      return within(rule.min, rule.max, size)
        ? null
        : `Either width or height should be between ${rule.min} and ${rule.max}`;
    case "area": {
      const pixels = width * height;
      const [least, most] = [rule.minSide ** 2, maxSide ** 2];
      if (pixels < least || pixels > most) {
        return model.family === "wan2.6"
          ? `Total pixels (${pixels}) must be between ${least} and ${most}.`
          : `Image area must be between ${least} (${rule.minSide}x${rule.minSide}) and ${most} (${maxSide}x${maxSide}) pixels. Got area=${pixels} (width=${width}, height=${height}).`;
      }
      const ratio = Math.max(width, height) / Math.max(1, Math.min(width, height));
      return ratio <= rule.maxRatio ? null : `aspect ratio must be between 1:${rule.maxRatio} and ${rule.maxRatio}:1`;
    }
  }
}

/** The size of the output: the requested one, rounded for edits, or the model's own. `lastInput` decides the shape of an edit. */
export function outputSize(model: Model, asked: string | null, lastInput: Pixels | null): Pixels {
  const named = asked !== null && model.size.kind === "area" ? model.size.named?.[asked] : undefined;
  const size = asked === null ? null : parseSize(asked);
  if (size !== null) {
    return model.family === "edit" ? { width: toStep(size.width), height: toStep(size.height) } : size;
  }
  const side = named ?? MEGAPIXEL_SIDE;
  if (lastInput !== null) {
    const ratio = Math.min(8, Math.max(1 / 8, lastInput.width / lastInput.height));
    return { width: toStep(side * Math.sqrt(ratio)), height: toStep(side / Math.sqrt(ratio)) };
  }
  const usual = named !== undefined || model.defaultSize === null ? null : parseSize(model.defaultSize);
  return usual ?? { width: side, height: side };
}
