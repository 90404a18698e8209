import { beforeEach, expect, it, vi } from "vitest";
import { LISTED } from "../state/listed-job.fixture.ts";
import type { ListedJob } from "../state/listed-job.ts";

/** The tabs' channels of one browser. */
let channels: Set<Channel>;

class Channel {
  onmessage: ((event: { data: unknown }) => void) | null = null;

  constructor() {
    channels.add(this);
  }

  postMessage(data: unknown): void {
    for (const other of channels) if (other !== this) other.onmessage?.({ data });
  }
}

type Attention = typeof import("./attention.ts");

let looked: Attention | null;

/** A tab of the browser. It is looked at once `looked` is set to it. */
async function openTab(): Promise<Attention> {
  vi.resetModules();
  return import("./attention.ts");
}

const running: ListedJob = { ...LISTED, status: "running", done: false };
const failed: ListedJob = { ...LISTED, status: "failed", seq: 2, finishedAt: "2026-11-23T12:01:00.000Z" };
const queued: ListedJob = { ...running, status: "queued", seq: 3 };
const ready: ListedJob = { ...LISTED, seq: 4, finishedAt: "2026-11-23T12:02:00.000Z" };

/** The tab gets the states of a job, one after the other; it is looked at when it is `looked`. */
function learn(tab: Attention, ...states: readonly ListedJob[]): void {
  const isLookedAt = tab === looked;
  vi.stubGlobal("document", { visibilityState: isLookedAt ? "visible" : "hidden", hasFocus: () => isLookedAt });
  for (const [index, after] of states.slice(1).entries()) tab.noteEnd(states[index], after);
}

beforeEach(() => {
  channels = new Set();
  looked = null;
  vi.stubGlobal("window", globalThis);
  vi.stubGlobal("BroadcastChannel", Channel);
});

it("counts a job once, however often it ends while nobody looks", async () => {
  const tab = await openTab();
  learn(tab, running, failed, queued, ready);
  expect(tab.unseen.get().size).toBe(1);
});

it("does not count an end that was seen in another tab, whichever tab learns of it first", async () => {
  const [one, other] = [await openTab(), await openTab()];
  looked = other;
  learn(other, running, failed);
  // The first tab's feed is behind.
  learn(one, { ...running, seq: 0 }, running, failed);
  expect(one.unseen.get().size).toBe(0);
  looked = null;
  learn(one, { ...running, id: "job_000000000000000000002" }, { ...failed, id: "job_000000000000000000002" });
  expect(one.unseen.get().size).toBe(1);
  looked = other;
  learn(other, { ...running, id: "job_000000000000000000002" }, { ...failed, id: "job_000000000000000000002" });
  expect(one.unseen.get().size).toBe(0);
});

it("counts the end of a retried job whose earlier end was seen in another tab", async () => {
  const [one, other] = [await openTab(), await openTab()];
  looked = other;
  learn(other, running, failed);
  learn(one, running, failed, queued);
  looked = null;
  learn(one, queued, ready);
  expect(one.unseen.get().size).toBe(1);
});

it("counts in a browser that forbids the channel between its tabs", async () => {
  vi.stubGlobal(
    "BroadcastChannel",
    class {
      constructor() {
        throw new DOMException("The operation is insecure.", "SecurityError");
      }
    },
  );
  const tab = await openTab();
  learn(tab, running, failed);
  expect(tab.unseen.get().size).toBe(1);
  looked = tab;
  learn(tab, queued, ready);
  expect(tab.unseen.get().size).toBe(1);
});
