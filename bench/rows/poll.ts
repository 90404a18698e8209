import { load } from "../load/load.ts";
import type { Figure } from "../report.ts";
import type { Effort, Row } from "../row.ts";
import { type Contestant, NOTHING_STARTS, NOWHERE, readRequest, start, submitJobs } from "../sides/contestants.ts";
import type { Side } from "../sides/side.ts";
import { pairedRatio, spreadOf } from "../statistics.ts";

const CONNECTIONS = 16;
/** How many jobs are polled in turn, because many clients poll many jobs. */
const JOBS = 200;

interface Polled {
  readonly name: Contestant;
  readonly side: Side;
  readonly requests: readonly ReturnType<typeof readRequest>[];
}

async function prepare(name: Contestant): Promise<Polled> {
  const side = await start(name, { emulator: NOWHERE, vars: { LANE_LIMITS: NOTHING_STARTS } });
  const ids = await submitJobs(name, side.url, JOBS);
  return { name, side, requests: ids.map((id) => readRequest(name, id)) };
}

/** The same requests, each with the ETag of the known answer, as a well-behaved poller sends them. */
async function withTags({ side, requests }: Polled) {
  return await Promise.all(
    requests.map(async ({ method, path, headers }) => {
      const { headers: answered } = await fetch(`${side.url}${path}`, { headers });
      return { method, path, headers: { ...headers, "if-none-match": answered.get("etag") ?? "" } };
    }),
  );
}

async function run({ quick, say }: Effort): Promise<Figure[]> {
  const rounds = quick ? 3 : 7;
  const amount = quick ? 3_000 : 6_000;
  // Both keep running, because reading changes nothing for the next round.
  const floor = await prepare("floor");
  const ours = await prepare("darkroom");
  const rates: Record<"floor" | "darkroom" | "unchanged", number[]> = { floor: [], darkroom: [], unchanged: [] };
  try {
    const one = async (of: keyof typeof rates, { side }: Polled, requests: Polled["requests"]) => {
      const result = await load({ url: side.url, connections: CONNECTIONS, amount, requests }, 200, 304);
      rates[of].push(result.perSecond);
      say(`${of}: ${result.perSecond.toFixed(0)} polls/s, p50 ${result.p50Ms} ms, p99 ${result.p99Ms} ms`);
    };
    for (const { side, requests } of [floor, ours]) {
      await load({ url: side.url, connections: CONNECTIONS, amount: 1_000, requests }, 200);
    }
    const turns = [
      () => one("floor", floor, floor.requests),
      () => one("darkroom", ours, ours.requests),
      async () => one("unchanged", ours, await withTags(ours)),
    ];
    for (let number = 1; number <= rounds; number++) {
      // Every other round runs backwards, so that no side always follows the same other side.
      for (const turn of number % 2 === 1 ? turns : turns.toReversed()) await turn();
    }
  } finally {
    await floor.side.end();
    await ours.side.end();
  }
  return [
    {
      what: "poll throughput / floor's read",
      unit: "",
      value: pairedRatio(rates.darkroom, rates.floor),
      bar: { kind: "at least", value: 0.85 },
    },
    {
      what: "poll of an unchanged job (304) / floor's read",
      unit: "",
      value: pairedRatio(rates.unchanged, rates.floor),
      bar: null,
    },
    { what: "polls, floor", unit: "/s", value: spreadOf(rates.floor), bar: null },
    { what: "polls, darkroom", unit: "/s", value: spreadOf(rates.darkroom), bar: null },
  ];
}

/** Poll throughput of waiting jobs beside the floor's read. */
export const pollRow: Row = { name: "poll", kind: "speed", about: "poll against the floor's read", run };
