import type { Figure } from "../report.ts";
import type { Effort, Row } from "../row.ts";
import { start, submitJobs, TOKEN } from "../sides/contestants.ts";
import { startEmulator } from "../sides/emulator.ts";
import type { Side } from "../sides/side.ts";
import { quantile, spreadOf } from "../statistics.ts";

const IMAGE_BYTES = 4_000_000;
/** Jobs with such small images show the memory that jobs take without images: every object that ran stays for a while. */
const SMALL_BYTES = 10_000;
const SAMPLE_EVERY_MS = 100;
const MEGABYTE = 1_000_000;
/**
 * Jobs under way at once, from submit to stored image: the next is submitted when one is done. Without a bound a slow machine
 * would have a hundred copies open, and the peak would depend on its speed.
 */
const AT_ONCE = 8;
const LANE_LIMITS = JSON.stringify({ "qwen-image-max": { starts: 1000, periodMs: 1000, inProgress: null } });
/** Images fetched in each tenth, spread over it, because served images pass through the same memory. */
const FETCHED = 5;
/** Tenths compared at either end, because the peak of a single one depends on when garbage is collected. */
const END_TENTHS = 3;
/**
 * How much more memory may grow with 4 MB images than with 10 kB ones at the same pace, as a share of the image bytes that pass
 * meanwhile. If images were kept it would be 100; the images of 8 jobs are 1. The rest is garbage that is not collected yet and
 * memory that the allocator keeps; both level off at some hundred MB, later on a busier machine.
 */
const MOST_KEPT_PERCENT = 10;
/** A Worker that takes more memory is ended, and with it the row, before the machine runs out of memory. */
const KILLED_ABOVE_BYTES = 8_000 * MEGABYTE;
/** A tenth takes seconds; one that takes this long hangs. */
const TENTH_WITHIN_MS = 180_000;

const headers = { accept: "application/json", authorization: `Bearer ${TOKEN}` };

/** Resolves once the job has succeeded; throws when it ends otherwise, or not at all. */
async function awaitSuccess(side: Side, id: string, endsAtMs: number): Promise<void> {
  for (;;) {
    const response = await fetch(`${side.url}/api/jobs/${id}`, { headers: { ...headers, prefer: "wait=30" } });
    const job = (await response.json()) as { status: string; done: boolean; error: object | null };
    if (job.status === "succeeded") return;
    if (job.done) throw new Error(`${id} ended as ${job.status}: ${JSON.stringify(job.error)}`);
    if (Date.now() > endsAtMs)
      throw new Error(`${id} is ${job.status} and the tenth takes more than ${TENTH_WITHIN_MS / 1000} s`);
  }
}

/** Throws unless the job's image is served whole. */
async function checkImage(side: Side, id: string, imageBytes: number): Promise<void> {
  const image = await fetch(`${side.url}/api/jobs/${id}/images/0`, { headers });
  const { byteLength } = await image.arrayBuffer();
  if (!image.ok || byteLength !== imageBytes) {
    throw new Error(`the image of ${id} answered ${image.status} with ${byteLength} of ${imageBytes} bytes`);
  }
}

/** Runs `count` jobs, each submitted as another ends. Resolves once all have succeeded and some of their images were fetched. */
async function runJobs(side: Side, count: number, imageBytes: number): Promise<void> {
  const endsAtMs = Date.now() + TENTH_WITHIN_MS;
  const ids: string[] = [];
  let left = count;
  const one = async (): Promise<void> => {
    while (left-- > 0) {
      const submitted = await submitJobs("darkroom", side.url, 1);
      for (const id of submitted) await awaitSuccess(side, id, endsAtMs);
      ids.push(...submitted);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  for (let number = 0; number < FETCHED; number++) {
    await checkImage(side, ids[Math.floor((number * count) / FETCHED)] ?? "", imageBytes);
  }
}

/** One tenth of the jobs. */
interface Tenth {
  /** The peak of workerd's memory. */
  readonly peakMb: number;
  readonly tookMs: number;
}

/** Runs the jobs, no tenth of them faster than in `pace`, because objects stay in memory for a fixed time. */
async function runTenths(
  jobs: number,
  imageBytes: number,
  pace: readonly Tenth[],
  say: Effort["say"],
): Promise<readonly Tenth[]> {
  const emulator = await startEmulator([
    ...["--latency", "100", "--spread", "0", "--quota", "off"],
    ...["--images", "small-file", "--image-bytes", String(imageBytes)],
  ]);
  const side = await start("darkroom", { emulator, vars: { LANE_LIMITS } });
  const tenths: Tenth[] = [];
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
    for (let number = 0; number < 10; number++) {
      peak = 0;
      const beganAtMs = performance.now();
      await runJobs(side, jobs / 10, imageBytes);
      const leastMs = (pace[number]?.tookMs ?? 0) - (performance.now() - beganAtMs);
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, leastMs)));
      tenths.push({ peakMb: peak / MEGABYTE, tookMs: performance.now() - beganAtMs });
    }
  } catch (error) {
    throw starved ? new Error(`workerd took more than ${KILLED_ABOVE_BYTES / MEGABYTE} MB and was ended`) : error;
  } finally {
    clearInterval(sampler);
    await side.end();
    await emulator.end();
  }
  const seconds = ((Date.now() - startedAtMs) / 1000).toFixed(0);
  const words = tenths.map(({ peakMb }) => peakMb.toFixed(0)).join(", ");
  say(`${jobs} jobs of ${imageBytes} bytes, all succeeded, in ${seconds} s; peak in each tenth: ${words} MB`);
  return tenths;
}

/** The growth from the first tenths to the last, in MB. */
function growthOf(peaks: readonly number[]): number {
  return quantile(peaks.slice(-END_TENTHS), 0.5) - quantile(peaks.slice(0, END_TENTHS), 0.5);
}

async function run({ quick, say }: Effort): Promise<Figure[]> {
  const jobs = quick ? 200 : 1_000;
  const largeTenths = await runTenths(jobs, IMAGE_BYTES, [], say);
  const smallTenths = await runTenths(jobs, SMALL_BYTES, largeTenths, say);
  const large = largeTenths.map(({ peakMb }) => peakMb);
  const small = smallTenths.map(({ peakMb }) => peakMb);
  const megabytes = (what: string, values: readonly number[]): Figure => ({
    what,
    unit: "MB",
    value: spreadOf(values),
    bar: null,
  });
  // From the middle of the first three tenths to the middle of the last three.
  const passedMb = ((10 - END_TENTHS) * (jobs / 10) * IMAGE_BYTES) / MEGABYTE;
  return [
    {
      what: `memory: growth with images of 4 MB, less that with 10 kB, of the ${passedMb} MB of images that pass meanwhile`,
      unit: "%",
      value: spreadOf([(100 * (growthOf(large) - growthOf(small))) / passedMb]),
      bar: { kind: "at most", value: MOST_KEPT_PERCENT },
    },
    megabytes(`peak memory of workerd in each tenth of ${jobs} jobs of 4 MB`, large),
    megabytes("the same with images of 10 kB, at the same pace", small),
    megabytes("growth from the first three tenths to the last three, 4 MB", [growthOf(large)]),
    megabytes("growth from the first three tenths to the last three, 10 kB", [growthOf(small)]),
  ];
}

/** Whether memory stays flat while images pass through. */
export const memoryRow: Row = {
  name: "memory",
  kind: "amounts",
  about: "peak memory while 4 MB images pass through",
  run,
};
