import { between } from "../../core/random.ts";
import { backdrop, glow, ridge, round, type Scene } from "./scene.ts";

/** A sun above the sea, its path on the water, waves, and a boat under sail. */
export const sea: Scene = (canvas) => {
  const { width, height, unit, palette, random } = canvas;
  const horizon = height * (0.42 + random() * 0.12);
  const sunX = width * (0.25 + random() * 0.5);
  const sunRadius = unit * (0.09 + random() * 0.05);
  const sun = glow(sunX, horizon - sunRadius * (0.4 + random()), sunRadius, palette.accent);
  const water = `<rect y="${round(horizon)}" width="${width}" height="${round(height - horizon)}" fill="${palette.layers[0]}"/>`;
  const path = Array.from({ length: 16 }, (_, index) => {
    const y = horizon + ((height - horizon) * (index + 0.5)) / 16;
    const length = sunRadius * (0.6 + random() * 1.4) * (1 + index / 14);
    return `<rect x="${round(sunX - length / 2 + (random() - 0.5) * unit * 0.05)}" y="${round(y)}" width="${round(length)}" height="${round(unit * 0.006)}" rx="${round(unit * 0.003)}" fill="${palette.light}" opacity="0.55"/>`;
  }).join("");
  const waves = [0, 1, 2]
    .map((index) => {
      const baseline = horizon + (height - horizon) * (0.3 + index * 0.24);
      const colour = palette.layers[Math.min(2, index)];
      return `<path d="${ridge(canvas, baseline, unit * 0.022, between(random, 8, 14))}" fill="${colour}" opacity="0.75"/>`;
    })
    .join("");
  const x = width * (0.15 + random() * 0.7);
  const y = horizon + (height - horizon) * 0.3;
  const size = unit * (0.12 + random() * 0.08);
  const boat =
    `<path d="M${round(x)} ${round(y - size)} L${round(x)} ${round(y - size * 0.12)} L${round(x + size * 0.55)} ${round(y - size * 0.12)} Z" fill="${palette.light}"/>` +
    `<path d="M${round(x - size * 0.05)} ${round(y - size * 0.8)} L${round(x - size * 0.05)} ${round(y - size * 0.12)} L${round(x - size * 0.4)} ${round(y - size * 0.12)} Z" fill="${palette.accent}"/>` +
    `<path d="M${round(x - size * 0.55)} ${round(y - size * 0.08)} L${round(x + size * 0.65)} ${round(y - size * 0.08)} Q${round(x + size * 0.45)} ${round(y + size * 0.14)} ${round(x)} ${round(y + size * 0.14)} Q${round(x - size * 0.4)} ${round(y + size * 0.14)} ${round(x - size * 0.55)} ${round(y - size * 0.08)} Z" fill="${palette.ink}"/>`;
  return `${backdrop(canvas)}${sun}${water}${path}${boat}${waves}`;
};
