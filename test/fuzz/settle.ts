import { setTimeout as pause } from "node:timers/promises";
import { JobList, type JobSummary } from "../../schemas/job.ts";
import { inPool } from "../support/pool.ts";
import { OPERATOR_TOKEN } from "./targets.ts";

/** A job that is unfinished after this time is canceled. */
const FINISH_MS = 60_000;
/** A canceled job must end within this time. */
const CANCELED_MS = 30_000;
/** A job that is in no list after this time never will be. */
const LISTED_MS = 60_000;
const WIDTH = 16;

export interface Settled {
  readonly listed: number;
  readonly canceled: number;
  /** Jobs that were not yet in their list when all jobs had ended, with their state then. */
  readonly late: readonly string[];
  readonly byStatus: Readonly<Record<string, number>>;
  readonly wrong: readonly string[];
}

/** Reads and changes jobs as the operator. */
class Operator {
  readonly #baseUrl: string;

  constructor(baseUrl: string) {
    this.#baseUrl = baseUrl;
  }

  ask(path: string, method = "GET"): Promise<Response> {
    const headers = { authorization: `Bearer ${OPERATOR_TOKEN}` };
    return fetch(`${this.#baseUrl}${path}`, { method, headers, signal: AbortSignal.timeout(60_000) });
  }

  async list(query: string): Promise<JobSummary[]> {
    const jobs: JobSummary[] = [];
    for (let cursor: string | null = ""; cursor !== null; ) {
      const answer = await this.ask(
        `/api/jobs?limit=100${query}${cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`}`,
      );
      if (answer.status !== 200) throw new Error(`the list was answered ${answer.status}: ${await answer.text()}`);
      const page: JobList = JobList.parse(await answer.json());
      jobs.push(...page.jobs);
      cursor = page.nextCursor;
    }
    return jobs;
  }

  unfinished(): Promise<JobSummary[]> {
    return this.list("&status=queued,running,retrying");
  }

  /** Waits until every job is in a list, which may be after its submission's answer, or answers 410 because it was deleted. */
  async untilListed(promised: ReadonlyMap<string, string>) {
    const endsAtMs = Date.now() + LISTED_MS;
    const gone = new Set<string>();
    const late: string[] = [];
    for (;;) {
      const listed = await this.list("");
      const ids = new Set(listed.map(({ id }) => id));
      const missing = [...promised.keys()].filter((id) => !ids.has(id) && !gone.has(id));
      const isFirst = late.length === 0;
      await inPool(WIDTH, missing, async (id) => {
        const answer = await this.ask(`/api/jobs/${id}`);
        if (answer.status === 410) gone.add(id);
        else if (isFirst) late.push(`${id} ${answer.status} at ${new Date().toISOString()}: ${await answer.text()}`);
      });
      const unlisted = missing.filter((id) => !gone.has(id));
      const isAllThere = unlisted.length === 0 && listed.every(({ done }) => done);
      if (isAllThere || Date.now() > endsAtMs) return { listed, unlisted, late };
      await pause(500);
    }
  }

  async untilFinished(withinMs: number): Promise<JobSummary[]> {
    const endsAtMs = Date.now() + withinMs;
    for (;;) {
      const left = await this.unfinished();
      if (left.length === 0 || Date.now() > endsAtMs) return left;
      await pause(500);
    }
  }
}

/**
 * Waits until every job is done, cancels those that do not end, and reads each one by the API: every accepted job is
 * there and done, or was removed by its client.
 */
export async function settle(baseUrl: string, promised: ReadonlyMap<string, string>): Promise<Settled> {
  const operator = new Operator(baseUrl);
  const wrong: string[] = [];
  const slow = await operator.untilFinished(FINISH_MS);
  await inPool(WIDTH, slow, async ({ id }) => {
    const { status } = await operator.ask(`/api/jobs/${id}/cancel`, "POST");
    // 409: the job has ended meanwhile. 410: it was removed.
    if (![200, 409, 410].includes(status)) wrong.push(`canceling ${id} was answered ${status}`);
  });
  for (const { id, status } of await operator.untilFinished(CANCELED_MS)) wrong.push(`${id} stays ${status}`);
  const { listed, unlisted, late } = await operator.untilListed(promised);
  for (const id of unlisted) wrong.push(`${id} was promised to ${promised.get(id)} and is in no list`);
  const byStatus: Record<string, number> = {};
  const ids = new Set(listed.map(({ id }) => id));
  if (ids.size !== listed.length) wrong.push(`${listed.length - ids.size} jobs are listed twice`);
  await inPool(WIDTH, listed, async ({ id, status }) => {
    byStatus[status] = (byStatus[status] ?? 0) + 1;
    const answer = await operator.ask(`/api/jobs/${id}`);
    const job = (await answer.json()) as { readonly status?: unknown; readonly done?: unknown };
    if (answer.status !== 200 || job.done !== true || job.status !== status) {
      wrong.push(`${id}, listed as ${status}, is read as ${answer.status} ${String(job.status)}`);
    }
  });
  return { listed: listed.length, canceled: slow.length, late, byStatus, wrong };
}
