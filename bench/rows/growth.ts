import { load } from "../load/load.ts";
import type { Figure } from "../report.ts";
import type { Effort, Row } from "../row.ts";
import { NOWHERE, readRequest, start, submitJobs, submitRequest } from "../sides/contestants.ts";
import { spreadOf } from "../statistics.ts";

const CONNECTIONS = 16;
const LEVELS = [10, 1_000, 10_000] as const;
const NOTHING_STARTS = JSON.stringify({ "qwen-image-max": { starts: 1, periodMs: 86_400_000 } });

/** Three throughputs with so many jobs stored, all of one client and in one line. */
async function run({ quick, say }: Effort): Promise<Figure[]> {
  const levels = quick ? LEVELS.slice(0, 2) : LEVELS;
  const side = await start("darkroom", { emulator: NOWHERE, vars: { LANE_LIMITS: NOTHING_STARTS } });
  const figures: Figure[] = [];
  try {
    let stored = 0;
    const ids: string[] = [];
    for (const level of levels) {
      ids.push(...(await submitJobs("darkroom", side.url, level - stored, CONNECTIONS)));
      stored = level;
      const polled = ids.slice(-200).map((id) => readRequest("darkroom", id));
      const list = { ...readRequest("darkroom", ""), path: "/api/jobs?limit=20" };
      const task = { url: side.url, connections: CONNECTIONS, amount: quick ? 500 : 2_000 };
      const polls = await load({ ...task, requests: polled }, 200);
      const lists = await load({ ...task, requests: [list] }, 200);
      const amount = quick ? 100 : 300;
      const submits = await load({ ...task, amount, requests: [submitRequest("darkroom")] }, 202);
      stored += amount;
      for (const [what, { perSecond }] of Object.entries({ submits, polls, lists })) {
        figures.push({
          what: `${what} with ${level} jobs stored`,
          unit: "/s",
          value: spreadOf([perSecond]),
          bar: null,
        });
      }
      say(`${level} stored: ${[submits, polls, lists].map(({ perSecond }) => perSecond.toFixed(0)).join(", ")}/s`);
    }
  } finally {
    await side.end();
  }
  return figures;
}

/** Throughput as the store grows. */
export const growthRow: Row = { name: "growth", about: "submits, polls and lists a second as jobs are stored", run };
