import type { Priority } from "../../../schemas/job.ts";
import type { Ticket } from "../contract.ts";
import type { LaneStorage, WaitingEntry } from "./lane-storage.ts";
import { LineIndex } from "./line-index.ts";
import { choosePriority, nextTurn, type PerPriority, startsBefore, type Turns } from "./turns.ts";

/** The jobs in line: who is next, and who is how many places before whom. */
export class Line {
  readonly #storage: LaneStorage;
  /** Built when someone first asks for a place, and kept up from then on. */
  #index: PerPriority<LineIndex> | null = null;

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
    return (
      this.#storage.head("high") === null && this.#storage.head("normal") === null && this.#storage.head("low") === null
    );
  }

  /** The place that a job would get at the end of its client's line. Nothing is stored yet. */
  placeFor(ticket: Ticket, watched: boolean, turns: Turns): WaitingEntry {
    const { jobId, client, priority, round } = ticket;
    const turn = nextTurn(turns, priority, this.#storage.lastTurn(priority, client));
    const seq = (this.#storage.lastSeq(priority, turn) ?? 0) + 1;
    return { jobId, client, priority, round, turn, seq, watched };
  }

  add(entry: WaitingEntry): void {
    this.#storage.insertWaiting(entry);
    this.#index?.[entry.priority].add(entry);
  }

  remove(entry: WaitingEntry): void {
    this.#storage.deleteWaiting(entry);
    this.#index?.[entry.priority].remove(entry);
  }

  /** How many will be served before `entry`, if nobody joins or leaves. */
  before(entry: WaitingEntry, turns: Turns): number {
    const index = this.#loaded();
    const ahead = index[entry.priority].countBefore(entry);
    return startsBefore(turns, entry.priority, ahead, this.#sizes(index));
  }

  size(): number {
    const sizes = this.#sizes(this.#loaded());
    return sizes.high + sizes.normal + sizes.low;
  }

  #sizes(index: PerPriority<LineIndex>): PerPriority<number> {
    return { high: index.high.size, normal: index.normal.size, low: index.low.size };
  }

  #loaded(): PerPriority<LineIndex> {
    if (this.#index === null) {
      const index = { high: new LineIndex(), normal: new LineIndex(), low: new LineIndex() };
      for (const { priority, turn, seq } of this.#storage.allKeys()) index[priority].add({ turn, seq });
      this.#index = index;
    }
    return this.#index;
  }
}
