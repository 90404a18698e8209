import { DarkroomProblem } from "../../client/errors.ts";
import { type Listed, missingFrom, reaches, STATUSES_OF } from "../state/job-list.ts";
import type { ListedJob } from "../state/listed-job.ts";
import { darkroom } from "./darkroom.ts";
import { forgetJob, jobList, learnJob, learnJobs, PAGE_JOBS } from "./live-jobs.ts";

/** Jobs a page of the unfinished ones: as many as the API gives at once. */
const UNFINISHED_PAGE_JOBS = 100;

/** Jobs looked up one by one in a round; the next round goes on with the rest. */
const LOOKUPS = 8;

/**
 * Brings the known jobs up to date without a feed: the newest page, all unfinished ones as far down as any is known, and by
 * itself each job that these lists should have held and did not: it was finished or deleted. Rejects with the client's error,
 * or the signal's reason.
 */
export async function listRound(signal: AbortSignal): Promise<void> {
  // As known before asking: what is learnt meanwhile may be too new for the answer.
  const known = [...jobList.get().jobs.values()];
  const { jobs, nextCursor } = await darkroom.list({ limit: PAGE_JOBS, signal });
  const newest = { jobs, ended: nextCursor === null };
  learnJobs(newest.jobs);
  const missing = missingFrom(newest, known);
  if (!newest.ended) {
    const unfinished = known.filter(({ done }) => !done);
    missing.push(...missingFrom(await listUnfinished(unfinished, signal), unfinished));
  }
  const ids = [...new Set(missing.map(({ id }) => id))];
  await Promise.all(ids.slice(0, LOOKUPS).map((id) => lookUp(id, signal)));
}

/** The unfinished jobs, from the newest down to the oldest of `known`. */
async function listUnfinished(known: readonly ListedJob[], signal: AbortSignal): Promise<Listed> {
  const status = STATUSES_OF.active ?? undefined;
  const found: ListedJob[] = [];
  let cursor: string | undefined;
  for (;;) {
    const page = await darkroom.list({ status, limit: UNFINISHED_PAGE_JOBS, cursor, signal });
    learnJobs(page.jobs);
    found.push(...page.jobs);
    const listed = { jobs: found, ended: page.nextCursor === null };
    if (page.nextCursor === null || known.every((job) => reaches(listed, job))) return listed;
    cursor = page.nextCursor;
  }
}

async function lookUp(id: string, signal: AbortSignal): Promise<void> {
  try {
    learnJob(await darkroom.get(id, { signal }));
  } catch (error) {
    if (!(error instanceof DarkroomProblem) || (error.status !== 404 && error.status !== 410)) throw error;
    forgetJob(id);
  }
}
