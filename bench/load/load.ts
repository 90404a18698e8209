import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import type { Request } from "autocannon";

export interface LoadTask {
  readonly url: string;
  readonly connections: number;
  /** Requests in all: the same number for every side, so that all end with the same number of jobs stored. */
  readonly amount: number;
  /** Each connection sends them in order, each beginning at another one. */
  readonly requests: readonly Request[];
}

export interface LoadResult {
  readonly perSecond: number;
  readonly tookMs: number;
  readonly total: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly failures: number;
}

/** Puts load on a side from another process. Throws unless every answer has one of the `expected` statuses. */
export async function load(task: LoadTask, ...expected: readonly number[]): Promise<LoadResult> {
  const child = spawn(process.execPath, ["bench/load/load-process.ts"], { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end(JSON.stringify(task));
  const said = await text(child.stdout);
  if (said === "") throw new Error("the load generator ended without a result; see above");
  const result = JSON.parse(said) as LoadResult;
  const right = expected.reduce((sum, status) => sum + (result.statuses[status] ?? 0), 0);
  if (result.failures > 0 || right !== result.total) {
    throw new Error(
      `${task.url}: wanted ${expected.join(" or ")} from all of ${result.total}, got ${JSON.stringify(result.statuses)} and ${result.failures} failures`,
    );
  }
  return result;
}
