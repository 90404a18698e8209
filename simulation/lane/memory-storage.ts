import type { Priority } from "../../schemas/job.ts";
import type { LaneState, LaneStorage, LeaseEntry } from "../../worker/lane/core/lane-state.ts";
import { type PerPriority, PRIORITIES, type QueuedTicket, type Standing } from "../../worker/lane/core/queue.ts";
import { RankIndex } from "../../worker/lane/core/rank-index.ts";

/** `LaneStorage` in memory: the simulation and the property tests run the lane's own code over it. */
export class MemoryStorage implements LaneStorage {
  #state: LaneState | null = null;
  readonly #order: PerPriority<RankIndex<QueuedTicket>> = {
    high: new RankIndex(),
    normal: new RankIndex(),
    low: new RankIndex(),
  };
  readonly #tickets = new Map<string, QueuedTicket>();
  readonly #watched = new Map<string, QueuedTicket>();
  readonly #leases = new Map<string, LeaseEntry>();

  loadState(): LaneState | null {
    return this.#state;
  }

  saveState(state: LaneState): void {
    this.#state = state;
  }

  head(priority: Priority, exceptOf: readonly string[]): QueuedTicket | null {
    if (exceptOf.length === 0) return this.#order[priority].first();
    const served = [...this.#tickets.values()].filter((ticket) => !exceptOf.includes(ticket.client));
    return served.filter((ticket) => ticket.priority === priority).sort(byPlace)[0] ?? null;
  }

  ticketsOf(client: string): readonly QueuedTicket[] {
    return [...this.#tickets.values()].filter((ticket) => ticket.client === client).sort(byPlace);
  }

  ticket(jobId: string): QueuedTicket | null {
    return this.#tickets.get(jobId) ?? null;
  }

  insertTicket(ticket: QueuedTicket): void {
    if (this.#tickets.has(ticket.jobId)) throw new Error(`${ticket.jobId} is in the queue already`);
    this.#set(ticket);
  }

  updateTicket(ticket: QueuedTicket): void {
    this.#order[ticket.priority].remove(ticket);
    this.#set(ticket);
  }

  #set(ticket: QueuedTicket): void {
    const order = this.#order[ticket.priority];
    const { size } = order;
    order.add(ticket);
    if (order.size === size) throw new Error(`two tickets have the place of ${ticket.jobId}`);
    this.#tickets.set(ticket.jobId, ticket);
    if (ticket.watched) this.#watched.set(ticket.jobId, ticket);
    else this.#watched.delete(ticket.jobId);
  }

  deleteTicket(ticket: QueuedTicket): void {
    this.#tickets.delete(ticket.jobId);
    this.#watched.delete(ticket.jobId);
    this.#order[ticket.priority].remove(ticket);
  }

  oldestQueuedAtMs(): number | null {
    const known = [...this.#tickets.values()].flatMap(({ queuedAtMs }) => queuedAtMs ?? []);
    return known.length === 0 ? null : Math.min(...known);
  }

  anyWatched(): boolean {
    return this.#watched.size > 0;
  }

  watchedAfter(after: QueuedTicket | null, limit: number): readonly QueuedTicket[] {
    const tickets = [...this.#watched.values()].sort(byPlace);
    return tickets.filter((ticket) => after === null || byPlace(ticket, after) > 0).slice(0, limit);
  }

  standings(): Iterable<Standing> {
    return this.#tickets.values();
  }

  lease(jobId: string): LeaseEntry | null {
    return this.#leases.get(jobId) ?? null;
  }

  insertLease(lease: LeaseEntry): void {
    this.#leases.set(lease.jobId, lease);
  }

  updateLease(lease: LeaseEntry): void {
    this.#leases.set(lease.jobId, lease);
  }

  deleteLease(jobId: string): void {
    this.#leases.delete(jobId);
  }

  runningSinceMs(): readonly number[] {
    return [...this.#leases.values()].map((lease) => lease.startsAtMs);
  }

  soonestLeaseEndMs(): number | null {
    const ends = [...this.#leases.values()].map((lease) => lease.endsAtMs);
    return ends.length === 0 ? null : Math.min(...ends);
  }

  leasesEndedBy(now: number): readonly LeaseEntry[] {
    return [...this.#leases.values()].filter((lease) => lease.endsAtMs <= now);
  }
}

function byPlace(a: QueuedTicket, b: QueuedTicket): number {
  const priority = (ticket: QueuedTicket) => PRIORITIES.indexOf(ticket.priority);
  return priority(a) - priority(b) || a.turn - b.turn || a.order - b.order;
}
