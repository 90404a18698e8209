import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { UNANSWERED_MS } from "../state/submission-key.ts";

/** What this browser stores. */
let stored: Map<string, string>;
/** The idempotency key of each call. */
let keys: (string | null)[];

beforeEach(() => {
  vi.useFakeTimers();
  vi.resetModules();
  stored = new Map();
  keys = [];
  vi.stubGlobal("location", new URL("https://darkroom.example.com/"));
  vi.stubGlobal("addEventListener", () => undefined);
  vi.stubGlobal("window", globalThis);
  vi.stubGlobal("document", new EventTarget());
  vi.stubGlobal("localStorage", {
    getItem: (name: string) => stored.get(name) ?? null,
    setItem: (name: string, value: string) => stored.set(name, value),
    removeItem: (name: string) => stored.delete(name),
  });
  vi.stubGlobal("fetch", async (_: string, init: RequestInit) => {
    keys.push(new Headers(init.headers).get("idempotency-key"));
    throw new TypeError("the network is gone");
  });
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

/** A page that was just opened: each press sends the same draft, and the network fails. */
async function openPage() {
  vi.resetModules();
  const { submitOnce } = await import("./submissions.ts");
  return async () => {
    const press = submitOnce({
      workflow: "image-from-text",
      fields: { prompt: "a boat", n: 1 },
      images: [],
      client: null,
    });
    const outcome = press.then(
      () => "taken",
      () => "failed",
    );
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await outcome).toBe("failed");
  };
}

it("sends the key of a failed submission again in the same visit, however long after", async () => {
  const press = await openPage();
  await press();
  vi.setSystemTime(Date.now() + 3 * UNANSWERED_MS);
  await press();
  expect(new Set(keys).size).toBe(1);
  expect(keys.length).toBeGreaterThan(1);
});

it("sends the key of a failed submission again in the same visit where the browser stores nothing", async () => {
  vi.stubGlobal("localStorage", undefined);
  const press = await openPage();
  await press();
  await press();
  expect(new Set(keys).size).toBe(1);
});

it("sends the key again in a later visit within a day of the failure, although the call was made long before", async () => {
  const press = await openPage();
  const failing = press();
  // The machine sleeps while the call is under way.
  vi.setSystemTime(Date.now() + 2 * UNANSWERED_MS);
  await failing;
  await (await openPage())();
  expect(new Set(keys).size).toBe(1);
  vi.setSystemTime(Date.now() + 2 * UNANSWERED_MS);
  await (await openPage())();
  expect(new Set(keys).size).toBe(2);
});
