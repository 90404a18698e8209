/** Makes the SVG for a request. Pure: equal pictures give equal texts. */
import { hashText, pick, seededRandom } from "../core/random.ts";
import { paletteFor } from "./palette.ts";
import { bloom } from "./scenes/bloom.ts";
import { city } from "./scenes/city.ts";
import { hills } from "./scenes/hills.ts";
import { orbits } from "./scenes/orbits.ts";
import { type Canvas, round, type Scene } from "./scenes/scene.ts";
import { sea } from "./scenes/sea.ts";
import { tiles } from "./scenes/tiles.ts";
import { weather } from "./scenes/weather.ts";
import { escapeXml, isRightToLeft, textWidthEms, wrapText } from "./wrap-text.ts";

/** Everything that a picture depends on. */
export interface Picture {
  readonly prompt: string;
  readonly negativePrompt: string | null;
  readonly model: string;
  readonly width: number;
  readonly height: number;
  readonly seed: number;
  /** From 0; the images of one request differ. */
  readonly index: number;
  readonly watermark: boolean;
}

/** The place of an input image, in pixels of the picture. */
export interface Frame {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** The first pattern that matches decides the scene; without a match the seed decides. */
const SUBJECTS: readonly (readonly [RegExp, Scene])[] = [
  [/\b(sea|ocean|beach|boat|ship|harbou?r|lake|river|wave|coast)s?\b|海|船|湖|\bmeer\b/i, sea],
  [/\b(city|street|building|skyline|town|office|traffic|caf[eé])s?\b|城|街|楼/i, city],
  [/\b(flower|garden|rose|blossom|bouquet|perfume|spring)s?\b|花|园/i, bloom],
  [/\b(space|planet|galaxy|orbit|rocket|astronaut|stars?|universe)s?\b|宇宙|星/i, orbits],
  [/\b(mountain|hill|forest|tree|valley|sunset|landscape|fox|deer|bear|bicycle)s?\b|山|森|树/i, hills],
  [/\b(pattern|poster|logo|design|abstract|product|label|tile)s?\b|图案|海报/i, tiles],
];
const FONTS =
  "'Noto Sans','DejaVu Sans','Segoe UI','Helvetica Neue',Arial,'Noto Sans CJK SC','PingFang SC','Microsoft YaHei',UnifontExMono,sans-serif";
const CAPTION_MAX_LINES = 6;

/** The places of the input images, in a row above the caption. */
export function framesFor(picture: Picture, count: number): Frame[] {
  const { width, height } = picture;
  const side = Math.floor(Math.min((width * 0.86) / count, height * 0.44));
  const gap = Math.floor((width - side * count) / (count + 1));
  return Array.from({ length: count }, (_, index) => ({
    left: gap + index * (side + gap),
    top: Math.floor(height * 0.12),
    width: Math.floor(side * 0.92),
    height: Math.floor(side * 0.92),
  }));
}

function mounts(frames: readonly Frame[], unit: number): string {
  const edge = Math.max(3, unit * 0.012);
  return frames
    .map(({ left, top, width, height }, index) => {
      const label = `<text x="${round(left + width / 2)}" y="${round(top + height + edge * 3.1)}" font-size="${round(edge * 2.2)}" text-anchor="middle" font-family="${FONTS}" fill="#33302c">Image ${index + 1}</text>`;
      return `<rect x="${round(left - edge + edge * 0.5)}" y="${round(top - edge + edge * 0.7)}" width="${round(width + edge * 2)}" height="${round(height + edge * 5)}" fill="#000000" opacity="0.25"/><rect x="${round(left - edge)}" y="${round(top - edge)}" width="${round(width + edge * 2)}" height="${round(height + edge * 5)}" fill="#fdfbf7"/><rect x="${left}" y="${top}" width="${width}" height="${height}" fill="#e4dfd6"/>${label}`;
    })
    .join("");
}

function lineOf(text: string, x: number, y: number, size: number, fill: string, weight: string): string {
  const rtl = isRightToLeft(text);
  return `<text x="${round(x)}" y="${round(y)}" font-size="${round(size)}" font-weight="${weight}" fill="${fill}" font-family="${FONTS}" xml:space="preserve"${rtl ? ' direction="rtl"' : ""}>${escapeXml(text)}</text>`;
}

/** The prompt on a card at the bottom, like the label of a painting. */
function caption(picture: Picture, canvas: Canvas): string {
  const { width, height, unit, palette } = canvas;
  const margin = unit * 0.05;
  const pad = unit * 0.035;
  const inner = width - 2 * margin - 2 * pad;
  // Longer prompts get smaller letters, down to a readable size.
  const size =
    [0.046, 0.038, 0.031, 0.026]
      .map((share) => unit * share)
      .find((each) => textWidthEms(picture.prompt) * each <= inner * 3) ?? unit * 0.026;
  const small = unit * 0.02;
  const lines = wrapText(picture.prompt, inner / size, CAPTION_MAX_LINES);
  const without =
    picture.negativePrompt === null ? [] : wrapText(`without: ${picture.negativePrompt}`, inner / small, 2);
  const facts = `${picture.model} · ${picture.width} × ${picture.height} · seed ${picture.seed}${picture.index > 0 ? ` · no. ${picture.index + 1}` : ""}`;
  const boxHeight = pad * 2 + lines.length * size * 1.32 + (without.length + 1) * small * 1.5;
  const top = height - margin - boxHeight;
  let y = top + pad + size * 0.9;
  let drawn = "";
  for (const line of lines) {
    const x = isRightToLeft(line) ? width - margin - pad : margin + pad;
    drawn += lineOf(line, x, y, size, "#1f1c1a", "600");
    y += size * 1.32;
  }
  y += small * 0.1;
  for (const line of [...without, facts]) {
    drawn += lineOf(line, isRightToLeft(line) ? width - margin - pad : margin + pad, y, small, "#5d564e", "400");
    y += small * 1.5;
  }
  return `<rect x="${round(margin)}" y="${round(top)}" width="${round(width - 2 * margin)}" height="${round(boxHeight)}" rx="${round(unit * 0.014)}" fill="#fffdf8" opacity="0.93"/><rect x="${round(margin)}" y="${round(top)}" width="${round(unit * 0.01)}" height="${round(boxHeight)}" fill="${palette.accent}"/>${drawn}`;
}

function mark({ width, unit }: Canvas): string {
  const size = unit * 0.034;
  return `<text x="${round(width - unit * 0.04)}" y="${round(unit * 0.065)}" font-size="${round(size)}" text-anchor="end" font-family="${FONTS}" font-weight="600" fill="#ffffff" stroke="#000000" stroke-opacity="0.35" stroke-width="${round(size * 0.08)}" paint-order="stroke">Qwen-Image</text>`;
}

/** The whole picture. Input images are placed over it at `framesFor(picture, references)`. */
export function pictureSvg(picture: Picture, references: number): string {
  const { prompt, width, height } = picture;
  const random = seededRandom(hashText(`${prompt}\n${picture.seed}\n${picture.index}`));
  const canvas: Canvas = { width, height, unit: Math.min(width, height), palette: paletteFor(prompt, random), random };
  const named = SUBJECTS.find(([pattern]) => pattern.test(prompt))?.[1];
  const scene = named ?? pick(random, [hills, sea, city, bloom, orbits, tiles]);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    scene(canvas),
    weather(prompt, canvas),
    mounts(references === 0 ? [] : framesFor(picture, references), canvas.unit),
    caption(picture, canvas),
    picture.watermark ? mark(canvas) : "",
    "</svg>",
  ].join("");
}
