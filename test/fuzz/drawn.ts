import fc from "fast-check";

/** Values made at once: enough to be quick, few enough to be small. */
const BATCH = 100;
/** The distance between the seeds of batches, so that two neighbouring seeds do not have equal batches. */
const SEED_STEP = 7_919;

/** `count` values of an arbitrary, made when they are needed; the same ones for the same seed. */
export function* drawn<Value>(arbitrary: fc.Arbitrary<Value>, count: number, seed: number): Generator<Value> {
  for (let made = 0, batch = 0; made < count; made += BATCH, batch += 1) {
    yield* fc.sample(arbitrary, { numRuns: Math.min(BATCH, count - made), seed: seed + batch * SEED_STEP });
  }
}

/** The values of several sources, in turns in proportion to their counts. */
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
