import type { Random } from "../../core/random.ts";
import type { Palette } from "../palette.ts";

export interface Canvas {
  readonly width: number;
  readonly height: number;
  /** The shorter side. Strokes and radii are proportional to it. */
  readonly unit: number;
  readonly palette: Palette;
  readonly random: Random;
}

/** Draws the whole canvas as SVG elements. Equal canvases give equal texts. */
export type Scene = (canvas: Canvas) => string;

/** One decimal is enough for any pixel. */
export function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** A smooth line from left to right through random heights around `baseline`, closed at the bottom. */
export function ridge({ width, height, random }: Canvas, baseline: number, swing: number, steps: number): string {
  const points = Array.from({ length: steps + 1 }, (_, index) => [
    (width * index) / steps,
    baseline + (random() - 0.5) * 2 * swing,
  ]);
  let path = `M0 ${height} L0 ${round(points[0]?.[1] ?? baseline)}`;
  for (let index = 1; index < points.length; index++) {
    const [fromX = 0, fromY = 0] = points[index - 1] ?? [];
    const [toX = 0, toY = 0] = points[index] ?? [];
    const middle = round((fromX + toX) / 2);
    path += ` C${middle} ${round(fromY)} ${middle} ${round(toY)} ${round(toX)} ${round(toY)}`;
  }
  return `${path} L${width} ${height} Z`;
}

/** The sky, and everything behind the scene. */
export function backdrop({ width, height, palette }: Canvas): string {
  return `<defs><linearGradient id="sky" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="${palette.sky[0]}"/><stop offset="1" stop-color="${palette.sky[1]}"/></linearGradient></defs><rect width="${width}" height="${height}" fill="url(#sky)"/>`;
}

/** A sun or a moon with its glow. */
export function glow(x: number, y: number, radius: number, colour: string): string {
  const halo = [2.6, 1.9, 1.4]
    .map(
      (factor) =>
        `<circle cx="${round(x)}" cy="${round(y)}" r="${round(radius * factor)}" fill="${colour}" opacity="0.12"/>`,
    )
    .join("");
  return `${halo}<circle cx="${round(x)}" cy="${round(y)}" r="${round(radius)}" fill="${colour}"/>`;
}

export function stars({ width, height, random, palette, unit }: Canvas, count: number, depth: number): string {
  return Array.from({ length: count }, () => {
    const radius = round(unit * (0.0008 + random() * 0.0022));
    return `<circle cx="${round(random() * width)}" cy="${round(random() * height * depth)}" r="${radius}" fill="${palette.light}" opacity="${round(0.3 + random() * 0.7)}"/>`;
  }).join("");
}
