import { pick, type Random } from "../core/random.ts";

/** Matching colours: far (sky) to near (ground), a light and an accent. */
export interface Palette {
  readonly sky: readonly [string, string];
  readonly layers: readonly [string, string, string];
  readonly light: string;
  readonly accent: string;
  readonly ink: string;
}

const PALETTES: readonly Palette[] = [
  {
    sky: ["#fde2b8", "#f28f6b"],
    layers: ["#d96459", "#8c3b52", "#3b1f3a"],
    light: "#fff4dc",
    accent: "#ffd166",
    ink: "#2a1428",
  },
  {
    sky: ["#cfe8ef", "#7fb7be"],
    layers: ["#4f8a8b", "#2f5d62", "#16363b"],
    light: "#fbfff1",
    accent: "#f4a259",
    ink: "#0f2a2e",
  },
  {
    sky: ["#1b2a49", "#465c88"],
    layers: ["#2b3d63", "#1d2a48", "#0e1629"],
    light: "#f7f3d7",
    accent: "#f2c14e",
    ink: "#0a1020",
  },
  {
    sky: ["#f6e7f2", "#d9a5c7"],
    layers: ["#b5739d", "#7a4a78", "#3d2645"],
    light: "#fffaf0",
    accent: "#f9c74f",
    ink: "#2b1730",
  },
  {
    sky: ["#eef3d2", "#b9cf8b"],
    layers: ["#86a35b", "#55733c", "#2c4326"],
    light: "#fffdf0",
    accent: "#e76f51",
    ink: "#1d2e19",
  },
  {
    sky: ["#e9edf5", "#a9bcd8"],
    layers: ["#7890b5", "#4d6389", "#283a5a"],
    light: "#ffffff",
    accent: "#ef6f6c",
    ink: "#1a2740",
  },
  {
    sky: ["#2d1e4f", "#7b3f79"],
    layers: ["#5a2f66", "#3a2150", "#1d1233"],
    light: "#ffe8d6",
    accent: "#ff9f68",
    ink: "#150c26",
  },
  {
    sky: ["#f7ede2", "#f2c9a1"],
    layers: ["#d99b66", "#a3683f", "#5a3825"],
    light: "#fffbf3",
    accent: "#2a9d8f",
    ink: "#3a2417",
  },
];

/** Colours that prompts name. They become the accent, so that the picture of a red bicycle has something red. */
const NAMED: readonly (readonly [RegExp, string])[] = [
  [/\b(red|crimson|scarlet)\b|红|rot(e[rns]?)?\b/i, "#d7263d"],
  [/\b(blue|azure|navy)\b|蓝|\bblau/i, "#2f6fde"],
  [/\b(green|emerald)\b|绿|\bgrün/i, "#3a9d5d"],
  [/\b(yellow|gold(en)?)\b|黄|\bgelb/i, "#f6c445"],
  [/\b(purple|violet)\b|紫|\blila/i, "#8e5bd0"],
  [/\b(pink|rose)\b|粉/i, "#ef7fa7"],
  [/\b(orange)\b|橙/i, "#f28a30"],
  [/\b(white|snow)\b|白/i, "#ffffff"],
  [/\b(black)\b|黑/i, "#16161a"],
];

const NIGHT = /\b(night|midnight|moon|stars?|starry|dark)\b|夜|星|月/i;

/** The colours for a prompt: dark ones at night, the accent as named. The seed chooses the rest. */
export function paletteFor(prompt: string, random: Random): Palette {
  const night = NIGHT.test(prompt);
  const chosen = pick(
    random,
    PALETTES.filter((palette) => !night || /^#[0-3]/.test(palette.sky[0])),
  );
  const named = NAMED.find(([pattern]) => pattern.test(prompt));
  return named === undefined ? chosen : { ...chosen, accent: named[1] };
}
