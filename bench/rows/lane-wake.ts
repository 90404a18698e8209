import { setTimeout as pause } from "node:timers/promises";
import { freePort } from "../../test/support/free-port.ts";
import { peakHeapMb } from "../profiling/heap.ts";
import { inspect } from "../profiling/inspector.ts";
import type { Figure } from "../report.ts";
import type { Effort, Row } from "../row.ts";
import { NOWHERE, start } from "../sides/contestants.ts";
import { spreadOf } from "../statistics.ts";

const WAITING = 100_000;
/** Half of an isolate's memory, which all its objects share. */
const MOST_MB = 64;
/** One job runs during the whole bench; all others wait. */
const LANE_LIMITS = JSON.stringify({ "qwen-image-max": { starts: 1_000_000, periodMs: 1_000, inProgress: 1 } });
async function run({ quick, say }: Effort): Promise<Figure[]> {
  const rounds = quick ? 3 : 9;
  const port = await freePort();
  const side = await start("lane", { emulator: NOWHERE, vars: { LANE_LIMITS }, inspectorPort: port });
  const ask = async (what: string): Promise<{ notices?: number }> => {
    const response = await fetch(`${side.url}/${what}`, { method: "POST" });
    if (!response.ok) throw new Error(`${what} answered ${response.status}: ${await response.text()}`);
    return (await response.json()) as { notices?: number };
  };
  const waking: number[] = [];
  const notifying: number[] = [];
  const left: number[] = [];
  const answers: number[] = [];
  const passes: number[] = [];
  try {
    const inspector = await inspect(port);
    await ask("fill?count=1");
    // With as many clients as jobs the index is largest. With every job watched the record of sent places is largest.
    await ask(`crowd?count=${WAITING}&clients=${WAITING}&watched=1`);
    for (let round = 1; round <= rounds; round++) {
      const { notices = 0 } = await ask("fill?count=0");
      await ask("wake");
      // The first to join makes the lane read its queue.
      const woken = await peakHeapMb(inspector, async () => {
        const startedAtMs = performance.now();
        await ask(`fill?count=1&from=${round}`);
        answers.push(performance.now() - startedAtMs);
      });
      const notified = await peakHeapMb(inspector, async () => {
        const startedAtMs = performance.now();
        for (let sent = 0; sent < notices + WAITING; await pause(50))
          ({ notices: sent = 0 } = await ask("fill?count=0"));
        passes.push(performance.now() - startedAtMs);
      });
      waking.push(woken.peak);
      notifying.push(notified.peak);
      left.push(notified.left);
      say(
        `waking ${woken.peak.toFixed(1)} MB, notifying ${notified.peak.toFixed(1)} MB, ${notified.left.toFixed(1)} MB left`,
      );
    }
  } finally {
    await side.end();
  }
  const heap = (what: string, values: readonly number[], bar: Figure["bar"]): Figure => ({
    what,
    unit: "MB",
    value: spreadOf(values),
    bar,
    note: "heap and the buffers outside of it, sampled by the inspector",
  });
  const most = { kind: "at most", value: MOST_MB } as const;
  return [
    heap("heap of a lane waking with 100 000 waiting, of 100 000 clients", waking, most),
    heap("the same while it notifies all 100 000 of their places", notifying, most),
    heap("what is left of that after collections", left, null),
    { what: "its first answer, for which it reads the queue", unit: "ms", value: spreadOf(answers), bar: null },
    { what: "until all 100 000 are notified", unit: "ms", value: spreadOf(passes), bar: null },
  ];
}

/** The heap of a lane that wakes with a long queue of watched jobs. */
export const laneWakeRow: Row = {
  name: "lane-wake",
  kind: "amounts",
  about: "heap of a lane that wakes with 100 000 waiting",
  run,
};
