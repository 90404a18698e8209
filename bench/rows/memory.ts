import type { Figure } from "../report.ts";
import type { Effort, Row } from "../row.ts";
import { start, submitJobs, TOKEN } from "../sides/contestants.ts";
import { startEmulator } from "../sides/emulator.ts";
import type { Side } from "../sides/side.ts";
import { spreadOf } from "../statistics.ts";

const IMAGE_BYTES = 4_000_000;
/** What jobs cost in memory beside their images: every object that ran stays for a while. */
const SMALL_BYTES = 10_000;
const SAMPLE_EVERY_MS = 100;
const MEGABYTE = 1_000_000;
/** Images on their way at once: what memory would hold if they were not streamed is many times this. */
const IN_PROGRESS = 8;
const LANE_LIMITS = JSON.stringify({ "qwen-image-max": { starts: 1000, periodMs: 1000, inProgress: IN_PROGRESS } });

/** Jobs that wait or run. */
async function unfinished(side: Side): Promise<number> {
  const response = await fetch(`${side.url}/api/limits`, { headers: { authorization: `Bearer ${TOKEN}` } });
  const { lanes } = (await response.json()) as { lanes: { queued: number; inProgress: number }[] };
  return lanes.reduce((sum, { queued, inProgress }) => sum + queued + inProgress, 0);
}

/** The peak of workerd's memory in each tenth of the jobs, in MB. */
async function peaksOf(jobs: number, imageBytes: number, say: Effort["say"]): Promise<number[]> {
  const emulator = await startEmulator([
    ...["--latency", "100", "--spread", "0", "--quota", "off"],
    ...["--images", "small-file", "--image-bytes", String(imageBytes)],
  ]);
  const side = await start("darkroom", { emulator, vars: { LANE_LIMITS } });
  const peaks: number[] = [];
  let peak = 0;
  const sampler = setInterval(() => {
    peak = Math.max(peak, side.usage()?.workerdResidentBytes ?? Number.NaN);
  }, SAMPLE_EVERY_MS);
  try {
    for (let tenth = 1; tenth <= 10; tenth++) {
      peak = 0;
      await submitJobs("darkroom", side.url, jobs / 10, IN_PROGRESS);
      while ((await unfinished(side)) > 0) await new Promise((resolve) => setTimeout(resolve, 100));
      peaks.push(peak / MEGABYTE);
    }
    say(`${jobs} jobs of ${imageBytes} bytes, peak in each tenth: ${peaks.map((mb) => mb.toFixed(0)).join(", ")} MB`);
    return peaks;
  } finally {
    clearInterval(sampler);
    await side.end();
    await emulator.end();
  }
}

async function run({ quick, say }: Effort): Promise<Figure[]> {
  const jobs = quick ? 200 : 1_000;
  const small = await peaksOf(jobs, SMALL_BYTES, say);
  const large = await peaksOf(jobs, IMAGE_BYTES, say);
  const growth = (peaks: readonly number[]): number => (peaks.at(-1) ?? Number.NaN) - (peaks[0] ?? Number.NaN);
  const megabytes = (what: string, values: readonly number[]): Figure => ({
    what,
    unit: "MB",
    value: spreadOf(values),
    bar: null,
  });
  return [
    megabytes(`peak memory of workerd in each tenth of ${jobs} jobs of 4 MB`, large),
    megabytes(`the same with images of 10 kB`, small),
    megabytes("growth from the first tenth to the last, 4 MB", [growth(large)]),
    megabytes("growth from the first tenth to the last, 10 kB", [growth(small)]),
  ];
}

/** Whether memory stays flat while images pass through. */
export const memoryRow: Row = { name: "memory", about: "peak memory while 4 MB images pass through", run };
