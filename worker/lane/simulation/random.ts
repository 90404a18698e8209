/** Numbers in [0, 1) that look random and are the same for the same seed (mulberry32). */
export type Random = () => number;

export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** The time to the next of events that come at random, `perMs` of them on average. In ms. */
export function untilNext(random: Random, perMs: number): number {
  return -Math.log(1 - random()) / perMs;
}

/** A whole number from `min` to `max`, every size of it as likely as the next: many small ones, few large. */
export function manySmall(random: Random, min: number, max: number): number {
  return Math.floor(min * (max / min) ** random());
}
