/** How a call is repeated. All times in ms. */
export interface RetryPolicy {
  /** Tries in all, the first included. */
  readonly maxTries: number;
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
  /** A server that asks for a longer wait gets no repetition: the caller is told instead, with `retryAfterMs`. */
  readonly maxRetryAfterMs: number;
}

/** Four tries within about half a minute: enough for a deploy or a short overload, short enough for a person who waits. */
export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  maxTries: 4,
  baseDelayMs: 400,
  maxDelayMs: 8_000,
  maxRetryAfterMs: 20_000,
};

/** What became of a try: no answer at all, or an answer that is not a success. */
export type FailedTry =
  | { readonly kind: "unreachable" }
  /** The browser kept the answer from a page of another origin. */
  | { readonly kind: "forbidden_origin" }
  | {
      readonly kind: "refused";
      readonly status: number;
      /** The problem's code, `null` when the answer was no problem document (a proxy's page). */
      readonly code: string | null;
      readonly retryAfterMs: number | null;
    };

/** 429 and 503 are ours; 502 and 504 come from proxies in between. Every call of this client is safe to repeat. */
const PASSING_STATUSES: readonly number[] = [429, 502, 503, 504];

/** Only an operator mends these, so no wait of seconds helps. */
const LASTING_CODES: readonly string[] = ["misconfigured"];

/** Exponential with full jitter: uniformly in [0, base * 2^(failures-1)], capped. `failures` counts from 1; `jitter` in [0, 1). */
export function jitteredDelayMs(failures: number, baseDelayMs: number, maxDelayMs: number, jitter: number): number {
  return Math.round(Math.min(maxDelayMs, baseDelayMs * 2 ** Math.min(failures - 1, 30)) * jitter);
}

/**
 * Delay before the next try, in ms, never below what the server asked for; `null` when the failure stands. `tries` counts
 * those already made, from 1.
 */
export function retryDelayMs(failed: FailedTry, tries: number, policy: RetryPolicy, jitter: number): number | null {
  if (tries >= policy.maxTries) return null;
  const jitteredMs = jitteredDelayMs(tries, policy.baseDelayMs, policy.maxDelayMs, jitter);
  if (failed.kind === "unreachable") return jitteredMs;
  if (failed.kind === "forbidden_origin") return null;
  if (!PASSING_STATUSES.includes(failed.status)) return null;
  if (failed.code !== null && LASTING_CODES.includes(failed.code)) return null;
  if (failed.retryAfterMs === null) return jitteredMs;
  return failed.retryAfterMs > policy.maxRetryAfterMs ? null : failed.retryAfterMs + jitteredMs;
}
