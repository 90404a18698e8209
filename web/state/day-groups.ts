import type { ListedJob } from "./listed-job.ts";
import { dayWords } from "./time-words.ts";

export interface DayGroup {
  readonly day: string;
  readonly jobs: readonly ListedJob[];
}

/** Jobs, which come newest first, by the reader's own day; the order stays. */
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
