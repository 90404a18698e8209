/** The results of several rounds: the median and the extremes. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** How many rounds or samples. */
  readonly of: number;
}

/** The value below which the share `share` (0 to 1) of `values` lies, interpolated between neighbours. Throws when there are none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const below = sorted[Math.floor(place)];
  const above = sorted[Math.ceil(place)];
  if (below === undefined || above === undefined) throw new Error("nothing was measured");
  return below + (above - below) * (place - Math.floor(place));
}

export function spreadOf(values: readonly number[]): Spread {
  return { median: quantile(values, 0.5), min: Math.min(...values), max: Math.max(...values), of: values.length };
}

/**
 * The ratio of two sides, round by round: each pair was measured at about the same time, so that other load on the machine
 * affects both. Throws when the numbers of rounds differ.
 */
export function pairedRatio(ours: readonly number[], theirs: readonly number[]): Spread {
  if (ours.length !== theirs.length) throw new Error(`${ours.length} rounds beside ${theirs.length}`);
  return spreadOf(ours.map((value, round) => value / (theirs[round] ?? Number.NaN)));
}
