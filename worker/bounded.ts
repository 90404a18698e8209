/** Once its signal has ended, work gets this long to settle by itself, in ms: one that heeds the signal needs a moment. */
const GRACE_MS = 1_000;

/** Work that had not settled a second after its signal ended. Whatever it does later is ignored. */
export class AbandonedError extends Error {
  constructor(what: string) {
    super(`${what} did not end in time`);
    this.name = "AbandonedError";
  }
}

/**
 * Runs `work` with a signal that ends after `boundMs`, or with `stop`. Settles as `work` does, and rejects with
 * `AbandonedError` when `work` ignores its signal: so a call that never answers holds up nothing but itself. The timer goes
 * with the work: one left behind, as `AbortSignal.timeout` leaves it, would keep an object in memory, and billed.
 */
export async function bounded<Result>(
  what: string,
  boundMs: number,
  work: (signal: AbortSignal) => Promise<Result>,
  stop?: AbortSignal,
): Promise<Result> {
  const bound = new AbortController();
  const abandoned = Promise.withResolvers<never>();
  let timer: ReturnType<typeof setTimeout>;
  const end = () => {
    clearTimeout(timer);
    timer = setTimeout(() => abandoned.reject(new AbandonedError(what)), GRACE_MS);
    bound.abort();
  };
  timer = setTimeout(end, boundMs);
  if (stop?.aborted === true) end();
  else stop?.addEventListener("abort", end, { once: true });
  try {
    return await Promise.race([work(bound.signal), abandoned.promise]);
  } finally {
    clearTimeout(timer);
    stop?.removeEventListener("abort", end);
  }
}

/** The result of `work`, or `fallback` when it takes longer than `boundMs`. The work goes on; it must never reject. */
export async function orAfter<Result>(boundMs: number, work: Promise<Result>, fallback: Result): Promise<Result> {
  const late = Promise.withResolvers<Result>();
  const timer = setTimeout(() => late.resolve(fallback), Math.max(0, boundMs));
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
