import { useEffect, useState } from "react";
import type { JobCounts } from "../../schemas/job.ts";
import { type Filter, filterKey, queryOf } from "../state/filter.ts";
import { darkroom } from "./darkroom.ts";
import { jobList } from "./live-jobs.ts";

/** After a change of the jobs, before they are counted again: changes come in bursts. */
const SETTLE_MS = 1_500;

/** How many jobs there are of each kind under a filter, kept up to date; null before the first answer. */
export function useCounts(filter: Filter): JobCounts | null {
  const [counts, setCounts] = useState<JobCounts | null>(null);
  const key = filterKey(filter);
  // biome-ignore lint/correctness/useExhaustiveDependencies: equal filters have equal keys.
  useEffect(() => {
    const leaving = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = () => {
      timer = undefined;
      darkroom.counts({ ...queryOf(filter), signal: leaving.signal }).then(setCounts, () => undefined);
    };
    ask();
    const unsubscribe = jobList.subscribe(() => {
      timer ??= setTimeout(ask, SETTLE_MS);
    });
    return () => {
      leaving.abort(new DOMException("the filter changed", "AbortError"));
      clearTimeout(timer);
      unsubscribe();
    };
  }, [key]);
  return counts;
}
