import { useCallback, useEffect, useState } from "react";
import { useLocation, useSearch } from "wouter";
import { LoadFailure } from "../../components/load-failure.tsx";
import { isShutOut } from "../../data/access.ts";
import { feedStood } from "../../data/live-feed.ts";
import { jobList, loadAnew, loadFirstPage, loadNextPage } from "../../data/live-jobs.ts";
import { useServerMinute } from "../../data/server-clock.ts";
import { useStore } from "../../data/store.ts";
import {
  type Filter,
  filterFromSearch,
  filterKey,
  groupByDay,
  type Listing,
  listingOf,
  searchFromFilter,
} from "../../state/job-list.ts";
import { EmptyWall } from "./empty-wall.tsx";
import { FilterBar } from "./filter-bar.tsx";
import { JobCard } from "./job-card.tsx";
import styles from "./job-wall.module.css";
import { WallEnd } from "./wall-end.tsx";

/** All jobs, newest first, live. The filter is in the address, so that it can be shared and survives a reload. */
export function JobWall() {
  const filter = filterFromSearch(useSearch());
  const [, navigate] = useLocation();
  const state = useStore(jobList);
  const listing = listingOf(state, filter);
  const { failure, again } = useFirstPage(filter);
  useShortening(listing.jobs.length, filter);
  return (
    <section className={styles.wall} aria-labelledby="wall-title">
      <header className={styles.head}>
        <h2 id="wall-title" tabIndex={-1} data-heir>
          Prints
        </h2>
        <FilterBar filter={filter} onChange={(next) => navigate(`/${searchFromFilter(next)}`, { replace: true })} />
      </header>
      {failure !== null && !listing.loaded ? (
        <div className={styles.failure}>
          <LoadFailure what="The prints" error={failure} onAgain={again} />
        </div>
      ) : (
        <Days listing={listing} filter={filter} />
      )}
    </section>
  );
}

function Days({ listing, filter }: { readonly listing: Listing; readonly filter: Filter }) {
  const nowMs = useServerMinute();
  if (!listing.loaded && listing.jobs.length === 0) return <Skeleton />;
  // What was shown may have gone on elsewhere, with older jobs still to be fetched.
  if (listing.jobs.length === 0 && listing.nextCursor === null) return <EmptyWall filter={filter} />;
  return (
    <>
      {groupByDay(listing.jobs, nowMs).map((group) => (
        <section key={group.day} aria-label={group.day}>
          <h3 className={styles.day}>{group.day}</h3>
          <ul className={styles.grid}>
            {group.jobs.map((job) => (
              <li key={job.id}>
                <JobCard job={job} />
              </li>
            ))}
          </ul>
        </section>
      ))}
      <WallEnd listing={listing} key={filterKey(filter)} onReach={() => loadNextPage(filter)} />
    </>
  );
}

/** After a first page that could not be fetched, before it is asked for again. */
const AGAIN_MS = 5_000;

/**
 * Fetches the first page when the filter changes, when the feed first stands, and again until it comes; what is at hand shows
 * meanwhile.
 */
function useFirstPage({ show, workflow }: Filter): { readonly failure: unknown; readonly again: () => Promise<void> } {
  const [failure, setFailure] = useState<unknown>(null);
  const stood = useStore(feedStood);
  const load = useCallback(
    async (signal?: AbortSignal) => {
      try {
        await loadFirstPage({ show, workflow });
        if (!signal?.aborted) setFailure(null);
      } catch (error) {
        if (!(await isShutOut(error)) && !signal?.aborted) setFailure(error);
      }
    },
    [show, workflow],
  );
  // biome-ignore lint/correctness/useExhaustiveDependencies: a feed that now stands is a reason to ask again.
  useEffect(() => {
    const leaving = new AbortController();
    void load(leaving.signal);
    return () => leaving.abort();
  }, [load, stood]);
  useEffect(() => {
    if (failure === null) return;
    const timer = setTimeout(() => void load(), AGAIN_MS);
    return () => clearTimeout(timer);
  }, [failure, load]);
  return { failure, again: load };
}

/** Cards on the wall, beyond which it begins anew: about twenty screens, which a day of work fills from above. */
const MAX_CARDS = 240;

/** Keeps a wall that stays open from growing without end: it begins anew while nobody looks further down. */
function useShortening(count: number, { show, workflow }: Filter): void {
  useEffect(() => {
    if (count <= MAX_CARDS || window.scrollY > window.innerHeight) return;
    // Failing, it is tried again with the next change.
    loadAnew({ show, workflow }).catch(() => undefined);
  }, [count, show, workflow]);
}

/** Holds the place of cards that are on their way. */
function Skeleton() {
  return (
    <div role="status">
      <span className="unseen">Loading jobs</span>
      <div className={styles.day} aria-hidden="true">
        &nbsp;
      </div>
      <div className={styles.grid} aria-hidden="true">
        {["a", "b", "c", "d", "e", "f"].map((key) => (
          <div key={key} className={styles.ghost} />
        ))}
      </div>
    </div>
  );
}
