/**
 * `npm test`: everything that must hold, in one run: format, lint, types, the page's build, every test, the dry-run
 * deploy. Each step runs even when an earlier one failed; the closing line counts all of it.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync } from "node:fs";

const ARTIFACTS = ".artifacts";

interface Count {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** What of vitest's JSON report is read here. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly unknown[] }[];
}

function run(title: string, command: string, args: readonly string[]): boolean {
  console.log(`\n── ${title}: ${command} ${args.join(" ")}`);
  const startedAtMs = Date.now();
  const { status } = spawnSync(command, args, { stdio: "inherit", env: { ...process.env, NO_COLOR: "1" } });
  const took = ((Date.now() - startedAtMs) / 1000).toFixed(1);
  console.log(`── ${title}: ${status === 0 ? "ok" : `failed (exit ${status})`} after ${took} s`);
  return status === 0;
}

function step(title: string, command: string, ...args: string[]): Count {
  const ok = run(title, command, args);
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 };
}

/** One run of vitest. `isAside`: what it says is told when it has ended, so that two runs at once do not talk at once. */
async function tests(name: string, args: readonly string[], isAside = false): Promise<Count> {
  const reportPath = `${ARTIFACTS}/${name.replaceAll(" ", "-")}.json`;
  rmSync(reportPath, { force: true });
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${reportPath}`];
  const all = ["run", ...reporters, ...args];
  console.log(`\n── ${name}: vitest ${all.join(" ")}`);
  const startedAtMs = Date.now();
  const env = { ...process.env, NO_COLOR: "1" };
  const child = spawn("vitest", all, { stdio: ["inherit", ...(isAside ? ASIDE : ALOUD)], env });
  const said: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (bytes: Buffer) => said.push(bytes));
  const [status] = (await once(child, "close")) as [number | null];
  process.stdout.write(Buffer.concat(said));
  const ok = status === 0;
  const took = ((Date.now() - startedAtMs) / 1000).toFixed(1);
  console.log(`── ${name}: ${ok ? "ok" : `failed (exit ${status})`} after ${took} s`);
  return counted(reportPath, ok);
}

const ASIDE = ["pipe", "pipe"] as const;
const ALOUD = ["inherit", "inherit"] as const;

function counted(reportPath: string, ok: boolean): Count {
  try {
    const report = JSON.parse(readFileSync(reportPath, "utf8")) as Report;
    // A file that could not even be loaded has no test to fail, and counts as one.
    const broken = report.testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0);
    const failed = report.numFailedTests + broken.length;
    return {
      passed: report.numPassedTests,
      // Vitest also fails a run for errors outside of any test.
      failed: failed === 0 && !ok ? 1 : failed,
      skipped: report.numPendingTests,
    };
  } catch (error) {
    console.error(`no report of the tests: ${String(error)}`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

/** Everything, or what the arguments choose. The whole product's tests mostly wait, so the others run beside them. */
async function allTests(args: readonly string[]): Promise<Count[]> {
  if (args.length > 0) return [await tests("tests", args)];
  return Promise.all([
    tests("product tests", ["--project", "product"]),
    tests("unit and workers tests", ["--project", "unit", "--project", "workers"], true),
  ]);
}

/** The runtime that the dev dependency `node` brings must be the one in use, whatever the machine has. */
function runtime(): Count {
  const major = Number(process.versions.node.split(".")[0]);
  const ok = major >= 24;
  console.log(
    `── runtime: node ${process.versions.node}${ok ? "" : ", but 24 or newer is needed: start by `npm test`"}`,
  );
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 };
}

mkdirSync(ARTIFACTS, { recursive: true });
const counts = [
  runtime(),
  step("format and lint", "biome", "ci", "."),
  step("binding types", "npm", "run", "--silent", "types"),
  step("types", "npm", "run", "--silent", "typecheck"),
  step("known holes", "npm", "run", "--silent", "audit"),
  step("page", "npm", "run", "--silent", "build"),
  ...(await allTests(process.argv.slice(2))),
  step("dry-run deploy", "npm", "run", "--silent", "check:deploy"),
];
const total = (pick: (count: Count) => number) => counts.reduce((sum, count) => sum + pick(count), 0);
const failed = total((count) => count.failed);
const skipped = total((count) => count.skipped);
console.log(`\n${total((count) => count.passed)} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exitCode = failed === 0 ? 0 : 1;
