import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Progress, type TestEvent, type Totals } from "./progress.ts";

const REPORTER = join(import.meta.dirname, "reporter.ts");
const VITEST = join(import.meta.dirname, "../../node_modules/vitest/vitest.mjs");
/** How often a run is checked for a stall. */
const LOOK_MS = 1_000;
/** A run that has printed nothing for this long prints what runs. */
const LINE_MS = 15_000;

export interface WatchedRun {
  /** Arguments of `vitest run`. */
  readonly args: readonly string[];
  readonly print: (line: string) => void;
  /** A clock that never goes back. */
  readonly nowMs?: () => number;
}

/**
 * Runs vitest and prints whole lines as they come. Ends a process that stalls (`Progress.isStalled`) with everything it
 * started, and runs the files that it left in one more process.
 */
export async function watchedRun({ args, print, nowMs = () => performance.now() }: WatchedRun): Promise<Totals> {
  const progress = new Progress(nowMs());
  for (;;) {
    const exclude = progress.settled().flatMap((file) => ["--exclude", file]);
    const all = [VITEST, "run", "--reporter=default", `--reporter=${REPORTER}`, ...args, ...exclude];
    const exit = await oneProcess(all, progress, print, nowMs);
    if (exit !== "stalled") return progress.totals(exit);
    const { message, again } = progress.stalled(nowMs());
    print(`── ${message}`);
    if (!again) return progress.totals(null);
  }
}

/** Resolves once the process has ended: with null for exit code 0, or how else it ended. */
async function oneProcess(
  args: readonly string[],
  progress: Progress,
  print: (line: string) => void,
  nowMs: () => number,
): Promise<string | null> {
  progress.sign(nowMs());
  // Its own process group, so that all of it can be ended.
  const child = spawn(process.execPath, args, { detached: true, stdio: ["ignore", "pipe", "pipe", "ipc"] });
  const killed = () => killTree(child.pid);
  process.on("exit", killed);
  let printedAtMs = nowMs();
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) throw new Error("vitest was started without its output");
    createInterface({ input: stream }).on("line", (line) => {
      printedAtMs = nowMs();
      progress.sign(printedAtMs);
      print(line);
    });
  }
  child.on("message", (event) => progress.see(event as TestEvent, nowMs()));
  let isStalled = false;
  const look = setInterval(() => {
    const atMs = nowMs();
    if (!isStalled && progress.isStalled(atMs)) {
      isStalled = true;
      killed();
    } else if (atMs - printedAtMs >= LINE_MS) {
      printedAtMs = atMs;
      print(`… ${progress.line(atMs)}`);
    }
  }, LOOK_MS);
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  clearInterval(look);
  process.off("exit", killed);
  if (isStalled) return "stalled";
  return code === 0 ? null : (signal ?? `exit code ${code}`);
}

/** Kills the process, its group, and what they started in their own groups, as the product's tests do. */
function killTree(pid: number | undefined): void {
  if (pid === undefined) return;
  // Without `ps` only the group is killed.
  const { stdout } = spawnSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" });
  const parents = (stdout ?? "").split("\n").map((line) => line.trim().split(/\s+/).map(Number));
  const tree = [pid];
  for (const parent of tree)
    tree.push(...parents.flatMap(([id, of]) => (of === parent && id !== undefined ? [id] : [])));
  for (const id of [-pid, ...tree]) {
    try {
      process.kill(id, "SIGKILL");
    } catch {
      // It has ended already.
    }
  }
}
