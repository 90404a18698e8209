import type { Counts, Tally } from "../counted/tally.ts";
import { watchJob } from "../load/watch-job.ts";
import type { Figure } from "../report.ts";
import type { Effort, Row } from "../row.ts";
import { readRequest, start, submitJobs, TOKEN } from "../sides/contestants.ts";
import { startEmulator } from "../sides/emulator.ts";
import type { Side } from "../sides/side.ts";
import { spreadOf } from "../statistics.ts";

/** Once a second one starts: a line forms, and every place in it changes. */
const ONE_A_SECOND = JSON.stringify({ "qwen-image-max": { starts: 1, periodMs: 1000, inProgress: null } });
/** What is told after the last frame (lane, catalog) is told by then. */
const SETTLE_MS = 2_000;

/** What one job cost, on average over a scene. */
export interface JobCost {
  readonly workerRequests: number;
  readonly objectRequests: number;
  readonly alarms: number;
  readonly rowsRead: number;
  readonly rowsWritten: number;
  readonly r2ClassA: number;
  readonly r2ClassB: number;
}

async function countsOf(side: Side): Promise<Counts> {
  const response = await fetch(`${side.url}/__bench/counts`);
  return (await response.json()) as Counts;
}

function costBetween(before: Counts, after: Counts, jobs: number): JobCost {
  const sum = (counts: Counts, read: (tally: Tally) => number): number =>
    Object.values(counts.objects).reduce((total, tally) => total + read(tally), 0);
  const each = (read: (tally: Tally) => number): number => (sum(after, read) - sum(before, read)) / jobs;
  return {
    workerRequests: (after.workerRequests - before.workerRequests) / jobs,
    objectRequests: each(({ requests, socketMessages }) => requests + socketMessages / 20),
    alarms: each(({ alarms }) => alarms),
    rowsRead: each(({ rowsRead }) => rowsRead),
    rowsWritten: each(({ rowsWritten }) => rowsWritten),
    r2ClassA: (after.r2ClassA - before.r2ClassA) / jobs,
    r2ClassB: (after.r2ClassB - before.r2ClassB) / jobs,
  };
}

type Numbers = Readonly<Record<string, number>>;

function perJob(after: Numbers, before: Numbers | undefined, jobs: number): string {
  return Object.entries(after)
    .map(([what, count]) => [what, (count - (before?.[what] ?? 0)) / jobs] as const)
    .filter(([, count]) => count > 0)
    .map(([what, count]) => `${what} ${count.toFixed(2)}`)
    .join(", ");
}

function sayByObject(say: Effort["say"], before: Counts, after: Counts, jobs: number): void {
  for (const [name, tally] of Object.entries(after.objects)) {
    const old = before.objects[name];
    const rows = (tally.rowsWritten - (old?.rowsWritten ?? 0)) / jobs;
    say(`  ${name}: called by ${perJob(tally.calls, old?.calls, jobs)}`);
    say(`    ${rows.toFixed(1)} rows written by ${perJob(tally.writes, old?.writes, jobs)}`);
  }
}

type Follow = (side: Side, ids: readonly string[]) => Promise<void>;

const byWatching: Follow = async (side, ids) => {
  const watches = ids.map((id) => watchJob(side.url, id));
  await Promise.all(watches.map(({ doneAtMs }) => doneAtMs));
};

/** Once a second, as naive code does, heeding nothing. */
const byPolling: Follow = async (side, ids) => {
  const one = async (id: string): Promise<void> => {
    const { path, headers } = readRequest("counted", id);
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      const job = (await (await fetch(`${side.url}${path}`, { headers })).json()) as { done: boolean };
      if (job.done) return;
    }
  };
  await Promise.all(ids.map(one));
};

/** Lives of jobs from submit to the image in hand. */
export async function costOfJobs(
  say: Effort["say"],
  jobs: number,
  laneLimits: string | null,
  follow: Follow,
): Promise<JobCost> {
  const emulator = await startEmulator([
    ...["--latency", "20s", "--spread", "0", "--quota", "off"],
    ...["--images", "small-file", "--image-bytes", "1500000"],
  ]);
  const side = await start("counted", {
    emulator,
    vars: laneLimits === null ? {} : { LANE_LIMITS: laneLimits },
  });
  try {
    // The tables are made, and what is made once is not counted for each.
    const [first] = await submitJobs("counted", side.url, 1);
    if (first !== undefined) await byWatching(side, [first]);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const before = await countsOf(side);
    const ids = await submitJobs("counted", side.url, jobs);
    await follow(side, ids);
    for (const id of ids) {
      const image = await fetch(`${side.url}/api/jobs/${id}/images/0`, {
        headers: { authorization: `Bearer ${TOKEN}` },
      });
      if (!image.ok) throw new Error(`the image of ${id} answered ${image.status}`);
      await image.arrayBuffer();
    }
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const after = await countsOf(side);
    sayByObject(say, before, after, jobs);
    return costBetween(before, after, jobs);
  } finally {
    await side.end();
    await emulator.end();
  }
}

function informs(what: string, value: number): Figure {
  return { what, unit: "", value: spreadOf([value]), bar: null };
}

async function run({ quick, say }: Effort): Promise<Figure[]> {
  const inLine = quick ? 5 : 20;
  say("each starts at once, watched by a socket:");
  const alone = await costOfJobs(say, 5, JSON.stringify({ "qwen-image-max": { starts: 100 } }), byWatching);
  say(`${inLine} in line, one starts a second, each watched by a socket:`);
  const watched = await costOfJobs(say, inLine, ONE_A_SECOND, byWatching);
  say(`${inLine} in line, one starts a second, each polled once a second:`);
  const polled = await costOfJobs(say, inLine, ONE_A_SECOND, byPolling);
  const figures = Object.entries({ "at once": alone, "in line": watched, polled }).flatMap(([scene, cost]) =>
    Object.entries(cost).map(([what, value]: [string, number]) => informs(`${what} a job, ${scene}`, value)),
  );
  return [
    {
      what: "object requests a job",
      unit: "",
      value: spreadOf([alone.objectRequests, watched.objectRequests]),
      bar: { kind: "at most", value: 12 },
    },
    {
      what: "rows written a job",
      unit: "",
      value: spreadOf([alone.rowsWritten, watched.rowsWritten]),
      bar: { kind: "at most", value: 25 },
    },
    ...figures,
  ];
}

/** What a job's life costs in requests, rows and R2 operations. */
export const countsRow: Row = { name: "counts", about: "object requests, rows and R2 operations of a job's life", run };
