import type { FeedFrame } from "../../schemas/event.ts";
import type { FeedWatcher } from "./feed-watcher.ts";

/** A stream keeps the object in memory, so fewer of them than of sockets, and none for ever: who is cut off resumes. */
const MAX_STREAMS = 100;
const STREAM_MAX_MS = 10 * 60_000;

/** The comment that keeps proxies from closing a silent stream (WHATWG HTML, 9.2.7, advises about 15 s). */
const HEARTBEAT_MS = 15_000;

/** What a reader may be behind, in bytes; beyond it the stream ends, and the reader resumes from its cursor. */
const MAX_BACKLOG_BYTES = 1_048_576;

/** How soon a reader should come back, in ms. */
const RETRY_MS = 1_000;

/** The feed's event streams, in memory: they end with it, and their readers resume. */
export class FeedStreams {
  readonly #open = new Set<FeedStream>();

  get count(): number {
    return this.#open.size;
  }

  /** Opens a stream; `null` when there are too many. */
  open(origin: string, cursor: number | null): { readonly response: Response; readonly watcher: FeedWatcher } | null {
    if (this.#open.size >= MAX_STREAMS) return null;
    const stream = new FeedStream(origin, cursor, () => this.#open.delete(stream));
    this.#open.add(stream);
    const headers = { "Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store" };
    return { response: new Response(stream.readable, { headers }), watcher: stream };
  }

  watchers(): FeedWatcher[] {
    return [...this.#open];
  }
}

class FeedStream implements FeedWatcher {
  readonly origin: string;
  readonly readable: ReadableStream<Uint8Array>;
  cursor: number | null;
  readonly #onEnd: () => void;
  readonly #encoder = new TextEncoder();
  readonly #heartbeat: ReturnType<typeof setInterval>;
  readonly #cap: ReturnType<typeof setTimeout>;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;

  constructor(origin: string, cursor: number | null, onEnd: () => void) {
    this.origin = origin;
    this.cursor = cursor;
    this.#onEnd = onEnd;
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        cancel: () => this.#end(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: MAX_BACKLOG_BYTES }),
    );
    this.#heartbeat = setInterval(() => this.#write(":\n\n"), HEARTBEAT_MS);
    this.#cap = setTimeout(() => this.#end(), STREAM_MAX_MS);
    this.#write(`retry: ${RETRY_MS}\n\n`);
  }

  caughtUpTo(cursor: number | null): void {
    this.cursor = cursor;
  }

  hasRoom(): boolean {
    return (this.#controller?.desiredSize ?? 0) > MAX_BACKLOG_BYTES / 2;
  }

  send(frame: FeedFrame, json: string): boolean {
    return this.#write(`event: ${frame.type}\nid: ${frame.cursor}\ndata: ${json}\n\n`);
  }

  #write(text: string): boolean {
    const controller = this.#controller;
    if (controller === null) return false;
    if ((controller.desiredSize ?? 0) <= 0) {
      this.#end();
      return false;
    }
    controller.enqueue(this.#encoder.encode(text));
    return true;
  }

  #end(): void {
    const controller = this.#controller;
    if (controller === null) return;
    this.#controller = null;
    clearInterval(this.#heartbeat);
    clearTimeout(this.#cap);
    this.#onEnd();
    try {
      controller.close();
    } catch {
      // Canceled by its reader.
    }
  }
}
