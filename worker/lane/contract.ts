import type { Priority, QueueReason } from "../../schemas/job.ts";
import type { LaneReport } from "../../schemas/limits.ts";

/** A job's wish for one attempt. `round` grows each time the job asks anew, so that what comes late names an older one. */
export interface Ticket {
  readonly jobId: string;
  readonly client: string;
  readonly priority: Priority;
  readonly round: number;
}

/**
 * Permission to run one attempt. A lease that was not released is forgotten after `endsAtMs`: a job that still waits then
 * asks anew. Upstream is called not before `notBeforeMs` (a lease is offered a little ahead, so that the way to the job costs
 * no quota), and not after `beginByMs` (the job may then ask anew with the same round): between these the lane counted it.
 */
export interface Lease {
  readonly leaseId: string;
  /** The name of the lane that gives it: a job takes no lease but of the lane that its call would count in. */
  readonly lane: string;
  readonly jobId: string;
  readonly round: number;
  readonly notBeforeMs: number;
  readonly beginByMs: number;
  readonly endsAtMs: number;
}

/** Where a waiting job stands; `position` 1 is next. */
export interface Place {
  readonly position: number;
  readonly estimatedStartAtMs: number | null;
  readonly waitingOn: "turn" | "quota" | "blocked" | "paused";
  /** Absent from a lane of an earlier version. */
  readonly reason?: QueueReason;
  readonly detail: string;
}

/** How a leased attempt ended, as far as the lane must know. */
export type LeaseOutcome =
  | { readonly kind: "succeeded"; readonly durationMs: number }
  /** `upstream`: its own failure (5xx, cut, no answer); `request`: it answered properly that this request is wrong; `none`: says nothing about it (timed out and still open, or never called: an upload could not be read). */
  | { readonly kind: "failed"; readonly fault: "upstream" | "request" | "none"; readonly durationMs: number }
  | { readonly kind: "throttled"; readonly retryAfterMs: number | null }
  | { readonly kind: "blocked"; readonly code: string; readonly hint: string }
  /** Upstream was called and the caller hung up (cancel, delete), or was interrupted by a crash. */
  | { readonly kind: "abandoned" };

export interface Release {
  readonly leaseId: string;
  readonly jobId: string;
  readonly outcome: LeaseOutcome;
  /** Set when the job waits again (throttled, blocked): it gets its old place back. */
  readonly requeue: Ticket | null;
}

/** What the object of a lane can be asked. All but `observe` are idempotent. */
export interface LaneRpc {
  /**
   * Waits in line, or starts at once: with `lease` set the attempt may start now. Again with the same round: the same
   * lease, or the place. `watched` asks for `JobRpc.placed` when the place changes, until that answers false.
   */
  enqueue(ticket: Ticket, watched: boolean): Promise<{ lease: Lease | null; place: Place | null }>;
  /** Ends a lease; a second call with the same `leaseId` changes nothing. */
  release(release: Release): Promise<{ place: Place | null }>;
  /** Keeps a lease whose upstream task is still alive. */
  renew(leaseId: string, endsAtMs: number): Promise<void>;
  /**
   * What became of a call after its lease was released (a late answer). It names no attempt, so told again after a crash it
   * is believed again: a success raises a lowered pace by one more step, and is taken for one of a start so much later,
   * which may end a block that the next refusal puts back; an upstream failure counts twice towards one at a time.
   */
  observe(outcome: LeaseOutcome): Promise<void>;
  /** Out of line; also gives back a lease that the job never used. */
  leave(jobId: string): Promise<void>;
  /** `null`: not in line. `watched` as in `enqueue`. */
  place(jobId: string, watched: boolean): Promise<Place | null>;
  places(jobIds: readonly string[]): Promise<Record<string, Place>>;
  report(): Promise<LaneReport>;
}
