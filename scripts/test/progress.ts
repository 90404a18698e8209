/**
 * Records what one run of vitest has done so far, and whether it has stalled. Pure: takes events and the time. One `Progress`
 * covers every process of a run: a second process only runs what the first left open.
 */

/** Sent by `reporter.ts`, in the order in which vitest reports. `file` is the path from the root of the repository. */
export type TestEvent =
  | { readonly kind: "planned"; readonly files: readonly { readonly file: string; readonly project: string }[] }
  | { readonly kind: "file started"; readonly file: string }
  /** A test or a hook started. Its own timeout ends it after at most `boundMs`. */
  | { readonly kind: "started"; readonly file: string; readonly name: string; readonly boundMs: number }
  | { readonly kind: "ended"; readonly file: string; readonly name: string; readonly failure: string | null }
  | ({ readonly kind: "file ended"; readonly file: string } & Pick<FileResult, "passed" | "skipped" | "failures">)
  /** Errors outside of any test. */
  | { readonly kind: "run ended"; readonly errors: readonly string[] };

interface FileResult {
  readonly passed: number;
  readonly skipped: number;
  /** One text per failed test, hook or import: its name, a line break, and why. */
  readonly failures: readonly string[];
}

export interface Totals extends FileResult {
  /** How many processes stalled whose files a later process has run. */
  readonly stallsOvercome: number;
}

interface File {
  readonly project: string;
  state: "waiting" | "running" | "ended";
  result: FileResult;
  /** Tests and hooks that run now, by name. */
  running: Map<string, { readonly sinceMs: number; readonly boundMs: number }>;
}

/** A run in which nothing starts, ends or is printed for this long has stalled, unless a test may still run. */
export const QUIET_MS = 90_000;
/** How many processes may run the files of one run. */
const PROCESSES = 2;

const NOTHING: FileResult = { passed: 0, skipped: 0, failures: [] };
const seconds = (ms: number) => `${Math.round(ms / 1000)} s`;

export class Progress {
  readonly #files = new Map<string, File>();
  readonly #failures: string[] = [];
  #signAtMs: number;
  #lastFile = "no file yet";
  #stalls = 0;

  constructor(nowMs: number) {
    this.#signAtMs = nowMs;
  }

  /** Something was printed, or a process was started. */
  sign(nowMs: number): void {
    this.#signAtMs = nowMs;
  }

  see(event: TestEvent, nowMs: number): void {
    this.sign(nowMs);
    if (event.kind === "run ended") {
      this.#failures.push(...event.errors);
      return;
    }
    if (event.kind === "planned") {
      for (const { file, project } of event.files) {
        if (!this.#files.has(file)) {
          this.#files.set(file, { project, state: "waiting", result: NOTHING, running: new Map() });
        }
      }
      return;
    }
    const file = this.#files.get(event.file);
    if (file === undefined || file.state === "ended") return;
    file.state = "running";
    this.#lastFile = `|${file.project}| ${event.file}`;
    if (event.kind === "started") {
      file.running.set(event.name, { sinceMs: nowMs, boundMs: event.boundMs });
    } else if (event.kind === "ended") {
      file.running.delete(event.name);
      if (event.failure !== null) file.result = withFailure(file.result, event.failure);
    } else if (event.kind === "file ended") {
      end(file, { ...event, failures: [...file.result.failures, ...event.failures] });
    }
  }

  /** Whether the process must be ended. A running test or hook may take its own bound, and `QUIET_MS` more to report it. */
  isStalled(nowMs: number): boolean {
    const bounds = this.#open().flatMap(([, { running }]) =>
      [...running.values()].map(({ sinceMs, boundMs }) => sinceMs + boundMs),
    );
    return nowMs >= Math.max(this.#signAtMs, ...bounds) + QUIET_MS;
  }

  /**
   * The process was ended because it stalled. Files without a result are open for one more process, except those with a test
   * that failed or that ran past its own timeout: they have failed, and no second try may hide it. Returns what to print, and
   * whether one more process runs the open files.
   */
  stalled(nowMs: number): { readonly message: string; readonly again: boolean } {
    this.#stalls += 1;
    const where = this.#running(nowMs).join("; ") || `after ${this.#lastFile}`;
    for (const [name, file] of this.#open()) {
      for (const [what, { sinceMs, boundMs }] of file.running) {
        const why = `ran for ${seconds(nowMs - sinceMs)}, past its own timeout of ${seconds(boundMs)}`;
        file.result = withFailure(file.result, `|${file.project}| ${name} > ${what}\n${why}`);
      }
      file.running.clear();
      if (file.result.failures.length > 0) end(file, file.result);
      else file.state = "waiting";
    }
    const isLast = this.#stalls >= PROCESSES;
    if (isLast) this.#failures.push(`the run stalled twice\nthe second time: ${where}`);
    const open = this.#open().length;
    const again = !isLast && (open > 0 || this.#files.size === 0);
    const next = again ? "run once more in a fresh process" : isLast ? "not run" : "left";
    const quiet = `nothing started, ended or printed for ${seconds(nowMs - this.#signAtMs)}`;
    return { message: `STALLED: ${where}: ${quiet}; ${open} of ${this.#files.size} files ${next}`, again };
  }

  /** Files that no process needs to run again. */
  settled(): string[] {
    return [...this.#files].filter(([, file]) => file.state === "ended").map(([name]) => name);
  }

  /** One line: how many files have ended, and what runs now. */
  line(nowMs: number): string {
    const running = this.#running(nowMs);
    return [`${this.settled().length} of ${this.#files.size} files`, ...running].join("; ");
  }

  /** The totals, once no process runs any more. `exit` is how the last one ended: null for exit code 0, or stopped here. */
  totals(exit: string | null): Totals {
    const results = [...this.#files.values()].map(({ result }) => result);
    const failures = [...results.flatMap((result) => result.failures), ...this.#failures];
    for (const [name, { project }] of this.#open()) {
      failures.push(
        `|${project}| ${name}\nwas not run to its end${exit === null ? "" : `: vitest ended with ${exit}`}`,
      );
    }
    if (failures.length === 0 && exit !== null) failures.push(`vitest\nended with ${exit}`);
    return {
      passed: results.reduce((sum, { passed }) => sum + passed, 0),
      skipped: results.reduce((sum, { skipped }) => sum + skipped, 0),
      failures,
      stallsOvercome: this.#stalls >= PROCESSES ? 0 : this.#stalls,
    };
  }

  #open(): [string, File][] {
    return [...this.#files].filter(([, { state }]) => state !== "ended");
  }

  #running(nowMs: number): string[] {
    return this.#open()
      .filter(([, { state }]) => state === "running")
      .map(([name, { project, running }]) => {
        const tests = [...running].map(([what, { sinceMs }]) => `${what} (${seconds(nowMs - sinceMs)})`);
        return [`|${project}| ${name}`, ...tests].join(" > ");
      });
  }
}

function end(file: File, { passed, skipped, failures }: FileResult): void {
  file.state = "ended";
  file.result = { passed, skipped, failures };
  file.running.clear();
}

function withFailure(result: FileResult, failure: string): FileResult {
  return { ...result, failures: [...result.failures, failure] };
}
