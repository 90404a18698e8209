import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { settingsOf } from "./client-options.ts";
import { readSocket } from "./text-socket.ts";

/** A socket as Workers have it: it throws when something is sent after its close. Its events are sent by the test. */
class WorkersSocket extends EventTarget {
  static readonly made: WorkersSocket[] = [];
  readonly sent: string[] = [];
  isClosed = false;

  constructor() {
    super();
    WorkersSocket.made.push(this);
  }

  send(text: string): void {
    if (this.isClosed) throw new TypeError("Can't call WebSocket send() after close().");
    this.sent.push(text);
  }

  close(): void {
    this.isClosed = true;
  }

  opens(): void {
    this.dispatchEvent(new Event("open"));
  }

  brings(data: string): void {
    this.dispatchEvent(new MessageEvent("message", { data }));
  }

  ends(code: number): void {
    this.isClosed = true;
    this.dispatchEvent(Object.assign(new Event("close"), { code }));
  }
}

const { timing } = settingsOf({ baseUrl: "http://localhost" });
const MINUTE = 60_000;

/** A connection that has brought one text, whose reader has taken it. */
async function connected(signal?: AbortSignal) {
  const onOpen = vi.fn();
  const texts = readSocket("ws://localhost", WorkersSocket as never, timing, signal, onOpen);
  const first = texts.next();
  const socket = WorkersSocket.made.at(-1);
  if (socket === undefined) throw new Error("no socket was made");
  socket.opens();
  socket.brings("one");
  expect(await first).toEqual({ done: false, value: "one" });
  return { texts, socket, onOpen };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("readSocket", () => {
  it("sends nothing and leaves no timer after the socket closed, while the reader still handles a text", async () => {
    const { texts, socket } = await connected();
    socket.brings("two");
    socket.ends(1012);
    expect(vi.getTimerCount()).toBe(0);
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(await texts.next()).toEqual({ done: false, value: "two" });
    expect(await texts.next()).toEqual({ done: true, value: { opened: true, code: 1012 } });
    expect(socket.sent).toEqual([]);
  });

  it.each<[string, (socket: WorkersSocket) => void]>([
    ["a message", (socket) => socket.brings("late")],
    ["an opening", (socket) => socket.opens()],
    ["a close", (socket) => socket.ends(1000)],
  ])("ignores %s after the reader stopped, and leaves no timer", async (_what, happens) => {
    const { texts, socket, onOpen } = await connected();
    await texts.return({ opened: true, code: 1000 });
    expect(socket.isClosed).toBe(true);
    happens(socket);
    expect(vi.getTimerCount()).toBe(0);
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(socket.sent).toEqual([]);
    expect(onOpen).toHaveBeenCalledTimes(1);
  });

  it("closes at once on abort, and ignores what comes after it", async () => {
    const stop = new AbortController();
    const { texts, socket } = await connected(stop.signal);
    stop.abort(new Error("enough"));
    socket.brings("late");
    expect(socket.isClosed).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
    await expect(texts.next()).rejects.toThrow("enough");
  });

  it("closes a socket that stays silent, also while the reader handles a text", async () => {
    const { texts, socket } = await connected();
    await vi.advanceTimersByTimeAsync(timing.pingAfterMs + timing.pongTimeoutMs);
    expect(socket.sent).toEqual(["ping"]);
    expect(socket.isClosed).toBe(true);
    expect(await texts.next()).toEqual({ done: true, value: { opened: true, code: 1006 } });
  });

  it("gives up a socket that takes no ping, before its close was reported", async () => {
    const { texts, socket } = await connected();
    socket.isClosed = true;
    await vi.advanceTimersByTimeAsync(timing.pingAfterMs);
    expect(await texts.next()).toEqual({ done: true, value: { opened: true, code: 1006 } });
    expect(vi.getTimerCount()).toBe(0);
  });
});
