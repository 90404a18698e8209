import { load } from "../load/load.ts";
import type { Figure } from "../report.ts";
import type { Effort, Row } from "../row.ts";
import { type Contestant, start, submitJobs, submitRequest } from "../sides/contestants.ts";
import { type RunningEmulator, startEmulator } from "../sides/emulator.ts";
import { pairedRatio, spreadOf } from "../statistics.ts";

const CONNECTIONS = 16;
/** The code is compiled and the first objects are made by then. */
const WARM_UP_JOBS = 100;

interface Round {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly cpuMs: number;
}

/** Measures one side alone on the machine, from empty storage; every side ends with the same number of jobs stored. */
async function round(name: Contestant, emulator: RunningEmulator, amount: number): Promise<Round> {
  const side = await start(name, { emulator });
  try {
    await submitJobs(name, side.url, WARM_UP_JOBS);
    const before = side.usage();
    const task = { url: side.url, connections: CONNECTIONS, amount, requests: [submitRequest(name)] };
    const result = await load(task, 202);
    const after = side.usage();
    const cpuMs = before === null || after === null ? Number.NaN : (after.workerdCpuMs - before.workerdCpuMs) / amount;
    return { perSecond: result.perSecond, p50Ms: result.p50Ms, cpuMs };
  } finally {
    await side.end();
  }
}

async function run({ quick, say }: Effort): Promise<Figure[]> {
  const rounds = quick ? 3 : 7;
  const amount = quick ? 400 : 1500;
  // Slow enough that no image is delivered meanwhile: submitting is measured, not generating.
  const emulator = await startEmulator(["--latency", "10m", "--quota", "off", "--images", "small-file"]);
  const names = ["floor", "darkroom", "workflow"] as const;
  const found: Record<(typeof names)[number], Round[]> = { floor: [], darkroom: [], workflow: [] };
  try {
    for (let number = 1; number <= rounds; number++) {
      // Every other round runs backwards, so that no side always follows the same other side.
      for (const name of number % 2 === 1 ? names : names.toReversed()) {
        const one = await round(name, emulator, amount);
        found[name].push(one);
        say(
          `round ${number}, ${name}: ${one.perSecond.toFixed(0)} submits/s, p50 ${one.p50Ms} ms, ${one.cpuMs.toFixed(2)} ms CPU each`,
        );
      }
    }
  } finally {
    await emulator.end();
  }
  const rate = (name: (typeof names)[number]): number[] => found[name].map(({ perSecond }) => perSecond);
  const figure = (what: string, unit: string, values: readonly number[]): Figure => ({
    what,
    unit,
    value: spreadOf(values),
    bar: null,
  });
  return [
    {
      what: "submit throughput / floor",
      unit: "",
      value: pairedRatio(rate("darkroom"), rate("floor")),
      bar: { kind: "at least", value: 0.7 },
    },
    {
      what: "submit throughput / Workflow",
      unit: "",
      value: pairedRatio(rate("darkroom"), rate("workflow")),
      bar: { kind: "at least", value: 1.5 },
    },
    ...names.flatMap((name) => [
      figure(`submits, ${name}`, "/s", rate(name)),
      figure(
        `submit, p50, ${name}`,
        "ms",
        found[name].map(({ p50Ms }) => p50Ms),
      ),
      figure(
        `CPU of a submit and all it causes, ${name}`,
        "ms",
        found[name].map(({ cpuMs }) => cpuMs),
      ),
    ]),
  ];
}

/** Submit throughput of the floor, of Darkroom and of the Workflow, in turns. */
export const submitRow: Row = {
  name: "submit",
  kind: "speed",
  about: "submit against the floor and against a Workflow",
  run,
};
