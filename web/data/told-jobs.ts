import type { JobSummary } from "../../schemas/job.ts";
import { learnJobs } from "./live-jobs.ts";

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
