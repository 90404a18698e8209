import type { Figure } from "../report.ts";
import type { Effort, Row } from "../row.ts";
import { start, submitJobs } from "../sides/contestants.ts";
import { type LedgerCall, type RunningEmulator, startEmulator } from "../sides/emulator.ts";
import { spreadOf } from "../statistics.ts";
import { utilisation } from "../utilisation.ts";

/** The quota of the best models: two starts in any minute. The emulator enforces the same. */
const STARTS = 2;
const FULL_PERIOD_MS = 60_000;
/** A quick run's period: it only shows whether the lane continues and is never refused. */
const QUICK_PERIOD_MS = 6_000;
const WINDOWS = 4;
/** A lane that takes half as long again as it may counts as stopped, and is not measured. */
const PATIENCE = 1.5;
const LOOK_EVERY_MS = 500;

/** All calls to upstream, once `jobs` of them delivered an image. Throws when they have not by `endsAtMs`. */
async function callsOf(emulator: RunningEmulator, jobs: number, endsAtMs: number): Promise<readonly LedgerCall[]> {
  for (;;) {
    const calls = await emulator.calls();
    const delivered = calls.filter(({ end }) => end?.status === 200).length;
    if (delivered >= jobs) return calls;
    if (Date.now() >= endsAtMs) {
      throw new Error(`the lane stood still: ${delivered} of ${jobs} jobs had their image, of ${calls.length} starts`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

async function run({ quick, say }: Effort): Promise<Figure[]> {
  const periodMs = quick ? QUICK_PERIOD_MS : FULL_PERIOD_MS;
  const jobs = STARTS * WINDOWS + 1;
  const emulator = await startEmulator([
    ...["--latency", "500", "--spread", "0", "--images", "small-file"],
    ...["--quota", "sliding", "--quota-scale", String(periodMs / FULL_PERIOD_MS)],
  ]);
  const limits = { "qwen-image-max": { starts: STARTS, periodMs } };
  const side = await start("darkroom", { emulator, vars: { LANE_LIMITS: JSON.stringify(limits) } });
  try {
    await submitJobs("darkroom", side.url, jobs);
    const endsAtMs = Date.now() + WINDOWS * periodMs * PATIENCE + 10_000;
    const calls = await callsOf(emulator, jobs, endsAtMs);
    const refused = calls.filter(({ end }) => end?.status === 429).length;
    const startedAtMs = calls
      .filter(({ end }) => end?.status === 200)
      .map(({ atMs }) => atMs)
      .toSorted((a, b) => a - b);
    const share = utilisation(startedAtMs, STARTS, periodMs);
    const tookMs = (startedAtMs.at(-1) ?? Number.NaN) - (startedAtMs[0] ?? Number.NaN);
    const leastMs = WINDOWS * periodMs;
    say(
      `${jobs} jobs started in ${tookMs / 1000} s, ${leastMs / 1000} s at the very least; ${refused} refused, all ended`,
    );
    const what = `share of its quota (${STARTS} starts in ${periodMs / 1000} s) that a lane with a backlog uses`;
    return [
      {
        // The lane leaves a hundredth of each window (its margin) unused, and about a second once: a sixth of a short period.
        what: quick ? `${what} (the bar is for 60 s: the full run)` : what,
        unit: "%",
        value: spreadOf([100 * share]),
        bar: quick ? null : { kind: "at least", value: 99 },
      },
      {
        what: "time given up over all windows",
        unit: "ms",
        value: spreadOf([tookMs - leastMs]),
        bar: null,
      },
      { what: "429 meanwhile", unit: "", value: spreadOf([refused]), bar: { kind: "at most", value: 0 } },
    ];
  } finally {
    await side.end();
    await emulator.end();
  }
}

/** How much of its quota a lane with a backlog uses, against an upstream that enforces it. */
export const laneRow: Row = {
  name: "lane",
  kind: "waiting",
  about: "how much of its quota a lane with a backlog uses",
  run,
};
