import { type Filter, filterKey, matcherOf } from "./filter.ts";
import type { ListedJob } from "./listed-job.ts";
import { dayWords } from "./time-words.ts";

/** How far one filter's pages were fetched. */
interface Depth {
  /** The last job of the last page; null before the first page. */
  readonly oldest: { readonly createdAt: string; readonly id: string } | null;
  readonly nextCursor: string | null;
  readonly ended: boolean;
  /** The jobs of its pages: the server searches whole prompts, of which only the start is known here. */
  readonly found: ReadonlySet<string>;
}

/** All jobs that the page knows, from pages, the feed and single jobs, and how far each filter is known without a gap. */
export interface JobListState {
  readonly jobs: ReadonlyMap<string, ListedJob>;
  /** The last `MAX_GONE` deletions, here or elsewhere: a late answer must not bring those jobs back. */
  readonly gone: ReadonlySet<string>;
  readonly depths: Readonly<Record<string, Depth>>;
}

export type JobListAction =
  | { readonly type: "seen"; readonly jobs: readonly ListedJob[] }
  | { readonly type: "gone"; readonly id: string }
  | {
      readonly type: "page";
      readonly filter: Filter;
      readonly jobs: readonly ListedJob[];
      readonly nextCursor: string | null;
      /**
       * `first`: requested without a cursor; it holds the newest jobs, and does not reduce an earlier depth. `anew`: the same, and
       * all finished jobs but `kept` are dropped that are below it or that the filter does not show. `next`: the following page.
       */
      readonly part: "first" | "anew" | "next";
      /** The cursor of the request; null for none. Above a `next` page of a cursor that is no longer the filter's there is a gap. */
      readonly cursor: string | null;
      /** The job that is looked at by itself, which the filter need not show. */
      readonly kept?: string | null;
    };

/** The most deletions remembered: far more than happen during one call. */
const MAX_GONE = 1_000;

export const EMPTY_LIST: JobListState = { jobs: new Map(), gone: new Set(), depths: {} };

/** Pure. The highest `seq` of a job wins, in whichever order its states arrive. */
export function reduceJobList(state: JobListState, action: JobListAction): JobListState {
  switch (action.type) {
    case "seen":
      return withJobs(state, action.jobs);
    case "gone": {
      const jobs = new Map(state.jobs);
      jobs.delete(action.id);
      return { ...state, jobs, gone: new Set([...state.gone, action.id].slice(-MAX_GONE)) };
    }
    case "page": {
      const key = filterKey(action.filter);
      const known = state.depths[key];
      const isBeside = action.part === "next" && known?.nextCursor !== action.cursor;
      const found = new Set([...(known?.found ?? []), ...action.jobs.map(({ id }) => id)]);
      if (isBeside || (action.part === "first" && known !== undefined)) {
        const depths = known === undefined ? state.depths : { ...state.depths, [key]: { ...known, found } };
        return { ...withJobs(state, action.jobs), depths };
      }
      const last = action.jobs.at(-1);
      const depth: Depth = {
        oldest: last === undefined ? (known?.oldest ?? null) : { createdAt: last.createdAt, id: last.id },
        nextCursor: action.nextCursor,
        ended: action.nextCursor === null,
        found,
      };
      const taken = withJobs(state, action.jobs);
      if (action.part !== "anew") return { ...taken, depths: { ...state.depths, [key]: depth } };
      const shows = showsOf(action.filter, found);
      const isAbove = (job: ListedJob) => last === undefined || newestFirst(job, last) <= 0;
      const kept = [...taken.jobs].filter(
        ([id, job]) => id === action.kept || !job.done || (isAbove(job) && shows(job)),
      );
      return { ...taken, jobs: new Map(kept), depths: { [key]: depth } };
    }
  }
}

function withJobs(state: JobListState, news: readonly ListedJob[]): JobListState {
  let jobs: Map<string, ListedJob> | null = null;
  for (const job of news) {
    if (state.gone.has(job.id)) continue;
    const known = (jobs ?? state.jobs).get(job.id);
    const merged = merge(known, job);
    if (merged === known) continue;
    jobs ??= new Map(state.jobs);
    jobs.set(job.id, merged);
  }
  return jobs === null ? state : { ...state, jobs };
}

/**
 * The state with the higher `seq` wins, at the same `seq` the later one. A known place in line is kept when a later state of the
 * same `seq` has none. A known client is kept at any `seq`.
 */
function merge(known: ListedJob | undefined, told: ListedJob): ListedJob {
  if (known === undefined) return told;
  const client = told.client ?? known.client;
  if (told.seq < known.seq) return client === known.client ? known : { ...known, client };
  const job = client === told.client ? told : { ...told, client };
  return job.seq === known.seq && job.queue === null && known.queue !== null ? { ...job, queue: known.queue } : job;
}

/** Newest first: by time of creation, then by id, as the API lists them. */
export function newestFirst(a: Pick<ListedJob, "createdAt" | "id">, b: Pick<ListedJob, "createdAt" | "id">): number {
  if (a.createdAt !== b.createdAt) return a.createdAt < b.createdAt ? 1 : -1;
  return a.id === b.id ? 0 : a.id < b.id ? 1 : -1;
}

/** Jobs from lists: newest first, without a gap, down to the last of them. */
export interface Listed {
  readonly jobs: readonly ListedJob[];
  /** Whether no further page follows. */
  readonly ended: boolean;
}

/** Whether the list goes down as far as the job's age, so that the job would be in it if it matched. */
export function reaches({ jobs, ended }: Listed, job: Pick<ListedJob, "createdAt" | "id">): boolean {
  const last = jobs.at(-1);
  return ended || (last !== undefined && newestFirst(job, last) <= 0);
}

/** The known jobs that the list should hold and does not: they were deleted, or no longer match. */
export function missingFrom(listed: Listed, known: readonly ListedJob[]): ListedJob[] {
  const ids = new Set(listed.jobs.map(({ id }) => id));
  return known.filter((job) => !ids.has(job.id) && reaches(listed, job));
}

export interface Listing {
  readonly jobs: readonly ListedJob[];
  /** The API's cursor of the next page; null when there is none, or before the first page. */
  readonly nextCursor: string | null;
  /** Whether the first page has arrived. */
  readonly loaded: boolean;
  readonly ended: boolean;
}

/** What a filter shows: every known match, newest first, down to where its own pages end; beyond that there may be gaps. */
export function listingOf(state: JobListState, filter: Filter): Listing {
  const depth = state.depths[filterKey(filter)];
  const shows = showsOf(filter, depth?.found);
  const found: ListedJob[] = [];
  for (const job of state.jobs.values()) {
    if (!shows(job)) continue;
    const within = depth === undefined || depth.ended || depth.oldest === null || newestFirst(job, depth.oldest) <= 0;
    if (within) found.push(job);
  }
  return {
    jobs: found.sort(newestFirst),
    nextCursor: depth?.nextCursor ?? null,
    loaded: depth !== undefined,
    ended: depth?.ended ?? false,
  };
}

/** Whether a filter shows a job: it matches by what is known here, or the filter's pages held it. */
function showsOf(filter: Filter, found: ReadonlySet<string> | undefined): (job: ListedJob) => boolean {
  const matches = matcherOf(filter);
  const matchesButWords = matcherOf({ ...filter, q: "" });
  return (job) => matches(job) || (found?.has(job.id) === true && matchesButWords(job));
}

/**
 * The length of a wall for deciding when to shorten it: the jobs that it shows, or all finished jobs, when there are more. The
 * feed brings finished jobs that the wall may not show. A page that begins anew drops them.
 */
export function lengthOf(state: JobListState, { jobs }: Pick<Listing, "jobs">): number {
  let finished = 0;
  for (const job of state.jobs.values()) if (job.done) finished += 1;
  return Math.max(jobs.length, finished);
}

export interface DayGroup {
  readonly day: string;
  readonly jobs: readonly ListedJob[];
}

/** Groups jobs, newest first, by day in the reader's time zone; the order stays. */
export function groupByDay(jobs: readonly ListedJob[], nowMs: number): DayGroup[] {
  const groups: { day: string; jobs: ListedJob[] }[] = [];
  for (const job of jobs) {
    const day = dayWords(Date.parse(job.createdAt), nowMs);
    const last = groups.at(-1);
    if (last !== undefined && last.day === day) last.jobs.push(job);
    else groups.push({ day, jobs: [job] });
  }
  return groups;
}
