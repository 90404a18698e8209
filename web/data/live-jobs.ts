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
import { lastWallPlace } from "./wall.ts";

/** Jobs per page of the list: about two screens of a laptop. */
export const PAGE_JOBS = 24;

/** All jobs that the page knows. Kept while the tab is open, so that going back shows them at once. */
export const jobList = createStore<JobListState>(EMPTY_LIST);

function dispatch(action: JobListAction): void {
  jobList.set(reduceJobList(jobList.get(), action));
}

/** Takes the current states of jobs, from any source, and announces what changed. */
export function learnJobs(jobs: readonly ListedJob[]): void {
  const before = jobList.get().jobs;
  for (const job of jobs) {
    const words = announcementOf(before.get(job.id), job);
    if (words !== null) announceChange(job.id, { tone: toneOf(job), words });
    noteEnd(before.get(job.id), job);
  }
  dispatch({ type: "seen", jobs });
}

/** `client`: the job's client, where it is known. */
export function learnJob(job: Job, client: string | null = null): void {
  learnJobs([{ ...listedFromJob(job), client }]);
}

/** The job's client; null where it is not known. */
export function clientOf(id: string): string | null {
  return jobList.get().jobs.get(id)?.client ?? null;
}

/**
 * The job's client: as known here, else from the operator's list, which names each job's client; the job itself does not. Null
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

/** Reads one job by itself, and forgets it if it was deleted. Rejects with the client's error, or the signal's reason. */
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

/** Rises when changes were missed: a first page that was requested before then may be outdated. */
let age = 0;

/** Call it when changes were missed: no request joins a first page that is being fetched, and its answer is dropped. */
export function outdateLoading(): void {
  age += 1;
  loading.clear();
}

/** Fetches a filter's first page; returns the live feed's number then, null over several clients. Rejects with the client's error. */
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

/** Fetches a filter's first page and drops the known jobs below it. Rejects with the client's error. */
export async function loadAnew(filter: Filter): Promise<void> {
  await loadPage(filter, null, () => "anew");
}

/** The filters for which the list is being shortened. */
const shortening = new Set<string>();

/**
 * Begins anew with a filter's first page so that the list becomes shorter, unless that is under way already. `mayDrop` is called
 * before the page is fetched, and again when it arrives: if jobs may no longer be dropped then, the page is taken like any first
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

/** Fetches the page after the jobs that are shown, if there is one. Rejects with the client's error. */
export async function loadNextPage(filter: Filter): Promise<void> {
  const { nextCursor } = listingOf(jobList.get(), filter);
  if (nextCursor !== null) await loadPage(filter, nextCursor, () => "next");
}

/** `partOf` is called when the page arrives. */
async function loadPage(
  filter: Filter,
  cursor: string | null,
  partOf: () => "first" | "anew" | "next",
): Promise<number | null> {
  // Taken before the call: jobs that arrive meanwhile may be newer than the answer.
  const known = [...jobList.get().jobs.values()].filter(matcherOf(filter));
  const askedAt = age;
  const page = await darkroom.list({ ...queryOf(filter), limit: PAGE_JOBS, cursor: cursor ?? undefined });
  const part = partOf();
  // This answer is outdated; the page that was requested after it brings the list.
  if (part === "first" && askedAt !== age) return page.feedCursor;
  const kept = lastWallPlace().jobId;
  dispatch({ type: "page", filter, jobs: page.jobs, nextCursor: page.nextCursor, part, cursor, kept });
  if (part === "first") {
    // Each was deleted or no longer matches. These look-ups are not awaited: the next first page repeats one that fails.
    const missing = missingFrom({ jobs: page.jobs, ended: page.nextCursor === null }, known);
    for (const { id } of missing.slice(0, PAGE_JOBS)) lookUp(id).catch(() => undefined);
  }
  return page.feedCursor;
}

/** Too short to be seen, and long enough to gather the frames that arrive together after an outage. */
const GATHER_MS = 30;

let gathered: JobSummary[] = [];

/** Takes a job of the feed within 30 ms, together with others: hundreds may come at once after an outage. */
export function learnSoon(job: JobSummary): void {
  if (gathered.length === 0) setTimeout(learnGathered, GATHER_MS);
  gathered.push(job);
}

/** Takes at once the jobs that the feed has brought so far, for a change that must come after them. */
export function learnGathered(): void {
  const jobs = gathered;
  gathered = [];
  if (jobs.length > 0) learnJobs(jobs);
}
