import { type Frame, watchJob } from "../load/watch-job.ts";
import { submitRequest } from "../sides/contestants.ts";
import type { LedgerCall, RunningEmulator } from "../sides/emulator.ts";
import type { Side } from "../sides/side.ts";
import { quantile } from "../statistics.ts";

/** When a watched job reached each of its steps, in epoch ms with fractions; all clocks are this machine's. */
interface Moments {
  readonly prompt: string;
  readonly submittedAtMs: number;
  readonly acceptedAtMs: number;
  readonly toldAtMs: ReadonlyMap<string, number>;
}

const now = (): number => performance.timeOrigin + performance.now();

/** Runs one job to its image with a watcher on it. Throws unless it succeeds. */
async function follow(side: Side, prompt: string): Promise<Moments> {
  const { path, method, headers, body } = submitRequest("darkroom", prompt);
  const submittedAtMs = now();
  const response = await fetch(`${side.url}${path}`, { method, headers, body });
  const { id } = (await response.json()) as { id: string };
  const acceptedAtMs = now();
  const toldAtMs = new Map<string, number>();
  let last: Frame["job"] | null = null;
  const watch = watchJob(side.url, id, ({ event, job }, atMs) => {
    if (event !== null) toldAtMs.set(event.type, atMs);
    last = job;
  });
  await watch.doneAtMs;
  // The callback assigns `last`, which the compiler does not see.
  const ended = last as Frame["job"] | null;
  if (ended?.status !== "succeeded") throw new Error(`${id} ended as ${ended?.status}`);
  return { prompt, submittedAtMs, acceptedAtMs, toldAtMs };
}

/** Jobs one after another, each with a watcher. */
export async function followOneByOne(side: Side, count: number, name: string): Promise<Moments[]> {
  const moments: Moments[] = [];
  for (let number = 0; number < count; number++) moments.push(await follow(side, `${name} ${number}`));
  return moments;
}

function line(what: string, values: readonly number[]): string {
  const p50 = quantile(values, 0.5).toFixed(1).padStart(7);
  return `${p50} ms  ${quantile(values, 0.99).toFixed(1).padStart(7)} ms  ${what}`;
}

/** Prints the time that jobs took between one step and the next. */
export async function printStages(emulator: RunningEmulator, jobs: readonly Moments[]): Promise<void> {
  const calls = new Map<string, LedgerCall>();
  for (const call of await emulator.calls()) calls.set(call.prompt ?? "", call);
  const stages: Record<string, number[]> = {};
  const add = (what: string, fromMs: number | undefined, toMs: number | undefined): void => {
    if (fromMs === undefined || toMs === undefined) return;
    stages[what] = [...(stages[what] ?? []), toMs - fromMs];
  };
  for (const { prompt, submittedAtMs, acceptedAtMs, toldAtMs } of jobs) {
    const call = calls.get(prompt);
    const answeredAtMs = call?.end?.endedAtMs;
    const stored = toldAtMs.get("job.succeeded");
    const storing = toldAtMs.get("job.storing");
    add("submit → 202", submittedAtMs, acceptedAtMs);
    add("submit → upstream is called", submittedAtMs, call?.atMs);
    add("upstream's answer → frame that the image is being stored", answeredAtMs, storing);
    add("that frame → frame that the job is done", storing, stored);
    add("upstream's answer → frame that the job is done", answeredAtMs, stored);
  }
  console.log(`\n    p50         p99    of ${jobs.length} jobs, one after another, without the profiler`);
  for (const [what, values] of Object.entries(stages)) console.log(line(what, values));
}
