import type { Priority } from "../../../schemas/job.ts";
import type { LaneState } from "../core/lane-state.ts";
import type { LaneStorage, LeaseEntry, Standing, WaitingEntry } from "../core/lane-storage.ts";
import { LineIndex } from "../core/line-index.ts";
import type { PerPriority } from "../core/turns.ts";

/** `LaneStorage` in memory, for virtual time: the simulation and the properties run the lane's own code over it. */
export class MemoryStorage implements LaneStorage {
  #state: LaneState | null = null;
  readonly #lines: PerPriority<LineIndex<WaitingEntry>> = {
    high: new LineIndex(),
    normal: new LineIndex(),
    low: new LineIndex(),
  };
  readonly #waiting = new Map<string, WaitingEntry>();
  readonly #watched = new Map<string, WaitingEntry>();
  readonly #leases = new Map<string, LeaseEntry>();

  loadState(): LaneState | null {
    return this.#state;
  }

  saveState(state: LaneState): void {
    this.#state = state;
  }

  head(priority: Priority): WaitingEntry | null {
    return this.#lines[priority].first();
  }

  waiting(jobId: string): WaitingEntry | null {
    return this.#waiting.get(jobId) ?? null;
  }

  insertWaiting(entry: WaitingEntry): void {
    if (this.#waiting.has(entry.jobId)) throw new Error(`${entry.jobId} is in line already`);
    this.#set(entry);
  }

  updateWaiting(entry: WaitingEntry): void {
    this.#lines[entry.priority].remove(entry);
    this.#set(entry);
  }

  #set(entry: WaitingEntry): void {
    this.#waiting.set(entry.jobId, entry);
    this.#lines[entry.priority].add(entry);
    if (entry.watched) this.#watched.set(entry.jobId, entry);
    else this.#watched.delete(entry.jobId);
  }

  deleteWaiting(entry: WaitingEntry): void {
    this.#waiting.delete(entry.jobId);
    this.#watched.delete(entry.jobId);
    this.#lines[entry.priority].remove(entry);
  }

  anyWatched(): boolean {
    return this.#watched.size > 0;
  }

  watched(): readonly WaitingEntry[] {
    return [...this.#watched.values()];
  }

  everyone(): Iterable<Standing> {
    return this.#waiting.values();
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
