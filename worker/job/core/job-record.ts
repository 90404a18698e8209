import type { JobEvent } from "../../../schemas/event.ts";
import type {
  AttemptOutcome,
  JobError,
  JobErrorCode,
  JobRequest,
  Metadata,
  UpstreamReport,
  Warning,
} from "../../../schemas/job.ts";
import type { Workflow } from "../../../schemas/paths.ts";
import type { LeaseOutcome } from "../../lane/contract.ts";
import type { StoredImage } from "../../results/contract.ts";
import type { LeftOut, Submission } from "../contract.ts";

/** One try at the job, as stored. A try is over when `outcome` is set; its call may still be open then (`stillOpen`). */
export interface AttemptRecord {
  readonly number: number;
  /** The ticket it started by, and the lane that let it; null for a resumed task, which asks no lane. */
  readonly round: number | null;
  readonly lane: string | null;
  readonly startedAtMs: number;
  readonly finishedAtMs: number | null;
  readonly outcome: AttemptOutcome | null;
  readonly counted: boolean;
  readonly mayBeBilled: boolean;
  readonly stillOpen: boolean;
  readonly budgetEndsAtMs: number;
  /** Until when its call may still deliver; never before `budgetEndsAtMs`. */
  readonly openUntilMs: number;
  /** The lease it runs under; null once released, and for a resumed task that needed none. */
  readonly lease: { readonly leaseId: string; readonly lane: string } | null;
  readonly report: UpstreamReport;
  readonly retryAtMs: number | null;
  /** What the job fails with if this was the last word. */
  readonly cause: { readonly code: JobErrorCode; readonly message: string; readonly hint: string } | null;
}

/** An upstream task whose outcome is still to be read. */
export interface TaskRecord {
  readonly taskId: string;
  readonly attempt: number;
  readonly acceptedAtMs: number;
  /** Upstream was, or is to be, asked to cancel it; it may be found canceled, and that is our doing. */
  readonly cancelAsked: boolean;
}

/** What upstream delivered: from here on only storing is repeated, never the generation. */
export interface DeliveryRecord {
  readonly attempt: number;
  readonly links: readonly string[];
  readonly deliveredAtMs: number;
  /** By index of the link: what is in R2; `dead` when the link can never deliver again; null when still to be copied. */
  readonly images: readonly (StoredImage | "dead" | null)[];
  readonly tries: number;
  readonly lastReason: string | null;
}

/**
 * Where the job is. A lane is known to have a queued job's ticket once `lane` names it; that is kept in memory only, so null
 * means that the lane may have it.
 */
export type JobState =
  | { readonly status: "queued"; readonly lane: string | null }
  | { readonly status: "running"; readonly phase: "generating"; readonly attempt: number }
  | { readonly status: "running"; readonly phase: "storing"; readonly storeAtMs: number }
  | { readonly status: "retrying"; readonly retryAtMs: number; readonly reason: string }
  | { readonly status: "succeeded"; readonly finishedAtMs: number; readonly images: readonly StoredImage[] }
  | { readonly status: "failed"; readonly finishedAtMs: number; readonly error: JobError }
  | { readonly status: "canceled"; readonly finishedAtMs: number };

/** A lease that ended, to be told to its lane. `requeueRound`: the job waits again, in its old place. */
export interface PendingRelease {
  readonly lane: string;
  readonly leaseId: string;
  readonly outcome: LeaseOutcome;
  readonly requeueRound: number | null;
}

/** What other rooms must still be told. Stored with the change that caused it, taken off when they have answered. */
export interface Outbox {
  readonly releases: readonly PendingRelease[];
  readonly observations: readonly { readonly lane: string; readonly outcome: LeaseOutcome }[];
  readonly leave: string | null;
  readonly cancelTasks: readonly string[];
  /** The newest seq that the catalog has. */
  readonly catalogSeq: number;
}

/** Everything a job is. The object stores it whole, in one write, with every change. */
export interface JobRecord {
  readonly kind: "job";
  readonly id: string;
  readonly client: string;
  readonly workflow: Workflow;
  readonly model: string;
  readonly request: JobRequest;
  /** As in the submission; absent in a job from before it was kept. */
  readonly leftOut?: readonly LeftOut[];
  readonly metadata: Metadata;
  readonly warnings: readonly Warning[];
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly startedAtMs: number | null;
  readonly deadlineAtMs: number;
  readonly expiresAtMs: number | null;
  readonly seq: number;
  /** Grows with each change that a reader can see, also those without an event. */
  readonly revision: number;
  /** How often the job has asked a lane for an attempt; names its ticket. */
  readonly round: number;
  /** Attempts up to this number belong to an earlier life, before a retry by hand. */
  readonly attemptsBefore: number;
  /** All counted attempts, and the newest uncounted ones. */
  readonly attempts: readonly AttemptRecord[];
  readonly lastAttempt: number;
  readonly state: JobState;
  readonly task: TaskRecord | null;
  readonly delivery: DeliveryRecord | null;
  readonly outbox: Outbox;
  /** The tail of the log; the store moves what is older into pages of its own. */
  readonly log: readonly JobEvent[];
}

/** What is left of a removed job: enough to answer 410 to its client, and what must still be cleaned up. */
export interface Tombstone {
  readonly kind: "tombstone";
  readonly id: string;
  readonly client: string;
  readonly removedAtMs: number;
  readonly untilMs: number;
  readonly filesRemain: boolean;
  /** Its time is over, and its files were removed once more, or are about to be. */
  readonly isSwept?: boolean;
  readonly catalogKnows: boolean;
  readonly outbox: Outbox;
}

export const EMPTY_REPORT: UpstreamReport = {
  httpStatus: null,
  code: null,
  message: null,
  requestId: null,
  taskId: null,
};

/** The record of a job just submitted: queued, its first event written. */
export function newJobRecord(submission: Submission, nowMs: number): JobRecord {
  return {
    kind: "job",
    id: submission.id,
    client: submission.client,
    workflow: submission.workflow,
    model: submission.model,
    request: submission.request,
    leftOut: submission.leftOut,
    metadata: submission.metadata,
    warnings: submission.warnings,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    startedAtMs: null,
    deadlineAtMs: nowMs + submission.request.deadlineSeconds * 1000,
    expiresAtMs: null,
    seq: 1,
    revision: 1,
    round: 1,
    attemptsBefore: 0,
    attempts: [],
    lastAttempt: 0,
    state: { status: "queued", lane: null },
    task: null,
    delivery: null,
    outbox: { releases: [], observations: [], leave: null, cancelTasks: [], catalogSeq: 0 },
    log: [{ seq: 1, at: new Date(nowMs).toISOString(), type: "job.queued", data: {} }],
  };
}

export function isFinal(state: JobState): boolean {
  return state.status === "succeeded" || state.status === "failed" || state.status === "canceled";
}

/** The attempt of that number, while it is still kept. */
export function attemptOf(record: JobRecord, number: number): AttemptRecord | undefined {
  return record.attempts.find((attempt) => attempt.number === number);
}

/** The attempt, if its call can still matter: running, or past its budget and open. */
export function openAttempt(record: JobRecord, number: number): AttemptRecord | null {
  const attempt = attemptOf(record, number);
  return attempt !== undefined && (attempt.outcome === null || attempt.stillOpen) ? attempt : null;
}

/** The attempt that was started by that ticket of that lane, over or not; its lease may be given back long since. */
export function attemptOfTicket(
  record: JobRecord,
  { lane, round }: { readonly lane: string; readonly round: number },
): AttemptRecord | undefined {
  return record.attempts.find((attempt) => attempt.round === round && attempt.lane === lane);
}

/** The attempt that is running now: started, and without an outcome. */
export function runningAttempt(record: JobRecord): AttemptRecord | undefined {
  return record.attempts.find((attempt) => attempt.outcome === null);
}

/** Counted attempts of this life of the job. */
export function countedAttempts(record: JobRecord): number {
  return record.attempts.filter((attempt) => attempt.counted && attempt.number > record.attemptsBefore).length;
}
