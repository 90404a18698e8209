import type { Priority, QueueReason } from "../../schemas/job.ts";
import type { LaneReport } from "../../schemas/limits.ts";
import type { LaneCommand } from "./core/control.ts";
import type { Tally } from "./core/tally.ts";

/** A job's request for one attempt. */
export interface Ticket {
  readonly jobId: string;
  readonly client: string;
  readonly priority: Priority;
  /** Grows each time the job asks for another attempt, so that a late message names an older ticket. */
  readonly ticketNumber?: number;
  /** The same number, by the name that the previous version gives it. */
  readonly round: number;
}

/**
 * Permission to run one attempt. The job may call upstream from `notBeforeMs` (a lease is offered a little ahead, so that the call
 * to the job costs no quota) until `beginByMs`; between these the lane counts the start. A job that is too late may enqueue again
 * with the same ticket number. A lease that is not released ends at `endsAtMs`, and counts as out until then.
 */
export interface Lease {
  readonly leaseId: string;
  /** The name of the lane that gives it. A job takes a lease only from the lane that its call counts in. */
  readonly lane: string;
  readonly jobId: string;
  /** The ticket's number. A lane of the previous version sends `round` only. */
  readonly ticketNumber?: number;
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
  /**
   * `upstream`: its own failure (5xx, cut, no answer). `request`: a proper answer that this request is wrong. `none`: says nothing
   * about upstream (timed out with the call still open, or never called because an upload could not be read).
   */
  | { readonly kind: "failed"; readonly fault: "upstream" | "request" | "none"; readonly durationMs: number }
  | { readonly kind: "throttled"; readonly retryAfterMs: number | null }
  | { readonly kind: "blocked"; readonly code: string; readonly hint: string }
  /** The call was made and then aborted (cancel, delete), or a crash interrupted it. */
  | { readonly kind: "abandoned" };

export interface Release {
  readonly leaseId: string;
  readonly jobId: string;
  /** The number of the ticket that the attempt began with: ends any lease and ticket of the job up to it. */
  readonly ticketNumber?: number;
  readonly outcome: LeaseOutcome;
  /** Set when the job waits again (throttled, blocked): it gets its old place back. */
  readonly requeue: Ticket | null;
}

export interface LaneMetrics {
  readonly report: LaneReport;
  readonly tally: Tally;
  /** The wait of the longest-waiting ticket, in ms; 0 when none waits. */
  readonly oldestWaitMs: number;
}

/** What the object of a lane answers. Every call but `observe` may be repeated, and may be executed late. */
export interface LaneRpc {
  /**
   * Queues a ticket, or starts it at once: with `lease` set the attempt may begin now. The same ticket again gets the same lease,
   * or its place. `watched` asks for `JobRpc.placed` whenever the place changes, until that answers false. Both `null`: the ticket
   * is older than the one that the lane has.
   */
  enqueue(ticket: Ticket, watched: boolean): Promise<{ lease: Lease | null; place: Place | null }>;
  /** Ends a lease. Repeated, it changes nothing, but a job that waits again is queued if it is not. */
  release(release: Release): Promise<{ place: Place | null }>;
  /** Keeps a lease until `endsAtMs`, because the task that it began is still alive upstream. */
  renew(leaseId: string, endsAtMs: number): Promise<void>;
  /**
   * The outcome of a call whose lease was released before (a late answer). Repeated, it counts again: a success raises a lowered
   * pace by one more step and may end a block, which the next refusal sets again. A failure of the same job counts once.
   */
  observe(outcome: LeaseOutcome, jobId?: string): Promise<void>;
  /**
   * Takes the job's ticket out of the queue, and gives back a lease that it never used. With `ticketNumber`, only up to that
   * ticket, so that a call executed late leaves a newer one alone.
   */
  leave(jobId: string, ticketNumber?: number): Promise<void>;
  /** `null`: no ticket of the job waits, so it should enqueue again unless it runs. `watched` as in `enqueue`. */
  place(jobId: string, watched: boolean): Promise<Place | null>;
  /** The places of those of the jobs that wait. */
  places(jobIds: readonly string[]): Promise<Record<string, Place>>;
  report(): Promise<LaneReport>;
  /** The report, with what was counted since the lane was first used. */
  metrics(): Promise<LaneMetrics>;
  /**
   * Carries out an operator's command and answers the lane's report after it. After the answer to a pause no job of the lane, or of
   * the client, begins: the answer waits until every lease that is out has begun or can begin no more, ten seconds at most. A
   * repeated command changes nothing.
   */
  control(command: LaneCommand): Promise<LaneReport>;
}
