/**
 * Where the Worker's time goes: `node bench/profile.ts submit|poll|attempt|frame [darkroom|floor|workflow]`. Writes a
 * `.cpuprofile` that Chrome opens, and prints the functions that used the processor. `attempt` runs jobs to a small image,
 * eight at once, without watchers; `frame` runs them one after another to an image of 1.5 MB with a watcher on each, and
 * prints the time between their steps.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { freePort } from "../test/support/free-port.ts";
import { load } from "./load/load.ts";
import { type Profile, printHottest } from "./profiling/hottest.ts";
import { inspect } from "./profiling/inspector.ts";
import { followOneByOne, printStages } from "./profiling/stages.ts";
import { printTopics } from "./profiling/topics.ts";
import { ARTIFACTS } from "./sides/build.ts";
import { type Contestant, readRequest, start, submitJobs, submitRequest, TOKEN } from "./sides/contestants.ts";
import { type RunningEmulator, startEmulator } from "./sides/emulator.ts";
import type { Side } from "./sides/side.ts";

interface Ground {
  readonly name: Contestant;
  readonly side: Side;
  readonly emulator: RunningEmulator;
}

interface Work {
  readonly emulator: readonly string[];
  readonly laneLimits: string | null;
  /** Runs before the profile, so that the code is compiled. Returns the work to profile, which returns how much it did. */
  readonly prepare: (ground: Ground) => Promise<() => Promise<number>>;
}

const NEVER_ANSWERS = ["--latency", "10m", "--quota", "off", "--images", "small-file"];
const ANSWERS = ["--latency", "150", "--spread", "0", "--quota", "off", "--images", "small-file"];
const WIDE_OPEN = JSON.stringify({ "qwen-image-max": { starts: 1000, periodMs: 1000, inProgress: 8 } });

async function loaded({ name, side }: Ground, what: "submit" | "poll"): Promise<() => Promise<number>> {
  const ids = await submitJobs(name, side.url, 200);
  return async () => {
    const requests = what === "poll" ? ids.map((id) => readRequest(name, id)) : [submitRequest(name)];
    const amount = what === "poll" ? 10_000 : 2_000;
    const task = { url: side.url, connections: 16, amount, requests };
    const { perSecond } = await load(task, what === "poll" ? 200 : 202);
    console.log(`${perSecond.toFixed(0)}/s`);
    return amount;
  };
}

/** Submits jobs, eight at a time, and resolves once every one has succeeded. */
async function runToTheEnd({ name, side }: Ground, count: number): Promise<void> {
  const ids = await submitJobs(name, side.url, count);
  const headers = { accept: "application/json", authorization: `Bearer ${TOKEN}`, prefer: "wait=30" };
  for (const id of ids) {
    const job = (await (await fetch(`${side.url}/api/jobs/${id}`, { headers })).json()) as { status: string };
    if (job.status !== "succeeded") throw new Error(`${id} is ${job.status}`);
  }
}

const WORKS: Readonly<Record<string, Work>> = {
  submit: { emulator: NEVER_ANSWERS, laneLimits: null, prepare: (ground) => loaded(ground, "submit") },
  poll: { emulator: NEVER_ANSWERS, laneLimits: null, prepare: (ground) => loaded(ground, "poll") },
  attempt: {
    emulator: [...ANSWERS, "--image-bytes", "10000"],
    laneLimits: WIDE_OPEN,
    prepare: async (ground) => {
      await runToTheEnd(ground, 50);
      return async () => {
        await runToTheEnd(ground, 500);
        return 500;
      };
    },
  },
  frame: {
    emulator: [...ANSWERS, "--image-bytes", "1500000"],
    laneLimits: WIDE_OPEN,
    prepare: async (ground) => {
      await followOneByOne(ground.side, 10, "warm-up");
      await printStages(ground.emulator, await followOneByOne(ground.side, 100, "stage"));
      return async () => {
        await followOneByOne(ground.side, 150, "profiled");
        return 150;
      };
    },
  },
};

async function main(): Promise<void> {
  const what = process.argv[2] ?? "submit";
  const work = WORKS[what];
  if (work === undefined) throw new Error(`no such work: ${what}; there are ${Object.keys(WORKS).join(", ")}`);
  // One of the three names; any other fails at once.
  const name = (process.argv[3] ?? "darkroom") as Contestant;
  const inspectorPort = await freePort();
  const emulator = await startEmulator(work.emulator);
  const vars = work.laneLimits === null ? {} : { LANE_LIMITS: work.laneLimits };
  const side = await start(name, { emulator, inspectorPort, vars });
  try {
    const run = await work.prepare({ name, side, emulator });
    const send = await inspect(inspectorPort);
    await send("Profiler.enable");
    await send("Profiler.setSamplingInterval", { interval: 200 });
    await send("Profiler.start");
    const before = side.usage()?.workerdCpuMs ?? Number.NaN;
    const done = await run();
    const cpuMs = ((side.usage()?.workerdCpuMs ?? Number.NaN) - before) / done;
    const { profile } = (await send("Profiler.stop")) as { profile: Profile };
    const path = `${ARTIFACTS}/${what}-${name}.cpuprofile`;
    mkdirSync(ARTIFACTS, { recursive: true });
    writeFileSync(path, JSON.stringify(profile));
    console.log(`\n${done} done, ${cpuMs.toFixed(2)} ms CPU each, the profiler's share included\n${path}`);
    printTopics(profile);
    printHottest(profile);
  } finally {
    await side.end();
    await emulator.end();
  }
  process.exit(0);
}

await main();
