import { PING, PONG } from "../schemas/event.ts";
import type { ClientTiming } from "./client-options.ts";

/** The part of a WebSocket that the client uses. Browsers, Workers, Node and the package `ws` all have it. */
export interface SocketLike {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "open" | "error", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(type: "close", listener: (event: { readonly code: number }) => void): void;
}
/** A WebSocket class. */
export type SocketConstructor = new (url: string) => SocketLike;

/** How a connection ended. `code` 1000: the server has sent everything. */
export interface SocketEnd {
  readonly opened: boolean;
  readonly code: number;
}

/** The close code of a complete stream. */
export const COMPLETE = 1000;
/** Never sent on the wire (RFC 6455, 7.1.5): marks a connection that this side gave up. */
const NO_CLOSE_CODE = 1006;

/** A reader that falls further behind is disconnected, and resumes from its last frame. */
const MAX_BACKLOG = 10_000;

/**
 * Yields the texts of one socket, without pongs. Returns how it ended; network failures do not throw, and an abort throws the
 * signal's reason. Pings a silent socket, and gives it up when it stays silent. Closes the socket when the reader stops.
 */
export async function* readSocket(
  url: string,
  Socket: SocketConstructor,
  timing: ClientTiming,
  signal: AbortSignal | undefined,
  onOpen: () => void,
): AsyncGenerator<string, SocketEnd, void> {
  signal?.throwIfAborted();
  const socket = openSocket(url, Socket);
  if (socket === null) return { opened: false, code: NO_CLOSE_CODE };
  const channel = new TextChannel<SocketEnd>();
  let opened = false;
  let isOver = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** Ends the connection, once: no timer fires and no event counts after it. The reader still gets the texts before it. */
  const end = (code: number) => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    signal?.removeEventListener("abort", giveUp);
    channel.end({ opened, code });
    attempt(() => socket.close(COMPLETE));
  };
  const giveUp = () => end(NO_CLOSE_CODE);
  const within = (delayMs: number, then: () => void) => {
    clearTimeout(timer);
    timer = setTimeout(then, delayMs);
  };
  const restartPing = () => {
    within(timing.pingAfterMs, () => {
      if (attempt(() => socket.send(PING))) within(timing.pongTimeoutMs, giveUp);
      else giveUp();
    });
  };
  within(timing.connectTimeoutMs, giveUp);
  socket.addEventListener("open", () => {
    if (isOver) return;
    opened = true;
    restartPing();
    onOpen();
  });
  socket.addEventListener("message", ({ data }) => {
    if (isOver) return;
    restartPing();
    if (typeof data !== "string" || data === PONG) return;
    channel.push(data);
    if (channel.backlog > MAX_BACKLOG) giveUp();
  });
  socket.addEventListener("close", ({ code }) => end(code));
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
    end(COMPLETE);
  }
}

/** Whether a call of a socket succeeded: in Workers one that is closed, or never opened, throws. */
function attempt(call: () => void): boolean {
  try {
    call();
    return true;
  } catch {
    return false;
  }
}

/** The constructor throws when a page on https opens `ws:`. To the watcher that is a failed connection like any other. */
function openSocket(url: string, Socket: SocketConstructor): SocketLike | null {
  try {
    return new Socket(url);
  } catch {
    return null;
  }
}

/**
 * Passes texts from callbacks to an async reader, in order. After `end` the reader gets the texts pushed before it, then the
 * given value; only the first `end` counts.
 */
class TextChannel<End> {
  readonly #texts: string[] = [];
  #ended: { readonly value: End } | null = null;
  #wake: (() => void) | null = null;

  /** How many texts wait for the reader. */
  get backlog(): number {
    return this.#texts.length;
  }

  push(text: string): void {
    if (this.#ended !== null) return;
    this.#texts.push(text);
    this.#wake?.();
  }

  end(value: End): void {
    this.#ended ??= { value };
    this.#wake?.();
  }

  /** The next text, or the end. Call it again only after it resolved. */
  async next(): Promise<{ readonly text: string } | { readonly end: End }> {
    for (;;) {
      const text = this.#texts.shift();
      if (text !== undefined) return { text };
      if (this.#ended !== null) return { end: this.#ended.value };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
    }
  }
}
