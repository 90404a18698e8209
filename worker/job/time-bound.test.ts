import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { withinMs } from "./time-bound.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Work that ends only when its signal does. */
const hanging = (signal: AbortSignal) =>
  new Promise<string>((resolve) => signal.addEventListener("abort", () => resolve("ended"), { once: true }));

describe("withinMs", () => {
  it("ends what hangs when its time is over, and not before", async () => {
    let ended = false;
    const work = withinMs(120_000, hanging).then((how) => {
      ended = true;
      return how;
    });
    await vi.advanceTimersByTimeAsync(119_999);
    expect(ended).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await work).toBe("ended");
  });

  it("ends it at once with the other signal", async () => {
    const stop = new AbortController();
    const work = withinMs(120_000, hanging, stop.signal);
    stop.abort();
    expect(await work).toBe("ended");
  });

  it("leaves no timer behind, whether the work succeeded or failed", async () => {
    expect(await withinMs(120_000, async () => "done")).toBe("done");
    await expect(withinMs(120_000, () => Promise.reject(new Error("failed")))).rejects.toThrow("failed");
    expect(vi.getTimerCount()).toBe(0);
  });
});
