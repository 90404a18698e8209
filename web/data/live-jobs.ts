import type { Job, JobSummary } from "../../schemas/job.ts";
import {
  EMPTY_LIST,
  type Filter,
  type JobListAction,
  type JobListState,
  listingOf,
  reduceJobList,
  STATUSES_OF,
} from "../state/job-list.ts";
import { type ListedJob, listedFromJob } from "../state/listed-job.ts";
import { announcementOf } from "../state/standing.ts";
import { darkroom } from "./darkroom.ts";
import { announce } from "./notices.ts";
import { createStore } from "./store.ts";

/** Jobs a page of the list: about two screens of a laptop. */
export const PAGE_JOBS = 24;

/** All jobs that the page knows; kept for as long as the tab lives, so that going back shows them at once. */
export const jobList = createStore<JobListState>(EMPTY_LIST);

function dispatch(action: JobListAction): void {
  jobList.set(reduceJobList(jobList.get(), action));
}

/** Takes news of jobs from anywhere; tells screen readers what changed. */
export function learnJobs(jobs: readonly ListedJob[]): void {
  const before = jobList.get().jobs;
  for (const job of jobs) {
    const words = announcementOf(before.get(job.id), job);
    if (words !== null) announce(words);
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

/** Fetches a filter's first page. Rejects with the client's error. */
export async function loadFirstPage(filter: Filter): Promise<void> {
  await loadPage(filter, null, "first");
}

/** Fetches a filter's first page and lets go what is known below it. Rejects with the client's error. */
export async function loadAnew(filter: Filter): Promise<void> {
  await loadPage(filter, null, "anew");
}

/** Fetches what follows what is shown; nothing when there is none. Rejects with the client's error. */
export async function loadNextPage(filter: Filter): Promise<void> {
  const { nextCursor } = listingOf(jobList.get(), filter);
  if (nextCursor !== null) await loadPage(filter, nextCursor, "next");
}

async function loadPage(filter: Filter, cursor: string | null, part: "first" | "anew" | "next"): Promise<void> {
  const statuses = STATUSES_OF[filter.show] ?? undefined;
  const workflow = filter.workflow ?? undefined;
  const page = await darkroom.list({ status: statuses, workflow, limit: PAGE_JOBS, cursor: cursor ?? undefined });
  dispatch({ type: "page", filter, jobs: page.jobs, nextCursor: page.nextCursor, part, cursor });
}

/** Shorter than anybody sees, and long enough for what comes in one go after an outage. */
const GATHER_MS = 30;

let told: JobSummary[] = [];

/** Learns a job that the feed tells of within a moment, together with others: hundreds may come at once after an outage. */
export function learnSoon(job: JobSummary): void {
  if (told.length === 0) setTimeout(learnTold, GATHER_MS);
  told.push(job);
}

/** Learns at once what the feed has told so far: whatever must come after it may now be done. */
export function learnTold(): void {
  const jobs = told;
  told = [];
  if (jobs.length > 0) learnJobs(jobs);
}
