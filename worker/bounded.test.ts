import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { bounded, orAfter } from "./bounded.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Work that ends only when its signal does. */
const hanging = (signal: AbortSignal) =>
  new Promise<string>((resolve) => signal.addEventListener("abort", () => resolve("ended"), { once: true }));

/** Work that never ends. */
const deaf = () => new Promise<string>(() => undefined);

describe("bounded", () => {
  it("ends what hangs when its time is over, and not before", async () => {
    let ended = false;
    const work = bounded("a call", 120_000, hanging).then((how) => {
      ended = true;
      return how;
    });
    await vi.advanceTimersByTimeAsync(119_999);
    expect(ended).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await work).toBe("ended");
    expect(vi.getTimerCount()).toBe(0);
  });

  it("ends it at once with the other signal, also one that ended before", async () => {
    const stop = new AbortController();
    const work = bounded("a call", 120_000, hanging, stop.signal);
    stop.abort();
    expect(await work).toBe("ended");
    const late = bounded("a call", 120_000, async (signal) => signal.aborted, stop.signal);
    expect(await late).toBe(true);
  });

  it.each([
    ["its time is over", undefined, 121_000],
    ["it was stopped", AbortSignal.abort(), 1_000],
  ])("abandons work that ignores its signal, a second after %s", async (_when, stop, afterMs) => {
    let failure: unknown = null;
    const work = bounded("the copy", 120_000, deaf, stop).catch((error: unknown) => {
      failure = error;
    });
    await vi.advanceTimersByTimeAsync(afterMs - 1);
    expect(failure).toBeNull();
    await vi.advanceTimersByTimeAsync(1);
    await work;
    expect(failure).toMatchObject({ name: "AbandonedError", message: "the copy did not end in time" });
    expect(vi.getTimerCount()).toBe(0);
  });

  it("leaves no timer behind, whether the work succeeded or failed", async () => {
    expect(await bounded("a call", 120_000, async () => "done")).toBe("done");
    const failing = bounded("a call", 120_000, () => Promise.reject(new Error("failed")));
    await expect(failing).rejects.toThrow("failed");
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("orAfter", () => {
  it("answers as the work does, or with the fallback when the work takes longer", async () => {
    expect(await orAfter(300, Promise.resolve("new"), "old")).toBe("new");
    const late = orAfter(300, deaf(), "old");
    await vi.advanceTimersByTimeAsync(300);
    expect(await late).toBe("old");
    expect(vi.getTimerCount()).toBe(0);
  });
});
