import type { Counts, Tally } from "../counted/tally.ts";
import { watchJob } from "../load/watch-job.ts";
import { type Bill, darkroomBill, workflowBill } from "../prices.ts";
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
  readonly cpuMs: number;
}

async function countsOf(side: Side): Promise<Counts> {
  const response = await fetch(`${side.url}/__bench/counts`);
  return (await response.json()) as Counts;
}

function costBetween(before: Counts, after: Counts, jobs: number, cpuMs: number): JobCost {
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
    cpuMs: cpuMs / jobs,
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
    const cpuBeforeMs = side.usage()?.workerdCpuMs ?? Number.NaN;
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
    const cpuMs = (side.usage()?.workerdCpuMs ?? Number.NaN) - cpuBeforeMs;
    return costBetween(before, after, jobs, cpuMs);
  } finally {
    await side.end();
    await emulator.end();
  }
}

/** How long upstream takes in the bills: its best models take from 15 to 60 s. */
const UPSTREAM_SECONDS = 30;

function informs(what: string, unit: string, value: number): Figure {
  return { what, unit, value: spreadOf([value]), bar: null };
}

function costFigures(scene: string, cost: JobCost): Figure[] {
  return Object.entries(cost).map(([what, value]: [string, number]) => informs(`${what} a job, ${scene}`, "", value));
}

/** Dollars for a million jobs, in words and as figures. */
function bills(say: Effort["say"], watched: JobCost, polled: JobCost): Figure[] {
  const perPoll = { workerRequests: 1, objectRequests: 1 };
  const naive: JobCost = {
    ...polled,
    workerRequests: polled.workerRequests + (UPSTREAM_SECONDS - 20) * perPoll.workerRequests,
    objectRequests: polled.objectRequests + (UPSTREAM_SECONDS - 20) * perPoll.objectRequests,
  };
  const all: Record<string, Bill> = {
    "Darkroom, watched": darkroomBill(watched, UPSTREAM_SECONDS),
    "Darkroom, polled once a second": darkroomBill(naive, UPSTREAM_SECONDS),
    "Workflow, polled every 5 s": workflowBill(UPSTREAM_SECONDS / 5, watched.cpuMs),
    "Workflow, polled once a second": workflowBill(UPSTREAM_SECONDS, watched.cpuMs),
  };
  return Object.entries(all).map(([who, bill]) => {
    const parts = Object.entries(bill).map(([part, dollars]: [string, number]) => `${part} ${dollars.toFixed(1)}`);
    say(`$ for a million jobs, ${who}: ${parts.join(", ")}`);
    return informs(`a million jobs, ${who}`, "$", bill.total);
  });
}

async function run({ quick, say }: Effort): Promise<Figure[]> {
  const long = quick ? 8 : 20;
  say("each starts at once, watched by a socket:");
  const alone = await costOfJobs(say, 5, JSON.stringify({ "qwen-image-max": { starts: 100 } }), byWatching);
  say("three in line, one starts a second, each watched by a socket:");
  const short = await costOfJobs(say, 3, ONE_A_SECOND, byWatching);
  say(`${long} in line, one starts a second, each watched by a socket:`);
  const watched = await costOfJobs(say, long, ONE_A_SECOND, byWatching);
  say("three in line, one starts a second, each polled once a second:");
  const polled = await costOfJobs(say, 3, ONE_A_SECOND, byPolling);
  const most = (read: (cost: JobCost) => number): Figure["value"] => ({
    ...spreadOf([read(alone), read(short)]),
    median: Math.max(read(alone), read(short)),
  });
  return [
    {
      what: "object requests a job (the more of: at once, three in line; watched)",
      unit: "",
      value: most(({ objectRequests }) => objectRequests),
      bar: { kind: "at most", value: 12 },
    },
    {
      what: "rows written a job (likewise)",
      unit: "",
      value: most(({ rowsWritten }) => rowsWritten),
      bar: { kind: "at most", value: 25 },
    },
    ...costFigures("at once", alone),
    ...costFigures("three in line", short),
    ...costFigures(`${long} in line`, watched),
    ...costFigures("three in line, polled", polled),
    ...bills(say, short, polled),
  ];
}

/** What a job's life costs in requests, rows, R2 operations and dollars. */
export const countsRow: Row = {
  name: "counts",
  about: "requests, rows, R2 operations and dollars of a job's life",
  run,
};
