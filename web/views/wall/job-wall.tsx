import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useLocation, useSearch } from "wouter";
import { useLateView } from "../../components/late-dialog.ts";
import { LoadFailure } from "../../components/load-failure.tsx";
import { isShutOut } from "../../data/access.ts";
import { listsMissed } from "../../data/live-feed.ts";
import { jobList, loadFirstPage, loadNextPage } from "../../data/live-jobs.ts";
import { announce } from "../../data/notices.ts";
import { useStore } from "../../data/store.ts";
import { density as densityStore, endSelecting, isSelecting, leaveWall, selectAll } from "../../data/wall.ts";
import { type Filter, filterFromSearch, filterKey, isNarrowed, searchFromFilter } from "../../state/filter.ts";
import { type Listing, listingOf } from "../../state/job-list.ts";
import type { ListedJob } from "../../state/listed-job.ts";
import { EmptyWall } from "./empty-wall.tsx";
import styles from "./job-wall.module.css";
import { WallEnd } from "./wall-end.tsx";
import { WallGrid } from "./wall-grid.tsx";
import { WallHead } from "./wall-head.tsx";

/** All jobs, newest first, live. The filter is in the address, so that it can be shared and survives a reload. */
export function JobWall() {
  const search = useSearch();
  const filter = useMemo(() => filterFromSearch(search), [search]);
  const key = filterKey(filter);
  const [, navigate] = useLocation();
  const state = useStore(jobList);
  const density = useStore(densityStore);
  const selecting = useStore(isSelecting);
  const listing = useMemo(() => listingOf(state, filter), [state, filter]);
  const { jobs } = listing;
  const { failure, again } = useFirstPage(filter);
  useFoundWords(key, listing);
  useKeys(() => jobs.map(({ id }) => id));
  useEffect(() => endSelecting, []);

  const change = (next: Filter) => {
    leaveWall({ search: searchFromFilter(next), scrollY: 0, jobId: null });
    navigate(`/${searchFromFilter(next)}`, { replace: true });
  };
  const isWaiting = !listing.loaded && jobs.length === 0;
  // All shown jobs may have left the filter while older ones are not fetched yet.
  const isEmpty = jobs.length === 0 && listing.nextCursor === null;
  return (
    <section className={styles.wall} aria-labelledby="wall-title" data-region>
      <WallHead filter={filter} onChange={change} />
      {failure !== null && !listing.loaded ? (
        <div className={styles.failure}>
          <LoadFailure what="The prints" error={failure} onAgain={again} />
        </div>
      ) : isWaiting ? (
        <Skeleton />
      ) : isEmpty ? (
        <EmptyWall filter={filter} onClear={isNarrowed(filter) ? () => change(filterFromSearch("")) : null} />
      ) : (
        <>
          <WallGrid key={`${density} ${key}`} jobs={jobs} density={density} search={key} />
          <WallEnd listing={listing} key={key} onReach={() => loadNextPage(filter)} />
        </>
      )}
      {selecting && <LateBar shown={jobs} />}
    </section>
  );
}

const loadBar = () => import("./selection-bar.tsx");

/** The code of the bar is loaded when jobs are first selected. */
function LateBar({ shown }: { readonly shown: readonly ListedJob[] }) {
  const Bar = useLateView(loadBar);
  return Bar === null ? null : <Bar shown={shown} />;
}

/** The wait before a first page that could not be fetched is requested again. */
const AGAIN_MS = 5_000;

/**
 * Fetches the first page when the filter changes and when changes were missed, and repeats that until it succeeds. The known jobs
 * are shown meanwhile.
 */
function useFirstPage(filter: Filter): { readonly failure: unknown; readonly again: () => Promise<void> } {
  const [failure, setFailure] = useState<unknown>(null);
  const missed = useStore(listsMissed);
  const load = useCallback(
    async (signal?: AbortSignal) => {
      try {
        await loadFirstPage(filter);
        if (!signal?.aborted) setFailure(null);
      } catch (error) {
        if (!(await isShutOut(error)) && !signal?.aborted) setFailure(error);
      }
    },
    [filter],
  );
  // biome-ignore lint/correctness/useExhaustiveDependencies: missed changes are a reason to ask again.
  useEffect(() => {
    const leaving = new AbortController();
    void load(leaving.signal);
    return () => leaving.abort();
  }, [load, missed]);
  useEffect(() => {
    if (failure === null) return;
    const timer = setTimeout(() => void load(), AGAIN_MS);
    return () => clearTimeout(timer);
  }, [failure, load]);
  return { failure, again: load };
}

const DIALOGS = "[role=dialog], [role=alertdialog]";

/** Announces to screen readers how many jobs a new filter shows, once its first page is there. */
function useFoundWords(key: string, { loaded, jobs, nextCursor }: Listing): void {
  const said = useRef(key);
  useEffect(() => {
    if (!loaded || said.current === key) return;
    said.current = key;
    announce(`${nextCursor === null ? "" : "More than "}${jobs.length} ${jobs.length === 1 ? "job" : "jobs"}`);
  }, [key, loaded, jobs, nextCursor]);
}

/** Escape ends choosing; Ctrl or ⌘ with A chooses all. Works everywhere except in text fields and dialogs. */
function useKeys(ids: () => readonly string[]): void {
  useEffect(() => {
    const onKey = (event: globalThis.KeyboardEvent) => {
      const { target } = event;
      const isElsewhere = target instanceof Element && target.closest(`:read-write, select, ${DIALOGS}`) !== null;
      if (event.defaultPrevented || isElsewhere) return;
      if (event.key === "Escape" && isSelecting.get()) {
        endSelecting();
        announce("Selection ended");
      } else if (event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey) && isSelecting.get())
        selectAll(ids());
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });
}

/** Placeholders for cards that are being loaded. */
function Skeleton() {
  return (
    <div role="status" className={styles.skeleton}>
      <span className="unseen">Loading jobs</span>
      {["a", "b", "c", "d", "e", "f"].map((key) => (
        <div key={key} className={styles.ghost} aria-hidden="true" />
      ))}
    </div>
  );
}
