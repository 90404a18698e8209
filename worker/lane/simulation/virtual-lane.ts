import type { Lease, LeaseOutcome, Place, Ticket } from "../contract.ts";
import { LaneBook, type LaneSettings } from "../core/book.ts";
import { LaneDesk } from "../core/desk.ts";
import { advance, nextAlarmAtMs, takeAnswer } from "../core/dispatch.ts";
import type { EventQueue } from "./event-queue.ts";
import { MemoryStorage } from "./memory-storage.ts";

/** The world around a lane: what jobs and upstream do. */
export interface World {
  /** How long after being told a job calls upstream, in ms; `null`: it never answers. */
  beginLagMs(ticket: Ticket, direct: boolean): number | null;
  /** How upstream ends a call that reaches it now, and after how long. */
  call(ticket: Ticket, now: number): { readonly outcome: LeaseOutcome; readonly afterMs: number };
  /** The attempt is over; a ticket asks for another one after a while. */
  ended(
    ticket: Ticket,
    outcome: LeaseOutcome,
    now: number,
  ): { readonly ticket: Ticket; readonly afterMs: number } | null;
}

/** A lane in virtual time: the code of `LaneDispatcher` without the object, with jobs that do as the world says. */
export class VirtualLane {
  readonly #events: EventQueue;
  readonly #world: World;
  readonly #storage = new MemoryStorage();
  readonly #settings: LaneSettings;
  #book: LaneBook;
  #desk: LaneDesk;
  #armedAtMs: number | null = null;
  readonly #tickets = new Map<string, Ticket>();
  readonly #begun = new Map<string, number>();

  readonly #joined: (ticket: Ticket, place: Place | null) => void;

  /** `joined` hears of every enqueue, before a lease that it answered is begun. */
  constructor(
    settings: LaneSettings,
    world: World,
    events: EventQueue,
    joined: (ticket: Ticket, place: Place | null) => void = () => {},
  ) {
    this.#joined = joined;
    this.#settings = settings;
    this.#world = world;
    this.#events = events;
    this.#book = new LaneBook(this.#storage, settings, events.now);
    this.#desk = new LaneDesk(this.#book);
  }

  get book(): LaneBook {
    return this.#book;
  }

  /** Forgets all but what is stored, as an object does that was evicted. */
  evict(settings: LaneSettings = this.#settings): void {
    this.#book = new LaneBook(this.#storage, settings, this.#events.now);
    this.#desk = new LaneDesk(this.#book);
  }

  enqueue(ticket: Ticket): Place | null {
    this.#tickets.set(ticket.jobId, ticket);
    const { lease, place } = this.#desk.enqueue(ticket, false, this.#events.now);
    this.#joined(ticket, place);
    this.#settle();
    if (lease !== null) this.#begin(lease, true);
    return place;
  }

  leave(jobId: string): void {
    this.#tickets.delete(jobId);
    this.#desk.leave(jobId);
    this.#settle();
  }

  place(jobId: string): Place | null {
    return this.#desk.place(jobId, false, this.#events.now);
  }

  #settle(): void {
    const now = this.#events.now;
    const leases = advance(this.#book, now);
    this.#book.save(now);
    for (const lease of leases) this.#begin(lease, false);
    const alarmAtMs = nextAlarmAtMs(this.#book, now);
    if (alarmAtMs === null || (this.#armedAtMs !== null && this.#armedAtMs <= alarmAtMs)) return;
    this.#armedAtMs = alarmAtMs;
    this.#events.at(alarmAtMs, () => {
      if (this.#armedAtMs !== alarmAtMs) return;
      this.#armedAtMs = null;
      this.#settle();
    });
  }

  /** A job hears of its lease: it begins, once, or refuses, or stays silent; too late for the answer to its own asking, it asks again. */
  #begin(lease: Lease, direct: boolean): void {
    const ticket = this.#tickets.get(lease.jobId);
    const lagMs = ticket === undefined ? 0 : this.#world.beginLagMs(ticket, direct);
    if (lagMs === null) return;
    this.#events.at(Math.max(this.#events.now + lagMs, lease.notBeforeMs), () => {
      const now = this.#events.now;
      const begunAtMs = this.#begun.get(lease.leaseId);
      const waits = this.#tickets.get(lease.jobId)?.round === lease.round;
      const accepted = begunAtMs !== undefined || (waits && now <= lease.beginByMs);
      if (accepted && begunAtMs === undefined && ticket !== undefined) this.#call(ticket, lease);
      if (direct && !accepted && waits && ticket !== undefined) this.enqueue(ticket);
      if (direct) return;
      takeAnswer(this.#book, lease, accepted ? { accepted, startedAtMs: begunAtMs ?? now } : { accepted }, now);
      this.#settle();
    });
  }

  #call(ticket: Ticket, lease: Lease): void {
    const { jobId, leaseId } = lease;
    this.#begun.set(leaseId, this.#events.now);
    const { outcome, afterMs } = this.#world.call(ticket, this.#events.now);
    this.#events.at(this.#events.now + afterMs, () => {
      this.#begun.delete(leaseId);
      const again = this.#world.ended(ticket, outcome, this.#events.now);
      const putsBack = outcome.kind === "throttled" || outcome.kind === "blocked";
      const requeue = putsBack && again !== null ? again.ticket : null;
      if (requeue !== null) this.#tickets.set(jobId, requeue);
      else this.#tickets.delete(jobId);
      this.#desk.release({ leaseId, jobId, outcome, requeue }, this.#events.now);
      this.#settle();
      if (requeue === null && again !== null) {
        this.#events.at(this.#events.now + again.afterMs, () => this.enqueue(again.ticket));
      }
    });
  }
}
