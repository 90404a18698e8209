import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Totals } from "./progress.ts";
import { watchedRun } from "./watched-run.ts";

/** A planted project: `a`, `b` and `c`, one file after the other, each with one test. */
let folder: string;
beforeEach(() => {
  // Inside the repository, where vitest is found.
  mkdirSync(".artifacts", { recursive: true });
  folder = mkdtempSync(join(".artifacts", "planted-stall-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The lines of a file that the planted project writes. */
function lines(name: string): string[] {
  const path = join(folder, name);
  return existsSync(path) ? readFileSync(path, "utf8").trimEnd().split("\n") : [];
}

/**
 * `isMute` is code: whether the runner of `file` withholds the message that the file has ended. It then adds a line to
 * `stalls`. `bodies` are the tests' bodies.
 */
function plant(isMute: string, bodies: Readonly<Record<string, string>> = {}): void {
  const write = (name: string, text: string) =>
    `appendFileSync(${JSON.stringify(join(folder, name))}, ${text} + "\\n");`;
  for (const name of ["a", "b", "c"]) {
    writeFileSync(
      join(folder, `${name}.planted.ts`),
      `import { spawn } from "node:child_process";
      import { appendFileSync } from "node:fs";
      import { expect, it } from "vitest";
      ${write("ran", JSON.stringify(name))}
      it("works", () => { ${bodies[name] ?? ""} });`,
    );
  }
  writeFileSync(
    join(folder, "vitest.config.ts"),
    `import { appendFileSync, existsSync } from "node:fs";
    import { defineConfig } from "vitest/config";
    import { ForksPoolWorker } from "vitest/node";
    class Runner extends ForksPoolWorker {
      send(message) {
        if (message.type === "run") this.file = message.context.files[0].filepath.at(-12);
        super.send(message);
      }
      on(event, callback) {
        if (event !== "message") return super.on(event, callback);
        super.on(event, (message) => {
          const { file } = this;
          if (message?.type === "testfileFinished" && (${isMute})) { ${write("stalls", "file")} }
          else callback(message);
        });
      }
    }
    class InOrder {
      shard(files) { return files; }
      sort(files) { return files.toSorted((one, other) => (one.moduleId < other.moduleId ? -1 : 1)); }
    }
    export default defineConfig({
      test: {
        name: "planted",
        include: [${JSON.stringify(`${folder}/*.planted.ts`)}],
        maxWorkers: 1,
        sequence: { sequencer: InOrder },
        pool: { name: "planted", createPoolWorker: (options) => new Runner(options) },
      },
    });`,
  );
}

async function run(): Promise<Totals & { readonly printed: string }> {
  const printed: string[] = [];
  let clockMs = 0;
  let readAtMs = performance.now();
  const totals = await watchedRun({
    args: ["--root", process.cwd(), "--config", join(folder, "vitest.config.ts")],
    print: (line) => printed.push(line),
    // From a stall until it is noticed this clock runs faster.
    nowMs: () => {
      const nowMs = performance.now();
      const noticed = printed.filter((line) => line.includes("STALLED")).length;
      clockMs += (nowMs - readAtMs) * (lines("stalls").length > noticed ? 200 : 1);
      readAtMs = nowMs;
      return clockMs;
    },
  });
  return { ...totals, printed: printed.join("\n") };
}

describe("a run of vitest", { timeout: 120_000 }, () => {
  it("ends a runner that does not answer, names its file, and runs the other files in a fresh process", async () => {
    plant(`file === "a"`);
    const { printed, ...totals } = await run();
    expect(totals, printed).toEqual({ passed: 3, skipped: 0, failures: [], stallsOvercome: 1 });
    expect(printed).toMatch(/STALLED: after \|planted\| \S+a\.planted\.ts: .* 2 of 3 files run once more/);
    expect(lines("ran")).toEqual(["a", "b", "c"]);
  });

  it("ends everything that a stalled process started, including groups of its own", async () => {
    const command = `process.execPath, ["-e", "setInterval(() => {}, 1000)"], { detached: true, stdio: "ignore" }`;
    plant(`file === "a"`, {
      a: `appendFileSync(${JSON.stringify(join(folder, "pid"))}, String(spawn(${command}).pid));`,
    });
    const { stallsOvercome, printed } = await run();
    expect(stallsOvercome, printed).toBe(1);
    const [pid = ""] = lines("pid");
    expect(pid).toMatch(/^\d+$/);
    // An ended process may still be listed as a zombie.
    expect(spawnSync("ps", ["-o", "stat=", "-p", pid], { encoding: "utf8" }).stdout).toMatch(/^(Z.*)?\s*$/);
  });

  it("fails when it stalls a second time, and counts each file that was never run as failed", async () => {
    plant("true");
    const { failures, passed, printed } = await run();
    expect(passed, printed).toBe(2);
    expect(failures).toEqual([
      expect.stringMatching(/^the run stalled twice\n.*b\.planted\.ts/),
      expect.stringMatching(/^\|planted\| \S+c\.planted\.ts\nwas not run to its end$/),
    ]);
    expect(lines("ran")).toEqual(["a", "b"]);
  });

  it("prints why a test failed, and keeps that after a stall", async () => {
    plant(`file === "a"`, { a: "expect([1, 2]).toEqual([1, 3]);" });
    const { failures, passed, stallsOvercome, printed } = await run();
    expect({ passed, stallsOvercome }, printed).toEqual({ passed: 2, stallsOvercome: 1 });
    expect(failures).toEqual([expect.stringMatching(/a\.planted\.ts > works\nexpected \[ 1, 2 \] to deeply equal/)]);
    expect(failures[0]).toMatch(/a\.planted\.ts:\d+:\d+/);
  });

  it("counts as failed a file that cannot be loaded, and the remaining files of a process that dies", async () => {
    plant("false", { b: "}); }" });
    const broken = await run();
    expect(broken.failures).toEqual([expect.stringMatching(/b\.planted\.ts\n./)]);
    expect(broken.passed).toBe(2);
    plant("process.exit(3)");
    const died = await run();
    expect(died.failures).toHaveLength(2);
    expect(died.failures[1]).toMatch(/c\.planted\.ts\nwas not run to its end: vitest ended with exit code 3$/);
  });
});
