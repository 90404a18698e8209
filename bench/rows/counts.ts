import { costOf, type Scene } from "../job-cost.ts";
import { byPolling, byWatching } from "../load/follow-jobs.ts";
import { billOf, type JobCost } from "../prices.ts";
import type { Figure } from "../report.ts";
import type { Effort, Row } from "../row.ts";
import { spreadOf } from "../statistics.ts";

const AT_ONCE = JSON.stringify({ "qwen-image-max": { starts: 100 } });
/** One job starts a second, so that a line forms and every place in it changes. */
const ONE_A_SECOND = JSON.stringify({ "qwen-image-max": { starts: 1, periodMs: 1000, inProgress: null } });

/** The specification's bars for a job. They name no scene, so they apply to each watched one. */
const MOST_REQUESTS = 12;
const MOST_ROWS = 25;

const product = { side: "counted" } as const;
const peer = { side: "counted-workflow", jobs: 3, laneLimits: null } as const;

function scenesOf(long: number) {
  return {
    "at once, watched": { ...product, jobs: 5, laneLimits: AT_ONCE, follow: byWatching },
    "three in line, watched": { ...product, jobs: 3, laneLimits: ONE_A_SECOND, follow: byWatching },
    [`${long} in line, watched`]: { ...product, jobs: long, laneLimits: ONE_A_SECOND, follow: byWatching },
    "three in line, polled every second": {
      ...product,
      ...{ jobs: 3, laneLimits: ONE_A_SECOND, follow: byPolling(1_000) },
    },
    "Workflow, polled every 5 s": { ...peer, follow: byPolling(5_000) },
    "Workflow, polled every second": { ...peer, follow: byPolling(1_000) },
  } satisfies Record<string, Scene>;
}

function figure(what: string, unit: string, value: number, mostAllowed: number | null = null): Figure {
  const bar = mostAllowed === null ? null : ({ kind: "at most", value: mostAllowed } as const);
  return { what, unit, value: spreadOf([value]), bar };
}

/** The lines of a cost in the table: values that are not 0 and, in a scene with bars, that have no line of their own. */
function costFigures(scene: string, { awakeSeconds: _, ...counted }: JobCost, barred: boolean): Figure[] {
  return Object.entries(counted)
    .filter(([what, value]) => value > 0 && !(barred && (what === "objectRequests" || what === "rowsWritten")))
    .map(([what, value]: [string, number]) => figure(`${what} a job, ${scene}`, "", value));
}

async function run({ quick, say }: Effort): Promise<Figure[]> {
  const scenes = Object.entries<Scene>(scenesOf(quick ? 8 : 20));
  // All scenes at once: nearly all the time is spent waiting for upstream, and the counts do not depend on speed.
  const found = await Promise.all(
    scenes.map(async ([name, scene]) => ({ name, watched: scene.follow === byWatching, ...(await costOf(scene)) })),
  );
  for (const { name, lines } of found) {
    say(`${name}:`);
    for (const line of lines) say(line);
  }
  const bills = found.map(({ name, cost }) => ({ name, bill: billOf(cost) }));
  for (const { name, bill } of bills) {
    const parts = Object.entries(bill).map(([part, dollars]: [string, number]) => `${part} ${dollars.toFixed(1)}`);
    say(`$ for a million jobs, ${name}: ${parts.join(", ")}`);
  }
  const barred = found.filter(({ watched }) => watched);
  return [
    ...barred.map(({ name, cost }) => figure(`object requests a job, ${name}`, "", cost.objectRequests, MOST_REQUESTS)),
    ...barred.map(({ name, cost }) => figure(`rows written a job, ${name}`, "", cost.rowsWritten, MOST_ROWS)),
    ...found.flatMap(({ name, cost, watched }) => costFigures(name, cost, watched)),
    ...bills.map(({ name, bill }) => figure(`a million jobs (counts × prices), ${name}`, "$", bill.total)),
  ];
}

/** The cost of a job from submit to its image, in requests, rows, R2 operations and dollars. */
export const countsRow: Row = {
  name: "counts",
  kind: "amounts",
  about: "requests, rows, R2 operations and dollars of a job's life",
  run,
};
