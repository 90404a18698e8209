/** Spec section 8: exponential from 2 s, full jitter, cap 120 s. */
export const BACKOFF_BASE_MS = 2_000;
export const BACKOFF_CAP_MS = 120_000;

/**
 * The wait before the next try, in ms: uniform in [0, min(cap, base · 2^(failures - 1))], never below `atLeastMs`.
 * `failures` counts from 1; `jitter` is in [0, 1).
 */
export function backoffMs(failures: number, jitter: number, atLeastMs = 0): number {
  const ceiling = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** Math.min(Math.max(failures, 1) - 1, 30));
  return Math.max(Math.ceil(atLeastMs), Math.floor(jitter * ceiling));
}
