import type { ModelInfo } from "../../schemas/limits.ts";

/** A size that can be chosen, drawn as its shape. */
export interface SizeChoice {
  /** As the API takes it: `1664*928`. */
  readonly size: string;
  readonly width: number;
  readonly height: number;
  /** `16:9`; the sides, `1000×300`, where no usual ratio is within 2 %. */
  readonly label: string;
}

/** The usual ratios, widest first. */
const RATIOS: readonly (readonly [number, number])[] = [
  [16, 9],
  [3, 2],
  [4, 3],
  [1, 1],
  [3, 4],
  [2, 3],
  [9, 16],
];

/** Upstream rounds sides that are no multiple of this (dashscope.md, 2.2), so only multiples are offered. */
const STEP = 16;

/** About a megapixel: the area that the models draw best, where the size is free. */
const USUAL_AREA = 1024 * 1024;

/** The sizes to offer for a model, each within its bounds; empty where the model sets the size itself. */
export function sizeChoices(sizes: ModelInfo["sizes"]): SizeChoice[] {
  switch (sizes.kind) {
    case "fixed":
      return sizes.sizes.map(choiceOf);
    case "sides":
      return ratiosAt(USUAL_AREA, (side) => side >= sizes.min && side <= sizes.max);
    case "area": {
      const area = Math.min(Math.max(USUAL_AREA * 2, sizes.minArea), sizes.maxArea);
      return ratiosAt(area, () => true).filter(({ size }) => sizeProblem(size, sizes) === null);
    }
    case "none":
      return [];
  }
}

function ratiosAt(area: number, fits: (side: number) => boolean): SizeChoice[] {
  return RATIOS.map(([wide, high]) => {
    const unit = Math.sqrt(area / (wide * high));
    const width = stepped(wide * unit);
    const height = stepped(high * unit);
    return { size: `${width}*${height}`, width, height, label: `${wide}:${high}` };
  }).filter(({ width, height }) => fits(width) && fits(height));
}

function stepped(side: number): number {
  return Math.floor(side / STEP) * STEP;
}

function choiceOf(size: string): SizeChoice {
  const sides = sidesOf(size);
  const width = sides?.width ?? 1;
  const height = sides?.height ?? 1;
  return { size, width, height, label: ratioLabel(width, height) };
}

/** The sides of `1664*928` (or `1664x928`); null when it is no size. */
export function sidesOf(size: string): { readonly width: number; readonly height: number } | null {
  const match = /^([1-9]\d{1,4})[*x×]([1-9]\d{1,4})$/i.exec(size.trim());
  return match === null ? null : { width: Number(match[1]), height: Number(match[2]) };
}

/** The usual ratio within 2 %, since the vendor's own "16:9" is 1664*928; else the sides. */
export function ratioLabel(width: number, height: number): string {
  const usual = RATIOS.find(([wide, high]) => Math.abs(width / height / (wide / high) - 1) < 0.02);
  return usual === undefined ? `${width}×${height}` : `${usual[0]}:${usual[1]}`;
}

/** What is wrong with a size for a model, in words; null when the model takes it. */
export function sizeProblem(size: string, sizes: ModelInfo["sizes"]): string | null {
  const sides = sidesOf(size);
  if (sides === null) return "A size is two numbers, like 1024×768.";
  const { width, height } = sides;
  switch (sizes.kind) {
    case "fixed": {
      const taken = sizes.sizes.includes(`${width}*${height}`);
      return taken ? null : `This model takes ${sizes.sizes.map(shownSize).join(", ")}.`;
    }
    case "sides": {
      const fits = [width, height].every((side) => side >= sizes.min && side <= sizes.max);
      return fits ? null : `Each side must be ${sizes.min} to ${sizes.max} pixels for this model.`;
    }
    case "area": {
      const area = width * height;
      if (area < sizes.minArea) return `Too small: at least ${areaWords(sizes.minArea)} in all for this model.`;
      if (area > sizes.maxArea) return `Too large: at most ${areaWords(sizes.maxArea)} in all for this model.`;
      const ratio = Math.max(width / height, height / width);
      return ratio <= sizes.maxRatio ? null : `One side may be at most ${sizes.maxRatio} times the other.`;
    }
    case "none":
      return "This model sets the size itself.";
  }
}

function areaWords(area: number): string {
  const side = Math.round(Math.sqrt(area));
  return `${side}×${side} pixels`;
}

/** `1664*928` as people read it: `1664×928`. */
export function shownSize(size: string): string {
  return size.replace("*", "×");
}
