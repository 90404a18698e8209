import { DarkroomProblem } from "../../client/errors.ts";
import type { ConnectionState } from "../../client/follow.ts";
import type { Job } from "../../schemas/job.ts";
import { announcementOf } from "../state/announcement.ts";
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
import { isShutOut } from "./access.ts";
import { announce } from "./announcer.ts";
import { darkroom } from "./darkroom.ts";
import { createStore } from "./store.ts";

/** Jobs a page of the list: about two screens of a laptop. */
const PAGE_JOBS = 24;

/** Before the feed is given up as broken and opened again; the client itself reconnects far sooner where that helps. */
const REOPEN_MS = 5_000;

/** All jobs that the page knows; kept for as long as the tab lives, so that going back shows them at once. */
export const jobList = createStore<JobListState>(EMPTY_LIST);

/** How the feed fares. */
export const feedState = createStore<ConnectionState>("connecting");

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

export function learnJob(job: Job): void {
  learnJobs([listedFromJob(job)]);
}

export function forgetJob(id: string): void {
  dispatch({ type: "gone", id });
}

/**
 * Follows the one live feed until `signal`. What is missed while it is down comes with the reconnection; the first page is
 * fetched once the feed stands, as its contract asks, so that nothing falls between list and feed.
 */
export async function followFeed(signal: AbortSignal): Promise<void> {
  let after: number | undefined;
  while (!signal.aborted) {
    try {
      for await (const frame of darkroom.watchAll({ signal, after, onState: (state) => feedState.set(state) })) {
        if (frame.type === "job") learnJobs([frame.job]);
        else if (frame.type === "deleted") forgetJob(frame.id);
        else if (after === undefined) feedStood.set(feedStood.get() + 1);
        after = frame.cursor;
      }
    } catch (error) {
      if (signal.aborted) return;
      // The operator sees everyone's jobs, and there is no one feed of them: the list is asked again and again instead.
      const noFeed = error instanceof DarkroomProblem && error.code === "invalid_query";
      feedState.set(noFeed ? "polling" : "reconnecting");
      if (await isShutOut(error)) return;
      if (noFeed) feedStood.set(feedStood.get() + 1);
    }
    await new Promise((resolve) => setTimeout(resolve, REOPEN_MS));
  }
}

/** Moves when the first page must be fetched again: the feed stands for the first time, or there is none. */
export const feedStood = createStore(0);

/** Fetches a filter's first page. Rejects with the client's error. */
export async function loadFirstPage(filter: Filter): Promise<void> {
  await loadPage(filter, undefined);
}

/** Fetches what follows what is shown; nothing when there is none. Rejects with the client's error. */
export async function loadNextPage(filter: Filter): Promise<void> {
  const { nextCursor } = listingOf(jobList.get(), filter);
  if (nextCursor !== null) await loadPage(filter, nextCursor);
}

async function loadPage(filter: Filter, cursor: string | undefined): Promise<void> {
  const statuses = STATUSES_OF[filter.show] ?? undefined;
  const workflow = filter.workflow ?? undefined;
  const page = await darkroom.list({ status: statuses, workflow, limit: PAGE_JOBS, cursor });
  dispatch({ type: "page", filter, jobs: page.jobs, nextCursor: page.nextCursor, first: cursor === undefined });
}
