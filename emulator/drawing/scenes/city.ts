import { between, pick } from "../../core/random.ts";
import { backdrop, type Canvas, glow, round, type Scene, stars } from "./scene.ts";

function building(canvas: Canvas, x: number, breadth: number, top: number, colour: string, lit: number): string {
  const { height, palette, random, unit } = canvas;
  const pane = Math.max(3, unit * 0.011);
  const columns = Math.max(1, Math.floor(breadth / (pane * 2.2)));
  const rows = Math.max(1, Math.floor((height * 0.86 - top) / (pane * 2.6)));
  const gap = breadth / columns;
  let windows = "";
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      if (random() > lit) continue;
      const colourOfPane = random() < 0.2 ? palette.accent : palette.light;
      windows += `<rect x="${round(x + gap * (column + 0.5) - pane / 2)}" y="${round(top + pane * (1.5 + row * 2.6))}" width="${round(pane)}" height="${round(pane * 1.3)}" fill="${colourOfPane}"/>`;
    }
  }
  const roof = pick(random, [
    "",
    `<rect x="${round(x + breadth * 0.45)}" y="${round(top - unit * 0.05)}" width="${round(unit * 0.005)}" height="${round(unit * 0.05)}" fill="${colour}"/>`,
    `<path d="M${round(x)} ${round(top)} L${round(x + breadth / 2)} ${round(top - breadth * 0.3)} L${round(x + breadth)} ${round(top)} Z" fill="${colour}"/>`,
  ]);
  return `${roof}<rect x="${round(x)}" y="${round(top)}" width="${round(breadth + 1)}" height="${round(height - top)}" fill="${colour}"/><g opacity="0.85">${windows}</g>`;
}

/** A skyline in three depths at dusk; some windows are lit. */
export const city: Scene = (canvas) => {
  const { width, height, unit, palette, random } = canvas;
  const moon = glow(width * (0.15 + random() * 0.7), height * (0.15 + random() * 0.15), unit * 0.06, palette.light);
  const depths = palette.layers
    .map((colour, index) => {
      let drawn = "";
      for (let x = -unit * 0.05; x < width; ) {
        const breadth = unit * (0.06 + random() * 0.09) * (1 + index * 0.25);
        const top = height * (0.26 + index * 0.14 + random() * 0.2);
        drawn += building(canvas, x, breadth, top, colour, 0.08 + index * 0.17);
        x += breadth + (random() < 0.25 ? unit * 0.03 : 0);
      }
      return drawn;
    })
    .join("");
  return `${backdrop(canvas)}${stars(canvas, between(random, 20, 60), 0.4)}${moon}${depths}`;
};
