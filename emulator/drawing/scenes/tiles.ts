import { between, pick } from "../../core/random.ts";
import { backdrop, round, type Scene } from "./scene.ts";

/** A wall of tiles: quarter circles, half circles, rings and stripes, as the old design schools laid them. */
export const tiles: Scene = (canvas) => {
  const { width, height, unit, palette, random } = canvas;
  const side = unit / between(random, 4, 6);
  const colours = [...palette.layers, palette.accent, palette.light, palette.sky[0], palette.sky[1]];
  let drawn = "";
  for (let y = 0; y < height; y += side) {
    for (let x = 0; x < width; x += side) {
      const ground = pick(random, colours);
      const figure = pick(
        random,
        colours.filter((colour) => colour !== ground),
      );
      const s = round(side);
      const shape = pick(random, [
        `<path d="M0 0 H${s} A${s} ${s} 0 0 1 0 ${s} Z" fill="${figure}"/>`,
        `<path d="M0 ${round(s / 2)} A${round(s / 2)} ${round(s / 2)} 0 0 1 ${s} ${round(s / 2)} Z" fill="${figure}"/>`,
        `<circle cx="${round(s / 2)}" cy="${round(s / 2)}" r="${round(s * 0.32)}" fill="none" stroke="${figure}" stroke-width="${round(s * 0.16)}"/>`,
        `<path d="M0 0 L${s} ${s} L0 ${s} Z" fill="${figure}"/>`,
        `<path d="M0 ${round(s * 0.2)} H${s} M0 ${round(s * 0.5)} H${s} M0 ${round(s * 0.8)} H${s}" stroke="${figure}" stroke-width="${round(s * 0.14)}"/>`,
        `<circle cx="${round(s / 2)}" cy="${round(s / 2)}" r="${round(s * 0.36)}" fill="${figure}"/>`,
      ]);
      const turn = between(random, 0, 3) * 90;
      drawn += `<g transform="translate(${round(x)} ${round(y)})"><rect width="${s + 1}" height="${s + 1}" fill="${ground}"/><g transform="rotate(${turn} ${round(s / 2)} ${round(s / 2)})">${shape}</g></g>`;
    }
  }
  return `${backdrop(canvas)}${drawn}`;
};
