import type { Place } from "../contract.ts";
import type { LaneBook } from "./book.ts";
import type { LaneView } from "./place.ts";
import { hasMoved } from "./place.ts";

export interface PlaceNews {
  readonly jobId: string;
  readonly round: number;
  readonly place: Place;
}

/** While a place depends on when a running attempt ends, and it does not, the estimate is looked at this often. */
const LOOK_AGAIN_MS = 4_000;

/** Who is told of a new place, and what each was told last. The latter is memory only: after a restart all hear once. */
export class Watching {
  readonly #book: LaneBook;
  readonly #known = new Map<string, Place>();

  constructor(book: LaneBook) {
    this.#book = book;
  }

  /** The job knows its place: it asked for it. */
  knows(jobId: string, place: Place): void {
    this.#known.set(jobId, place);
  }

  /** The places that changed since the watched last heard; empty, at no cost, while nothing is due. */
  news(now: number): readonly PlaceNews[] {
    const book = this.#book;
    if (book.state.pushDueAtMs === null || book.state.pushDueAtMs > now) return [];
    const view = book.view(now);
    const news: PlaceNews[] = [];
    const known = new Map(this.#known);
    this.#known.clear();
    let isAnyWatched = false;
    for (const entry of book.storage.watched()) {
      isAnyWatched = true;
      const place = book.place(entry, view);
      const before = known.get(entry.jobId);
      const isNews = hasMoved(before, place);
      this.#known.set(entry.jobId, isNews ? place : (before ?? place));
      if (isNews) news.push({ jobId: entry.jobId, round: entry.round, place });
    }
    book.state = { ...book.state, pushedAtMs: now, pushDueAtMs: isAnyWatched ? lookAgainAtMs(book, view, now) : null };
    return news;
  }

  /** The job did not hear: it is told at the next change even if that brings nothing new. */
  missed(jobId: string): void {
    this.#known.delete(jobId);
  }

  /** Nobody watches the job any more. A job that asked anew meanwhile (`round`) is watched on. */
  unwatch(jobId: string, round: number): void {
    this.#known.delete(jobId);
    const entry = this.#book.storage.waiting(jobId);
    if (entry?.round === round && entry.watched) this.#book.storage.updateWaiting({ ...entry, watched: false });
  }
}

/** `null` where the clock alone brings no news: the next start, or the end of a lease, does. */
function lookAgainAtMs(book: LaneBook, view: LaneView, now: number): number | null {
  if (book.settings.paused !== null || book.nextGrantAtMs(now) !== null) return null;
  const expectedMs = view.forecast(0);
  return expectedMs === null ? null : Math.max(expectedMs, now) + LOOK_AGAIN_MS;
}
