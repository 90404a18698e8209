import type { Model } from "./model-table.ts";

export interface Pixels {
  readonly width: number;
  readonly height: number;
}

/** Output of edits comes in multiples of this: `1033*1032` gives `1040*1024` (the vendor's example). */
const EDIT_STEP = 16;
const MEGAPIXEL_SIDE = 1024;

function toStep(side: number): number {
  return Math.ceil(side / EDIT_STEP - 0.5) * EDIT_STEP;
}

/** Reads `width*height`; null when it is not that. */
export function parseSize(text: string): Pixels | null {
  const parts = /^(\d{1,5})\*(\d{1,5})$/.exec(text);
  return parts === null ? null : { width: Number(parts[1]), height: Number(parts[2]) };
}

/** Why a model refuses a size; null when it takes it. `anySize` lets the five-size models take 512 to 2048 a side. */
export function sizeFault(model: Model, text: string, anySize: boolean): string | null {
  const size = parseSize(text);
  if (size === null) return `size must be like "1024*1024", but got "${text}"`;
  const { width, height } = size;
  const rule = model.size;
  switch (rule.kind) {
    case "none":
      return "parameter size is not supported by this model";
    case "fixed": {
      const fits = anySize ? [width, height].every((side) => side >= 512 && side <= 2048) : rule.sizes.includes(text);
      return fits ? null : `size must be one of ${rule.sizes.join(", ")}, but got ${text}`;
    }
    case "side":
      return [width, height].every((side) => side >= rule.min && side <= rule.max)
        ? null
        : `width and height must be between ${rule.min} and ${rule.max}, but got ${text}`;
    case "area": {
      const pixels = width * height;
      if (pixels < rule.minSide ** 2 || pixels > rule.maxSide ** 2) {
        return `total pixels must be between ${rule.minSide}*${rule.minSide} and ${rule.maxSide}*${rule.maxSide}, but got ${text}`;
      }
      const ratio = Math.max(width, height) / Math.max(1, Math.min(width, height));
      return ratio <= rule.maxRatio
        ? null
        : `aspect ratio must be between 1:${rule.maxRatio} and ${rule.maxRatio}:1, but got ${text}`;
    }
  }
}

/** The size that comes out: what was asked, rounded for edits, or the model's own; `lastInput` shapes an edit. */
export function outputSize(model: Model, asked: string | null, lastInput: Pixels | null): Pixels {
  const size = asked === null ? null : parseSize(asked);
  if (size !== null) {
    return model.family === "edit" ? { width: toStep(size.width), height: toStep(size.height) } : size;
  }
  if (lastInput !== null) {
    const ratio = Math.min(8, Math.max(1 / 8, lastInput.width / lastInput.height));
    return { width: toStep(MEGAPIXEL_SIDE * Math.sqrt(ratio)), height: toStep(MEGAPIXEL_SIDE / Math.sqrt(ratio)) };
  }
  const usual = model.defaultSize === null ? null : parseSize(model.defaultSize);
  return usual ?? { width: MEGAPIXEL_SIDE, height: MEGAPIXEL_SIDE };
}
