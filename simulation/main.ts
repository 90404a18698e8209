/**
 * `npm run simulate:platform -- --seeds N --from S [--cores C] [--planted NAME] [--before REVISION] [--explain SEED] [--tell SEED]`:
 * runs the product on a hostile platform, in virtual time. `--before`: that version runs first, and deployments mix the two.
 * Prints what was run and found; exits with 1 when an invariant was violated, and with 2 when an option is wrong.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Coverage } from "./coverage.ts";
import { Crew, type Total } from "./crew.ts";
import { FAULTS, type FaultName } from "./engine/faults.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200" },
    from: { type: "string", default: "1" },
    cores: { type: "string", default: "2" },
    planted: { type: "string" },
    before: { type: "string" },
    explain: { type: "string" },
    tell: { type: "string" },
    stories: { type: "string", default: "3" },
  },
});

function wholeNumber(name: string, text: string, min: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= min) return value;
  console.error(`--${name} must be a whole number from ${min}, got ${text}`);
  process.exit(2);
}

const whole = (value: number): string => Math.round(value).toLocaleString("en").replaceAll(",", " ");

function printTotal({ seeds, lives, events, faults, cells, findings }: Total, tookMs: number): void {
  const perSecond = lives / (tookMs / 1000);
  console.log(
    `${whole(seeds)} seeds, ${whole(lives)} lives, ${whole(events)} events in ${whole(tookMs / 1000)} s: ${whole(perSecond)} lives a second`,
  );
  const struck = (Object.keys(FAULTS) as FaultName[]).map((name) => `${name} ${whole(faults[name] ?? 0)}`);
  console.log(`\nfaults injected: ${struck.join(" · ")}`);
  const coverage = new Coverage();
  coverage.add(cells);
  console.log(`\n${coverage.table().join("\n")}`);
  const byInvariant = Map.groupBy(findings, ({ invariant }) => invariant);
  const count = new Set(findings.map(({ seed }) => seed)).size;
  console.log(`\n${count === 0 ? "no violation" : `violations in ${whole(count)} seeds`}`);
  for (const [invariant, found] of byInvariant) {
    const seedsOf = [...new Set(found.map(({ seed }) => seed))];
    console.log(`  ${invariant}: ${whole(seedsOf.length)} seeds, first ${seedsOf.slice(0, 8).join(", ")}`);
  }
}

/** A checkout of another version, with the libraries of this one. */
function checkoutOf(revision: string): string {
  const root = fileURLToPath(new URL("../", import.meta.url).href);
  const directory = mkdtempSync(join(tmpdir(), "darkroom-before-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  let files: Buffer;
  try {
    files = execFileSync("git", ["archive", revision, "package.json", "worker", "schemas", "client"], {
      cwd: root,
      maxBuffer: 256 * 1024 * 1024,
    });
  } catch {
    console.error(
      `--before must be a revision of this repository that has worker/, schemas/ and client/, got ${revision}`,
    );
    process.exit(2);
  }
  execFileSync("tar", ["-x", "-C", directory], { input: files });
  symlinkSync(realpathSync(join(root, "node_modules")), join(directory, "node_modules"));
  return `${realpathSync(directory)}/`;
}

const before = values.before === undefined ? null : checkoutOf(values.before);
const crew = new Crew(wholeNumber("cores", values.cores, 1), before);
const planted = values.planted ?? null;
try {
  const seed = values.tell ?? values.explain;
  if (seed !== undefined) {
    const { lines, summary } = await crew.explain(
      wholeNumber("explain", seed, 0),
      values.tell !== undefined,
      null,
      planted,
    );
    console.log(`${lines.join("\n")}\n\nseed ${seed}: ${summary}`);
  } else {
    const startedAtMs = performance.now();
    // The processes finish their current runs, and the results so far are printed.
    process.once("SIGINT", () => crew.stop());
    let printed = 0;
    const total = await crew.run({
      from: wholeNumber("from", values.from, 0),
      count: wholeNumber("seeds", values.seeds, 1),
      untilFound: null,
      planted,
      onProgress: ({ seeds, lives, findings }) => {
        const lines = new Set(findings.slice(printed).map(({ seed, invariant }) => `seed ${seed}: ${invariant}`));
        for (const line of lines) process.stderr.write(`\n${line}\n`);
        printed = findings.length;
        process.stderr.write(`\r${whole(seeds)} seeds, ${whole(lives)} lives, ${printed} findings `);
      },
    });
    process.stderr.write("\n");
    printTotal(total, performance.now() - startedAtMs);
    const firstOf = new Map<string, number>();
    for (const { invariant, seed } of total.findings) if (!firstOf.has(invariant)) firstOf.set(invariant, seed);
    for (const [invariant, seed] of [...firstOf].slice(0, wholeNumber("stories", values.stories, 0))) {
      const { lines, summary } = await crew.explain(seed, false, invariant, planted);
      console.log(`\n── seed ${seed}: ${invariant} (${summary})\n${lines.join("\n")}`);
    }
    if (total.findings.length > 0) process.exitCode = 1;
  }
} finally {
  crew.end();
}
