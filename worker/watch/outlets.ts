import type { Audience } from "./watch-request.ts";

/** A message as a watcher gets it: over a socket `json` alone, over SSE with `type` and `id`. */
export interface Frame {
  readonly type: string;
  readonly id: number;
  readonly json: string;
}

/** One watcher's connection: a hibernating WebSocket, or an SSE stream. */
export interface Outlet {
  readonly audience: Audience;
  /** The number up to which the watcher is caught up; null once it has everything and gets changes as they happen. */
  cursor: number | null;
  /** False while a slow reader has more than half of its backlog unread. A socket always has room: what its client has read is unknown. */
  readonly hasRoom: boolean;
  /** False when the connection is closed, or is closed by this call because its backlog is full. */
  send(frame: Frame): boolean;
  /** A stream ends without a code; its reader resumes by `Last-Event-ID`. */
  close(code: number, reason: string): void;
}

/** All that an eviction leaves of a socket (the platform keeps at most 16 384 bytes). */
interface Attachment extends Audience {
  readonly cursor: number | null;
}

/** Accepts the socket so that the object may hibernate while it is open, and answers the upgrade. */
export function openSocket(
  ctx: DurableObjectState,
  { origin, linkEndsAtMs }: Audience,
  cursor: number | null,
): { readonly response: Response; readonly outlet: Outlet } {
  const { 0: client, 1: server } = new WebSocketPair();
  ctx.acceptWebSocket(server);
  server.serializeAttachment({ origin, linkEndsAtMs, cursor } satisfies Attachment);
  return { response: new Response(null, { status: 101, webSocket: client }), outlet: new SocketOutlet(server) };
}

/** The open sockets of the object, also those from before it hibernated. */
export function openSockets(ctx: DurableObjectState): Outlet[] {
  return ctx
    .getWebSockets()
    .filter(({ readyState }) => readyState === WebSocket.OPEN)
    .map((socket) => new SocketOutlet(socket));
}

/**
 * Answers the close of a socket; without it the client of a hibernating socket waits for its close. 1004, 1005, 1006 and
 * 1015 must not be sent (RFC 6455, 7.4.1).
 */
export function answerClose(socket: WebSocket, code: number): void {
  const sendable = code >= 1000 && code <= 4999 && ![1004, 1005, 1006, 1015].includes(code);
  closeQuietly(socket, sendable ? code : 1000, "");
}

function closeQuietly(socket: WebSocket, code: number, reason: string): void {
  try {
    socket.close(code, reason);
  } catch {
    // Closed from the other side meanwhile.
  }
}

class SocketOutlet implements Outlet {
  readonly hasRoom = true;
  readonly #socket: WebSocket;
  #attachment: Attachment;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    // Only `openSocket` and the setter below write it.
    this.#attachment = socket.deserializeAttachment() as Attachment;
  }

  get audience(): Audience {
    return this.#attachment;
  }

  get cursor(): number | null {
    return this.#attachment.cursor;
  }

  set cursor(cursor: number | null) {
    if (cursor === this.#attachment.cursor) return;
    this.#attachment = { ...this.#attachment, cursor };
    this.#socket.serializeAttachment(this.#attachment);
  }

  send({ json }: Frame): boolean {
    try {
      this.#socket.send(json);
      return true;
    } catch {
      // Broken between the check and the send: its client resumes by number.
      closeQuietly(this.#socket, 1011, "");
      return false;
    }
  }

  close(code: number, reason: string): void {
    closeQuietly(this.#socket, code, reason);
  }
}

/** What an SSE reader may leave unread, in bytes; beyond it the stream ends and the reader resumes. */
const MAX_BACKLOG_BYTES = 1_048_576;

/** A stream ends after this long, in ms, well within the 15 min that the platform holds an object for it; its reader resumes. */
const STREAM_LIFE_MS = 10 * 60_000;

/** A comment this often keeps proxies from closing a silent stream (WHATWG HTML, 9.2.7, advises about 15 s). */
const HEARTBEAT_MS = 15_000;

/** How soon a reader whose stream ended reconnects, in ms. */
const RETRY_MS = 2_000;

const encoder = new TextEncoder();

/** The SSE streams of one object. They are kept in memory and end with the object; their readers resume. */
export class StreamOutlets {
  readonly #open = new Set<StreamOutlet>();
  #heartbeat: ReturnType<typeof setInterval> | null = null;

  get all(): readonly Outlet[] {
    return [...this.#open];
  }

  open(audience: Audience, cursor: number | null): { readonly response: Response; readonly outlet: Outlet } {
    const outlet = new StreamOutlet(audience, cursor, Date.now() + STREAM_LIFE_MS, () => this.#drop(outlet));
    this.#open.add(outlet);
    this.#heartbeat ??= setInterval(() => this.#beat(), HEARTBEAT_MS);
    const headers = { "Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store" };
    return { response: new Response(outlet.readable, { headers }), outlet };
  }

  #beat(): void {
    const nowMs = Date.now();
    for (const outlet of this.#open) {
      if (nowMs >= outlet.endsAtMs) outlet.close();
      else outlet.write(": heartbeat\n\n");
    }
  }

  #drop(outlet: StreamOutlet): void {
    this.#open.delete(outlet);
    if (this.#open.size > 0 || this.#heartbeat === null) return;
    clearInterval(this.#heartbeat);
    this.#heartbeat = null;
  }
}

class StreamOutlet implements Outlet {
  readonly audience: Audience;
  readonly endsAtMs: number;
  readonly readable: ReadableStream<Uint8Array>;
  cursor: number | null;
  readonly #onClose: () => void;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;

  constructor(audience: Audience, cursor: number | null, endsAtMs: number, onClose: () => void) {
    this.audience = audience;
    this.cursor = cursor;
    this.endsAtMs = Math.min(endsAtMs, audience.linkEndsAtMs ?? endsAtMs);
    this.#onClose = onClose;
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        cancel: () => this.close(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: MAX_BACKLOG_BYTES }),
    );
    this.write(`retry: ${RETRY_MS}\n\n`);
  }

  get hasRoom(): boolean {
    return (this.#controller?.desiredSize ?? 0) > MAX_BACKLOG_BYTES / 2;
  }

  send({ type, id, json }: Frame): boolean {
    return this.write(`event: ${type}\nid: ${id}\ndata: ${json}\n\n`);
  }

  write(text: string): boolean {
    if (this.#controller === null) return false;
    if ((this.#controller.desiredSize ?? 0) <= 0) {
      this.close();
      return false;
    }
    this.#controller.enqueue(encoder.encode(text));
    return true;
  }

  close(): void {
    const controller = this.#controller;
    if (controller === null) return;
    this.#controller = null;
    this.#onClose();
    try {
      controller.close();
    } catch {
      // Canceled by its reader.
    }
  }
}
