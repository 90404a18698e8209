import { between, pick } from "../../core/random.ts";
import { backdrop, round, type Scene, stars } from "./scene.ts";

/** Planets in orbit around a star, one of them with a ring. */
export const orbits: Scene = (canvas) => {
  const { width, height, unit, palette, random } = canvas;
  const centreX = width * (0.3 + random() * 0.4);
  const centreY = height * (0.34 + random() * 0.2);
  const tilt = round((random() - 0.5) * 40);
  const count = between(random, 4, 6);
  const rounds = Array.from({ length: count }, (_, index) => {
    const radius = unit * (0.16 + index * (0.13 + random() * 0.03));
    const flat = 0.42;
    const angle = random() * Math.PI * 2;
    const x = round(Math.cos(angle) * radius);
    const y = round(Math.sin(angle) * radius * flat);
    const size = round(unit * (0.014 + random() * 0.03));
    const colour = pick(random, [palette.accent, palette.layers[0], palette.sky[1], palette.light]);
    const ring =
      random() < 0.35
        ? `<ellipse cx="${x}" cy="${y}" rx="${round(size * 2)}" ry="${round(size * 0.55)}" fill="none" stroke="${palette.light}" stroke-width="${round(size * 0.2)}" opacity="0.8"/>`
        : "";
    return `<ellipse rx="${round(radius)}" ry="${round(radius * flat)}" fill="none" stroke="${palette.light}" stroke-width="${round(unit * 0.0018)}" opacity="0.35"/><circle cx="${x}" cy="${y}" r="${size}" fill="${colour}"/><circle cx="${round(x - size * 0.25)}" cy="${round(y - size * 0.25)}" r="${round(size * 0.55)}" fill="#ffffff" opacity="0.18"/>${ring}`;
  }).join("");
  const star = [3, 2.1, 1.5, 1]
    .map(
      (factor, index) =>
        `<circle r="${round(unit * 0.055 * factor)}" fill="${palette.accent}" opacity="${index === 3 ? 1 : 0.14}"/>`,
    )
    .join("");
  const night = `<rect width="${width}" height="${height}" fill="${palette.ink}" opacity="0.86"/>`;
  return `${backdrop(canvas)}${night}${stars(canvas, between(random, 120, 220), 1)}<g transform="translate(${round(centreX)} ${round(centreY)}) rotate(${tilt})">${star}${rounds}</g>`;
};
