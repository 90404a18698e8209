import type { Settings } from "./client-options.ts";
import { isPassing } from "./errors.ts";
import { pause } from "./pause.ts";
import { afterConnection, FRESH_LINK, lastTry, reconnectDelayMs, wayNow } from "./reconnect-policy.ts";

/**
 * How a watcher hears of changes now. `connecting`: not yet. `live`: as they happen. `reconnecting`: not at the moment, and
 * nothing will be missed. `polling`: late by seconds, because live connections fail. `closed`: no more.
 */
export type ConnectionState = "connecting" | "live" | "reconnecting" | "polling" | "closed";

/** Two ways to the same frames; both go on from where the last one stopped. */
export interface FrameSource<Frame> {
  /** One connection. `finished`: nothing follows. Null where there is no live way. */
  readonly live: ((onLive: () => void) => AsyncGenerator<Frame, "finished" | "lost", void>) | null;
  /** One round. `again`: the server held it, so it may be asked again at once. `later`: it may not. `onAnswer`: it got through. */
  readonly poll: (onAnswer: () => void) => AsyncGenerator<Frame, "finished" | "again" | "later" | "lost", void>;
}

/** What every watcher may give. */
export interface FollowOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called on each change of state, never twice in a row with the same. */
  readonly onState?: ((state: ConnectionState) => void) | undefined;
}

/**
 * Frames from a source for as long as it has any: reconnects with jitter, polls while live connections fail, and goes back.
 * Ends when the source is finished; throws the signal's reason on abort, and what no waiting mends (a refusal).
 */
export async function* follow<Frame>(
  source: FrameSource<Frame>,
  settings: Settings,
  options: FollowOptions,
): AsyncGenerator<Frame, void, void> {
  const { reconnect, pollEveryMs } = settings.timing;
  let told: ConnectionState | null = null;
  const tell = (state: ConnectionState) => {
    if (state === told) return;
    told = state;
    options.onState?.(state);
  };
  let link = FRESH_LINK;
  /** A poll got through since a live connection last lasted: so it is not the server that is away. */
  let isReachable = false;
  try {
    tell("connecting");
    for (;;) {
      options.signal?.throwIfAborted();
      if (source.live === null || wayNow(link, Date.now()) === "poll") {
        const wasReachable: boolean = isReachable || source.live === null;
        const round = yield* passing(source.poll(() => tell("polling")));
        if (round === "finished") return;
        isReachable = round !== "lost";
        // Only a live way that fails while polls get through is given up for a while.
        const isLiveNext = !wasReachable || !isReachable;
        if (isLiveNext) link = lastTry(reconnect);
        if (round === "lost") {
          tell("reconnecting");
          await pause(pollEveryMs * (1 + Math.random()), options.signal);
        } else if (round === "later" && !isLiveNext) {
          await pause(pollEveryMs * (0.75 + Math.random() / 2), options.signal);
        }
        continue;
      }
      let liveSinceMs: number | null = null;
      const outcome = yield* passing(
        source.live(() => {
          liveSinceMs = Date.now();
          tell("live");
        }),
      );
      if (outcome === "finished") return;
      const nowMs = Date.now();
      const livedMs = liveSinceMs === null ? 0 : nowMs - liveSinceMs;
      // A connection that opens and dies at once is a live way that fails, however often it opens.
      if (livedMs >= reconnect.goodAfterMs) isReachable = false;
      link = afterConnection(link, livedMs, nowMs, reconnect);
      if (link.pollUntilMs === null || told !== "polling") tell("reconnecting");
      await pause(reconnectDelayMs(link, reconnect, Math.random()), options.signal);
    }
  } finally {
    tell("closed");
  }
}

/** A round whose failure may pass ends as `lost`; any other throws. */
async function* passing<Frame, End>(
  round: AsyncGenerator<Frame, End, void>,
): AsyncGenerator<Frame, End | "lost", void> {
  try {
    return yield* round;
  } catch (error) {
    if (isPassing(error)) return "lost";
    throw error;
  }
}
