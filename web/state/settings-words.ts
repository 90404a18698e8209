import type { ModelInfo } from "../../schemas/limits.ts";
import type { Draft } from "./draft.ts";
import { ratioLabel, sidesOf } from "./sizes.ts";

/** A draft's settings at a glance, for where they are folded away: `16:9 · 2 images · seed 42 · qwen-image-max`. */
export function settingsWords(draft: Draft, model: ModelInfo): string {
  const parts: string[] = [];
  if (model.sizes.kind !== "none") {
    const sides = sidesOf(draft.size ?? model.sizes.default ?? "");
    parts.push(sides === null ? "size left open" : ratioLabel(sides.width, sides.height));
  }
  const count = Math.min(draft.n, model.maxN);
  if (count > 1) parts.push(`${count} images`);
  if (model.supports.seed && draft.seed.trim() !== "") parts.push(`seed ${draft.seed.trim()}`);
  parts.push(model.model);
  return parts.join(" · ");
}
