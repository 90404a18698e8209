import type { Priority } from "../../../schemas/job.ts";
import type { Ticket } from "../contract.ts";
import type { LaneStorage, Standing, WaitingEntry } from "./lane-storage.ts";
import { LineIndex, type LineKey } from "./line-index.ts";
import { choosePriority, nextTurn, type PerPriority, PRIORITIES, startsBefore, type Turns } from "./turns.ts";

/** The line in memory: enough to say who stands where, and which turn a client's next job gets. */
class LineMemory {
  readonly order: PerPriority<LineIndex> = { high: new LineIndex(), normal: new LineIndex(), low: new LineIndex() };
  /** Each client's own part of each line. */
  readonly #clients: PerPriority<Map<string, LineIndex>> = { high: new Map(), normal: new Map(), low: new Map() };

  add({ priority, client, turn, seq }: Standing): void {
    const key = { turn, seq };
    this.order[priority].add(key);
    const own = this.#clients[priority].get(client) ?? new LineIndex();
    own.add(key);
    this.#clients[priority].set(client, own);
  }

  remove({ priority, client, turn, seq }: Standing): void {
    const key = { turn, seq };
    this.order[priority].remove(key);
    const own = this.#clients[priority].get(client);
    own?.remove(key);
    if (own?.size === 0) this.#clients[priority].delete(client);
  }

  lastTurn(priority: Priority, client: string): number | null {
    return this.#clients[priority].get(client)?.last()?.turn ?? null;
  }
}

/** The jobs in line: who is next, and who is how many places before whom. */
export class Line {
  readonly #storage: LaneStorage;
  /** Built when someone first joins or asks for a place, and kept up from then on: a start never needs it. */
  #memory: LineMemory | null = null;

  constructor(storage: LaneStorage) {
    this.#storage = storage;
  }

  /** The next to be served; `null` when nobody waits. */
  next(turns: Turns): WaitingEntry | null {
    const heads: Partial<Record<Priority, WaitingEntry | null>> = {};
    const chosen = choosePriority(turns, (priority) => {
      heads[priority] = this.#storage.head(priority);
      return heads[priority] !== null;
    });
    return chosen === null ? null : (heads[chosen] ?? null);
  }

  isEmpty(): boolean {
    if (this.#memory !== null) return this.size() === 0;
    return PRIORITIES.every((priority) => this.#storage.head(priority) === null);
  }

  /** Whether nobody waits in that priority. */
  isEmptyOf(priority: Priority): boolean {
    return this.#loaded().order[priority].size === 0;
  }

  /** The place that a job gets at the end of its client's line. Nothing is stored yet. */
  placeFor(ticket: Ticket, watched: boolean, turns: Turns): WaitingEntry {
    const { jobId, client, priority, round } = ticket;
    const turn = nextTurn(turns, priority, this.#loaded().lastTurn(priority, client));
    return { jobId, client, priority, round, watched, ...this.#endOfTurn(priority, turn) };
  }

  /** The place at the end of the next turn of a priority, whatever else its client has in line. */
  nextTurnOf(priority: Priority, turns: Turns): LineKey {
    return this.#endOfTurn(priority, nextTurn(turns, priority, null));
  }

  #endOfTurn(priority: Priority, turn: number): LineKey {
    return { turn, seq: (this.#loaded().order[priority].lastSeq(turn) ?? 0) + 1 };
  }

  add(entry: WaitingEntry): void {
    this.#storage.insertWaiting(entry);
    this.#memory?.add(entry);
  }

  remove(entry: WaitingEntry): void {
    this.#storage.deleteWaiting(entry);
    this.#memory?.remove(entry);
  }

  /** How many will be served before `entry`, if nobody joins or leaves. */
  before(entry: WaitingEntry, turns: Turns): number {
    const { order } = this.#loaded();
    const ahead = order[entry.priority].countBefore(entry);
    const waiting = { high: order.high.size, normal: order.normal.size, low: order.low.size };
    return startsBefore(turns, entry.priority, ahead, waiting);
  }

  size(): number {
    const { order } = this.#loaded();
    return order.high.size + order.normal.size + order.low.size;
  }

  #loaded(): LineMemory {
    if (this.#memory === null) {
      const memory = new LineMemory();
      for (const entry of this.#storage.everyone()) memory.add(entry);
      this.#memory = memory;
    }
    return this.#memory;
  }
}
