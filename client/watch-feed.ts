import { FeedFrame } from "../schemas/event.ts";
import { paths } from "../schemas/paths.ts";
import { callApi, parseFrame } from "./api-call.ts";
import type { Settings } from "./client-options.ts";
import { readStream } from "./event-stream.ts";
import { type FollowOptions, follow } from "./follow.ts";
import { readSocket } from "./text-socket.ts";

/** Which feed to watch, and where to start. */
export interface FeedOptions extends FollowOptions {
  /** The cursor of the last frame that the caller has. Each job that changed since comes first, once and in its current state. */
  readonly after?: number | undefined;
  /** With the operator's token: whose feed. */
  readonly client?: string | undefined;
}

/**
 * The live feed of all the client's jobs; ends only on abort or when the server refuses. To show a list without a gap, wait
 * for the first `ready` frame, then call `list`: changes in between come as frames, and of two states of a job the one with the
 * higher `seq` is newer. After a reconnection, missed changes come first, then another `ready`.
 */
export function watchFeed(settings: Settings, options: FeedOptions): AsyncGenerator<FeedFrame, void, void> {
  const feed = new FeedWatch(settings, options);
  // A socket cannot send a token; a stream over fetch can.
  const bySocket = settings.token === null && settings.WebSocket !== null;
  return follow(
    {
      live: (onLive) => feed.connect(bySocket ? "socket" : "stream", onLive),
      poll: (onAnswer) => feed.poll(onAnswer),
    },
    settings,
    options,
  );
}

const FRAME_TYPES = FeedFrame.options.map(({ shape }) => shape.type.value);

class FeedWatch {
  readonly #settings: Settings;
  readonly #signal: AbortSignal | undefined;
  readonly #client: string | undefined;
  #position: number | null;
  #lastFailed = false;

  constructor(settings: Settings, options: FeedOptions) {
    this.#settings = settings;
    this.#signal = options.signal;
    this.#client = options.client;
    this.#position = options.after ?? null;
  }

  async *connect(way: "socket" | "stream", onLive: () => void): AsyncGenerator<FeedFrame, "lost", void> {
    // A browser's socket does not show why it was refused; a plain call does, by throwing the problem.
    if (this.#lastFailed) await this.#checkAccess();
    this.#lastFailed = true;
    for await (const frame of this.#frames(way)) {
      if (frame.type === "ready") {
        this.#lastFailed = false;
        onLive();
      }
      yield frame;
    }
    return "lost";
  }

  /** Connects, and disconnects as soon as all missed changes have come. */
  async *poll(onAnswer: () => void): AsyncGenerator<FeedFrame, "later" | "lost", void> {
    await this.#checkAccess();
    for await (const frame of this.#frames("stream")) {
      onAnswer();
      yield frame;
      if (frame.type === "ready") return "later";
    }
    return "lost";
  }

  async *#frames(way: "socket" | "stream"): AsyncGenerator<FeedFrame, void, void> {
    const path = this.#path();
    const { WebSocket: Socket, timing, baseUrl } = this.#settings;
    const url = new URL(path, baseUrl);
    url.protocol = url.protocol === "http:" ? "ws:" : "wss:";
    const texts: AsyncGenerator<string, unknown, void> =
      way === "socket" && Socket !== null
        ? readSocket(url.href, Socket, timing, this.#signal, () => undefined)
        : readStream(path, this.#settings, this.#signal);
    const facts = { method: "GET", url: url.href, jobId: null, idempotencyKey: null };
    let lastCursor: number | null = null;
    for await (const text of texts) {
      const frame = parseFrame(text, FeedFrame, FRAME_TYPES, facts);
      // Within a connection cursors only rise. A new connection may start lower: a server whose state was wiped counts from the start.
      if (frame === null || (lastCursor !== null && frame.cursor < lastCursor)) continue;
      lastCursor = frame.cursor;
      this.#position = frame.cursor;
      yield frame;
    }
  }

  #path(): string {
    const query = new URLSearchParams();
    if (this.#position !== null) query.set("after", String(this.#position));
    if (this.#client !== undefined) query.set("client", this.#client);
    return query.size === 0 ? paths.feed : `${paths.feed}?${query}`;
  }

  /** Throws the problem if the caller may not have the feed. Otherwise the server answers 406: it has no feed as plain JSON. */
  async #checkAccess(): Promise<void> {
    await callApi(this.#settings, { method: "GET", path: this.#path(), takes: [406], signal: this.#signal });
  }
}
