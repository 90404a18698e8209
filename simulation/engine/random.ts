/**
 * Randomness by name. A draw depends only on the seed, its label and how often that label was used, so that leaving out a
 * fault while a run is shrunk changes no other draw.
 */

/** A number in [0, 1), a new one at each call. */
export type Random = () => number;

/** The same text gives the same 32-bit number on every machine (FNV-1a, then murmur's mixing). */
export function hashText(text: string, seed: number): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return mixed(hash);
}

function mixed(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** mulberry32. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** The draws of one run, by label. */
export class Draws {
  readonly #seed: number;
  readonly #used = new Map<string, number>();

  constructor(seed: number) {
    this.#seed = mixed(seed ^ 0x9e3779b9);
  }

  /** The name of the next draw under `label`: the label and how often it was used. */
  nth(label: string): string {
    const count = (this.#used.get(label) ?? 0) + 1;
    this.#used.set(label, count);
    return `${label}#${count}`;
  }

  /** The draw of that name, which is always the same. */
  of(name: string): Random {
    return randomFrom(hashText(name, this.#seed));
  }

  next(label: string): Random {
    return this.of(this.nth(label));
  }
}

export function between(random: Random, min: number, max: number): number {
  return min + Math.floor(random() * (max - min + 1));
}

/** Between `min` and `max`, uniform over the orders of magnitude. */
export function spread(random: Random, min: number, max: number): number {
  return Math.round(min * (max / min) ** random());
}

export function pick<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new Error("pick: nothing to pick from");
  return item;
}

export function chance(random: Random, probability: number): boolean {
  return random() < probability;
}
