import { DarkroomProblem } from "../../client/errors.ts";
import type { Job, JobSummary } from "../../schemas/job.ts";
import { type Filter, filterKey, matcherOf, queryOf } from "../state/filter.ts";
import {
  EMPTY_LIST,
  type JobListAction,
  type JobListState,
  listingOf,
  missingFrom,
  reduceJobList,
} from "../state/job-list.ts";
import { type ListedJob, listedFromJob } from "../state/listed-job.ts";
import { announcementOf, toneOf } from "../state/standing.ts";
import { noteEnd } from "./attention.ts";
import { darkroom } from "./darkroom.ts";
import { announceChange } from "./notices.ts";
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
    if (words !== null) announceChange(job.id, { tone: toneOf(job), words });
    noteEnd(before.get(job.id), job);
  }
  dispatch({ type: "seen", jobs });
}

/** `client`: whose it is, where that is known. */
export function learnJob(job: Job, client: string | null = null): void {
  learnJobs([{ ...listedFromJob(job), client }]);
}

/** Whose job it is; null where that is not known. */
export function clientOf(id: string): string | null {
  return jobList.get().jobs.get(id)?.client ?? null;
}

/**
 * Whose job it is: as is known here, else as the operator's list says, which tells each job's client; the job itself does not. Null
 * where the list has no such job. Rejects with the client library's error.
 */
export async function findClient(job: Pick<Job, "id" | "createdAt" | "model">): Promise<string | null> {
  const known = clientOf(job.id);
  if (known !== null) return known;
  // The list begins with the jobs of the same millisecond.
  const before = new Date(Date.parse(job.createdAt) + 1).toISOString();
  const { jobs } = await darkroom.list({ before, model: job.model, limit: PAGE_JOBS });
  learnJobs(jobs.filter(({ id }) => id === job.id));
  return clientOf(job.id);
}

export function forgetJob(id: string): void {
  dispatch({ type: "gone", id });
}

/** Asks for one job by itself, and forgets it if it is gone. Rejects with the client's error, or the signal's reason. */
export async function lookUp(id: string, signal?: AbortSignal): Promise<void> {
  try {
    learnJob(await darkroom.get(id, { signal }));
  } catch (error) {
    if (!(error instanceof DarkroomProblem) || (error.status !== 404 && error.status !== 410)) throw error;
    forgetJob(id);
  }
}

/** The first pages that are being fetched, by filter: a second request for one joins the first. */
const loading = new Map<string, Promise<number | null>>();

/** Moves when changes were missed: a first page that was asked for before then may hold what is no longer true. */
let age = 0;

/** Changes were missed until now: no request joins a first page that is being fetched, and what it brings is not taken. */
export function outdateLoading(): void {
  age += 1;
  loading.clear();
}

/** Fetches a filter's first page; answers where the live feed stood then, null over several clients. Rejects with the client's error. */
export function loadFirstPage(filter: Filter): Promise<number | null> {
  const key = filterKey(filter);
  const joined = loading.get(key);
  if (joined !== undefined) return joined;
  const asked = loadPage(filter, null, () => "first").finally(() => {
    if (loading.get(key) === asked) loading.delete(key);
  });
  loading.set(key, asked);
  return asked;
}

/** Fetches a filter's first page and drops what is known below it. Rejects with the client's error. */
export async function loadAnew(filter: Filter): Promise<void> {
  await loadPage(filter, null, () => "anew");
}

/** The filters for which the list is being shortened. */
const shortening = new Set<string>();

/**
 * Begins anew with a filter's first page so that the list becomes shorter, unless that is under way already. `mayDrop` is asked
 * before the page is fetched, and again when it comes: if jobs may no longer be dropped then, the page is taken like any first
 * page. Rejects with the client's error.
 */
export async function shortenList(filter: Filter, mayDrop: () => boolean): Promise<void> {
  const key = filterKey(filter);
  if (shortening.has(key) || !mayDrop()) return;
  shortening.add(key);
  try {
    await loadPage(filter, null, () => (mayDrop() ? "anew" : "first"));
  } finally {
    shortening.delete(key);
  }
}

/** Fetches what follows what is shown; nothing when there is none. Rejects with the client's error. */
export async function loadNextPage(filter: Filter): Promise<void> {
  const { nextCursor } = listingOf(jobList.get(), filter);
  if (nextCursor !== null) await loadPage(filter, nextCursor, () => "next");
}

/** `partOf` is asked when the page comes. */
async function loadPage(
  filter: Filter,
  cursor: string | null,
  partOf: () => "first" | "anew" | "next",
): Promise<number | null> {
  // As known before asking: what is learned meanwhile may be too new for the answer.
  const known = [...jobList.get().jobs.values()].filter(matcherOf(filter));
  const askedAt = age;
  const page = await darkroom.list({ ...queryOf(filter), limit: PAGE_JOBS, cursor: cursor ?? undefined });
  const part = partOf();
  // The page that was asked for in its place brings the list.
  if (part === "first" && askedAt !== age) return page.feedCursor;
  dispatch({ type: "page", filter, jobs: page.jobs, nextCursor: page.nextCursor, part, cursor });
  if (part === "first") {
    // Each was deleted or no longer matches. Nothing waits for these look-ups: the next first page repeats one that fails.
    const missing = missingFrom({ jobs: page.jobs, ended: page.nextCursor === null }, known);
    for (const { id } of missing.slice(0, PAGE_JOBS)) lookUp(id).catch(() => undefined);
  }
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
