import { between } from "../../core/random.ts";
import { backdrop, type Canvas, glow, ridge, round, type Scene } from "./scene.ts";

function tree({ palette }: Canvas, x: number, y: number, size: number, colour: string): string {
  const tiers = [0, 1, 2]
    .map((tier) => {
      const top = y - size * (1 - tier * 0.22);
      const half = size * (0.16 + tier * 0.07);
      const bottom = top + size * 0.42;
      return `<path d="M${round(x)} ${round(top)} L${round(x + half)} ${round(bottom)} L${round(x - half)} ${round(bottom)} Z" fill="${colour}"/>`;
    })
    .join("");
  return `<rect x="${round(x - size * 0.03)}" y="${round(y - size * 0.2)}" width="${round(size * 0.06)}" height="${round(size * 0.22)}" fill="${palette.ink}"/>${tiers}`;
}

function bird(x: number, y: number, size: number, colour: string): string {
  return `<path d="M${round(x - size)} ${round(y - size * 0.3)} Q${round(x - size * 0.4)} ${round(y - size * 0.6)} ${round(x)} ${round(y)} Q${round(x + size * 0.4)} ${round(y - size * 0.6)} ${round(x + size)} ${round(y - size * 0.3)}" fill="none" stroke="${colour}" stroke-width="${round(size * 0.14)}" stroke-linecap="round"/>`;
}

/** Hills behind hills in the haze, a low sun, firs in front, a few birds. */
export const hills: Scene = (canvas) => {
  const { width, height, unit, palette, random } = canvas;
  const sun = glow(
    width * (0.2 + random() * 0.6),
    height * (0.2 + random() * 0.18),
    unit * (0.07 + random() * 0.05),
    palette.accent,
  );
  const birds = Array.from({ length: between(random, 2, 6) }, () =>
    bird(
      width * (0.1 + random() * 0.8),
      height * (0.1 + random() * 0.25),
      unit * (0.012 + random() * 0.014),
      palette.ink,
    ),
  ).join("");
  const layers = palette.layers
    .map((colour, index) => {
      const baseline = height * (0.46 + index * 0.13);
      return `<path d="${ridge(canvas, baseline, unit * (0.09 - index * 0.015), between(random, 4, 7))}" fill="${colour}"/>`;
    })
    .join("");
  const firs = Array.from({ length: between(random, 5, 12) }, () =>
    tree(canvas, random() * width, height * (0.78 + random() * 0.14), unit * (0.1 + random() * 0.12), palette.ink),
  ).join("");
  return `${backdrop(canvas)}${sun}${birds}${layers}${firs}`;
};
