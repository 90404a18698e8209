import { type JobFrame, PING, PONG } from "../../schemas/event.ts";
import type { Job } from "../../schemas/job.ts";

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
}

/** What makes a frame's text: the job with its links as the watcher's origin sees them. */
export type JobFor = (origin: string) => Job;

/** A frame before its text is made. */
export interface FramePart {
  readonly event: JobFrame["event"];
  readonly seq: number;
  job: JobFor;
}

const encoder = new TextEncoder();

const sseText = (seq: number, frame: string): Uint8Array =>
  encoder.encode(`event: job\nid: ${seq}\ndata: ${frame}\n\n`);

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

  /** Lets a socket in with its first frames; closes it at once when the job is done. */
  acceptSocket(origin: string, frames: readonly FramePart[], done: boolean): Response {
    const [client, server] = Object.values(new WebSocketPair());
    if (client === undefined || server === undefined) throw new Error("a WebSocketPair has two ends");
    this.#state.acceptWebSocket(server);
    server.serializeAttachment({ origin });
    for (const part of frames) server.send(frameText(part, origin));
    if (done) server.close(1000, "the job is done");
    return new Response(null, { status: 101, webSocket: client });
  }

  /** An SSE stream with its first frames; ended at once when the job is done. */
  openStream(origin: string, frames: readonly FramePart[], done: boolean, nowMs: number): Response {
    let stream: Stream | null = null;
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          stream = { controller, origin, endsAtMs: nowMs + STREAM_LIFE_MS };
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

  /** Tells every watcher; a text is made once for each origin. With `done` sockets and streams end. */
  tell(parts: readonly FramePart[], done: boolean): void {
    const texts = new Map<string, string[]>();
    const textsFor = (origin: string): string[] => {
      const known = texts.get(origin);
      if (known !== undefined) return known;
      const made = parts.map((part) => frameText(part, origin));
      texts.set(origin, made);
      return made;
    };
    for (const socket of this.#state.getWebSockets()) {
      if (socket.readyState !== WebSocket.OPEN) continue;
      try {
        for (const text of textsFor(originOf(socket))) socket.send(text);
        if (done) socket.close(1000, "the job is done");
      } catch {
        // A socket that broke between the check and the send: its client resumes by seq.
      }
    }
    for (const stream of [...this.#streams]) this.#tellStream(stream, parts, textsFor(stream.origin), done);
    this.wake();
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

function frameText(part: FramePart, origin: string): string {
  const frame: JobFrame = { type: "job", seq: part.seq, event: part.event, job: part.job(origin) };
  return JSON.stringify(frame);
}

function originOf(socket: WebSocket): string {
  // Written by `acceptSocket` alone.
  return (socket.deserializeAttachment() as { origin: string }).origin;
}
