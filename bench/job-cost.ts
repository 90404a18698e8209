import { join } from "node:path";
import type { Counts, Tally, WorkflowCounts } from "./counted/tally.ts";
import type { Follow } from "./load/follow-jobs.ts";
import type { JobCost } from "./prices.ts";
import { type Contestant, imageRequest, start, submitJobs } from "./sides/contestants.ts";
import { startEmulator } from "./sides/emulator.ts";
import type { Side } from "./sides/side.ts";
import { databaseSizes } from "./sides/stored-state.ts";
import { quantile } from "./statistics.ts";

/** How long upstream takes: its best models take from 15 to 60 s. */
const UPSTREAM_SECONDS = 30;
/** Messages to lane and catalog after the last frame arrive within this time. */
const SETTLE_MS = 2_000;

/** Some jobs, how fast they may start, and how they are followed. */
export interface Scene {
  readonly side: "counted" | "counted-workflow";
  readonly jobs: number;
  /** `LANE_LIMITS`; a Workflow has none. */
  readonly laneLimits: string | null;
  readonly follow: Follow;
}

/** The cost of one job of a scene, and lines that say what used it. */
export interface SceneCost {
  readonly cost: JobCost;
  readonly lines: readonly string[];
}

const STATE_FOLDERS: Record<Scene["side"], string> = {
  counted: "do/-GenerationJob",
  "counted-workflow": "workflows/miniflare-workflows-image-job",
};

async function countsOf(side: Side): Promise<unknown> {
  return (await fetch(`${side.url}/__bench/counts`)).json();
}

type Used = Omit<JobCost, "cpuMs" | "stateBytes">;

/** The use of Darkroom's objects between two readings of its counter. */
function usedByObjects(before: Counts, after: Counts, jobs: number): Used {
  const sum = (counts: Counts, read: (tally: Tally) => number): number =>
    Object.values(counts.objects).reduce((total, tally) => total + read(tally), 0);
  const each = (read: (tally: Tally) => number): number => (sum(after, read) - sum(before, read)) / jobs;
  return {
    workerRequests: (after.workerRequests - before.workerRequests) / jobs,
    objectRequests: each(({ requests, socketMessages }) => requests + socketMessages / 20),
    alarms: each(({ alarms }) => alarms),
    rowsRead: each(({ rowsRead }) => rowsRead),
    rowsWritten: each(({ rowsWritten }) => rowsWritten),
    workflowRuns: 0,
    workflowSteps: 0,
    r2ClassA: (after.r2ClassA - before.r2ClassA) / jobs,
    r2ClassB: (after.r2ClassB - before.r2ClassB) / jobs,
    awakeSeconds: UPSTREAM_SECONDS,
  };
}

/** The use of the Workflow between two readings of its counter. A waiting step is not billed for time. */
function usedByWorkflow(before: WorkflowCounts, after: WorkflowCounts, jobs: number): Used {
  const each = (read: (counts: WorkflowCounts) => number): number => (read(after) - read(before)) / jobs;
  return {
    workerRequests: each(({ workerRequests }) => workerRequests),
    objectRequests: 0,
    alarms: 0,
    rowsRead: 0,
    rowsWritten: 0,
    workflowRuns: each(({ runs }) => runs),
    workflowSteps: each(({ steps }) => steps),
    r2ClassA: each(({ r2ClassA }) => r2ClassA),
    r2ClassB: each(({ r2ClassB }) => r2ClassB),
    awakeSeconds: 0,
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

function linesByObject(before: Counts, after: Counts, jobs: number): string[] {
  return Object.entries(after.objects).flatMap(([name, tally]) => {
    const old = before.objects[name];
    const rows = (tally.rowsWritten - (old?.rowsWritten ?? 0)) / jobs;
    return [
      `  ${name}: called by ${perJob(tally.calls, old?.calls, jobs)}`,
      `    ${rows.toFixed(1)} rows written by ${perJob(tally.writes, old?.writes, jobs)}`,
    ];
  });
}

async function fetchImage(side: Side, name: Contestant, id: string): Promise<void> {
  const { path, headers } = imageRequest(name, id);
  const image = await fetch(`${side.url}${path}`, { headers });
  if (!image.ok) throw new Error(`the image of ${id} answered ${image.status}`);
  await image.arrayBuffer();
}

/** The cost of jobs from submit until their image was read. */
export async function costOf({ side: name, jobs, laneLimits, follow }: Scene): Promise<SceneCost> {
  const emulator = await startEmulator([
    ...["--latency", `${UPSTREAM_SECONDS}s`, "--spread", "0", "--quota", "off"],
    ...["--images", "small-file", "--image-bytes", "1500000"],
  ]);
  const side = await start(name, { emulator, vars: laneLimits === null ? {} : { LANE_LIMITS: laneLimits } });
  const settle = () => new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  try {
    // The first job makes the tables and compiles the code, which must not count for each job.
    await follow(side, name, await submitJobs(name, side.url, 1));
    await settle();
    const before = await countsOf(side);
    const cpuBeforeMs = side.usage()?.workerdCpuMs ?? Number.NaN;
    const ids = await submitJobs(name, side.url, jobs);
    await follow(side, name, ids);
    for (const id of ids) await fetchImage(side, name, id);
    await settle();
    const after = await countsOf(side);
    const cpuMs = ((side.usage()?.workerdCpuMs ?? Number.NaN) - cpuBeforeMs) / jobs;
    const stateBytes = quantile(databaseSizes(join(side.stateDir, STATE_FOLDERS[name])), 0.5);
    // The counter's shape is that of the side that was started.
    if (name === "counted-workflow") {
      const used = usedByWorkflow(before as WorkflowCounts, after as WorkflowCounts, jobs);
      return { cost: { ...used, cpuMs, stateBytes }, lines: [] };
    }
    const used = usedByObjects(before as Counts, after as Counts, jobs);
    const lines = linesByObject(before as Counts, after as Counts, jobs);
    return { cost: { ...used, cpuMs, stateBytes }, lines };
  } finally {
    await side.end();
    await emulator.end();
  }
}
