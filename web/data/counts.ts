import { useEffect, useState } from "react";
import type { JobCounts } from "../../schemas/job.ts";
import { type Filter, filterKey, queryOf } from "../state/filter.ts";
import { darkroom } from "./darkroom.ts";
import { jobList } from "./live-jobs.ts";
import { refreshing } from "./refreshing.ts";

/** The wait after a change of the jobs before they are counted again: changes come in bursts. */
const SETTLE_MS = 1_500;

/** How many jobs there are of each kind under a filter, kept up to date while the page is visible; null before the first answer. */
export function useCounts(filter: Filter): JobCounts | null {
  const [counts, setCounts] = useState<JobCounts | null>(null);
  const key = filterKey(filter);
  // biome-ignore lint/correctness/useExhaustiveDependencies: equal filters have equal keys.
  useEffect(() => {
    const leaving = new AbortController();
    const { signal } = leaving;
    const counting = refreshing(
      () => darkroom.counts({ ...queryOf(filter), signal }).then(setCounts, () => undefined),
      SETTLE_MS,
    );
    const unsubscribe = jobList.subscribe(counting.change);
    return () => {
      unsubscribe();
      counting.stop();
      leaving.abort(new DOMException("the filter changed", "AbortError"));
    };
  }, [key]);
  return counts;
}
