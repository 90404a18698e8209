import { FeedFrame } from "../schemas/event.ts";
import { paths } from "../schemas/paths.ts";
import { callApi } from "./api-call.ts";
import type { Settings } from "./client-options.ts";
import { readStream } from "./event-stream.ts";
import { judgeFeedFrame } from "./feed-position.ts";
import { type FollowOptions, follow } from "./follow.ts";
import { parseFrame } from "./parse-frame.ts";
import { readSocket } from "./text-socket.ts";

/** Which feed, from where on. */
export interface FeedOptions extends FollowOptions {
  /** The cursor of the last frame already known: every job that changed since is told first, once, as it is now. */
  readonly after?: number | undefined;
  /** An operator's choice among the clients. */
  readonly client?: string | undefined;
}

/**
 * The live feed of all the client's jobs; ends only by the signal or a refusal. To show a list without a gap, wait for the
 * first `ready` frame, then `list`: whatever changes in between comes as a frame, and the higher `seq` of a job wins. A
 * `ready` comes again after each reconnection, when all that was missed has been told.
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
    // A browser's socket does not tell why it was refused; a plain call does, by throwing the problem.
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

  /** One connection that is left as soon as it has caught up. */
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
    let connectionCursor: number | null = null;
    for await (const text of texts) {
      const frame = parseFrame(text, FeedFrame, FRAME_TYPES, facts);
      if (frame === null) continue;
      const step = judgeFeedFrame(connectionCursor, frame);
      if (step === null) continue;
      connectionCursor = step.cursor;
      this.#position = step.cursor;
      yield frame;
    }
  }

  #path(): string {
    const query = new URLSearchParams();
    if (this.#position !== null) query.set("after", String(this.#position));
    if (this.#client !== undefined) query.set("client", this.#client);
    return query.size === 0 ? paths.feed : `${paths.feed}?${query}`;
  }

  /** Asked for JSON, the feed refuses whoever may not have it, and answers everyone else that it comes in no such form. */
  async #checkAccess(): Promise<void> {
    await callApi(this.#settings, { method: "GET", path: this.#path(), takes: [406], signal: this.#signal });
  }
}
