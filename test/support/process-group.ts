import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** How many of the last characters of a process's output are kept: enough to see why it died. */
const LOG_CHARACTERS = 200_000;

const groups = new Set<number>();
function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    // The minus means: the whole group, so wrangler's own children (workerd, esbuild) too.
    process.kill(-pid, signal);
  } catch (error) {
    // ESRCH: the group has already ended.
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}
// A test run that ends early leaves nothing behind.
process.on("exit", () => {
  for (const pid of groups) killGroup(pid, "SIGKILL");
});

export interface ProcessGroup {
  readonly pid: number;
  /** Its output so far, stdout and stderr together. */
  log(): string;
  /** How it ended; null while it runs. */
  ended(): string | null;
  /** Sends the signal to every process of the group; resolves once all of them have ended. */
  kill(signal: NodeJS.Signals): Promise<void>;
}

/** The time after another signal before the group is killed. */
const GRACE_MS = 8_000;

function isAlive(pid: number): boolean {
  try {
    process.kill(-pid, 0);
    return true;
  } catch {
    return false;
  }
}

/**
 * Starts a Node program in a process group of its own; the last `logCharacters` of its output are kept. `onOutput` gets
 * each piece of the output, also pieces that are read only after the program has ended.
 */
export function startGroup(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  logCharacters = LOG_CHARACTERS,
  onOutput: (text: string) => void = () => {},
): ProcessGroup {
  const child: ChildProcess = spawn(process.execPath, args, { detached: true, env, stdio: ["ignore", "pipe", "pipe"] });
  const { pid } = child;
  if (pid === undefined) throw new Error(`could not start ${args.join(" ")}`);
  groups.add(pid);
  let log = "";
  let how: string | null = null;
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      log = (log + text).slice(-logCharacters);
      onOutput(text);
    });
  }
  child.on("exit", (code, signal) => {
    how = signal ?? `exit code ${code}`;
  });
  return {
    pid,
    log: () => log,
    ended: () => how,
    async kill(signal) {
      const exit = how === null ? once(child, "exit") : null;
      killGroup(pid, signal);
      const timer = setTimeout(() => killGroup(pid, "SIGKILL"), GRACE_MS);
      await exit;
      // The leader may end before its children, and a port stays taken until the last child has ended.
      while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 10));
      clearTimeout(timer);
      groups.delete(pid);
    },
  };
}
