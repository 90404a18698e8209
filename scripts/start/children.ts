import { type ChildProcess, spawn } from "node:child_process";

/** Time a child gets to end by itself before it is killed. */
const GRACE_MS = 5_000;

/** The processes of one `npm start`: when one ends, all end. They stay in our process group, so Ctrl-C reaches them too. */
export class Children {
  readonly #running = new Map<ChildProcess, string>();
  #ending = false;

  /** Starts a process; `onLine` gets each line it prints. Its end before `endAll` ends everything with exit code 1. */
  start(name: string, args: readonly string[], env: NodeJS.ProcessEnv, onLine: (line: string) => void): void {
    const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    this.#running.set(child, name);
    for (const stream of [child.stdout, child.stderr]) {
      let rest = "";
      stream.setEncoding("utf8").on("data", (chunk: string) => {
        const lines = (rest + chunk).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) onLine(line);
      });
      stream.on("end", () => {
        if (rest !== "") onLine(rest);
      });
    }
    child.on("error", (error) => this.#ended(child, String(error)));
    child.on("exit", (code, signal) => this.#ended(child, signal === null ? `exit code ${code}` : `signal ${signal}`));
  }

  #ended(child: ChildProcess, how: string): void {
    const name = this.#running.get(child);
    this.#running.delete(child);
    if (name === undefined || this.#ending) return;
    console.error(`\n${name} ended (${how}); see above for its last words.`);
    void this.endAll().then(() => process.exit(1));
  }

  async endAll(): Promise<void> {
    this.#ending = true;
    const all = [...this.#running.keys()].map(
      (child) =>
        new Promise<void>((resolve) => {
          const timer = setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
          child.once("exit", () => {
            clearTimeout(timer);
            resolve();
          });
          child.kill("SIGTERM");
        }),
    );
    await Promise.all(all);
  }
}
