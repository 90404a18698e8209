import { type FeedFrame, PING, PONG } from "../../schemas/event.ts";
import type { FeedWatcher } from "./feed-watcher.ts";

/** More watchers of one client than any use of it needs; each costs a send per change. */
const MAX_SOCKETS = 1_000;

/** A watcher has nothing to say but `ping`; what is longer than this did not come from a mistaken keep-alive. */
const MAX_MESSAGE_CHARS = 1_024;

/** All that an eviction leaves of a watcher (at most 16,384 bytes). */
interface Attachment {
  readonly origin: string;
  readonly cursor: number | null;
}

/** The feed's hibernating sockets. Pings are answered by the runtime; anything else a client sends closes its socket. */
export class FeedSockets {
  readonly #ctx: DurableObjectState;

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx;
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
  }

  get count(): number {
    return this.#ctx.getWebSockets().length;
  }

  /** Takes a socket in; `null` when there are too many. */
  accept(origin: string, cursor: number | null): { readonly response: Response; readonly watcher: FeedWatcher } | null {
    if (this.count >= MAX_SOCKETS) return null;
    const { 0: client, 1: server } = new WebSocketPair();
    this.#ctx.acceptWebSocket(server);
    server.serializeAttachment({ origin, cursor } satisfies Attachment);
    return { response: new Response(null, { status: 101, webSocket: client }), watcher: watcherOf(server) };
  }

  watchers(): FeedWatcher[] {
    return this.#ctx.getWebSockets().filter(isOpen).map(watcherOf);
  }

  /** What a client sent; the first wrong message ends its connection, so a flood costs no more than one. */
  receive(socket: WebSocket, message: string | ArrayBuffer): void {
    if (typeof message !== "string") socket.close(1003, "this stream takes text only, and of that only ping");
    else if (message.length > MAX_MESSAGE_CHARS) socket.close(1009, "this stream takes only ping");
    else if (message === PING) socket.send(PONG);
    else socket.close(1008, "this stream takes only ping");
  }

  /** Answers a close; locally a hibernating socket hangs without it. */
  closed(socket: WebSocket, code: number): void {
    // 1005, 1006 and 1015 stand for the lack of a close frame and must not be sent (RFC 6455, 7.4.1).
    const sendable = code === 1000 || (code >= 1001 && code <= 4999 && ![1004, 1005, 1006, 1015].includes(code));
    closeQuietly(socket, sendable ? code : 1000);
  }
}

function closeQuietly(socket: WebSocket, code: number): void {
  try {
    socket.close(code);
  } catch {
    // Closed already.
  }
}

function isOpen(socket: WebSocket): boolean {
  return socket.readyState === WebSocket.OPEN;
}

function watcherOf(socket: WebSocket): FeedWatcher {
  // Written by `accept` and `caughtUpTo` alone.
  let attachment = socket.deserializeAttachment() as Attachment;
  return {
    origin: attachment.origin,
    get cursor() {
      return attachment.cursor;
    },
    caughtUpTo(cursor) {
      attachment = { ...attachment, cursor };
      socket.serializeAttachment(attachment);
    },
    hasRoom: () => true,
    send(_frame: FeedFrame, json: string) {
      try {
        socket.send(json);
        return true;
      } catch {
        closeQuietly(socket, 1011);
        return false;
      }
    },
  };
}
