import type { Figure } from "../report.ts";
import type { Effort, Row } from "../row.ts";
import { NOWHERE, start } from "../sides/contestants.ts";
import type { Side } from "../sides/side.ts";
import { pairedRatio, spreadOf } from "../statistics.ts";

const FEW = 10;
const MANY = 100_000;
/** Steps and jobs in one request to the bench's Worker. */
const STEPS = 200;
const CLIENTS = 100;
/** One job at a time, and the next as soon as it ends: the quota never makes the lane wait. */
const LANE_LIMITS = JSON.stringify({ "qwen-image-max": { starts: 1_000_000, periodMs: 1_000, inProgress: 1 } });

async function ask(side: Side, what: string): Promise<void> {
  const response = await fetch(`${side.url}/${what}`, { method: "POST" });
  if (!response.ok) throw new Error(`${what} answered ${response.status}: ${await response.text()}`);
  await response.text();
}

async function run({ quick, say }: Effort): Promise<Figure[]> {
  const rounds = quick ? 5 : 15;
  const side = await start("lane", { emulator: NOWHERE, vars: { LANE_LIMITS } });
  const next = { few: 0, many: 0 };
  const fill = async (lane: "few" | "many", count: number): Promise<void> => {
    await ask(side, `fill?lane=${lane}&count=${count}&from=${next[lane]}`);
    next[lane] += count;
  };
  const costs: Record<"few" | "many", number[]> = { few: [], many: [] };
  try {
    // The first one starts.
    await fill("few", FEW + 1);
    await fill("many", 1);
    await ask(side, `crowd?lane=many&count=${MANY}&clients=${CLIENTS}`);
    for (let number = 0; number <= rounds; number++) {
      for (const lane of number % 2 === 0 ? (["few", "many"] as const) : (["many", "few"] as const)) {
        // In small parts, each refilled, so that the queue keeps its nominal length.
        let tookMs = 0;
        let cpuMs = 0;
        for (let done = 0; done < STEPS; done += FEW) {
          const before = side.usage();
          const startedAtMs = performance.now();
          await ask(side, `step?lane=${lane}&count=${FEW}`);
          tookMs += performance.now() - startedAtMs;
          const after = side.usage();
          cpuMs += (after?.workerdCpuMs ?? Number.NaN) - (before?.workerdCpuMs ?? Number.NaN);
          await fill(lane, FEW);
        }
        // The first round compiles the code.
        if (number > 0) costs[lane].push(tookMs / STEPS);
        say(
          `round ${number}, ${lane}: ${(tookMs / STEPS).toFixed(2)} ms a start, ${(cpuMs / STEPS).toFixed(2)} ms CPU`,
        );
      }
    }
  } finally {
    await side.end();
  }
  return [
    {
      what: "cost of a start with 100 000 waiting / with 10",
      unit: "",
      value: pairedRatio(costs.many, costs.few),
      bar: { kind: "at most", value: 1.2 },
    },
    { what: "a start with 10 waiting", unit: "ms", value: spreadOf(costs.few), bar: null },
    { what: "a start with 100 000 waiting", unit: "ms", value: spreadOf(costs.many), bar: null },
  ];
}

/** The cost of a start in a lane with a long queue. */
export const startCostRow: Row = {
  name: "start-cost",
  kind: "speed",
  about: "a lane's start with 100 000 waiting against 10",
  run,
};
