/** Thrown when a call to another system has not settled within its bound. Whether it was carried out is not known. */
export class OutOfTime extends Error {
  override readonly name = "OutOfTime";

  constructor(what: string, boundMs: number) {
    super(`${what} has not answered within ${boundMs} ms`);
  }
}

/**
 * The answer of a call to another system, or a throw of `OutOfTime` after `boundMs`. The call is not ended by it: what it
 * answers later is dropped. Its timer goes with it, so that no timer keeps an object in memory.
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
