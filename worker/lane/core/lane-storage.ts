import type { Priority } from "../../../schemas/job.ts";
import type { LaneState } from "./lane-state.ts";
import type { LineKey } from "./line-index.ts";

/** A job in line. `(priority, turn, seq)` is its own, and the order. */
export interface WaitingEntry extends LineKey {
  readonly jobId: string;
  readonly client: string;
  readonly priority: Priority;
  readonly round: number;
  /** The job asked to be told of a new place. */
  readonly watched: boolean;
}

/** What of an entry says where it stands. */
export type Standing = Pick<WaitingEntry, "priority" | "client" | "turn" | "seq">;

/** A lease that is out, with the place that it had: a put-back gets it again. */
export interface LeaseEntry extends WaitingEntry {
  readonly leaseId: string;
  /** When the job was first told to begin. */
  readonly startsAtMs: number;
  readonly endsAtMs: number;
  /** Set when the job got it as the answer to `enqueue`: the moment its start is counted at, the last it may begin. */
  readonly countedAtMs: number | null;
}

/**
 * Where a lane keeps what it must not forget. All calls are synchronous; the writes of one decision become durable
 * together, before anything of it is seen outside. Reads cost the same however many wait, but for `everyone`.
 */
export interface LaneStorage {
  loadState(): LaneState | null;
  saveState(state: LaneState): void;

  /** The first of a priority's line. */
  head(priority: Priority): WaitingEntry | null;
  waiting(jobId: string): WaitingEntry | null;
  insertWaiting(entry: WaitingEntry): void;
  /** Changes `round` and `watched` only. */
  updateWaiting(entry: WaitingEntry): void;
  deleteWaiting(entry: WaitingEntry): void;
  anyWatched(): boolean;
  watched(): readonly WaitingEntry[];
  /** Everybody in line, in the order of turns within a priority: read once when someone first joins or asks for a place. */
  everyone(): Iterable<Standing>;

  lease(jobId: string): LeaseEntry | null;
  insertLease(lease: LeaseEntry): void;
  /** Changes `endsAtMs` and `countedAtMs` only. */
  updateLease(lease: LeaseEntry): void;
  deleteLease(jobId: string): void;
  /** When each lease that is out was to begin. */
  runningSinceMs(): readonly number[];
  soonestLeaseEndMs(): number | null;
  leasesEndedBy(now: number): readonly LeaseEntry[];
}
