/**
 * `npm run bench:compare -- submit|poll [--rounds N] CHECKOUT...` compares the Workers of several checkouts (each with its
 * `npm ci` done) in one run. All of them stay up, and each takes a second or two of load in turn, so that whatever else slows the
 * machine slows them alike. Prints the medians, and each one's ratio to the floor round by round, with its quartiles.
 */
import { basename, resolve } from "node:path";
import { parseArgs } from "node:util";
import { load } from "./load/load.ts";
import { machine } from "./report.ts";
import { type Contestant, NOTHING_STARTS, readRequest, start, submitJobs, submitRequest } from "./sides/contestants.ts";
import { startEmulator } from "./sides/emulator.ts";
import type { Side } from "./sides/side.ts";
import { quantile } from "./statistics.ts";

const CONNECTIONS = 16;
/** The code is compiled by then. */
const WARM_UP_ROUNDS = 2;
/** Calls to the catalog follow their submissions within this, in ms. */
const AFTER_SUBMITS_MS = 400;

interface Compared {
  readonly title: string;
  readonly name: Contestant;
  readonly side: Side;
  readonly ids: readonly string[];
  readonly perSecond: number[];
  readonly cpuMicros: number[];
}

const { values, positionals } = parseArgs({
  options: { rounds: { type: "string", default: "15" } },
  allowPositionals: true,
});
const [what, ...checkouts] = positionals;
const rounds = Number(values.rounds);
if ((what !== "submit" && what !== "poll") || checkouts.length === 0 || !Number.isInteger(rounds) || rounds < 1) {
  console.error("usage: npm run bench:compare -- submit|poll [--rounds N] CHECKOUT...");
  process.exit(2);
}

const emulator = await startEmulator(["--latency", "10m", "--quota", "off", "--images", "small-file"]);

async function prepare(title: string, name: Contestant, checkout: string): Promise<Compared> {
  const vars = what === "poll" ? { LANE_LIMITS: NOTHING_STARTS } : {};
  const side = await start(name, { emulator, vars, checkout });
  const ids = await submitJobs(name, side.url, what === "poll" ? 200 : 100);
  return { title, name, side, ids, perSecond: [], cpuMicros: [] };
}

async function turn({ name, side, ids, perSecond, cpuMicros }: Compared, counts: boolean): Promise<void> {
  const requests = what === "poll" ? ids.map((id) => readRequest(name, id)) : [submitRequest(name)];
  const amount = what === "poll" ? 3_000 : 250;
  const before = side.usage()?.workerdCpuMs ?? Number.NaN;
  const result = await load({ url: side.url, connections: CONNECTIONS, amount, requests }, what === "poll" ? 200 : 202);
  if (what === "submit") await new Promise((resume) => setTimeout(resume, AFTER_SUBMITS_MS));
  if (!counts) return;
  perSecond.push(result.perSecond);
  cpuMicros.push((((side.usage()?.workerdCpuMs ?? Number.NaN) - before) / amount) * 1000);
}

/** The median and the quartiles of each round's ratio. */
function ratioWords(ours: readonly number[], theirs: readonly number[]): string {
  const ratios = ours.map((value, round) => value / (theirs[round] ?? Number.NaN));
  const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => quantile(ratios, share).toFixed(2));
  return `${middle} (${low} … ${high})`;
}

console.log(`machine: ${machine()}; ${what}, ${rounds} rounds`);
const floor = await prepare("floor", "floor", ".");
const compared = [floor];
for (const checkout of checkouts) compared.push(await prepare(basename(resolve(checkout)), "darkroom", checkout));
try {
  for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
    // Every other round runs backwards, so that none always follows the same other one.
    for (const one of round % 2 === 0 ? compared : compared.toReversed()) await turn(one, round >= 0);
  }
} finally {
  for (const { side } of compared) await side.end();
  await emulator.end();
}
console.log(
  "| checkout | a second | CPU of each, µs | throughput / floor | CPU / floor |\n| --- | --- | --- | --- | --- |",
);
for (const { title, perSecond, cpuMicros } of compared) {
  const medians = [perSecond, cpuMicros].map((found) => quantile(found, 0.5).toFixed(0));
  const ratios = [ratioWords(perSecond, floor.perSecond), ratioWords(cpuMicros, floor.cpuMicros)];
  console.log(`| ${[title, ...medians, ...ratios].join(" | ")} |`);
}
process.exit(0);
