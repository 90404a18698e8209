import { type Canvas, round } from "./scene.ts";

const RAIN = /\b(rain|rainy|storm|drizzle)\b|雨|regen/i;
const SNOW = /\b(snow|snowy|winter|blizzard)\b|雪|schnee/i;

/** Rain or snow over the scene, when the prompt mentions it. */
export function weather(prompt: string, canvas: Canvas): string {
  const { width, height, unit, random } = canvas;
  if (RAIN.test(prompt)) {
    const drops = Array.from({ length: 160 }, () => {
      const x = random() * width * 1.1;
      const y = random() * height;
      const length = unit * (0.02 + random() * 0.04);
      return `M${round(x)} ${round(y)} l${round(-length * 0.3)} ${round(length)}`;
    }).join(" ");
    return `<path d="${drops}" stroke="#eaf2ff" stroke-width="${round(unit * 0.0025)}" stroke-linecap="round" opacity="0.55" fill="none"/>`;
  }
  if (SNOW.test(prompt)) {
    return Array.from({ length: 130 }, () => {
      const radius = round(unit * (0.002 + random() * 0.006));
      return `<circle cx="${round(random() * width)}" cy="${round(random() * height)}" r="${radius}" fill="#ffffff" opacity="0.85"/>`;
    }).join("");
  }
  return "";
}
