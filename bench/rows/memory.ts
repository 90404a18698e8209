import type { Figure } from "../report.ts";
import type { Effort, Row } from "../row.ts";
import { start, submitJobs, TOKEN } from "../sides/contestants.ts";
import { startEmulator } from "../sides/emulator.ts";
import type { Side } from "../sides/side.ts";
import { spreadOf } from "../statistics.ts";

const IMAGE_BYTES = 4_000_000;
const SAMPLE_EVERY_MS = 100;
const MEGABYTE = 1_000_000;
/** Images on their way at once: what memory would hold if they were not streamed is many times this. */
const IN_PROGRESS = 8;
const LANE_LIMITS = JSON.stringify({ "qwen-image-max": { starts: 1000, periodMs: 1000, inProgress: IN_PROGRESS } });

async function finished(side: Side): Promise<number> {
  const response = await fetch(`${side.url}/api/limits`, { headers: { authorization: `Bearer ${TOKEN}` } });
  const { lanes } = (await response.json()) as { lanes: { queued: number; inProgress: number }[] };
  return lanes.reduce((sum, { queued, inProgress }) => sum + queued + inProgress, 0);
}

async function run({ quick, say }: Effort): Promise<Figure[]> {
  const jobs = quick ? 200 : 1_000;
  const emulator = await startEmulator([
    ...["--latency", "100", "--spread", "0", "--quota", "off"],
    ...["--images", "small-file", "--image-bytes", String(IMAGE_BYTES)],
  ]);
  const side = await start("darkroom", { emulator, vars: { LANE_LIMITS } });
  /** One peak for each tenth of the jobs. */
  const peaks: number[] = [];
  let peak = 0;
  const sampler = setInterval(() => {
    peak = Math.max(peak, side.usage()?.workerdResidentBytes ?? Number.NaN);
  }, SAMPLE_EVERY_MS);
  try {
    for (let tenth = 1; tenth <= 10; tenth++) {
      peak = 0;
      await submitJobs("darkroom", side.url, jobs / 10, IN_PROGRESS);
      while ((await finished(side)) > 0) await new Promise((resolve) => setTimeout(resolve, 100));
      peaks.push(peak / MEGABYTE);
      say(`${(jobs / 10) * tenth} jobs: peak ${(peak / MEGABYTE).toFixed(0)} MB`);
    }
  } finally {
    clearInterval(sampler);
    await side.end();
    await emulator.end();
  }
  const first = peaks[0] ?? Number.NaN;
  return [
    {
      what: `peak memory of workerd over ${jobs} jobs of 4 MB`,
      unit: "MB",
      value: spreadOf(peaks),
      bar: null,
    },
    {
      what: "its growth from the first tenth to the last",
      unit: "MB",
      value: spreadOf([(peaks.at(-1) ?? Number.NaN) - first]),
      bar: null,
    },
  ];
}

/** Whether memory stays flat while images pass through. */
export const memoryRow: Row = { name: "memory", about: "peak memory while 4 MB images pass through", run };
