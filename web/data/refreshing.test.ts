import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type Refreshing, refreshing } from "./refreshing.ts";

const SETTLE_MS = 1_000;

class Page extends EventTarget {
  visibilityState: DocumentVisibilityState = "visible";

  show(state: DocumentVisibilityState): void {
    this.visibilityState = state;
    this.dispatchEvent(new Event("visibilitychange"));
  }
}

let page: Page;
/** Functions that end the calls, in the order of the calls. */
let calls: (() => void)[];
let counts: Refreshing;

function start(): void {
  counts = refreshing(() => new Promise((resolve) => calls.push(resolve)), SETTLE_MS, page);
}

async function answer(): Promise<void> {
  calls.at(-1)?.();
  await vi.advanceTimersByTimeAsync(0);
}

beforeEach(() => {
  vi.useFakeTimers();
  page = new Page();
  calls = [];
});

afterEach(() => {
  counts.stop();
  vi.useRealTimers();
});

it("calls at once, and once for a burst of changes", async () => {
  start();
  expect(calls).toHaveLength(1);
  await answer();
  for (let change = 0; change < 50; change += 1) counts.change();
  await vi.advanceTimersByTimeAsync(SETTLE_MS - 1);
  expect(calls).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(calls).toHaveLength(2);
});

it("makes one call at a time, and another afterwards when something changed meanwhile", async () => {
  start();
  counts.change();
  await vi.advanceTimersByTimeAsync(10 * SETTLE_MS);
  counts.change();
  expect(calls).toHaveLength(1);
  await answer();
  await vi.advanceTimersByTimeAsync(SETTLE_MS);
  expect(calls).toHaveLength(2);
  await answer();
  await vi.advanceTimersByTimeAsync(10 * SETTLE_MS);
  expect(calls).toHaveLength(2);
});

it("makes no call while the page is hidden, and one at once when the page is visible again, if anything changed", async () => {
  start();
  await answer();
  counts.change();
  page.show("hidden");
  counts.change();
  await vi.advanceTimersByTimeAsync(10 * SETTLE_MS);
  expect(calls).toHaveLength(1);
  page.show("visible");
  expect(calls).toHaveLength(2);
  await answer();
  page.show("hidden");
  page.show("visible");
  await vi.advanceTimersByTimeAsync(10 * SETTLE_MS);
  expect(calls).toHaveLength(2);
});

it("makes the first call when a hidden page becomes visible", async () => {
  page.visibilityState = "hidden";
  start();
  await vi.advanceTimersByTimeAsync(10 * SETTLE_MS);
  expect(calls).toHaveLength(0);
  page.show("visible");
  expect(calls).toHaveLength(1);
});

it("makes no call after it is stopped", async () => {
  start();
  counts.change();
  counts.stop();
  await answer();
  counts.change();
  page.show("visible");
  await vi.advanceTimersByTimeAsync(10 * SETTLE_MS);
  expect(calls).toHaveLength(1);
});
