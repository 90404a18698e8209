/** How upstream counts starts. Pure: time is passed in. */

/** `sliding`: every window of the period; `fixed`: consecutive windows from the epoch on. */
export type WindowKind = "sliding" | "fixed";

export interface Quota {
  readonly starts: number;
  readonly periodMs: number;
}

/**
 * Whether one more start at `nowMs` is within the quota, given the starts counted so far (epoch ms, oldest first), and which
 * of these starts still matter. The caller adds `nowMs` when it counts this start.
 */
export function admit(
  kind: WindowKind,
  quota: Quota,
  countedAtMs: readonly number[],
  nowMs: number,
): { readonly admitted: boolean; readonly kept: readonly number[] } {
  // A start exactly one period ago is outside: the window is half open.
  const windowStartMs =
    kind === "sliding" ? nowMs - quota.periodMs : Math.floor(nowMs / quota.periodMs) * quota.periodMs - 1;
  const kept = countedAtMs.filter((atMs) => atMs > windowStartMs);
  return { admitted: kept.length < quota.starts, kept };
}
