import { PING, PONG } from "../../schemas/event.ts";
import { type FramePart, frameText, sseText, textsOf } from "./frame-part.ts";

/** More sockets than this on one job are refused with 429. The platform's own bound is 32 768. */
const MAX_SOCKETS = 5_000;
/** A stream holds the object in memory, unlike a socket. */
const MAX_STREAMS = 200;
/** Frames a stream may have unread before it is cut off; its reader resumes by `Last-Event-ID`. */
const MAX_UNREAD = 256;
const HEARTBEAT_MS = 15_000;
/** A stream ends after this long, well within the platform's bound; its reader resumes. */
const STREAM_LIFE_MS = 10 * 60_000;

interface Stream {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  readonly origin: string;
  readonly endsAtMs: number;
  after: number | null;
}

/** All that an eviction leaves of a socket. */
interface Attachment {
  readonly origin: string;
  readonly after: number | null;
}

/** One who watches, by socket or stream. */
export interface Watcher {
  readonly origin: string;
  /** The last event it was told of, while it catches up; null once it has all and hears events as they happen. */
  readonly after: number | null;
  /** Whether it takes so many frames now; a slow reader's pipe fills up. */
  hasRoom(frames: number): boolean;
  /** Sends frames, which bring it to `after`. With `done` it is told to leave. */
  send(parts: readonly FramePart[], after: number | null, done: boolean): void;
}

const encoder = new TextEncoder();

/** Everyone who watches this job: hibernating sockets, SSE streams, and requests that wait. */
export class JobWatchers {
  readonly #state: DurableObjectState;
  readonly #streams = new Set<Stream>();
  readonly #waiters = new Set<() => void>();
  #heartbeat: ReturnType<typeof setInterval> | null = null;

  constructor(state: DurableObjectState) {
    this.#state = state;
    state.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
  }

  get watched(): boolean {
    return this.#waiters.size > 0 || this.#streams.size > 0 || this.#state.getWebSockets().length > 0;
  }

  get full(): { readonly sockets: boolean; readonly streams: boolean } {
    return {
      sockets: this.#state.getWebSockets().length >= MAX_SOCKETS,
      streams: this.#streams.size >= MAX_STREAMS,
    };
  }

  /** Lets a socket in with its first frames, which bring it to `after`; closes it at once when it is `done`. */
  acceptSocket(origin: string, frames: readonly FramePart[], after: number | null, done: boolean): Response {
    const [client, server] = Object.values(new WebSocketPair());
    if (client === undefined || server === undefined) throw new Error("a WebSocketPair has two ends");
    this.#state.acceptWebSocket(server);
    server.serializeAttachment({ origin, after } satisfies Attachment);
    for (const part of frames) server.send(frameText(part, origin));
    if (done) server.close(1000, "the job is done");
    return new Response(null, { status: 101, webSocket: client });
  }

  /** An SSE stream with its first frames, which bring it to `after`; ended at once when it is `done`. */
  openStream(
    origin: string,
    frames: readonly FramePart[],
    after: number | null,
    done: boolean,
    nowMs: number,
  ): Response {
    let stream: Stream | null = null;
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          stream = { controller, origin, after, endsAtMs: nowMs + STREAM_LIFE_MS };
          controller.enqueue(encoder.encode("retry: 2000\n\n"));
          for (const part of frames) controller.enqueue(sseText(part.seq, frameText(part, origin)));
          if (done) controller.close();
          else this.#addStream(stream);
        },
        cancel: () => {
          if (stream !== null) this.#dropStream(stream);
        },
      },
      { highWaterMark: MAX_UNREAD },
    );
    return new Response(body, {
      headers: { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store" },
    });
  }

  /**
   * Tells every watcher but those who catch up; a text is made once for each origin. With `done` sockets and streams end.
   * Answers whether anyone is behind.
   */
  tell(parts: readonly FramePart[], done: boolean): boolean {
    let someoneIsBehind = false;
    const texts = new Map<string, string[]>();
    const textsFor = (origin: string): string[] => {
      const known = texts.get(origin);
      if (known !== undefined) return known;
      const made = textsOf(parts, origin);
      texts.set(origin, made);
      return made;
    };
    for (const socket of this.#state.getWebSockets()) {
      if (socket.readyState !== WebSocket.OPEN) continue;
      const { origin, after } = attachmentOf(socket);
      if (after === null) sendTo(socket, textsFor(origin), done);
      else someoneIsBehind = true;
    }
    for (const stream of [...this.#streams]) {
      if (stream.after === null) this.#tellStream(stream, parts, textsFor(stream.origin), done);
      else someoneIsBehind = true;
    }
    this.wake();
    return someoneIsBehind;
  }

  /** Those who catch up. */
  behind(): Watcher[] {
    const sockets = this.#state
      .getWebSockets()
      .filter((socket) => socket.readyState === WebSocket.OPEN && attachmentOf(socket).after !== null)
      .map(socketWatcher);
    const streams = [...this.#streams].filter(({ after }) => after !== null);
    return [...sockets, ...streams.map((stream) => this.#streamWatcher(stream))];
  }

  #streamWatcher(stream: Stream): Watcher {
    const { origin, after, controller } = stream;
    return {
      origin,
      after,
      hasRoom: (frames) => (controller.desiredSize ?? 0) >= frames,
      send: (parts, reached, done) => {
        stream.after = reached;
        this.#tellStream(stream, parts, textsOf(parts, origin), done);
      },
    };
  }

  #tellStream(stream: Stream, parts: readonly FramePart[], texts: readonly string[], done: boolean): void {
    const unread = (stream.controller.desiredSize ?? 0) < parts.length;
    for (const [index, part] of parts.entries()) {
      const text = texts[index];
      if (!unread && text !== undefined) stream.controller.enqueue(sseText(part.seq, text));
    }
    if (done || unread) this.#endStream(stream);
  }

  /** Resolves when something changed, or after `timeoutMs`. */
  changed(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        this.#waiters.delete(finish);
        resolve();
      };
      const timer = setTimeout(finish, timeoutMs);
      this.#waiters.add(finish);
    });
  }

  wake(): void {
    for (const waiter of [...this.#waiters]) waiter();
  }

  /** The job is gone: whoever watches is told to leave. */
  dismiss(reason: string): void {
    for (const socket of this.#state.getWebSockets()) {
      if (socket.readyState === WebSocket.OPEN) socket.close(4410, reason);
    }
    for (const stream of [...this.#streams]) this.#endStream(stream);
    this.wake();
  }

  #addStream(stream: Stream): void {
    this.#streams.add(stream);
    this.#heartbeat ??= setInterval(() => this.#beat(), HEARTBEAT_MS);
  }

  #beat(): void {
    const nowMs = Date.now();
    for (const stream of [...this.#streams]) {
      const stuck = (stream.controller.desiredSize ?? 0) <= 0;
      if (stuck || nowMs >= stream.endsAtMs) this.#endStream(stream);
      else stream.controller.enqueue(encoder.encode(": still here\n\n"));
    }
  }

  #endStream(stream: Stream): void {
    try {
      stream.controller.close();
    } catch {
      // Closed by its reader already.
    }
    this.#dropStream(stream);
  }

  #dropStream(stream: Stream): void {
    this.#streams.delete(stream);
    if (this.#streams.size === 0 && this.#heartbeat !== null) {
      clearInterval(this.#heartbeat);
      this.#heartbeat = null;
    }
  }
}

function attachmentOf(socket: WebSocket): Attachment {
  // Written by `acceptSocket` and `socketWatcher` alone.
  return socket.deserializeAttachment() as Attachment;
}

/** Sends texts, and with `done` the close. */
function sendTo(socket: WebSocket, texts: readonly string[], done: boolean): void {
  try {
    for (const text of texts) socket.send(text);
    if (done) socket.close(1000, "the job is done");
  } catch {
    // A socket that broke between the check and the send: its client resumes by seq.
  }
}

/** A socket takes what it is sent; how much its client has read is not known. */
function socketWatcher(socket: WebSocket): Watcher {
  const { origin, after } = attachmentOf(socket);
  return {
    origin,
    after,
    hasRoom: () => true,
    send: (parts, reached, done) => {
      // Before it is sent: one that breaks is not told again and again.
      socket.serializeAttachment({ origin, after: reached } satisfies Attachment);
      sendTo(socket, textsOf(parts, origin), done);
    },
  };
}
