import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freePort } from "./support/free-port.ts";
import { until } from "./support/until.ts";

interface Started {
  readonly child: ChildProcess;
  readonly port: number;
  /** Its output so far. */
  output(): string;
  /** Resolves with its exit code; -1 when it was killed. */
  readonly exit: Promise<number>;
}

let stateDir: string;
let running: Started[];

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "start-test-"));
  running = [];
});
afterEach(async () => {
  for (const { child, exit } of running) {
    child.kill("SIGTERM");
    await exit;
  }
  rmSync(stateDir, { recursive: true, force: true, maxRetries: 3 });
});

function start(
  port: number,
  env: Record<string, string> = {},
  command = [process.execPath, "scripts/start.ts"],
): Started {
  const { QWEN_API_KEY: _, ...clean } = process.env;
  const quick = { EMULATOR_ARGS: "--latency 50 --images small-file", SKIP_BUILD: "1", TMPDIR: stateDir };
  const [program = "", ...args] = command;
  const child = spawn(program, args, {
    env: { ...clean, ...quick, PORT: String(port), STATE_DIR: join(stateDir, "state"), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const exit = once(child, "exit").then(([code]) => (typeof code === "number" ? code : -1));
  const started = { child, port, output: () => output, exit };
  running.push(started);
  return started;
}

/** A port whose follower is free as well, for the emulator. */
async function freePair(): Promise<number> {
  for (;;) {
    const port = await freePort();
    const server = createServer();
    const free = await new Promise<boolean>((done) => {
      server.once("error", () => done(false));
      server.listen(port + 1, "127.0.0.1", () => server.close(() => done(true)));
    });
    if (free) return port;
  }
}

async function up(started: Started): Promise<void> {
  await until(
    "npm start to be up",
    () => {
      if (started.child.exitCode !== null) throw new Error(`it ended:\n${started.output()}`);
      return started.output().includes("Darkroom is up") || undefined;
    },
    120_000,
  );
}

/** Every process whose command line or environment names this test's state folder. Linux only. */
function left(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "latin1").includes(stateDir);
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** The process among `left` whose command line matches. */
function find(pattern: RegExp): number {
  const found = left().find((pid) => pattern.test(readFileSync(`/proc/${pid}/cmdline`, "latin1")));
  if (found === undefined) throw new Error(`no process ${pattern}`);
  return found;
}

const nothingLeft = (): Promise<boolean> => until("every process to be gone", () => left().length === 0 || undefined);

describe("npm start", () => {
  it("prints a curl line that works as pasted, and keeps its job over a stop and a start", async () => {
    const port = await freePair();
    const first = start(port);
    await up(first);
    const line = /curl {3}(curl .*)/.exec(first.output())?.[1];
    expect(line).toBeDefined();
    const { stdout } = await promisify(execFile)("sh", ["-c", line ?? "false"]);
    const job = JSON.parse(stdout) as { id: string; status: string };
    expect(job.status).toBe("succeeded");
    first.child.kill("SIGINT");
    expect(await first.exit).toBe(0);
    const second = start(port);
    await up(second);
    const again = await fetch(`http://localhost:${port}/api/jobs/${job.id}`);
    expect(await again.json()).toMatchObject({ id: job.id, status: "succeeded" });
  });

  it("says that a port is in use, and which variable sets another", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const address = taken.address();
    const started = start(typeof address === "object" && address !== null ? address.port : 0);
    expect(await started.exit).toBe(1);
    expect(started.output()).toMatch(/port \d+ is in use; take another: PORT=/);
    taken.close();
  });

  it("names a wrong option at once", async () => {
    const port = await freePair();
    const file = join(stateDir, "file");
    writeFileSync(file, "");
    const cases: [Record<string, string>, string][] = [
      [{ PORT: "abc" }, 'PORT must be a whole number from 1 to 65534; got "abc"'],
      [{ EMULATOR_PORT: "abc" }, 'EMULATOR_PORT must be a whole number from 1 to 65534; got "abc"'],
      [{ EMULATOR_PORT: String(port) }, `PORT and EMULATOR_PORT are both ${port}`],
      [{ STATE_DIR: file }, `STATE_DIR: ${file} cannot be used as a folder: it is a file`],
      [{ STATE_DIR: join(file, "state") }, "cannot be used as a folder: a part of its path is a file"],
      [{ WORKER_LOG: "loud" }, 'WORKER_LOG must be one of none, error, warn, info, log, debug; got "loud"'],
    ];
    for (const [env, words] of cases) {
      const started = start(port, env);
      expect(await started.exit, words).toBe(1);
      expect(started.output().trim().split("\n"), words).toEqual([expect.stringContaining(words)]);
    }
  });

  it("names the upstream that it uses", async () => {
    const asked = start(await freePair(), { QWEN_API_KEY: "sk-any", QWEN_BASE_URL: "http://127.0.0.1:9" });
    await up(asked);
    expect(asked.output()).toContain("Darkroom is up, with 127.0.0.1:9 as upstream.");
    const played = start(await freePair(), { QWEN_BASE_URL: "http://127.0.0.1:9", STATE_DIR: join(stateDir, "other") });
    await up(played);
    expect(played.output()).toMatch(
      /with the emulator at http:\S+ \(no QWEN_API_KEY is set, so QWEN_BASE_URL is not used\)/,
    );
  });

  it("builds the page without a warning", async () => {
    // Vitest's own variables would change the build.
    const { PATH = "" } = process.env;
    const args = ["node_modules/vite/bin/vite.js", "build", "--config", "web/vite.config.ts", "--logLevel", "warn"];
    args.push("--outDir", join(stateDir, "web"));
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { env: { PATH } });
    expect(stdout + stderr).toBe("");
  });

  it("names the variable that is wrong", async () => {
    const started = start(await freePair(), { QWEN_REGION: "mars" });
    await until("the word of what is wrong", () => started.output().includes("QWEN_REGION must be") || undefined);
  });

  it.runIf(process.platform === "linux")("keeps secrets out of command lines", async () => {
    const started = start(await freePair(), { SIGNING_SECRET: "canary-signing-secret-0123456789" });
    await up(started);
    for (const pid of left()) expect(readFileSync(`/proc/${pid}/cmdline`, "latin1")).not.toContain("canary");
  });

  it.runIf(process.platform === "linux")(
    "leaves no process behind when npm, which started it, is stopped",
    async () => {
      const started = start(await freePair(), {}, ["npm", "start"]);
      await up(started);
      started.child.kill("SIGTERM");
      await started.exit;
      await nothingLeft();
    },
  );

  it.runIf(process.platform === "linux").each([
    ["stopped", 0, (started: Started) => started.child.kill("SIGTERM")],
    ["killed itself", -1, (started: Started) => started.child.kill("SIGKILL")],
    ["robbed of wrangler", 1, () => process.kill(find(/bin\/wrangler\.js/), "SIGKILL")],
    ["robbed of the emulator", 1, () => process.kill(find(/emulator\/main\.ts/), "SIGKILL")],
  ] as const)("leaves no process and no secret behind when %s", async (_, code, strike) => {
    const started = start(await freePair());
    await up(started);
    strike(started);
    expect(await started.exit).toBe(code);
    await nothingLeft();
    expect(readdirSync(stateDir).filter((name) => name.startsWith("darkroom-"))).toEqual([]);
  });
});
