/**
 * `npm test`: all checks in one run: format, lint, types, the page's build, the dry-run deploy, every test. Each step runs
 * even when an earlier one failed. The last lines name and count all failures, with their reasons.
 */
import { execFile } from "node:child_process";
import { resolve } from "node:path";
import type { Totals } from "./test/progress.ts";
import { watchedRun } from "./test/watched-run.ts";

/** The slowest step takes half a minute. A step that takes this long hangs. */
const STEP_BOUND_MS = 600_000;
/** How many lines of a failed step's output the last lines repeat. */
const STEP_LINES = 30;

function totalsOf(failures: readonly string[]): Totals {
  return { passed: failures.length === 0 ? 1 : 0, skipped: 0, failures, stallsOvercome: 0 };
}

function closed(title: string, startedAtMs: number, totals: Totals): Totals {
  const took = ((Date.now() - startedAtMs) / 1000).toFixed(1);
  console.log(`── ${title}: ${totals.failures.length === 0 ? "ok" : "failed"} after ${took} s`);
  return totals;
}

/** Prints a step's output after the step has ended, because steps run in parallel. */
async function step(title: string, command: string, ...args: string[]): Promise<Totals> {
  const startedAtMs = Date.now();
  const { failed, output } = await new Promise<{ failed: boolean; output: string }>((resolve) => {
    const options = { maxBuffer: 64 * 1024 * 1024, timeout: STEP_BOUND_MS, killSignal: "SIGKILL" } as const;
    const child = execFile(command, args, options, (error, stdout, stderr) => {
      process.off("exit", kill);
      const why = error !== null && stdout + stderr === "" ? error.message : "";
      resolve({ failed: error !== null, output: `${stdout}${stderr}${why}`.trimEnd() });
    });
    const kill = () => child.kill("SIGKILL");
    process.on("exit", kill);
    child.stdin?.end();
  });
  console.log(`\n── ${title}: ${command} ${args.join(" ")}`);
  if (output !== "") console.log(output);
  const failure = `${title}\n${output.split("\n").slice(-STEP_LINES).join("\n")}`;
  return closed(title, startedAtMs, totalsOf(failed ? [failure] : []));
}

/** The checks that do not run the product. Two steps run at once. A step that needs another's result runs after it. */
async function checks(): Promise<Totals[]> {
  const types = async () => [
    await step("binding types", "npm", "run", "--silent", "types"),
    await step("types", "npm", "run", "--silent", "typecheck"),
  ];
  const others = async () => [
    await step("page", "npm", "run", "--silent", "build"),
    await step("dry-run deploy", "npm", "run", "--silent", "check:deploy"),
    await step("format and lint", "biome", "ci", "."),
    await step("known holes", "npm", "run", "--silent", "audit"),
  ];
  return (await Promise.all([types(), others()])).flat();
}

async function tests(title: string, ...args: string[]): Promise<Totals> {
  console.log(`\n── ${title}: vitest run ${args.join(" ")}`);
  const startedAtMs = Date.now();
  return closed(title, startedAtMs, await watchedRun({ args, print: (line) => console.log(line) }));
}

/**
 * Runs all tests, or those that the arguments choose. Three runs are parallel, because product tests and workers tests wait for
 * much of their time.
 */
async function allTests(args: readonly string[]): Promise<Totals[]> {
  if (args.length > 0) return [await tests("tests", ...args)];
  return Promise.all([
    tests("product tests", "--project", "product"),
    tests("workers tests", "--project", "workers"),
    tests("unit and simulation tests", "--project", "unit", "--project", "simulation"),
  ]);
}

/** Every machine must use the runtime of the dev dependency `node`. */
function runtime(): Totals {
  const isNew = Number(process.versions.node.split(".")[0]) >= 24;
  console.log(`── runtime: node ${process.versions.node}`);
  return totalsOf(isNew ? [] : ["runtime\nnode 24 or newer is needed: start by `npm test`"]);
}

process.env.NO_COLOR = "1";
// Wrangler, the emulator and a worker of vitest for each file are started hundreds of times. Compiling their code takes a
// quarter to a half of such a start. What is kept is used only for code that is the same byte for byte.
process.env.NODE_COMPILE_CACHE ??= resolve(".artifacts/compile-cache");
// An interrupted run calls `exit`, which ends what it started.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(1));

const parts = [runtime(), ...(await checks()), ...(await allTests(process.argv.slice(2)))];
const sum = (pick: (totals: Totals) => number) => parts.reduce((total, part) => total + pick(part), 0);
const failures = parts.flatMap((part) => part.failures);
const skipped = sum((part) => part.skipped);
const stalls = sum((part) => part.stallsOvercome);
for (const failure of failures) console.log(`\n✗ ${failure.replaceAll("\n", "\n    ")}`);
console.log(
  `\n${sum((part) => part.passed)} passed, ${failures.length} failed` +
    `${skipped > 0 ? `, ${skipped} skipped` : ""}${stalls > 0 ? `, ${stalls} stalls overcome` : ""}`,
);
process.exitCode = failures.length === 0 ? 0 : 1;
