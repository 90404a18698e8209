import { useEffect, useState } from "react";
import { useLocation, useSearch } from "wouter";
import { Button } from "../../components/button.tsx";
import { isShutOut } from "../../data/access.ts";
import { feedStood } from "../../data/live-feed.ts";
import { jobList, loadFirstPage, loadNextPage } from "../../data/live-jobs.ts";
import { useServerMinute } from "../../data/server-clock.ts";
import { useStore } from "../../data/store.ts";
import { groupByDay } from "../../state/day-groups.ts";
import { failureWords } from "../../state/failure-words.ts";
import { filterFromSearch, searchFromFilter } from "../../state/filter-search.ts";
import { type Filter, filterKey, type Listing, listingOf } from "../../state/job-list.ts";
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
  const failure = useFirstPage(filter);
  return (
    <section className={styles.wall} aria-labelledby="wall-title">
      <header className={styles.head}>
        <h2 id="wall-title">Prints</h2>
        <FilterBar filter={filter} onChange={(next) => navigate(`/${searchFromFilter(next)}`, { replace: true })} />
      </header>
      {failure !== null && !listing.loaded ? (
        <LoadFailure error={failure} filter={filter} />
      ) : (
        <Days listing={listing} filter={filter} />
      )}
    </section>
  );
}

function Days({ listing, filter }: { readonly listing: Listing; readonly filter: Filter }) {
  const nowMs = useServerMinute();
  if (listing.jobs.length === 0) return listing.loaded ? <EmptyWall filter={filter} /> : <Skeleton />;
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

/** Fetches the first page when the filter changes and when the feed first stands; what is at hand shows meanwhile. */
function useFirstPage(filter: Filter): unknown {
  const [failure, setFailure] = useState<unknown>(null);
  const stood = useStore(feedStood);
  const { show, workflow } = filter;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a feed that now stands is a reason to ask again.
  useEffect(() => {
    let left = false;
    loadFirstPage({ show, workflow })
      .then(() => !left && setFailure(null))
      .catch(async (error) => {
        if (!(await isShutOut(error)) && !left) setFailure(error);
      });
    return () => {
      left = true;
    };
  }, [show, workflow, stood]);
  return failure;
}

function LoadFailure({ error, filter }: { readonly error: unknown; readonly filter: Filter }) {
  const { title, detail } = failureWords(error);
  return (
    <div className={styles.failure} role="alert">
      <p>
        <strong>{title}.</strong> {detail}
      </p>
      <Button onClick={() => loadFirstPage(filter).catch(() => undefined)}>Try again</Button>
    </div>
  );
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
