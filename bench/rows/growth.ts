import { load } from "../load/load.ts";
import type { Figure } from "../report.ts";
import type { Effort, Row } from "../row.ts";
import { NOTHING_STARTS, NOWHERE, readRequest, start, submitJobs, submitRequest, TOKEN } from "../sides/contestants.ts";
import type { Side } from "../sides/side.ts";
import { pairedRatio, spreadOf } from "../statistics.ts";

const CONNECTIONS = 16;
/** The level with which the others are compared. */
const FEWEST = 10;
/** How many jobs are polled in turn at each level, so that levels differ only in the number of other jobs. */
const POLLED = FEWEST;
const LISTED = 100;

const KINDS = ["submits", "polls", "lists"] as const;
type Kind = (typeof KINDS)[number];

/** One Worker with `stored` jobs, all of one client and in one line. */
interface Level {
  readonly stored: number;
  readonly side: Side;
  readonly polled: readonly ReturnType<typeof readRequest>[];
  readonly rates: Record<Kind, number[]>;
}

async function prepare(stored: number): Promise<Level> {
  const side = await start("darkroom", { emulator: NOWHERE, vars: { LANE_LIMITS: NOTHING_STARTS } });
  const ids = await submitJobs("darkroom", side.url, stored, CONNECTIONS);
  const polled = ids.filter((_, index) => index % (stored / POLLED) === 0).map((id) => readRequest("darkroom", id));
  return { stored, side, polled, rates: { submits: [], polls: [], lists: [] } };
}

/** Deletes the newest `count` jobs, so that the next round finds as many stored as this one. */
async function removeNewest({ side }: Level, count: number): Promise<void> {
  const headers = { accept: "application/json", authorization: `Bearer ${TOKEN}` };
  for (let left = count; left > 0; left -= LISTED) {
    const limit = Math.min(left, LISTED);
    const listed = await fetch(`${side.url}/api/jobs?limit=${limit}`, { headers });
    const { jobs } = (await listed.json()) as { jobs: { id: string }[] };
    if (jobs.length !== limit) throw new Error(`a list of ${limit} held ${jobs.length} jobs`);
    for (const { id } of jobs) {
      const removed = await fetch(`${side.url}/api/jobs/${id}`, { method: "DELETE", headers });
      if (removed.status !== 204) throw new Error(`${id} could not be removed: ${removed.status}`);
    }
    // The list drops them a little later; a list that is read too early has the same jobs again.
    await untilGone(side, jobs[0]?.id ?? "", headers);
  }
}

async function untilGone(side: Side, id: string, headers: Readonly<Record<string, string>>): Promise<void> {
  const endsAtMs = Date.now() + 30_000;
  for (;;) {
    const listed = await fetch(`${side.url}/api/jobs?limit=${LISTED}`, { headers });
    if (!(await listed.text()).includes(id)) return;
    if (Date.now() > endsAtMs) throw new Error(`${id} is still listed half a minute after it was removed`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

interface Amounts extends Readonly<Record<Kind, number>> {}

/** Measures one throughput of one level once. */
async function measure(level: Level, kind: Kind, amount: number): Promise<number> {
  const task = { url: level.side.url, connections: CONNECTIONS, amount };
  switch (kind) {
    case "polls":
      return (await load({ ...task, requests: level.polled }, 200)).perSecond;
    case "lists": {
      const list = { ...readRequest("darkroom", ""), path: "/api/jobs?limit=20" };
      return (await load({ ...task, requests: [list] }, 200)).perSecond;
    }
    case "submits": {
      const { perSecond } = await load({ ...task, requests: [submitRequest("darkroom")] }, 202);
      await removeNewest(level, amount);
      return perSecond;
    }
  }
}

function figuresOf(levels: readonly Level[]): Figure[] {
  const [fewest, ...more] = levels;
  if (fewest === undefined) throw new Error("no level was measured");
  const ratios = more.flatMap(({ stored, rates }) =>
    KINDS.map((kind) => ({
      what: `${kind} a second with ${stored} jobs stored / with ${fewest.stored}`,
      unit: "",
      value: pairedRatio(rates[kind], fewest.rates[kind]),
      bar: null,
    })),
  );
  const absolute = levels.flatMap(({ stored, rates }) =>
    KINDS.map((kind) => ({
      what: `${kind} with ${stored} jobs stored`,
      unit: "/s",
      value: spreadOf(rates[kind]),
      bar: null,
    })),
  );
  return [...ratios, ...absolute];
}

async function run({ quick, say }: Effort): Promise<Figure[]> {
  const rounds = quick ? 3 : 5;
  const amounts: Amounts = quick
    ? { submits: 100, polls: 1_000, lists: 300 }
    : { submits: 200, polls: 2_000, lists: 600 };
  const levels: Level[] = [];
  try {
    // All keep running and take turns, so that other load on the machine affects each level alike.
    for (const stored of quick ? [FEWEST, 1_000] : [FEWEST, 1_000, 10_000]) levels.push(await prepare(stored));
    // The first round compiles the code.
    for (let number = 0; number <= rounds; number++) {
      const order = number % 2 === 1 ? levels : levels.toReversed();
      for (const kind of KINDS) {
        const found: string[] = [];
        for (const level of order) {
          const perSecond = await measure(level, kind, amounts[kind]);
          if (number > 0) level.rates[kind].push(perSecond);
          found.push(`${perSecond.toFixed(0)} with ${level.stored}`);
        }
        say(`${number === 0 ? "warm-up" : `round ${number}`}, ${kind} a second: ${found.join(", ")} stored`);
      }
    }
  } finally {
    for (const { side } of levels) await side.end();
  }
  return figuresOf(levels);
}

/** Throughput as the store grows, against an almost empty store. */
export const growthRow: Row = {
  name: "growth",
  kind: "speed",
  about: "submits, polls and lists a second as jobs are stored",
  run,
};
