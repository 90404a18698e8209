import { type ChildProcess, spawn } from "node:child_process";

/** How long a child has to end by itself before it is killed. */
const GRACE_MS = 5_000;

/** On Windows a group cannot reach a child's own children. */
const HAS_GROUPS = process.platform !== "win32";

/** Kills a child and everything that it started. */
function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    if (HAS_GROUPS) process.kill(-child.pid, "SIGKILL");
    else child.kill("SIGKILL");
  } catch {
    // It has ended already.
  }
}

/**
 * The processes of one `npm start`: when one ends, all end. Each leads its own process group, so that everything it started
 * ends with it. When this process itself is killed, the guard ends them.
 */
export class Children {
  readonly #running = new Map<ChildProcess, string>();
  readonly #guard: ChildProcess;
  #ending = false;

  constructor() {
    this.#guard = spawn(process.execPath, ["scripts/start/guard.ts"], {
      detached: HAS_GROUPS,
      stdio: ["pipe", "ignore", "inherit"],
    });
    this.#guard.unref();
    // The guard may be killed too; then everything continues without it.
    this.#guard.stdin?.on("error", () => {});
  }

  #tellGuard(line: string): void {
    this.#guard.stdin?.write(`${line}\n`);
  }

  /** A folder that is removed when this process ends, in any way. */
  removeAtEnd(folder: string): void {
    this.#tellGuard(`remove ${folder}`);
  }

  /** Starts a process; `onLine` gets each line that it prints. If it ends before `endAll`, everything ends with exit code 1. */
  start(name: string, args: readonly string[], env: NodeJS.ProcessEnv, onLine: (line: string) => void): void {
    const child = spawn(process.execPath, args, { detached: HAS_GROUPS, env, stdio: ["ignore", "pipe", "pipe"] });
    if (HAS_GROUPS && child.pid !== undefined) this.#tellGuard(`started ${child.pid}`);
    this.#running.set(child, name);
    for (const stream of [child.stdout, child.stderr]) {
      let rest = "";
      stream.setEncoding("utf8").on("data", (chunk: string) => {
        const lines = (rest + chunk).split("\n");
        rest = lines.pop() ?? "";
        // Output of a child that is being ended is only about that end.
        if (!this.#ending) for (const line of lines) onLine(line);
      });
      stream.on("end", () => {
        if (rest !== "" && !this.#ending) onLine(rest);
      });
    }
    child.on("error", (error) => this.#ended(child, String(error)));
    child.on("exit", (code, signal) => this.#ended(child, signal === null ? `exit code ${code}` : `signal ${signal}`));
  }

  #ended(child: ChildProcess, how: string): void {
    const name = this.#running.get(child);
    this.#running.delete(child);
    killGroup(child);
    // The operating system may give its number to another process later.
    if (HAS_GROUPS && child.pid !== undefined) this.#tellGuard(`ended ${child.pid}`);
    if (name === undefined || this.#ending) return;
    console.error(`\n${name} ended (${how}); see above for its last words.`);
    void this.endAll().then(() => process.exit(1));
  }

  /** Asks every child to end, and kills those that have not after `GRACE_MS`. */
  async endAll(): Promise<void> {
    this.#ending = true;
    const all = [...this.#running.keys()].map(
      (child) =>
        new Promise<void>((resolve) => {
          const timer = setTimeout(() => killGroup(child), GRACE_MS);
          child.once("exit", () => {
            clearTimeout(timer);
            resolve();
          });
          // Signals the leader only: wrangler ends its workerd itself, and complains when workerd has ended before.
          child.kill("SIGTERM");
        }),
    );
    await Promise.all(all);
  }
}
