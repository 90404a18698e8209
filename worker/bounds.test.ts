import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { OutOfTime, orAfter, within, withinSignal } from "./bounds.ts";

it("gives the answer of a call that settles in time", async () => {
  expect(await within(60_000, "the bucket", Promise.resolve(5))).toBe(5);
  await expect(within(60_000, "the bucket", Promise.reject(new Error("broken")))).rejects.toThrow("broken");
});

it("throws when a call never settles, and names the call", async () => {
  const failed = await within(1, "the bucket", new Promise(() => undefined)).catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(OutOfTime);
  expect(String(failed)).toContain("the bucket has not answered within 1 ms");
});

it("drops what a call does after its bound, a failure too", async () => {
  const call = Promise.withResolvers<number>();
  await expect(within(1, "the bucket", call.promise)).rejects.toBeInstanceOf(OutOfTime);
  // An unhandled rejection would fail this run.
  call.reject(new Error("too late"));
  await expect(call.promise).rejects.toThrow("too late");
});

/** Work that ends only when its signal does. */
const hanging = (signal: AbortSignal) =>
  new Promise<string>((resolve) => signal.addEventListener("abort", () => resolve("ended"), { once: true }));

/** Work that never ends. */
const deaf = () => new Promise<string>(() => undefined);

describe("withinSignal", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("ends hanging work when its time is over, and not before", async () => {
    let ended = false;
    const work = withinSignal(120_000, "a call", hanging).then((how) => {
      ended = true;
      return how;
    });
    await vi.advanceTimersByTimeAsync(119_999);
    expect(ended).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await work).toBe("ended");
    expect(vi.getTimerCount()).toBe(0);
  });

  it("ends hanging work at once with the other signal, also with one that ended before", async () => {
    const stop = new AbortController();
    const work = withinSignal(120_000, "a call", hanging, stop.signal);
    stop.abort();
    expect(await work).toBe("ended");
    const late = withinSignal(120_000, "a call", async (signal) => signal.aborted, stop.signal);
    expect(await late).toBe(true);
  });

  it.each([
    ["its time is over", undefined, 121_000],
    ["it was stopped", AbortSignal.abort(), 1_000],
  ])("abandons work that ignores its signal, a second after %s", async (_when, stop, afterMs) => {
    let failure: unknown = null;
    const work = withinSignal(120_000, "the copy", deaf, stop).catch((error: unknown) => {
      failure = error;
    });
    await vi.advanceTimersByTimeAsync(afterMs - 1);
    expect(failure).toBeNull();
    await vi.advanceTimersByTimeAsync(1);
    await work;
    expect(failure).toMatchObject({ name: "OutOfTime", message: "the copy has not answered within 120000 ms" });
    expect(vi.getTimerCount()).toBe(0);
  });

  it("leaves no timer behind, whether the work succeeded or failed", async () => {
    expect(await withinSignal(120_000, "a call", async () => "done")).toBe("done");
    const failing = withinSignal(120_000, "a call", () => Promise.reject(new Error("failed")));
    await expect(failing).rejects.toThrow("failed");
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("orAfter", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("resolves as the work does, or with the fallback when the work takes longer", async () => {
    expect(await orAfter(300, Promise.resolve("new"), "old")).toBe("new");
    const late = orAfter(300, deaf(), "old");
    await vi.advanceTimersByTimeAsync(300);
    expect(await late).toBe("old");
    expect(vi.getTimerCount()).toBe(0);
  });
});
