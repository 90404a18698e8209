/**
 * Runs `work` with a signal that ends after `boundMs`, or with `stop`. The timer goes with the work: one left behind, as
 * `AbortSignal.timeout` leaves it, keeps the object in memory, and billed, until it has run out.
 */
export async function withinMs<Result>(
  boundMs: number,
  work: (signal: AbortSignal) => Promise<Result>,
  stop?: AbortSignal,
): Promise<Result> {
  const bound = new AbortController();
  const timer = setTimeout(() => bound.abort(), boundMs);
  try {
    return await work(stop === undefined ? bound.signal : AbortSignal.any([stop, bound.signal]));
  } finally {
    clearTimeout(timer);
  }
}
