import type { Place } from "../contract.ts";
import { type KnownPlace, type LaneView, notifyAtMs } from "./place.ts";
import type { QueuedTicket } from "./queue.ts";

/** The new place of a watched job, to be sent to it. */
export interface Notice {
  readonly jobId: string;
  readonly ticketNumber: number;
  readonly place: Place;
}

/**
 * How many tickets are read at a time, and how many are checked in one decision: a long queue must not keep the lane from its
 * other callers.
 */
const PAGE = 100;
const MOST_LOOKED_AT = 1_000;

/**
 * What a job was last notified of. A hundred thousand are in memory, so `detail` is the lane's part of the text only, which is
 * one text for all.
 */
type Known = KnownPlace & {
  /** The pass that saw the job last. */
  pass: number;
  isLeftOut: boolean;
};

/**
 * Finds the watched jobs that are notified of a changed place, in passes over all watched tickets. A pass is cut into pages, so
 * that the object sends a bounded number of notices at once and serves other calls in between. What each job was last notified of
 * is in memory only: after an eviction each job is notified of its place once more.
 */
export class Notifier {
  readonly #known = new Map<string, Known>();
  /** The last ticket that the pass has checked; `undefined` while no pass is under way, `null` at its start. */
  #after: QueuedTicket | null | undefined;
  #pass = 0;
  /** The earliest moment at which a job that this pass left out, or did not reach, is notified of the place that it has now. */
  #laterMs = Number.POSITIVE_INFINITY;

  /** A pass has begun and not ended: the next page is due as soon as there is room for it. */
  get isUnderWay(): boolean {
    return this.#after !== undefined;
  }

  /** Whether the last pass saw a watched ticket. */
  get sawAny(): boolean {
    return this.#known.size > 0;
  }

  /**
   * The earliest time at which a job that the last pass left out or did not reach is notified, in ms; `null`: there is no such
   * job.
   */
  get laterMs(): number | null {
    return Number.isFinite(this.#laterMs) ? this.#laterMs : null;
  }

  /** The job knows its place, because it asked for it. */
  knows(jobId: string, place: Place, view: LaneView, now: number): void {
    this.#known.set(jobId, this.#knownOf(place, view, now));
  }

  /** Nobody watches the job any more, or it was not reached. The next pass notifies it again if it is watched. */
  forget(jobId: string): void {
    this.#known.delete(jobId);
  }

  /** A notice did not reach its job: it is sent again at `againAtMs`, or with an earlier pass. */
  missed(jobId: string, againAtMs: number): void {
    this.forget(jobId);
    this.#laterMs = Math.min(this.#laterMs, againAtMs);
  }

  /**
   * The next page of a pass, which it begins if none is under way: at most `room` jobs for which `notifyAtMs` answers now. A job that
   * starts by `startsByMs` is notified by its start.
   */
  next(
    room: number,
    view: LaneView,
    now: number,
    watchedAfter: (after: QueuedTicket | null, limit: number) => readonly QueuedTicket[],
    placeOf: (ticket: QueuedTicket) => Place,
    startsByMs: number,
  ): readonly Notice[] {
    if (this.#after === undefined) {
      this.#after = null;
      this.#pass += 1;
      this.#laterMs = Number.POSITIVE_INFINITY;
    }
    const notices: Notice[] = [];
    for (let lookedAt = 0; lookedAt < MOST_LOOKED_AT && notices.length < room; ) {
      const limit = Math.min(PAGE, room - notices.length);
      const page = watchedAfter(this.#after, limit);
      for (const ticket of page) {
        const { jobId, ticketNumber } = ticket;
        const place = placeOf(ticket);
        const current = this.#knownOf(place, view, now);
        const known = this.#known.get(jobId);
        const atMs = notifyAtMs(known, current, now, startsByMs) ?? Number.POSITIVE_INFINITY;
        if (known !== undefined && atMs > now) {
          known.isLeftOut = (notifyAtMs(known, current, now) ?? Number.POSITIVE_INFINITY) <= now;
          known.pass = this.#pass;
          this.#laterMs = Math.min(this.#laterMs, atMs);
        } else {
          this.#known.set(jobId, current);
          notices.push({ jobId, ticketNumber, place });
        }
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

  #knownOf({ position, estimatedStartAtMs, waitingOn }: Place, view: LaneView, atMs: number): Known {
    return { position, estimatedStartAtMs, waitingOn, detail: view.because, atMs, pass: this.#pass, isLeftOut: false };
  }

  /** Ends the pass, and forgets the jobs that it did not see. */
  #end(): void {
    this.#after = undefined;
    for (const [jobId, { pass }] of this.#known) if (pass !== this.#pass) this.#known.delete(jobId);
  }
}
