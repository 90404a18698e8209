/** Seeded, repeatable random numbers, not for secrets. Pure: no clock, no randomness of the machine. */

/** A number in [0, 1), a new one at each call. */
export type Random = () => number;

/** The same text gives the same 32-bit number on every machine (FNV-1a, then murmur's mixing). */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** mulberry32: small, fast, and uniform enough for pictures and draws. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A whole number from `min` to `max`, both included. */
export function between(random: Random, min: number, max: number): number {
  return min + Math.floor(random() * (max - min + 1));
}

/** One of `items`, which must not be empty. */
export function pick<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new Error("pick: nothing to pick from");
  return item;
}

/** The longest sample as a multiple of the typical one: 15 s typical gives the 90 s that were reported of `max`. */
const TAIL_FACTOR = 6;

/**
 * How long one generation takes, in ms: log-normal around `typicalMs` (its median), cut at six times that. `spread` is
 * sigma of the logarithm; 0 gives exactly `typicalMs`.
 */
export function sampleLatencyMs(typicalMs: number, spread: number, random: Random): number {
  // Box-Muller; 1 - random() is in (0, 1], so that the logarithm is finite.
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Math.round(Math.min(typicalMs * Math.exp(spread * normal), typicalMs * TAIL_FACTOR));
}
