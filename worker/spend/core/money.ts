/** Money is counted in integer millionths of the deployment's currency, so that sums are exact. Pure. */

const MICROS = 1_000_000;

/** Millionths of an amount; the amount may have at most 6 decimals, what is smaller is rounded. */
export function toMicros(amount: number): number {
  return Math.round(amount * MICROS);
}

/** The amount as the API shows it: a number with at most 6 decimals. */
export function fromMicros(micros: number): number {
  return micros / MICROS;
}

/** The UTC day of a moment, `2026-11-28`. */
export function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** The UTC month of a day or of a moment, `2026-11`: the period of a client's limit. */
export function monthOf(at: string | number): string {
  return (typeof at === "number" ? dayOf(at) : at).slice(0, 7);
}

/** When the month of `nowMs` ends and a limit starts again, in epoch ms. */
export function monthEndsAtMs(nowMs: number): number {
  const now = new Date(nowMs);
  return Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1);
}
