import { jitteredDelayMs } from "./retry-policy.ts";

/** What is known of a live connection's fortune so far. */
export interface LinkState {
  /** Connections in a row that did not last. */
  readonly failures: number;
  /** Set while the live way is given up for now; it is tried again from then. */
  readonly pollUntilMs: number | null;
}

/** How connections are repeated and given up. All times in ms. */
export interface ReconnectPolicy {
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
  /** A connection that lived this long was a good one: what follows is a first failure. */
  readonly goodAfterMs: number;
  /** So many failures in a row, and polling takes over. */
  readonly failuresBeforePolling: number;
  /** How long polling stays before the live way gets another chance. */
  readonly pollingMs: number;
}

/** A deploy closes every socket at once: the first reconnects spread over a second, later ones over up to 15 s. */
export const DEFAULT_RECONNECT_POLICY: ReconnectPolicy = {
  baseDelayMs: 1_000,
  maxDelayMs: 15_000,
  goodAfterMs: 10_000,
  failuresBeforePolling: 3,
  pollingMs: 60_000,
};

/** Before the first connection. */
export const FRESH_LINK: LinkState = { failures: 0, pollUntilMs: null };

/** The live way at once; should it fail, polling takes over. */
export function lastTry(policy: ReconnectPolicy): LinkState {
  return { failures: policy.failuresBeforePolling - 1, pollUntilMs: null };
}

/** Which way to go now. */
export function wayNow(state: LinkState, nowMs: number): "live" | "poll" {
  return state.pollUntilMs !== null && nowMs < state.pollUntilMs ? "poll" : "live";
}

/** The state after a live connection ended that lasted `livedMs` (0 when it never opened). */
export function afterConnection(state: LinkState, livedMs: number, nowMs: number, policy: ReconnectPolicy): LinkState {
  const failures = livedMs >= policy.goodAfterMs ? 1 : state.failures + 1;
  return { failures, pollUntilMs: failures >= policy.failuresBeforePolling ? nowMs + policy.pollingMs : null };
}

/** How long to wait before the next connection, in ms; 0 when polling takes over. `jitter` in [0, 1). */
export function reconnectDelayMs(state: LinkState, policy: ReconnectPolicy, jitter: number): number {
  if (state.pollUntilMs !== null) return 0;
  return jitteredDelayMs(Math.max(1, state.failures), policy.baseDelayMs, policy.maxDelayMs, jitter);
}
