import type { Place } from "../contract.ts";
import { hasMoved, type LaneView, type PlaceBrief } from "./place.ts";
import type { QueuedTicket } from "./queue.ts";

/** The new place of a watched job, to be sent to it. */
export interface Notice {
  readonly jobId: string;
  readonly ticketNumber: number;
  readonly place: Place;
}

/** Tickets read at a time, and looked at in one decision: a long queue must not keep the lane from its other callers. */
const PAGE = 100;
const MOST_LOOKED_AT = 1_000;

/** What a job was last notified of; `detail` is the lane's part of it, one text for all. A hundred thousand are in memory. */
interface Known {
  readonly brief: PlaceBrief;
  /** The pass that saw the job last. */
  readonly pass: number;
}

function briefOf(place: Place, view: LaneView): PlaceBrief {
  const { position, estimatedStartAtMs, waitingOn } = place;
  return { position, estimatedStartAtMs, waitingOn, detail: view.because };
}

/**
 * Finds the watched jobs whose place has changed, in passes over all watched tickets. A pass is cut into pages, so that the
 * object sends a bounded number of notices at once and serves other calls in between. What each job was last notified of is in
 * memory only: after an eviction each job hears its place once more.
 */
export class Notifier {
  readonly #known = new Map<string, Known>();
  /** The last ticket that the pass has looked at; `undefined` while no pass is under way, `null` at its start. */
  #after: QueuedTicket | null | undefined;
  #pass = 0;

  /** A pass has begun and not ended: the next page is due as soon as there is room for it. */
  get isUnderWay(): boolean {
    return this.#after !== undefined;
  }

  /** Whether the last pass saw a watched ticket. */
  get sawAny(): boolean {
    return this.#known.size > 0;
  }

  /** The job knows its place, because it asked for it. */
  knows(jobId: string, place: Place, view: LaneView): void {
    this.#known.set(jobId, { brief: briefOf(place, view), pass: this.#pass });
  }

  /** The job was not reached, or nobody watches it any more. The next pass notifies it again if it is watched. */
  forget(jobId: string): void {
    this.#known.delete(jobId);
  }

  /** The next page of a pass, which it begins if none is under way: at most `room` jobs whose place has changed. */
  next(
    room: number,
    view: LaneView,
    watchedAfter: (after: QueuedTicket | null, limit: number) => readonly QueuedTicket[],
    placeOf: (ticket: QueuedTicket) => Place,
  ): readonly Notice[] {
    if (this.#after === undefined) {
      this.#after = null;
      this.#pass += 1;
    }
    const notices: Notice[] = [];
    for (let lookedAt = 0; lookedAt < MOST_LOOKED_AT && notices.length < room; ) {
      const limit = Math.min(PAGE, room - notices.length);
      const page = watchedAfter(this.#after, limit);
      for (const ticket of page) {
        const { jobId, ticketNumber } = ticket;
        const place = placeOf(ticket);
        const brief = briefOf(place, view);
        const known = this.#known.get(jobId)?.brief;
        const isNews = hasMoved(known, brief);
        if (isNews) notices.push({ jobId, ticketNumber, place });
        this.#known.set(jobId, { brief: isNews ? brief : (known ?? brief), pass: this.#pass });
      }
      this.#after = page.at(-1) ?? this.#after;
      lookedAt += page.length;
      if (page.length < limit) {
        this.#end();
        break;
      }
    }
    return notices;
  }

  /** Ends the pass, and forgets the jobs that it did not see. */
  #end(): void {
    this.#after = undefined;
    for (const [jobId, { pass }] of this.#known) if (pass !== this.#pass) this.#known.delete(jobId);
  }
}
