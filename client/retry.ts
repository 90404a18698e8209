/** How a call is repeated. All times in ms. */
export interface RetryPolicy {
  /** All tries, the first one included. */
  readonly maxTries: number;
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
  /** When the server asks for a longer wait, the call fails at once, and the error's `retryAfterMs` says how long. */
  readonly maxRetryAfterMs: number;
}

/** Four tries within about half a minute: enough for a deploy or a short overload, short enough for a person who waits. */
export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  maxTries: 4,
  baseDelayMs: 400,
  maxDelayMs: 8_000,
  maxRetryAfterMs: 20_000,
};

/** How a try failed: without an answer, or with an answer that is not a success. */
export type FailedTry =
  | { readonly kind: "unreachable" }
  /** The browser withheld the answer, because the page has another origin. */
  | { readonly kind: "forbidden_origin" }
  | {
      readonly kind: "refused";
      readonly status: number;
      /** The problem's code; `null` when the answer is not a problem document (a proxy's page, for example). */
      readonly code: string | null;
      readonly retryAfterMs: number | null;
    };

/** Darkroom sends 429 and 503; proxies send 502 and 504. Every call of this client is safe to repeat. */
const PASSING_STATUSES: readonly number[] = [429, 502, 503, 504];

/** Only an operator can fix these, so neither a call nor a watcher waits for it. */
export const LASTING_CODES: readonly string[] = ["misconfigured"];

/** Exponential with full jitter: uniformly in [0, base * 2^(failures-1)], capped. `failures` counts from 1; `jitter` in [0, 1). */
export function jitteredDelayMs(failures: number, baseDelayMs: number, maxDelayMs: number, jitter: number): number {
  return Math.round(Math.min(maxDelayMs, baseDelayMs * 2 ** Math.min(failures - 1, 30)) * jitter);
}

/**
 * Delay before the next try, in ms, never shorter than what the server asked for; `null` means do not try again. `tries` is
 * the number of tries made so far, at least 1.
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

/**
 * A `Retry-After` header as a delay from `nowMs`, in ms and never negative. Takes whole seconds or an HTTP date (RFC 9110,
 * 10.2.3); `null` when the header is absent or neither.
 */
export function retryAfterMs(header: string | null, nowMs: number): number | null {
  if (header === null) return null;
  const text = header.trim();
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1000, Number.MAX_SAFE_INTEGER);
  // Date.parse accepts far more than HTTP dates (it reads "-1" as a year), so require the name of a day first.
  if (!/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text)) return null;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - nowMs);
}

/** A watcher waits no longer than this before it asks again, in ms, whatever the server asks for: it may be up again sooner. */
const MAX_ASKED_PAUSE_MS = 300_000;

/** How long a watcher waits after a failed try: `delayMs`, and as long as the server asked, up to five minutes. */
export function pauseAfterFailure(delayMs: number, askedMs: number | null): number {
  return delayMs + Math.min(askedMs ?? 0, MAX_ASKED_PAUSE_MS);
}

/** Waits `delayMs`; rejects with the signal's reason as soon as it is aborted. */
export function pause(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, delayMs);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
