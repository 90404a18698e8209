import { between, pick } from "../../core/random.ts";
import { backdrop, type Canvas, ridge, round, type Scene } from "./scene.ts";

function flower({ palette, random }: Canvas, x: number, y: number, size: number, colour: string): string {
  const petals = between(random, 5, 11);
  const slim = 0.16 + random() * 0.16;
  const turn = random() * 360;
  const ring = (length: number, fill: string, offset: number): string =>
    Array.from({ length: petals }, (_, index) => {
      const angle = round(turn + offset + (360 / petals) * index);
      return `<ellipse cx="0" cy="${round(-length * 0.55)}" rx="${round(length * slim)}" ry="${round(length * 0.5)}" fill="${fill}" transform="rotate(${angle})"/>`;
    }).join("");
  return `<g transform="translate(${round(x)} ${round(y)})">${ring(size, colour, 0)}${ring(size * 0.66, palette.light, 180 / petals)}<circle r="${round(size * 0.22)}" fill="${palette.accent}"/><circle r="${round(size * 0.11)}" fill="${palette.ink}" opacity="0.6"/></g>`;
}

/** A garden of many-petalled flowers on bending stalks. */
export const bloom: Scene = (canvas) => {
  const { width, height, unit, palette, random } = canvas;
  const ground = `<path d="${ridge(canvas, height * 0.72, unit * 0.05, 5)}" fill="${palette.layers[0]}"/><path d="${ridge(canvas, height * 0.84, unit * 0.04, 6)}" fill="${palette.layers[1]}"/>`;
  const count = between(random, 9, 16);
  const plants = Array.from({ length: count }, (_, index) => {
    const x = (width * (index + 0.5 + (random() - 0.5) * 0.8)) / count;
    const y = height * (0.2 + random() * 0.45);
    const foot = x + (random() - 0.5) * unit * 0.2;
    const stalk = `<path d="M${round(foot)} ${height} Q${round(x + (random() - 0.5) * unit * 0.3)} ${round((y + height) / 2)} ${round(x)} ${round(y)}" fill="none" stroke="${palette.layers[2]}" stroke-width="${round(unit * 0.008)}"/>`;
    const colour = pick(random, [palette.accent, palette.layers[0], palette.layers[1], palette.sky[1]]);
    return { y, drawn: `${stalk}${flower(canvas, x, y, unit * (0.07 + random() * 0.1), colour)}` };
  });
  plants.sort((a, b) => a.y - b.y);
  return `${backdrop(canvas)}${ground}${plants.map(({ drawn }) => drawn).join("")}`;
};
