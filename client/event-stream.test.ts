import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { settingsOf } from "./client-options.ts";
import { readStream } from "./event-stream.ts";

const TEXT = new TextEncoder();

/** A stream whose bytes the test sends, as `fetch` reads it: an abort of the request breaks it. */
function streamed() {
  let body: ReadableStreamDefaultController<Uint8Array> | undefined;
  const fetch = async (_url: string, init?: RequestInit) => {
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        body = controller;
        init?.signal?.addEventListener("abort", () => controller.error(init.signal?.reason));
      },
    });
    return new Response(stream, { headers: { "content-type": "text/event-stream" } });
  };
  const settings = settingsOf({ baseUrl: "http://localhost", fetch });
  return { settings, sends: (text: string) => body?.enqueue(TEXT.encode(text)) };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("readStream", () => {
  it("keeps a stream while the caller takes longer for a message than the server may be silent", async () => {
    const { settings, sends } = streamed();
    const texts = readStream("/api/events", settings, undefined);
    const first = texts.next();
    await vi.advanceTimersByTimeAsync(0);
    sends("data: one\n\ndata: two\n\n");
    expect(await first).toEqual({ done: false, value: "one" });
    expect(vi.getTimerCount()).toBe(0);
    await vi.advanceTimersByTimeAsync(10 * settings.timing.streamSilenceMs);
    expect(await texts.next()).toEqual({ done: false, value: "two" });
    await vi.advanceTimersByTimeAsync(10 * settings.timing.streamSilenceMs);
    const third = texts.next();
    await vi.advanceTimersByTimeAsync(settings.timing.streamSilenceMs - 1);
    sends("data: three\n\n");
    expect(await third).toEqual({ done: false, value: "three" });
    await texts.return();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("gives up a stream that stays silent while the caller waits", async () => {
    const { settings, sends } = streamed();
    const texts = readStream("/api/events", settings, undefined);
    const first = texts.next();
    await vi.advanceTimersByTimeAsync(0);
    sends("data: one\n\n");
    await first;
    const second = texts.next();
    await vi.advanceTimersByTimeAsync(settings.timing.streamSilenceMs);
    expect(await second).toEqual({ done: true, value: undefined });
    expect(vi.getTimerCount()).toBe(0);
  });
});
