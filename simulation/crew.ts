import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Finding, Order, Report } from "./batch.ts";
import type { Cell } from "./coverage.ts";
import type { FaultName } from "./engine/faults.ts";

/** How many seeds a process gets at once; fewer when the first violation ends the run. */
const BATCH = 25;
const STOPPING_BATCH = 4;

/** The sums over many runs of all processes. */
export interface Total {
  seeds: number;
  lives: number;
  events: number;
  readonly faults: Partial<Record<FaultName, number>>;
  readonly cells: Record<string, Cell>;
  findings: Finding[];
  /** The digest of each seed, in order. */
  readonly digests: string[];
}

interface RunOrder {
  readonly from: number;
  readonly count: number;
  /** The run ends with the first violation of this invariant; null: it runs to its end. */
  readonly untilFound: string | null;
  /** The fault that is planted in the product. */
  readonly planted?: string | null;
  readonly onProgress?: (total: Total) => void;
}

class Worker {
  readonly #child: ChildProcess;
  #answer: { readonly resolve: (report: Report) => void; readonly reject: (error: Error) => void } | null = null;

  constructor(before: string | null) {
    const file = fileURLToPath(new URL("./batch.ts", import.meta.url).href);
    this.#child = fork(file, [], {
      execArgv: ["--disable-warning=ExperimentalWarning"],
      env: before === null ? process.env : { ...process.env, SIMULATED_BEFORE: before },
    });
    this.#child.on("message", (report: Report) => {
      if (report.type === "ready") return;
      this.#answer?.resolve(report);
      this.#answer = null;
    });
    this.#child.on("exit", (code) => {
      this.#answer?.reject(new Error(`a process of the simulation ended with ${code}`));
      this.#answer = null;
    });
  }

  ask(order: Order): Promise<Report> {
    return new Promise((resolve, reject) => {
      this.#answer = { resolve, reject };
      this.#child.send(order);
    });
  }

  end(): void {
    this.#answer = null;
    this.#child.kill();
  }
}

/** Processes that run seeds in parallel. The results do not depend on their number. */
export class Crew {
  readonly #workers: Worker[];
  #isStopped = false;

  /** `before`: the checkout of a version that runs before a deployment of this one, with a slash at its end; null: none. */
  constructor(cores: number, before: string | null = null) {
    this.#workers = Array.from({ length: cores }, () => new Worker(before));
  }

  /** Ends the current run after the seeds that its processes run now. */
  stop(): void {
    this.#isStopped = true;
  }

  async run({ from, count, untilFound, planted = null, onProgress }: RunOrder): Promise<Total> {
    const reports = new Map<number, Extract<Report, { type: "ran" }>>();
    let next = from;
    let isOver = false;
    const progress = emptyTotal();
    await Promise.all(
      this.#workers.map(async (worker) => {
        while (next < from + count && !isOver && !this.#isStopped) {
          const start = next;
          const size = Math.min(untilFound === null ? BATCH : STOPPING_BATCH, from + count - start);
          next += size;
          const report = await worker.ask({ type: "run", planted, from: start, count: size, untilFound });
          if (report.type !== "ran") throw new Error(`a run is answered with ${report.type}`);
          reports.set(start, report);
          add(progress, report);
          onProgress?.(progress);
          if (report.findings.some(({ invariant }) => invariant === untilFound)) isOver = true;
        }
      }),
    );
    const total = emptyTotal();
    for (const [, report] of [...reports].sort(([a], [b]) => a - b)) add(total, report);
    return total;
  }

  async explain(
    seed: number,
    isWhole: boolean,
    invariant: string | null = null,
    planted: string | null = null,
  ): Promise<{ readonly lines: readonly string[]; readonly summary: string }> {
    const [worker] = this.#workers;
    if (worker === undefined) throw new Error("a crew has a process at least");
    const report = await worker.ask({ type: "explain", planted, seed, isWhole, invariant });
    if (report.type !== "explained") throw new Error(`an explanation is answered with ${report.type}`);
    return report;
  }

  end(): void {
    for (const worker of this.#workers) worker.end();
  }
}

function emptyTotal(): Total {
  return { seeds: 0, lives: 0, events: 0, faults: {}, cells: {}, findings: [], digests: [] };
}

function add(total: Total, report: Extract<Report, { type: "ran" }>): void {
  total.seeds += report.seeds;
  total.lives += report.lives;
  total.events += report.events;
  total.findings.push(...report.findings);
  total.digests.push(...report.digests);
  for (const [name, count] of Object.entries(report.faults) as [FaultName, number][]) {
    total.faults[name] = (total.faults[name] ?? 0) + count;
  }
  for (const [key, { taken, refused }] of Object.entries(report.cells)) {
    const cell = total.cells[key] ?? { taken: 0, refused: 0 };
    total.cells[key] = { taken: cell.taken + taken, refused: cell.refused + refused };
  }
}
