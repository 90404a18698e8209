/** Finds the nearest size that a model has. Pure. */
import type { ModelSizes } from "../../../schemas/limits.ts";

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Sides are multiples of this, because upstream rounds others. */
const STEP = 16;

/** `1024x1024`, also with `*` or `×`; null for any other text. */
export function parseSize(text: string): Size | null {
  const match = /^([1-9]\d{0,4})\s*[x*×]\s*([1-9]\d{0,4})$/i.exec(text.trim());
  return match === null ? null : { width: Number(match[1]), height: Number(match[2]) };
}

function sizeText({ width, height }: Size): string {
  return `${width}*${height}`;
}

function ratio({ width, height }: Size): number {
  return Math.log(width / height);
}

/** The fixed size with the nearest ratio; among equal ratios the nearest area. */
function nearestOf(sizes: readonly string[], wanted: Size): string | null {
  const distance = (size: Size): readonly [number, number] => [
    Math.abs(ratio(size) - ratio(wanted)),
    Math.abs(Math.log((size.width * size.height) / (wanted.width * wanted.height))),
  ];
  let best: { readonly text: string; readonly far: readonly [number, number] } | null = null;
  for (const text of sizes) {
    const size = parseSize(text);
    if (size === null) continue;
    const far = distance(size);
    const isNearer =
      best === null || far[0] < best.far[0] - 1e-9 || (far[0] < best.far[0] + 1e-9 && far[1] < best.far[1]);
    if (isNearer) best = { text, far };
  }
  return best?.text ?? null;
}

function stepped(value: number, least: number, most: number): number {
  const round = Math.round(value / STEP) * STEP;
  return Math.min(Math.max(round, Math.ceil(least / STEP) * STEP), Math.floor(most / STEP) * STEP);
}

/** The same ratio with both sides within the bounds; when no such size exists, the most extreme ratio that fits. */
function withinSides(wanted: Size, min: number, max: number): Size {
  const { width, height } = wanted;
  const longest = Math.max(width, height);
  const shortest = Math.min(width, height);
  if (longest <= max && shortest >= min) return wanted;
  const scale = longest > max ? max / longest : Math.min(min / shortest, max / longest);
  return { width: stepped(width * scale, min, max), height: stepped(height * scale, min, max) };
}

/** The same ratio with the area within its bounds. A ratio above `maxRatio` becomes `maxRatio`. */
function withinArea(wanted: Size, minArea: number, maxArea: number, maxRatio: number): Size {
  const limit = Math.log(maxRatio);
  const bounded = Math.min(limit, Math.max(-limit, ratio(wanted)));
  const wantedArea = wanted.width * wanted.height;
  if (bounded === ratio(wanted) && wantedArea >= minArea && wantedArea <= maxArea) return wanted;
  const area = Math.min(maxArea, Math.max(minArea, wantedArea));
  const exact = { width: Math.sqrt(area * Math.exp(bounded)), height: Math.sqrt(area / Math.exp(bounded)) };
  // Rounded sides may leave the bounds by a step, so the nearest pair of steps inside is taken.
  const steps = (side: number) => [-2, -1, 0, 1, 2].map((by) => (Math.round(side / STEP) + by) * STEP);
  const inside = steps(exact.width)
    .flatMap((width) => steps(exact.height).map((height) => ({ width, height })))
    .filter(({ width, height }) => {
      const isArea = width * height >= minArea && width * height <= maxArea;
      return width > 0 && height > 0 && isArea && Math.abs(Math.log(width / height)) <= limit + 1e-9;
    });
  const far = (size: Size) => Math.abs(ratio(size) - bounded) + Math.abs(Math.log((size.width * size.height) / area));
  return (
    inside.reduce<Size | null>((best, size) => (best === null || far(size) < far(best) ? size : best), null) ?? exact
  );
}

/** The wanted size as `W*H` if the model has it, else the nearest ratio that it has; null for a model that takes no size. */
export function nearestSize(sizes: ModelSizes, wanted: Size): string | null {
  switch (sizes.kind) {
    case "none":
      return null;
    case "fixed":
      return nearestOf(sizes.sizes, wanted);
    case "sides":
      return sizeText(withinSides(wanted, sizes.min, sizes.max));
    case "area":
      return sizeText(withinArea(wanted, sizes.minArea, sizes.maxArea, sizes.maxRatio));
    default:
      throw new Error(`no such kind of sizes: ${JSON.stringify(sizes satisfies never)}`);
  }
}
