import type { Job, JobSummary } from "../../schemas/job.ts";
import { type Filter, filterKey, queryOf } from "../state/filter.ts";
import { EMPTY_LIST, type JobListAction, type JobListState, listingOf, reduceJobList } from "../state/job-list.ts";
import { type ListedJob, listedFromJob } from "../state/listed-job.ts";
import { announcementOf } from "../state/standing.ts";
import { noteEnd } from "./attention.ts";
import { darkroom } from "./darkroom.ts";
import { announce } from "./notices.ts";
import { createStore } from "./store.ts";

/** Jobs a page of the list: about two screens of a laptop. */
export const PAGE_JOBS = 24;

/** All jobs that the page knows. Kept while the tab is open, so that going back shows them at once. */
export const jobList = createStore<JobListState>(EMPTY_LIST);

function dispatch(action: JobListAction): void {
  jobList.set(reduceJobList(jobList.get(), action));
}

/** Takes jobs as they now are, from anywhere, and announces what changed. */
export function learnJobs(jobs: readonly ListedJob[]): void {
  const before = jobList.get().jobs;
  for (const job of jobs) {
    const words = announcementOf(before.get(job.id), job);
    if (words !== null) announce(words);
    noteEnd(before.get(job.id), job);
  }
  dispatch({ type: "seen", jobs });
}

/** `client`: whose it is, where that is known. */
export function learnJob(job: Job, client: string | null = null): void {
  learnJobs([{ ...listedFromJob(job), client }]);
}

export function forgetJob(id: string): void {
  dispatch({ type: "gone", id });
}

/** The first pages that are being fetched, by filter: a second request for one joins the first. */
const loading = new Map<string, Promise<number | null>>();

/** Fetches a filter's first page; answers where the live feed stood then, null over several clients. Rejects with the client's error. */
export function loadFirstPage(filter: Filter): Promise<number | null> {
  const key = filterKey(filter);
  const joined = loading.get(key);
  if (joined !== undefined) return joined;
  const asked = loadPage(filter, null, "first").finally(() => loading.delete(key));
  loading.set(key, asked);
  return asked;
}

/** Fetches a filter's first page and drops what is known below it. Rejects with the client's error. */
export async function loadAnew(filter: Filter): Promise<void> {
  await loadPage(filter, null, "anew");
}

/** Fetches what follows what is shown; nothing when there is none. Rejects with the client's error. */
export async function loadNextPage(filter: Filter): Promise<void> {
  const { nextCursor } = listingOf(jobList.get(), filter);
  if (nextCursor !== null) await loadPage(filter, nextCursor, "next");
}

async function loadPage(
  filter: Filter,
  cursor: string | null,
  part: "first" | "anew" | "next",
): Promise<number | null> {
  const page = await darkroom.list({ ...queryOf(filter), limit: PAGE_JOBS, cursor: cursor ?? undefined });
  dispatch({ type: "page", filter, jobs: page.jobs, nextCursor: page.nextCursor, part, cursor });
  return page.feedCursor;
}

/** Shorter than anybody sees, and long enough for what comes in one go after an outage. */
const GATHER_MS = 30;

let gathered: JobSummary[] = [];

/** Takes a job of the feed within a moment, together with others: hundreds may come at once after an outage. */
export function learnSoon(job: JobSummary): void {
  if (gathered.length === 0) setTimeout(learnGathered, GATHER_MS);
  gathered.push(job);
}

/** Takes at once what the feed has brought so far: whatever must come after it may now be done. */
export function learnGathered(): void {
  const jobs = gathered;
  gathered = [];
  if (jobs.length > 0) learnJobs(jobs);
}
