import type { Figure } from "../report.ts";
import type { Effort, Row } from "../row.ts";
import { start, submitJobs } from "../sides/contestants.ts";
import { startEmulator } from "../sides/emulator.ts";
import { spreadOf } from "../statistics.ts";

/** The quota of the best models: two starts in any minute. The emulator enforces the same. */
const STARTS = 2;

/**
 * The share of its quota that a lane with a backlog used: the windows that its starts must take at the very least, over
 * the time that they took. `startedAtMs` in order.
 */
export function utilisation(startedAtMs: readonly number[], starts: number, periodMs: number): number {
  const first = startedAtMs[0];
  const last = startedAtMs.at(-1);
  if (first === undefined || last === undefined || last === first) throw new Error("too few starts to judge");
  const leastMs = Math.floor((startedAtMs.length - 1) / starts) * periodMs;
  return leastMs / (last - first);
}

async function run({ quick, say }: Effort): Promise<Figure[]> {
  const periodMs = quick ? 6_000 : 60_000;
  const windows = quick ? 4 : 4;
  const jobs = STARTS * windows + 1;
  const emulator = await startEmulator([
    ...["--latency", "500", "--spread", "0", "--images", "small-file"],
    ...["--quota", "sliding", "--quota-scale", String(periodMs / 60_000)],
  ]);
  const limits = { "qwen-image-max": { starts: STARTS, periodMs } };
  const side = await start("darkroom", { emulator, vars: { LANE_LIMITS: JSON.stringify(limits) } });
  try {
    await submitJobs("darkroom", side.url, jobs);
    const endsAtMs = Date.now() + (windows + 1) * periodMs * 1.5 + 10_000;
    let calls = await emulator.calls();
    while (calls.filter(({ end }) => end !== null).length < jobs && Date.now() < endsAtMs) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      calls = await emulator.calls();
    }
    const refused = calls.filter(({ end }) => end?.status === 429).length;
    const startedAtMs = calls.map(({ atMs }) => atMs).toSorted((a, b) => a - b);
    const share = utilisation(startedAtMs, STARTS, periodMs);
    say(
      `${calls.length} starts in ${((startedAtMs.at(-1) ?? 0) - (startedAtMs[0] ?? 0)) / 1000} s, ${refused} refused`,
    );
    return [
      {
        what: `share of its quota (${STARTS} starts in ${periodMs / 1000} s) that a lane with a backlog uses`,
        unit: "%",
        value: spreadOf([100 * share]),
        // The first starts after a pause give up a second, which is a sixth of a quick run's period.
        bar: quick ? null : { kind: "at least", value: 98 },
      },
      { what: "429 meanwhile", unit: "", value: spreadOf([refused]), bar: { kind: "at most", value: 0 } },
    ];
  } finally {
    await side.end();
    await emulator.end();
  }
}

/** How much of its quota a lane with a backlog uses, against an upstream that enforces it. */
export const laneRow: Row = { name: "lane", about: "how much of its quota a lane with a backlog uses", run };
