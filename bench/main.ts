/**
 * `npm run bench` measures every bar of section 18 of the specification in one run. `--quick` is a short run,
 * `--only ROW` (repeatable) runs one row, `--list` prints their names. Every figure is a ratio or a latency within this run.
 */
import { parseArgs } from "node:util";
import { type Figure, holds, machine, table, writeReport } from "./report.ts";
import type { Row } from "./row.ts";
import { countsRow } from "./rows/counts.ts";
import { frameRow } from "./rows/frame.ts";
import { growthRow } from "./rows/growth.ts";
import { laneRow } from "./rows/lane.ts";
import { laneWakeRow } from "./rows/lane-wake.ts";
import { memoryRow } from "./rows/memory.ts";
import { pageRow } from "./rows/page.ts";
import { pollRow } from "./rows/poll.ts";
import { socketsRow } from "./rows/sockets.ts";
import { startCostRow } from "./rows/start-cost.ts";
import { submitRow } from "./rows/submit.ts";
import { submitHeapRow } from "./rows/submit-heap.ts";
import { variantsRow } from "./rows/variants.ts";
import { wallRow } from "./rows/wall.ts";
import { ARTIFACTS } from "./sides/build.ts";

const ROWS: readonly Row[] = [
  submitRow,
  pollRow,
  frameRow,
  laneRow,
  startCostRow,
  laneWakeRow,
  socketsRow,
  countsRow,
  growthRow,
  submitHeapRow,
  pageRow,
  wallRow,
  memoryRow,
  variantsRow,
];

function chosenRows(names: readonly string[]): readonly Row[] {
  const unknown = names.filter((name) => !ROWS.some((row) => row.name === name));
  if (unknown.length > 0) throw new Error(`no such row: ${unknown.join(", ")}; npm run bench -- --list names them`);
  return names.length === 0 ? ROWS : ROWS.filter(({ name }) => names.includes(name));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      only: { type: "string", multiple: true, default: [] },
      list: { type: "boolean", default: false },
    },
  });
  if (values.list) {
    for (const { name, about } of ROWS) console.log(`${name.padEnd(12)} ${about}`);
    return;
  }
  const rows = chosenRows(values.only);
  console.log(`machine: ${machine()}`);
  const found = new Map<string, readonly Figure[]>();
  const failed: string[] = [];
  const measure = async ({ name, about, run }: Row): Promise<void> => {
    console.log(`\n── ${name}: ${about}`);
    const startedAtMs = Date.now();
    try {
      found.set(name, await run({ quick: values.quick, say: (line) => console.log(`   ${name}: ${line}`) }));
      console.log(`── ${name}: ${((Date.now() - startedAtMs) / 1000).toFixed(0)} s`);
    } catch (error) {
      failed.push(name);
      console.error(`── ${name}: could not be measured: ${error instanceof Error ? error.stack : String(error)}`);
    }
  };
  const inTurn = async (kind: Row["kind"]): Promise<void> => {
    for (const row of rows) if (row.kind === kind) await measure(row);
  };
  const startedAtMs = Date.now();
  await inTurn("speed");
  await Promise.all([inTurn("amounts"), inTurn("waiting")]);
  const figures = rows.flatMap(({ name }) => found.get(name) ?? []);
  const path = `${ARTIFACTS}/report.json`;
  writeReport(path, figures, { at: new Date().toISOString(), quick: values.quick, rows: rows.map(({ name }) => name) });
  const missed = figures.filter((figure) => !holds(figure));
  const minutes = ((Date.now() - startedAtMs) / 60_000).toFixed(1);
  console.log(`\n${table(figures)}\n\n${path}, after ${minutes} minutes`);
  if (values.quick) console.log("A quick run is for a look; quote the full one.");
  if (missed.length > 0) console.log(`missed: ${missed.map(({ what }) => what).join("; ")}`);
  if (failed.length > 0) console.log(`not measured: ${failed.join(", ")}`);
  // A row that failed may have left a side running; it ends with this process.
  process.exit(missed.length + failed.length > 0 ? 1 : 0);
}

// On a signal to stop, the exit handlers end what was started and remove its state.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
await main();
