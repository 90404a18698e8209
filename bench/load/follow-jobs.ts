import { type Contestant, readRequest } from "../sides/contestants.ts";
import type { Side } from "../sides/side.ts";
import { watchJob } from "./watch-job.ts";

/** How a client waits for the end of the jobs that it submitted. Resolves once all have succeeded; throws when one did not. */
export type Follow = (side: Side, name: Contestant, ids: readonly string[]) => Promise<void>;

/** Opens a socket on each job. */
export const byWatching: Follow = async (side, _name, ids) => {
  const one = async (id: string): Promise<void> => {
    let status = "unknown";
    await watchJob(side.url, id, ({ job }) => {
      status = job.status;
    }).doneAtMs;
    if (status !== "succeeded") throw new Error(`${id} ended as ${status}`);
  };
  await Promise.all(ids.map(one));
};

/** `complete` is a Workflow's word for it. */
const SUCCEEDED = ["succeeded", "complete"];
const FAILED = ["failed", "canceled", "errored", "terminated"];

/** Polls every `everyMs`, as naive code does, without regard to the answer's `Retry-After`. */
export function byPolling(everyMs: number): Follow {
  return async (side, name, ids) => {
    const one = async (id: string): Promise<void> => {
      const { path, headers } = readRequest(name, id);
      for (;;) {
        await new Promise((resolve) => setTimeout(resolve, everyMs));
        const { status } = (await (await fetch(`${side.url}${path}`, { headers })).json()) as { status: string };
        if (SUCCEEDED.includes(status)) return;
        if (FAILED.includes(status)) throw new Error(`${id} ended as ${status}`);
      }
    };
    await Promise.all(ids.map(one));
  };
}
