import type { Settings } from "./client-options.ts";
import { askedWaitMs, isTransient } from "./errors.ts";
import { jitteredDelayMs, pause, pauseAfterFailure } from "./retry.ts";

/**
 * How a watcher receives changes now. `connecting`: not connected yet. `live`: changes arrive as they happen. `reconnecting`:
 * the connection is lost, and what it misses arrives later. `polling`: live connections fail, so changes arrive seconds late.
 * `closed`: the watcher has ended.
 */
export type ConnectionState = "connecting" | "live" | "reconnecting" | "polling" | "closed";

/** Two ways to get the same frames; each continues where the other stopped. */
export interface FrameSource<Frame> {
  /** One connection. `finished`: no more frames follow. Null when live connections are not possible. */
  readonly live: ((onLive: () => void) => AsyncGenerator<Frame, "finished" | "lost", void>) | null;
  /** One poll. `again`: the server held it, so poll again at once. `later`: wait first. Calls `onAnswer` when it is answered. */
  readonly poll: (onAnswer: () => void) => AsyncGenerator<Frame, "finished" | "again" | "later" | "lost", void>;
}

/** Options of every watcher. */
export interface FollowOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called when the state changes. */
  readonly onState?: ((state: ConnectionState) => void) | undefined;
}

/**
 * Yields a source's frames until it is finished: reconnects with jitter, and polls while live connections fail. Waits as long as the
 * server asks, up to five minutes at a time. Throws the signal's reason on abort, and every error that is not transient (a refusal,
 * for example, and `misconfigured`).
 */
export async function* follow<Frame>(
  source: FrameSource<Frame>,
  settings: Settings,
  options: FollowOptions,
): AsyncGenerator<Frame, void, void> {
  const { reconnect, pollEveryMs } = settings.timing;
  let lastState: ConnectionState | null = null;
  const setState = (state: ConnectionState) => {
    if (state === lastState) return;
    lastState = state;
    options.onState?.(state);
  };
  let link = FRESH_LINK;
  /** Whether a poll was answered since the last good connection: then the server is up and only live connections fail. */
  let isReachable = false;
  /** How long the server asked to wait in its last refusal. */
  let askedMs: number | null = null;
  const onLost = (error: unknown) => {
    askedMs = askedWaitMs(error);
  };
  try {
    setState("connecting");
    for (;;) {
      options.signal?.throwIfAborted();
      askedMs = null;
      if (source.live === null || wayNow(link, Date.now()) === "poll") {
        const wasReachable: boolean = isReachable || source.live === null;
        const round = yield* lostIfTransient(
          source.poll(() => setState("polling")),
          onLost,
        );
        if (round === "finished") return;
        isReachable = round !== "lost";
        // Keep polling only when live connections fail while polls are answered.
        const isLiveNext = !wasReachable || !isReachable;
        if (isLiveNext) link = lastTry(reconnect);
        if (round === "lost") {
          setState("reconnecting");
          await pause(pauseAfterFailure(pollEveryMs * (1 + Math.random()), askedMs), options.signal);
        } else if (round === "later" && !isLiveNext) {
          await pause(pollEveryMs * (0.75 + Math.random() / 2), options.signal);
        }
        continue;
      }
      let liveSinceMs: number | null = null;
      const outcome = yield* lostIfTransient(
        source.live(() => {
          liveSinceMs = Date.now();
          setState("live");
        }),
        onLost,
      );
      if (outcome === "finished") return;
      const nowMs = Date.now();
      const livedMs = liveSinceMs === null ? 0 : nowMs - liveSinceMs;
      // A connection that closes right after it opened counts as failed.
      if (livedMs >= reconnect.goodAfterMs) isReachable = false;
      link = afterConnection(link, livedMs, nowMs, reconnect);
      if (link.pollUntilMs === null || lastState !== "polling") setState("reconnecting");
      await pause(pauseAfterFailure(reconnectDelayMs(link, reconnect, Math.random()), askedMs), options.signal);
    }
  } finally {
    setState("closed");
  }
}

/** Ends as `lost` after a transient error, which `onLost` gets; throws any other. */
async function* lostIfTransient<Frame, End>(
  round: AsyncGenerator<Frame, End, void>,
  onLost: (error: unknown) => void,
): AsyncGenerator<Frame, End | "lost", void> {
  try {
    return yield* round;
  } catch (error) {
    if (!isTransient(error)) throw error;
    onLost(error);
    return "lost";
  }
}

/** The results of live connections so far. */
export interface LinkState {
  /** Consecutive connections that did not last. */
  readonly failures: number;
  /** While set, the watcher polls until this time and only then connects again. */
  readonly pollUntilMs: number | null;
}

/** When to reconnect, and when to poll instead. All times in ms. */
export interface ReconnectPolicy {
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
  /** A connection that lasted this long resets the count of failures. */
  readonly goodAfterMs: number;
  /** Consecutive failures after which the watcher polls. */
  readonly failuresBeforePolling: number;
  /** How long the watcher polls before it connects again. */
  readonly pollingMs: number;
}

/** A deploy closes every socket at once: first reconnections spread over one second, later ones over up to 15 s. */
export const DEFAULT_RECONNECT_POLICY: ReconnectPolicy = {
  baseDelayMs: 1_000,
  maxDelayMs: 15_000,
  goodAfterMs: 10_000,
  failuresBeforePolling: 3,
  pollingMs: 60_000,
};

/** Before the first connection. */
export const FRESH_LINK: LinkState = { failures: 0, pollUntilMs: null };

/** Connect once more; if that fails, poll. */
export function lastTry(policy: ReconnectPolicy): LinkState {
  return { failures: policy.failuresBeforePolling - 1, pollUntilMs: null };
}

/** Whether to connect or to poll now. */
export function wayNow(state: LinkState, nowMs: number): "live" | "poll" {
  return state.pollUntilMs !== null && nowMs < state.pollUntilMs ? "poll" : "live";
}

/** The state after a live connection that lasted `livedMs` (0 when it never opened). */
export function afterConnection(state: LinkState, livedMs: number, nowMs: number, policy: ReconnectPolicy): LinkState {
  const failures = livedMs >= policy.goodAfterMs ? 1 : state.failures + 1;
  return { failures, pollUntilMs: failures >= policy.failuresBeforePolling ? nowMs + policy.pollingMs : null };
}

/** Delay before the next connection, in ms; 0 when the watcher polls instead. `jitter` in [0, 1). */
export function reconnectDelayMs(state: LinkState, policy: ReconnectPolicy, jitter: number): number {
  if (state.pollUntilMs !== null) return 0;
  return jitteredDelayMs(Math.max(1, state.failures), policy.baseDelayMs, policy.maxDelayMs, jitter);
}
