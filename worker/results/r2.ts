import { within } from "../bounds.ts";

/** A call to R2 takes milliseconds; one that takes this long is given up, and repeated by who made it. */
export const R2_BOUND_MS = 30_000;

/**
 * One call to R2, bounded from outside: its promise may never settle. A write that is given up may still land, so every
 * write here is only made where nothing is.
 */
export function fromR2<Answer>(call: Promise<Answer>, boundMs: number = R2_BOUND_MS): Promise<Answer> {
  return within(boundMs, "the image storage", call);
}
