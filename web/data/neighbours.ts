import { useMemo } from "react";
import { filterFromSearch } from "../state/filter.ts";
import { listingOf } from "../state/job-list.ts";
import { jobList, loadNextPage } from "./live-jobs.ts";
import { useStore } from "./store.ts";
import { lastWallPlace } from "./wall.ts";

/** The job beside another on the wall. */
export interface Neighbour {
  /** Whether there is one, or may be one on a page that is not fetched yet. */
  readonly exists: boolean;
  /** Its id, fetched if necessary; null when there is none, or it could not be fetched. Never rejects. */
  find(): Promise<string | null>;
}

const ANY = () => true;

/** The most pages fetched for one step: between two jobs with images there may be many without. */
const MAX_PAGES = 5;

/** The jobs before and after one, in the order and under the filter in which the wall was left. */
export function useNeighbours(
  id: string,
  wanted: (id: string) => boolean = ANY,
): { readonly before: Neighbour; readonly after: Neighbour } {
  const state = useStore(jobList);
  const { search } = lastWallPlace();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the list is read again whenever it changes.
  return useMemo(() => {
    const filter = filterFromSearch(search);
    const beside = (direction: 1 | -1): string | null => {
      const order = listingOf(jobList.get(), filter).jobs.map((job) => job.id);
      let at = order.indexOf(id);
      if (at < 0) return null;
      for (at += direction; at >= 0 && at < order.length; at += direction) {
        const other = order[at];
        if (other !== undefined && wanted(other)) return other;
      }
      return null;
    };
    const canFetch = () => {
      const { nextCursor, jobs } = listingOf(jobList.get(), filter);
      return nextCursor !== null && jobs.some((job) => job.id === id);
    };
    return {
      before: { exists: beside(-1) !== null, find: async () => beside(-1) },
      after: {
        exists: beside(1) !== null || canFetch(),
        async find() {
          for (let page = 0; beside(1) === null && canFetch() && page < MAX_PAGES; page += 1) {
            try {
              await loadNextPage(filter);
            } catch {
              return null;
            }
          }
          return beside(1);
        },
      },
    };
  }, [state, id, search, wanted]);
}
