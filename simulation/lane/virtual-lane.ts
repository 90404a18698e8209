import type { LaneReport } from "../../schemas/limits.ts";
import type { Lease, LeaseOutcome, Place, Ticket } from "../../worker/lane/contract.ts";
import type { LaneCommand } from "../../worker/lane/core/control.ts";
import { Lane, type LaneSettings } from "../../worker/lane/core/lane.ts";
import { MemoryStorage } from "./memory-storage.ts";

interface Scheduled {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

function isSooner(a: Scheduled, b: Scheduled): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** Events in virtual time: the earliest first, and of equal times the one scheduled first. A binary heap. */
export class EventQueue {
  readonly #heap: Scheduled[] = [];
  #scheduled = 0;
  #now: number;

  constructor(startAtMs: number) {
    this.#now = startAtMs;
  }

  get now(): number {
    return this.#now;
  }

  /** A time in the past counts as now. */
  at(atMs: number, run: () => void): void {
    this.#scheduled += 1;
    const added = { atMs: Math.max(atMs, this.#now), order: this.#scheduled, run };
    const heap = this.#heap;
    let index = heap.push(added) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isSooner(added, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = added;
  }

  /** Runs what is scheduled up to `untilMs`, and what that schedules. Answers whether any event is left. */
  runUntil(untilMs: number): boolean {
    for (let next = this.#heap[0]; next !== undefined; next = this.#heap[0]) {
      if (next.atMs > untilMs) break;
      this.#pop();
      this.#now = next.atMs;
      next.run();
    }
    if (Number.isFinite(untilMs)) this.#now = Math.max(this.#now, untilMs);
    return this.#heap.length > 0;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const leftOne = heap[left];
      if (leftOne === undefined) break;
      const rightOne = heap[left + 1];
      const isRight = rightOne !== undefined && isSooner(rightOne, leftOne);
      const child = isRight ? rightOne : leftOne;
      if (!isSooner(child, last)) break;
      heap[index] = child;
      index = isRight ? left + 1 : left;
    }
    heap[index] = last;
  }
}

/** The world around a lane: what jobs and upstream do. */
export interface World {
  /** How long after the offer of a lease the job calls upstream, in ms; `null`: it never answers. */
  beginLagMs(ticket: Ticket, direct: boolean): number | null;
  /** How upstream ends a call that reaches it now, and after how long. */
  call(ticket: Ticket, now: number): { readonly outcome: LeaseOutcome; readonly afterMs: number };
  /** The attempt is over. With a ticket in the answer, the job asks for another one after `afterMs`. */
  ended(
    ticket: Ticket,
    outcome: LeaseOutcome,
    now: number,
  ): { readonly ticket: Ticket; readonly afterMs: number } | null;
  /** Whether the job's answer to an offer is lost on its way to the lane. Absent: never. */
  answerIsLost?(ticket: Ticket): boolean;
  /** How long after a message of this job to the lane the message is executed once more, its answer lost, in ms; `null`: it is not. */
  repeatedAfterMs?(jobId: string): number | null;
}

/** Answers to offers are stored so long after they come, in ms. */
const STORED_AFTER_MS = 1_000;

/** A lane in virtual time: `LaneDispatcher` without the object, and jobs that do as the world says. */
export class VirtualLane {
  readonly #events: EventQueue;
  readonly #world: World;
  readonly #storage = new MemoryStorage();
  readonly #settings: LaneSettings;
  #lane: Lane;
  #armedAtMs: number | null = null;
  readonly #tickets = new Map<string, Ticket>();
  /** When each running attempt began, by job and ticket. */
  readonly #begun = new Map<string, number>();

  readonly #joined: (ticket: Ticket, place: Place | null) => void;

  /** `joined` is called for every enqueue, before a lease in the answer is begun. */
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
    this.#lane = new Lane(this.#storage, settings, events.now);
  }

  /** How many jobs were offered a lease and have not answered. */
  get openOffers(): number {
    return this.#storage.loadState()?.offers.length ?? 0;
  }

  /** Forgets everything that is not stored, as an evicted object does. */
  evict(settings: LaneSettings = this.#settings): void {
    this.#lane = new Lane(this.#storage, settings, this.#events.now);
  }

  enqueue(ticket: Ticket): Place | null {
    this.#tickets.set(ticket.jobId, ticket);
    const { lease, place } = this.#lane.enqueue(ticket, false, this.#events.now);
    this.#repeat(ticket.jobId, (now) => this.#lane.enqueue(ticket, false, now));
    this.#joined(ticket, place);
    this.#settle();
    if (lease !== null) this.#begin(lease, true);
    return place;
  }

  /** Carries out an operator's command. Answers until when a job may still begin by an earlier lease. */
  command(command: LaneCommand): number {
    this.#lane.command(command, this.#events.now);
    this.#settle();
    return this.#lane.quietAtMs();
  }

  report(): LaneReport {
    return this.#lane.report("model", this.#events.now);
  }

  leave(jobId: string): void {
    const number = this.#tickets.get(jobId)?.round ?? null;
    this.#tickets.delete(jobId);
    this.#lane.leave(jobId, number, this.#events.now);
    this.#repeat(jobId, (now) => this.#lane.leave(jobId, number, now));
    this.#settle();
  }

  place(jobId: string): Place | null {
    return this.#lane.place(jobId, false, this.#events.now);
  }

  #repeat(jobId: string, call: (now: number) => void): void {
    const afterMs = this.#world.repeatedAfterMs?.(jobId) ?? null;
    if (afterMs === null) return;
    this.#events.at(this.#events.now + afterMs, () => {
      call(this.#events.now);
      this.#settle();
    });
  }

  #settle(): void {
    const now = this.#events.now;
    const { offers, isToStore, alarmAtMs } = this.#lane.settle(now);
    if (isToStore) {
      this.#events.at(now + STORED_AFTER_MS, () => {
        this.#lane.storeAnswers();
        this.#settle();
      });
    }
    for (const lease of offers) this.#begin(lease, false);
    if (alarmAtMs === null || (this.#armedAtMs !== null && this.#armedAtMs <= alarmAtMs)) return;
    this.#armedAtMs = alarmAtMs;
    this.#events.at(alarmAtMs, () => {
      if (this.#armedAtMs !== alarmAtMs) return;
      this.#armedAtMs = null;
      this.#settle();
    });
  }

  /**
   * A job gets a lease: it begins, once, or refuses, or never answers. A job that is too late for a lease in the answer to
   * `enqueue` enqueues again.
   */
  #begin(lease: Lease, direct: boolean): void {
    const ticket = this.#tickets.get(lease.jobId);
    const lagMs = ticket === undefined ? 0 : this.#world.beginLagMs(ticket, direct);
    if (lagMs === null) return;
    // A lease in the answer to `enqueue` is for now.
    const earliestMs = direct ? 0 : lease.notBeforeMs;
    this.#events.at(Math.max(this.#events.now + lagMs, earliestMs), () => {
      const now = this.#events.now;
      const begunAtMs = this.#begun.get(attemptOf(lease));
      const waits = this.#tickets.get(lease.jobId)?.round === lease.round;
      const accepted = begunAtMs !== undefined || (waits && now <= lease.beginByMs);
      if (accepted && begunAtMs === undefined && ticket !== undefined) this.#call(ticket, lease);
      if (direct && !accepted && waits && ticket !== undefined) this.enqueue(ticket);
      if (direct || (ticket !== undefined && this.#world.answerIsLost?.(ticket) === true)) return;
      this.#lane.answered(lease, accepted ? { accepted, startedAtMs: begunAtMs ?? now } : { accepted }, now);
      this.#settle();
    });
  }

  #call(ticket: Ticket, lease: Lease): void {
    const { jobId, leaseId } = lease;
    this.#begun.set(attemptOf(lease), this.#events.now);
    const { outcome, afterMs } = this.#world.call(ticket, this.#events.now);
    this.#events.at(this.#events.now + afterMs, () => {
      this.#begun.delete(attemptOf(lease));
      const again = this.#world.ended(ticket, outcome, this.#events.now);
      const putsBack = outcome.kind === "throttled" || outcome.kind === "blocked";
      const requeue = putsBack && again !== null ? again.ticket : null;
      if (requeue !== null) this.#tickets.set(jobId, requeue);
      else this.#tickets.delete(jobId);
      const release = { leaseId, jobId, ticketNumber: ticket.round, outcome, requeue };
      this.#lane.release(release, this.#events.now);
      this.#repeat(jobId, (now) => this.#lane.release(release, now));
      this.#settle();
      if (requeue === null && again !== null) {
        this.#events.at(this.#events.now + again.afterMs, () => this.enqueue(again.ticket));
      }
    });
  }
}

function attemptOf({ jobId, round }: Lease): string {
  return `${jobId} ${round}`;
}
