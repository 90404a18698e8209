import type { LaneReport } from "../../../schemas/limits.ts";
import type { Lease, LeaseOutcome, Place, Release, Ticket } from "../contract.ts";
import { DIRECT_BEGIN_MS, type LaneBook } from "./book.ts";
import { withStart } from "./lane-state.ts";
import type { LeaseEntry, WaitingEntry } from "./lane-storage.ts";
import { afterOutcome, withDuration } from "./outcome.ts";
import { reportOf } from "./report.ts";

export interface EnqueueAnswer {
  readonly lease: Lease | null;
  readonly place: Place | null;
}

/** What jobs ask of a lane; `LaneRpc` says what each guarantees. Whoever calls runs `advance` and `save` afterwards. */
export class LaneDesk {
  readonly #book: LaneBook;

  constructor(book: LaneBook) {
    this.#book = book;
  }

  enqueue(ticket: Ticket, watched: boolean, now: number): EnqueueAnswer {
    const book = this.#book;
    const lease = book.storage.lease(ticket.jobId);
    if (lease !== null && ticket.round < lease.round) return { lease: null, place: null };
    if (lease !== null && ticket.round === lease.round) return this.#leaseAgain(lease, now);
    // The job asks anew, so the attempt of its older lease is over, whatever became of it.
    if (lease !== null) book.endLease(lease, now);
    const waiting = book.storage.waiting(ticket.jobId);
    if (waiting !== null)
      return { lease: null, place: this.#placeOf(this.#refreshed(waiting, ticket.round, watched), now) };
    const entry = book.line.placeFor(ticket, watched, book.state.turns);
    const grantAtMs = book.nextGrantAtMs(now);
    if (grantAtMs !== null && grantAtMs <= now && book.line.isEmpty()) {
      return { lease: book.grant(entry, true, now, now), place: null };
    }
    book.arrive(entry);
    return { lease: null, place: this.#placeOf(entry, now) };
  }

  /** A job that asks for a lease it holds has not begun (the answer was lost, or came too late). */
  #leaseAgain(lease: LeaseEntry, now: number): EnqueueAnswer {
    const book = this.#book;
    if (book.mayStartAtMs(lease, now) > now) {
      book.endLease(lease, now);
      book.join(lease);
      return { lease: null, place: this.#placeOf(lease, now) };
    }
    const counted: LeaseEntry = { ...lease, countedAtMs: now + DIRECT_BEGIN_MS };
    book.state = book.withoutStartOf(lease);
    book.state = withStart(book.state, now + DIRECT_BEGIN_MS, book.settings.quota, now);
    book.storage.updateLease(counted);
    return { lease: book.publicLease(counted, now), place: null };
  }

  release(release: Release, now: number): Place | null {
    const book = this.#book;
    const { jobId, leaseId, outcome, requeue } = release;
    const lease = book.storage.lease(jobId);
    if (lease?.leaseId !== leaseId) {
      // Late or told twice: the outcome is known or was given up, but a job that wants to wait is never lost.
      const waiting = book.storage.waiting(jobId);
      if (waiting !== null) return this.#placeOf(waiting, now);
      if (lease !== null || requeue === null) return null;
      const entry = book.line.placeFor(requeue, false, book.state.turns);
      book.arrive(entry);
      return this.#placeOf(entry, now);
    }
    book.endLease(lease, now);
    book.state = withDuration(book.state, outcome, book.settings.attemptBudgetMs);
    book.state = afterOutcome(book.state, outcome, lease.startsAtMs, book.believed(now), now);
    if (requeue === null) return null;
    const entry = { ...lease, round: requeue.round };
    book.join(entry);
    return this.#placeOf(entry, now);
  }

  renew(leaseId: string, endsAtMs: number): void {
    const lease = this.#book.storage.lease(leaseId.slice(0, leaseId.lastIndexOf(".")));
    if (lease?.leaseId === leaseId && lease.endsAtMs < endsAtMs) this.#book.storage.updateLease({ ...lease, endsAtMs });
  }

  observe(outcome: LeaseOutcome, now: number): void {
    this.#book.state = afterOutcome(this.#book.state, outcome, null, this.#book.believed(now), now);
  }

  leave(jobId: string): void {
    const book = this.#book;
    const waiting = book.storage.waiting(jobId);
    if (waiting !== null) book.quit(waiting);
    const lease = book.storage.lease(jobId);
    if (lease === null) return;
    // An offer on its way is answered yet: only then is it known that its start was not made.
    if (lease.countedAtMs === null) book.dropLease(jobId);
    else book.giveBack(lease);
  }

  place(jobId: string, watched: boolean, now: number): Place | null {
    const waiting = this.#book.storage.waiting(jobId);
    return waiting === null ? null : this.#placeOf(this.#refreshed(waiting, waiting.round, watched), now);
  }

  places(jobIds: readonly string[], now: number): Record<string, Place> {
    const view = this.#book.view(now);
    const places: Record<string, Place> = {};
    for (const jobId of jobIds) {
      const waiting = this.#book.storage.waiting(jobId);
      if (waiting !== null) places[jobId] = this.#book.place(waiting, view);
    }
    return places;
  }

  report(model: string, now: number): LaneReport {
    return reportOf(this.#book, model, now);
  }

  #placeOf(entry: WaitingEntry, now: number): Place {
    return this.#book.place(entry, this.#book.view(now));
  }

  #refreshed(entry: WaitingEntry, round: number, watched: boolean): WaitingEntry {
    const fresh = { ...entry, round: Math.max(entry.round, round), watched: entry.watched || watched };
    if (fresh.round !== entry.round || fresh.watched !== entry.watched) this.#book.storage.updateWaiting(fresh);
    return fresh;
  }
}
