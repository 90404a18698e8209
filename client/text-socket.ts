import { PING, PONG } from "../schemas/event.ts";
import type { ClientTiming } from "./client-options.ts";
import { TextChannel } from "./text-channel.ts";

/** The part of a WebSocket that the client uses; browsers, Workers, Node and `ws` all have it. */
export interface SocketLike {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "open" | "error", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(type: "close", listener: (event: { readonly code: number }) => void): void;
}
/** What `new` is called on with an address. */
export type SocketConstructor = new (url: string) => SocketLike;

/** How a connection ended. `code` 1000: the server has said everything. */
export interface SocketEnd {
  readonly opened: boolean;
  readonly code: number;
}

/** Never sent over the wire by anyone: stands for a connection that this side gave up (RFC 6455, 7.1.5). */
const NO_CLOSE_CODE = 1006;

/** Above any honest backlog; a reader that slow reconnects and resumes from where it is. */
const MAX_BACKLOG = 10_000;

/**
 * One socket, as the texts that it brings; pongs are kept back. Returns how it ended and never throws for the network; throws
 * the signal's reason on abort. Pings when nothing came for a while, and gives up a socket that stays silent. Closes the
 * socket when the reader stops.
 */
export async function* readSocket(
  url: string,
  Socket: SocketConstructor,
  timing: ClientTiming,
  signal: AbortSignal | undefined,
  onOpen: () => void,
): AsyncGenerator<string, SocketEnd, void> {
  signal?.throwIfAborted();
  const channel = new TextChannel<SocketEnd>();
  let opened = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const giveUp = () => channel.end({ opened, code: NO_CLOSE_CODE });
  const within = (delayMs: number, then: () => void) => {
    clearTimeout(timer);
    timer = setTimeout(then, delayMs);
  };

  const socket = openSocket(url, Socket);
  if (socket === null) return { opened: false, code: NO_CLOSE_CODE };
  const heard = () => {
    within(timing.pingAfterMs, () => {
      socket.send(PING);
      within(timing.pongTimeoutMs, giveUp);
    });
  };
  within(timing.connectTimeoutMs, giveUp);
  socket.addEventListener("open", () => {
    opened = true;
    heard();
    onOpen();
  });
  socket.addEventListener("message", ({ data }) => {
    heard();
    if (typeof data !== "string" || data === PONG) return;
    channel.push(data);
    if (channel.backlog > MAX_BACKLOG) giveUp();
  });
  socket.addEventListener("close", ({ code }) => channel.end({ opened, code }));
  socket.addEventListener("error", giveUp);
  signal?.addEventListener("abort", giveUp, { once: true });

  try {
    for (;;) {
      const item = await channel.next();
      signal?.throwIfAborted();
      if ("end" in item) return item.end;
      yield item.text;
    }
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", giveUp);
    try {
      socket.close(1000);
    } catch {
      // A socket that never opened may refuse to be closed; it is of no use either way.
    }
  }
}

/** A page on https may not open `ws:` and is told so by a throw: to the watcher that is one more way of not connecting. */
function openSocket(url: string, Socket: SocketConstructor): SocketLike | null {
  try {
    return new Socket(url);
  } catch {
    return null;
  }
}
