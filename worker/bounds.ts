/** Thrown when a call to another system has not settled within its bound. Whether it was carried out is not known. */
export class OutOfTime extends Error {
  override readonly name = "OutOfTime";

  constructor(what: string, boundMs: number) {
    super(`${what} has not answered within ${boundMs} ms`);
  }
}

/**
 * The answer of a call to another system, or a throw of `OutOfTime` after `boundMs`. The bound does not end the call: its later
 * answer is dropped. The timer is cleared with the answer, so that no timer keeps an object in memory.
 */
export async function within<Answer>(boundMs: number, what: string, call: Promise<Answer>): Promise<Answer> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new OutOfTime(what, boundMs)), boundMs);
  });
  try {
    return await Promise.race([call, late]);
  } finally {
    clearTimeout(timer);
    // After the bound nobody awaits it any more.
    call.catch(() => undefined);
  }
}

/** How long work may take to settle once its signal has ended, in ms: work that heeds the signal needs a moment. */
const GRACE_MS = 1_000;

/**
 * Runs `work` with a signal that ends after `boundMs`, or with `stop`. Settles as `work` does, and throws `OutOfTime` when
 * `work` has not settled a second after its signal ended: a call that ignores its signal holds up nothing but itself.
 */
export async function withinSignal<Answer>(
  boundMs: number,
  what: string,
  work: (signal: AbortSignal) => Promise<Answer>,
  stop?: AbortSignal,
): Promise<Answer> {
  const ended = new AbortController();
  const abandoned = Promise.withResolvers<never>();
  let timer: ReturnType<typeof setTimeout>;
  const end = () => {
    clearTimeout(timer);
    timer = setTimeout(() => abandoned.reject(new OutOfTime(what, boundMs)), GRACE_MS);
    ended.abort();
  };
  timer = setTimeout(end, boundMs);
  if (stop?.aborted === true) end();
  else stop?.addEventListener("abort", end, { once: true });
  try {
    return await Promise.race([work(ended.signal), abandoned.promise]);
  } finally {
    clearTimeout(timer);
    stop?.removeEventListener("abort", end);
  }
}

/** The result of `work`, or `fallback` when it takes longer than `boundMs`. The work continues; it must never reject. */
export async function orAfter<Result>(boundMs: number, work: Promise<Result>, fallback: Result): Promise<Result> {
  const late = Promise.withResolvers<Result>();
  const timer = setTimeout(() => late.resolve(fallback), Math.max(0, boundMs));
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
