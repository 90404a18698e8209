import type { Figure } from "../report.ts";
import type { Effort, Row } from "../row.ts";
import { start, submitJobs, TOKEN } from "../sides/contestants.ts";
import { startEmulator } from "../sides/emulator.ts";
import type { Side } from "../sides/side.ts";
import { quantile, spreadOf } from "../statistics.ts";

const IMAGE_BYTES = 4_000_000;
/** What jobs cost in memory beside their images: every object that ran stays for a while. */
const SMALL_BYTES = 10_000;
const SAMPLE_EVERY_MS = 100;
const MEGABYTE = 1_000_000;
/** Images on their way at once. */
const IN_PROGRESS = 8;
const LANE_LIMITS = JSON.stringify({ "qwen-image-max": { starts: 1000, periodMs: 1000, inProgress: IN_PROGRESS } });
/** Images fetched of each tenth, spread over it: what is served passes through the same memory. */
const FETCHED = 5;
/** Of tenths at either end: a single tenth's peak is as lucky as its garbage collection. */
const END_TENTHS = 3;
/**
 * How much more memory may grow with 4 MB images than with 10 kB ones: all that is on its way at once (8 × 4 MB), lying in
 * two buffers in one tenth and in none in another. Kept images would be 2 800 MB in the seven tenths between of 1 000 jobs.
 */
const GROWTH_BAR_MB = (2 * IN_PROGRESS * IMAGE_BYTES) / MEGABYTE;
/** A Worker that takes this much is ended, and with it the row, before the machine is starved. */
const KILLED_ABOVE_BYTES = 8_000 * MEGABYTE;
/** A tenth takes seconds; one that takes this long stands still. */
const TENTH_WITHIN_MS = 180_000;

const headers = { accept: "application/json", authorization: `Bearer ${TOKEN}` };

/** Resolves once the job has succeeded; throws when it ends otherwise, or not at all. */
async function awaitSuccess(side: Side, id: string, endsAtMs: number): Promise<void> {
  for (;;) {
    const response = await fetch(`${side.url}/api/jobs/${id}`, { headers: { ...headers, prefer: "wait=30" } });
    const job = (await response.json()) as { status: string; done: boolean; error: object | null };
    if (job.status === "succeeded") return;
    if (job.done) throw new Error(`${id} ended as ${job.status}: ${JSON.stringify(job.error)}`);
    if (Date.now() > endsAtMs) throw new Error(`${id} is ${job.status} ${TENTH_WITHIN_MS / 1000} s after its submit`);
  }
}

/** Throws unless the job's image comes whole. */
async function checkImage(side: Side, id: string, imageBytes: number): Promise<void> {
  const image = await fetch(`${side.url}/api/jobs/${id}/images/0`, { headers });
  const { byteLength } = await image.arrayBuffer();
  if (!image.ok || byteLength !== imageBytes) {
    throw new Error(`the image of ${id} answered ${image.status} with ${byteLength} of ${imageBytes} bytes`);
  }
}

/** Submits `count` jobs and resolves once all have succeeded and some of their images were fetched. */
async function runJobs(side: Side, count: number, imageBytes: number): Promise<void> {
  const ids = await submitJobs("darkroom", side.url, count, IN_PROGRESS);
  const endsAtMs = Date.now() + TENTH_WITHIN_MS;
  for (const id of ids) await awaitSuccess(side, id, endsAtMs);
  for (let number = 0; number < FETCHED; number++) {
    await checkImage(side, ids[Math.floor((number * count) / FETCHED)] ?? "", imageBytes);
  }
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
  let starved = false;
  const sampler = setInterval(() => {
    const usage = side.usage();
    peak = Math.max(peak, usage?.workerdResidentBytes ?? Number.NaN);
    if (usage === null || usage.workerdResidentBytes <= KILLED_ABOVE_BYTES) return;
    starved = true;
    for (const pid of usage.workerdPids) process.kill(pid, "SIGKILL");
  }, SAMPLE_EVERY_MS);
  const startedAtMs = Date.now();
  try {
    // The code is compiled and the first buffers are made by then.
    await runJobs(side, jobs / 10, imageBytes);
    for (let tenth = 1; tenth <= 10; tenth++) {
      peak = 0;
      await runJobs(side, jobs / 10, imageBytes);
      peaks.push(peak / MEGABYTE);
    }
  } catch (error) {
    throw starved ? new Error(`workerd took more than ${KILLED_ABOVE_BYTES / MEGABYTE} MB and was ended`) : error;
  } finally {
    clearInterval(sampler);
    await side.end();
    await emulator.end();
  }
  const seconds = ((Date.now() - startedAtMs) / 1000).toFixed(0);
  const words = peaks.map((mb) => mb.toFixed(0)).join(", ");
  say(`${jobs} jobs of ${imageBytes} bytes, all succeeded, in ${seconds} s; peak in each tenth: ${words} MB`);
  return peaks;
}

/** From the first tenths to the last, in MB. */
function growthOf(peaks: readonly number[]): number {
  return quantile(peaks.slice(-END_TENTHS), 0.5) - quantile(peaks.slice(0, END_TENTHS), 0.5);
}

async function run({ quick, say }: Effort): Promise<Figure[]> {
  const jobs = quick ? 200 : 1_000;
  const small = await peaksOf(jobs, SMALL_BYTES, say);
  const large = await peaksOf(jobs, IMAGE_BYTES, say);
  const megabytes = (what: string, values: readonly number[], bar: Figure["bar"] = null): Figure => ({
    what,
    unit: "MB",
    value: spreadOf(values),
    bar,
  });
  return [
    megabytes(
      "memory: growth over the run with images of 4 MB, less that with images of 10 kB",
      [growthOf(large) - growthOf(small)],
      {
        kind: "at most",
        value: GROWTH_BAR_MB,
      },
    ),
    megabytes(`peak memory of workerd in each tenth of ${jobs} jobs of 4 MB`, large),
    megabytes("the same with images of 10 kB", small),
    megabytes("growth from the first three tenths to the last three, 4 MB", [growthOf(large)]),
    megabytes("growth from the first three tenths to the last three, 10 kB", [growthOf(small)]),
  ];
}

/** Whether memory stays flat while images pass through. */
export const memoryRow: Row = { name: "memory", about: "peak memory while 4 MB images pass through", run };
