import { EVERYTHING, STATUSES_OF } from "../state/filter.ts";
import { type Listed, missingFrom, reaches } from "../state/job-list.ts";
import type { ListedJob } from "../state/listed-job.ts";
import { darkroom } from "./darkroom.ts";
import { jobList, learnJobs, loadAnew, lookUp, PAGE_JOBS } from "./live-jobs.ts";

/** Jobs per page of the unfinished ones: the most that the API gives at once. */
const UNFINISHED_PAGE_JOBS = 100;

/** Jobs per page further down the list: likewise. */
const SWEEP_PAGE_JOBS = 100;

/** The most jobs looked up one by one in a round; the next round looks up the rest. */
const LOOKUPS = 8;

/** One pass down the list, a page a round. */
interface Sweep {
  /** The jobs known when it began; newer ones are above it. */
  readonly known: readonly ListedJob[];
  readonly found: readonly ListedJob[];
  readonly cursor: string;
}

/**
 * Brings the known jobs up to date without a feed. Each round reads the newest page, all unfinished jobs down to the oldest known
 * one, and one further page of the rest. So the rounds pass down to the oldest known job, and begin again. A job that is missing
 * from these lists is looked up by itself: it was finished or deleted.
 */
export class ListRounds {
  #sweep: Sweep | null = null;
  /** The newest page of the last round; null before the first. */
  #newest: Listed | null = null;

  /**
   * One round. `anew`: so many jobs are new since the last round that the lists begin anew, and each filter's first page must be
   * fetched. Rejects with the client's error, or the signal's reason.
   */
  async next(signal: AbortSignal): Promise<"on" | "anew"> {
    // Taken before the call: jobs that arrive meanwhile may be newer than the answer.
    const known = [...jobList.get().jobs.values()];
    const { jobs, nextCursor } = await darkroom.list({ limit: PAGE_JOBS, signal });
    const newest = { jobs, ended: nextCursor === null };
    if (this.#hasGap(newest, known)) {
      // After a long sleep the jobs between the newest page and the known jobs are not known.
      this.#sweep = null;
      await loadAnew(EVERYTHING);
      this.#newest = newest;
      return "anew";
    }
    learnJobs(newest.jobs);
    this.#newest = newest;
    const missing = missingFrom(newest, known);
    if (nextCursor !== null) {
      const unfinished = known.filter(({ done }) => !done);
      missing.push(...missingFrom(await listUnfinished(unfinished, signal), unfinished));
      this.#sweep ??= { known, found: newest.jobs, cursor: nextCursor };
      missing.push(...(await this.#goDown(this.#sweep, signal)));
    }
    const ids = [...new Set(missing.map(({ id }) => id))];
    await Promise.all(ids.slice(0, LOOKUPS).map((id) => lookUp(id, signal)));
    return "on";
  }

  /**
   * Whether there may be new jobs that are neither in this newest page nor known. It compares with the last round's newest page,
   * because the list itself may have dropped those jobs since, when it was shortened to what a filter shows.
   */
  #hasGap(newest: Listed, known: readonly ListedJob[]): boolean {
    if (this.#newest === null) return known.length > 0 && !known.some((job) => reaches(newest, job));
    const [top] = this.#newest.jobs;
    return top === undefined ? !newest.ended : !reaches(newest, top);
  }

  /** Reads a page further down; returns the jobs that it should hold and does not. */
  async #goDown({ known, found, cursor }: Sweep, signal: AbortSignal): Promise<ListedJob[]> {
    // No known job is further down.
    if (known.every((job) => reaches({ jobs: found, ended: false }, job))) {
      this.#sweep = null;
      return [];
    }
    const page = await darkroom.list({ limit: SWEEP_PAGE_JOBS, cursor, signal });
    const { jobs } = jobList.get();
    // Jobs that nobody has scrolled to are not added: else each pass would have to go further down than the one before.
    learnJobs(page.jobs.filter(({ id }) => jobs.has(id)));
    const listed = { jobs: [...found, ...page.jobs], ended: page.nextCursor === null };
    this.#sweep = page.nextCursor === null ? null : { known, found: listed.jobs, cursor: page.nextCursor };
    return missingFrom(listed, known).filter(({ id }) => jobs.has(id));
  }
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
