import fc from "fast-check";

/** Made at once: enough to be quick, few enough to be small. */
const BATCH = 100;
/** Apart from each other, so that the batches of two seeds next to each other are not the same. */
const SEED_STEP = 7_919;

/** `count` values of an arbitrary, made as they are wanted; the same ones for the same seed. */
export function* drawn<Value>(arbitrary: fc.Arbitrary<Value>, count: number, seed: number): Generator<Value> {
  for (let made = 0, batch = 0; made < count; made += BATCH, batch += 1) {
    yield* fc.sample(arbitrary, { numRuns: Math.min(BATCH, count - made), seed: seed + batch * SEED_STEP });
  }
}

/** Of several sources one value after the other, in turns that follow from how much each has. */
export function* mingled<Value>(
  sources: readonly { readonly count: number; readonly values: Iterator<Value> }[],
): Generator<Value> {
  const given = sources.map(() => 0);
  for (;;) {
    let next = -1;
    for (const [index, { count }] of sources.entries()) {
      const share = (given[index] ?? 0) / count;
      if (share < 1 && (next < 0 || share < (given[next] ?? 0) / (sources[next]?.count ?? 1))) next = index;
    }
    const value = sources[next]?.values.next();
    if (value === undefined || value.done === true) return;
    given[next] = (given[next] ?? 0) + 1;
    yield value.value;
  }
}
