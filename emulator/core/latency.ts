import type { Random } from "./random.ts";

/** Longest sample as a multiple of the typical one: 15 s typical gives the 90 s tail that was reported of `max`. */
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
