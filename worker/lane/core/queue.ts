import type { Priority } from "../../../schemas/job.ts";
import { lowerBound, type QueueKey, RankIndex } from "./rank-index.ts";

/*
 * Who starts next. Priorities share the starts by stride scheduling. Within a priority each ticket gets a turn when it joins, and
 * tickets are served by turn, then in the order of joining it; a client has one ticket in a turn, so clients take turns.
 */

/** From the most urgent. Of equal passes the earlier priority goes first. */
export const PRIORITIES = ["high", "normal", "low"] as const satisfies readonly Priority[];

export type PerPriority<T> = Readonly<Record<Priority, T>>;

/**
 * What a start adds to the pass of its priority; the lowest pass is served next. With all three waiting, of 21 starts 16 are
 * high, 4 normal and 1 low: none is starved, and a high one waits for one of each other at most.
 */
const STRIDE: PerPriority<number> = { high: 1, normal: 4, low: 16 };

/** `passes` are relative to the priority served last; `rounds` is the last turn served in each priority. */
export interface Turns {
  readonly passes: PerPriority<number>;
  readonly rounds: PerPriority<number>;
}

export const FIRST_TURNS: Turns = {
  passes: { high: 0, normal: 0, low: 0 },
  rounds: { high: 0, normal: 0, low: 0 },
};

function perPriority<T>(value: (priority: Priority) => T): PerPriority<T> {
  return { high: value("high"), normal: value("normal"), low: value("low") };
}

/**
 * The turn of a ticket that joins: one after its client's last, and never in a round that is being served (start-time fair
 * queueing). So a single job waits for at most one job of every other client, and clients that keep arriving cannot hold back
 * those already in the queue.
 */
export function nextTurn(turns: Turns, priority: Priority, clientsLastTurn: number | null): number {
  return Math.max(turns.rounds[priority], clientsLastTurn ?? 0) + 1;
}

/** The priority to serve next among those in which a ticket waits; `null` when none does. */
export function choosePriority(turns: Turns, waits: (priority: Priority) => boolean): Priority | null {
  let chosen: Priority | null = null;
  for (const priority of PRIORITIES) {
    if (!waits(priority)) continue;
    if (chosen === null || turns.passes[priority] < turns.passes[chosen]) chosen = priority;
  }
  return chosen;
}

/** After `turn` of `priority` was served. A priority in which nothing waited gains no credit. */
export function afterServing(turns: Turns, priority: Priority, turn: number): Turns {
  const base = turns.passes[priority];
  return {
    passes: perPriority((each) => (each === priority ? STRIDE[each] : Math.max(0, turns.passes[each] - base))),
    rounds: { ...turns.rounds, [priority]: Math.max(turns.rounds[priority], turn) },
  };
}

/**
 * After a ticket joined a priority in which none waited: its first start is due one stride later, not at once. So a first low
 * ticket lets four normal ones that wait go before it, and a high one hardly waits.
 */
export function afterArriving(turns: Turns, priority: Priority): Turns {
  if (turns.passes[priority] >= STRIDE[priority]) return turns;
  return { ...turns, passes: { ...turns.passes, [priority]: STRIDE[priority] } };
}

/** After a start was given back unused: its priority gets it again. */
export function afterGivingBack(turns: Turns, priority: Priority): Turns {
  const pass = Math.max(0, turns.passes[priority] - STRIDE[priority]);
  return { ...turns, passes: { ...turns.passes, [priority]: pass } };
}

/**
 * How many are served before a ticket, if none joins or leaves: `aheadOfIt` in its own priority, and those of the others whose
 * pass comes first. Exact: it is the order of `choosePriority` and `afterServing`.
 */
export function startsBefore(
  turns: Turns,
  priority: Priority,
  aheadOfIt: number,
  waiting: PerPriority<number>,
): number {
  const pass = turns.passes[priority] + aheadOfIt * STRIDE[priority];
  let before = aheadOfIt;
  let isEarlier = true;
  for (const other of PRIORITIES) {
    if (other === priority) {
      isEarlier = false;
      continue;
    }
    const lead = (pass - turns.passes[other]) / STRIDE[other];
    const first = isEarlier ? Math.floor(lead) + 1 : Math.ceil(lead);
    before += Math.min(waiting[other], Math.max(0, first));
  }
  return before;
}

/** A ticket in the queue. `(priority, turn, order)` is unique, and is the order in which a priority is served. */
export interface QueuedTicket extends QueueKey {
  readonly jobId: string;
  readonly client: string;
  readonly priority: Priority;
  readonly ticketNumber: number;
  /** The job asked to be notified of a new place. */
  readonly watched: boolean;
  /** Leases in a row that ended without any answer to their offers. */
  readonly unanswered: number;
  /** Since when it waits, through leases that it gets its place back from; `null` in what earlier releases stored. */
  readonly queuedAtMs: number | null;
}

/** What the rank of a ticket depends on. */
export type Standing = Pick<QueuedTicket, "priority" | "client" | "turn" | "order">;

export interface QueueStorage {
  /** The first ticket of a priority that is of none of these clients. */
  head(priority: Priority, exceptOf: readonly string[]): QueuedTicket | null;
  /** All tickets of a client in the queue, by priority and place. */
  ticketsOf(client: string): readonly QueuedTicket[];
  insertTicket(ticket: QueuedTicket): void;
  deleteTicket(ticket: QueuedTicket): void;
  /** Every ticket in the queue, one at a time. */
  standings(): Iterable<Standing>;
}

/** The queue in memory: what ranks and a client's next turn are read from. */
class Ranks {
  /** The tickets that may be served, and those of held clients. */
  readonly order: PerPriority<RankIndex> = perPriority(() => new RankIndex());
  readonly held: PerPriority<RankIndex> = perPriority(() => new RankIndex());
  readonly #isHeld: (client: string) => boolean;
  /** The turns of each client's tickets, in order. Numbers and not a list of keys: there may be as many clients as tickets. */
  readonly #turnsOf: PerPriority<Map<string, number[]>> = perPriority(() => new Map());

  constructor(isHeld: (client: string) => boolean) {
    this.#isHeld = isHeld;
  }

  #indexOf({ priority, client }: Standing): RankIndex {
    return (this.#isHeld(client) ? this.held : this.order)[priority];
  }

  add(standing: Standing): void {
    const { priority, client, turn, order } = standing;
    this.#indexOf(standing).add({ turn, order });
    const turns = this.#turnsOf[priority].get(client);
    if (turns === undefined) this.#turnsOf[priority].set(client, [turn]);
    else turns.splice(placeIn(turns, turn), 0, turn);
  }

  remove(standing: Standing): void {
    const { priority, client, turn, order } = standing;
    this.#indexOf(standing).remove({ turn, order });
    const turns = this.#turnsOf[priority].get(client);
    if (turns === undefined) return;
    const at = placeIn(turns, turn);
    if (turns[at] === turn) turns.splice(at, 1);
    if (turns.length === 0) this.#turnsOf[priority].delete(client);
  }

  lastOrder(priority: Priority, turn: number): number {
    return Math.max(this.order[priority].lastOrder(turn) ?? 0, this.held[priority].lastOrder(turn) ?? 0);
  }

  lastTurn(priority: Priority, client: string): number | null {
    return this.#turnsOf[priority].get(client)?.at(-1) ?? null;
  }
}

function placeIn(turns: readonly number[], turn: number): number {
  return lowerBound(turns.length, (at) => (turns[at] ?? turn) < turn);
}

/** The tickets that wait: the next one, the rank of each, and the place that a new one gets. */
export class Queue {
  readonly #storage: QueueStorage;
  /** Built when a ticket first joins or asks for its rank, and kept from then on. A start does not need it. */
  #ranks: Ranks | null = null;
  #held: readonly string[];

  /** Tickets of `held` clients keep their places and are not served. */
  constructor(storage: QueueStorage, held: readonly string[] = []) {
    this.#storage = storage;
    this.#held = held;
  }

  /**
   * Changes the held clients. The tickets of one that is held no longer are served in their old order. Those whose turn has passed
   * meanwhile get the next turns, one each: a long hold must not put them all before everyone else's.
   */
  hold(held: readonly string[], turns: Turns): void {
    const released = this.#held.filter((client) => !held.includes(client));
    this.#held = held;
    this.#ranks = null;
    for (const client of released) {
      const last = { ...turns.rounds };
      for (const ticket of this.#storage.ticketsOf(client)) {
        const turn = Math.max(ticket.turn, last[ticket.priority] + 1);
        last[ticket.priority] = turn;
        if (turn === ticket.turn) continue;
        this.remove(ticket);
        this.add({ ...ticket, ...this.#endOfTurn(ticket.priority, turn) });
      }
    }
  }

  /** The next ticket to be served; `null` when none waits. */
  next(turns: Turns): QueuedTicket | null {
    const heads: Partial<Record<Priority, QueuedTicket | null>> = {};
    const chosen = choosePriority(turns, (priority) => {
      heads[priority] = this.#storage.head(priority, this.#held);
      return heads[priority] !== null;
    });
    return chosen === null ? null : (heads[chosen] ?? null);
  }

  /** No ticket waits that may be served. */
  get isEmpty(): boolean {
    return PRIORITIES.every((priority) => this.isEmptyOf(priority));
  }

  isEmptyOf(priority: Priority): boolean {
    if (this.#ranks !== null) return this.#ranks.order[priority].size === 0;
    return this.#storage.head(priority, this.#held) === null;
  }

  /** All tickets, those of held clients too. */
  get size(): number {
    const { order, held } = this.#loaded();
    return PRIORITIES.reduce((sum, priority) => sum + order[priority].size + held[priority].size, 0);
  }

  /** The place after all tickets of the client. */
  afterOthersOf(client: string, priority: Priority, turns: Turns): QueueKey {
    return this.#endOfTurn(priority, nextTurn(turns, priority, this.#loaded().lastTurn(priority, client)));
  }

  /** The last place of the next round, whatever else its client has in the queue. */
  inNextRound(priority: Priority, turns: Turns): QueueKey {
    return this.#endOfTurn(priority, nextTurn(turns, priority, null));
  }

  #endOfTurn(priority: Priority, turn: number): QueueKey {
    return { turn, order: this.#loaded().lastOrder(priority, turn) + 1 };
  }

  add(ticket: QueuedTicket): void {
    this.#storage.insertTicket(ticket);
    this.#ranks?.add(ticket);
  }

  remove(ticket: QueuedTicket): void {
    this.#storage.deleteTicket(ticket);
    this.#ranks?.remove(ticket);
  }

  /** How many are served before `ticket`, if none joins or leaves. */
  before(ticket: QueuedTicket, turns: Turns): number {
    const { order } = this.#loaded();
    const waiting = perPriority((priority) => order[priority].size);
    return startsBefore(turns, ticket.priority, order[ticket.priority].countBefore(ticket), waiting);
  }

  #loaded(): Ranks {
    if (this.#ranks === null) {
      const ranks = new Ranks((client) => this.#held.includes(client));
      for (const standing of this.#storage.standings()) ranks.add(standing);
      this.#ranks = ranks;
    }
    return this.#ranks;
  }
}
