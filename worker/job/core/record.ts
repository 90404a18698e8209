import type { JobEvent } from "../../../schemas/event.ts";
import type {
  AttemptOutcome,
  JobError,
  JobErrorCode,
  JobRequest,
  JobStatus,
  Metadata,
  UpstreamReport,
  Warning,
} from "../../../schemas/job.ts";
import type { Workflow } from "../../../schemas/paths.ts";
import type { Lease } from "../../lane/contract.ts";
import type { StoredImage } from "../../results/contract.ts";
import type { JobWebhook, LeftOut, Submission } from "../contract.ts";
import type { Message } from "./outbox.ts";
import { type JobSpend, newSpend } from "./spend.ts";

/** The version of the stored shape. `job-store.ts` reads the older ones; docs/architecture.md says how to change it. */
export const RECORD_VERSION = 2;

/** One attempt, as stored. It is over when `outcome` is set; its call may still be open then (`stillOpen`). */
export interface AttemptRecord {
  readonly number: number;
  /** The ticket it began with and the lane that leased it; the ticket is null for a resumed task, which asks no lane. */
  readonly ticketNumber: number | null;
  readonly lane: string | null;
  /** The id of the lease it began with; absent for a resumed task and in attempts of version 1. */
  readonly leaseId?: string | null;
  readonly startedAtMs: number;
  readonly finishedAtMs: number | null;
  readonly outcome: AttemptOutcome | null;
  readonly counted: boolean;
  readonly mayBeBilled: boolean;
  /** True once upstream has canceled its task before the task began: it is not billed. */
  readonly unpaid?: boolean;
  /** How many images upstream delivered in it; absent: none. */
  readonly images?: number;
  /** The start of the earliest dropped attempt of the same upstream task, with which it shares its bill. */
  readonly billStartedAtMs?: number;
  readonly stillOpen: boolean;
  readonly budgetEndsAtMs: number;
  /** Until when its call may still deliver; never before `budgetEndsAtMs`. */
  readonly openUntilMs: number;
  /** The lease it runs under; null once released. */
  readonly lease: { readonly leaseId: string; readonly lane: string } | null;
  readonly report: UpstreamReport;
  readonly retryAtMs: number | null;
  /** The job's error if this attempt is its last. */
  readonly cause: { readonly code: JobErrorCode; readonly message: string; readonly hint: string } | null;
}

/** A task that upstream accepted and whose end is not known yet. */
export interface TaskRecord {
  readonly taskId: string;
  readonly attempt: number;
  readonly acceptedAtMs: number;
  /** We asked upstream to cancel it, so that finding it canceled is no failure. */
  readonly cancelAsked: boolean;
  /** How many reads in a row were answered that upstream does not know the task, since no late answer is awaited; absent: none. */
  readonly unknownReads?: number;
}

/** What upstream delivered. From here on only storing is repeated, never the generation. */
export interface DeliveryRecord {
  readonly attempt: number;
  readonly links: readonly string[];
  readonly deliveredAtMs: number;
  /** By index of the link: what is in R2; `dead` when the link can never deliver again; null when still to be copied. */
  readonly images: readonly (StoredImage | "dead" | null)[];
  readonly tries: number;
  readonly lastReason: string | null;
}

export type JobState =
  /** `lane` has confirmed that it has the job's ticket; null before that. */
  | { readonly status: "queued"; readonly lane: string | null }
  | { readonly status: "running"; readonly phase: "generating"; readonly attempt: number }
  | { readonly status: "running"; readonly phase: "storing"; readonly storeAtMs: number }
  | { readonly status: "retrying"; readonly retryAtMs: number; readonly reason: string }
  | { readonly status: "succeeded"; readonly finishedAtMs: number; readonly images: readonly StoredImage[] }
  | { readonly status: "failed"; readonly finishedAtMs: number; readonly error: JobError }
  | { readonly status: "canceled"; readonly finishedAtMs: number };

/** Everything a job is. The object stores it whole, in one write, with every change. */
export interface JobRecord {
  readonly kind: "job";
  readonly version: typeof RECORD_VERSION;
  readonly id: string;
  readonly client: string;
  readonly workflow: Workflow;
  readonly model: string;
  readonly request: JobRequest;
  /** As in the submission; absent in a job from before it was kept. */
  readonly leftOut?: readonly LeftOut[];
  readonly metadata: Metadata;
  /** Kept when its retention is over; absent: no. */
  readonly pinned?: boolean;
  readonly warnings: readonly Warning[];
  /** Absent: the job sends no webhooks. `goneAtMs`: when the receiver answered 410; since then only a resend is sent to it. */
  readonly webhook?: JobWebhook & { readonly goneAtMs?: number };
  /** As in the submission. */
  readonly traceparent?: string;
  /** As in the submission. */
  readonly parts?: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly startedAtMs: number | null;
  readonly deadlineAtMs: number;
  readonly expiresAtMs: number | null;
  readonly seq: number;
  /** Grows with each change that a reader can see, also those without an event. */
  readonly revision: number;
  /** Grows each time the job asks a lane for another attempt. */
  readonly ticketNumber: number;
  /** The Idempotency-Key of the last retry by hand; absent: it had none. */
  readonly retryKey?: string | null;
  /** Attempts up to this number were made before the last retry by hand. */
  readonly attemptsBefore: number;
  /** All counted attempts since the last retry by hand, the newest of the others, and all that are open. */
  readonly attempts: readonly AttemptRecord[];
  readonly lastAttempt: number;
  readonly state: JobState;
  readonly task: TaskRecord | null;
  /** A second task, which upstream was asked to cancel but may still run; absent: none. It becomes `task` if `task` fails. */
  readonly spareTask?: TaskRecord | null;
  readonly delivery: DeliveryRecord | null;
  /** Absent in a job from before prices: nothing is counted for it. */
  readonly spend?: JobSpend;
  readonly outbox: readonly Message[];
  /** The newest events; the store moves older ones into pages of their own. */
  readonly log: readonly JobEvent[];
}

/** What is left of a removed job: enough to answer 410 to its client, and what must still be sent. */
export interface Tombstone {
  readonly kind: "tombstone";
  readonly version: typeof RECORD_VERSION;
  readonly id: string;
  readonly client: string;
  readonly removedAtMs: number;
  readonly untilMs: number;
  /** The job that its Idempotency-Key names since the removal. The tombstone stays as long as that job, or its tombstone. */
  readonly successorId: string | null;
  /** Its time is over, and its files are removed a second time. */
  readonly isSwept: boolean;
  readonly outbox: readonly Message[];
}

export type StoredRecord = JobRecord | Tombstone;

export const iso = (ms: number): string => new Date(ms).toISOString();

export const EMPTY_REPORT: UpstreamReport = {
  httpStatus: null,
  code: null,
  message: null,
  requestId: null,
  taskId: null,
};

/** The trace id in a `traceparent` of version 00. */
export const traceIdOf = ({ traceparent }: { readonly traceparent?: string | undefined }): string | undefined =>
  traceparent?.slice(3, 35);

/** The record of a job just submitted: queued, its first event written, its lane and its catalog to be notified. */
export function newJobRecord(submission: Submission, nowMs: number): JobRecord {
  return {
    kind: "job",
    version: RECORD_VERSION,
    id: submission.id,
    client: submission.client,
    workflow: submission.workflow,
    model: submission.model,
    request: submission.request,
    leftOut: submission.leftOut,
    metadata: submission.metadata,
    warnings: submission.warnings,
    ...(submission.webhook === undefined ? {} : { webhook: submission.webhook }),
    ...(submission.traceparent === undefined ? {} : { traceparent: submission.traceparent }),
    ...(submission.parts === undefined ? {} : { parts: submission.parts }),
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    startedAtMs: null,
    deadlineAtMs: nowMs + submission.request.deadlineSeconds * 1000,
    expiresAtMs: null,
    seq: 1,
    revision: 1,
    ticketNumber: 1,
    attemptsBefore: 0,
    attempts: [],
    lastAttempt: 0,
    state: { status: "queued", lane: null },
    task: null,
    delivery: null,
    ...(submission.price === undefined
      ? {}
      : { spend: newSpend(submission.price, submission.grantUntilMs === undefined ? 0 : 1) }),
    outbox: [
      { id: "enqueue/1", to: "lane", kind: "enqueue", payload: { ticketNumber: 1, tries: 0, reason: null } },
      { id: "record/1", to: "catalog", kind: "record", payload: { seq: 1 } },
    ],
    log: [{ seq: 1, at: new Date(nowMs).toISOString(), type: "job.queued", data: {} }],
  };
}

/**
 * JSON Pointers of what differs between a job and a submission that came with the same Idempotency-Key; none if equal. A field
 * that both left out counts as equal, even if a deploy between them filled it in differently.
 */
export function differingFields(record: JobRecord, submission: Submission): string[] {
  const fields: string[] = [];
  const leftOut = new Set<string>(submission.leftOut.filter((field) => record.leftOut?.includes(field)));
  if (record.workflow !== submission.workflow) fields.push("/workflow");
  if (record.model !== submission.model && !leftOut.has("model")) fields.push("/model");
  if (canonical(record.metadata) !== canonical(submission.metadata)) fields.push("/metadata");
  if (canonical(givenWebhook(record)) !== canonical(givenWebhook(submission))) fields.push("/webhook");
  // A request of more images than its model makes at once is several jobs.
  if ((record.parts ?? 1) !== (submission.parts ?? 1)) fields.push("/n");
  const before: Record<string, unknown> = record.request;
  const now: Record<string, unknown> = submission.request;
  for (const key of new Set([...Object.keys(before), ...Object.keys(now)])) {
    // A field that the job's older record lacks was not given.
    if (!leftOut.has(key) && canonical(before[key] ?? null) !== canonical(now[key] ?? null)) fields.push(`/${key}`);
  }
  return [...new Set(fields)];
}

/** The webhook that the client gave; null for one from the settings. */
function givenWebhook({ webhook, leftOut }: Pick<Submission, "webhook"> & Partial<Pick<Submission, "leftOut">>) {
  if (webhook === undefined || leftOut?.includes("webhook")) return null;
  return { url: webhook.url, events: [...webhook.events].sort() };
}

/** JSON with sorted keys, so that the order in which a client wrote them does not matter. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** The statuses that a job leaves only by a retry or its removal. */
export function isFinalStatus(status: JobStatus): status is "succeeded" | "failed" | "canceled" {
  return status === "succeeded" || status === "failed" || status === "canceled";
}

export function isFinal(state: JobState): boolean {
  return isFinalStatus(state.status);
}

export function isStoring({ state }: JobRecord): boolean {
  return state.status === "running" && state.phase === "storing";
}

/** The attempt of that number, while it is still kept. */
export function attemptOf(record: JobRecord, number: number): AttemptRecord | undefined {
  return record.attempts.find((attempt) => attempt.number === number);
}

/** Whether the attempt's call can still matter: it runs, or is past its budget and open. */
export function isOpen({ outcome, stillOpen }: AttemptRecord): boolean {
  return outcome === null || stillOpen;
}

export function openAttempt(record: JobRecord, number: number): AttemptRecord | null {
  const attempt = attemptOf(record, number);
  return attempt !== undefined && isOpen(attempt) ? attempt : null;
}

/** The attempt that began with that lease, over or not. */
export function attemptOfLease(
  record: JobRecord,
  { lane, leaseId, ticketNumber, round }: Pick<Lease, "lane" | "leaseId" | "ticketNumber" | "round">,
): AttemptRecord | undefined {
  return record.attempts.find((attempt) => {
    const isItsTicket = attempt.ticketNumber === (ticketNumber ?? round) && attempt.lane === lane;
    return isItsTicket && (attempt.leaseId ?? leaseId) === leaseId;
  });
}

/** The attempt that runs within its budget. */
export function runningAttempt(record: JobRecord): AttemptRecord | undefined {
  return record.attempts.find((attempt) => attempt.outcome === null);
}

/** The attempts since the last retry by hand. */
export function currentAttempts({ attempts, attemptsBefore }: JobRecord): AttemptRecord[] {
  return attempts.filter(({ number }) => number > attemptsBefore);
}

export function countedAttempts(record: JobRecord): number {
  return currentAttempts(record).filter(({ counted }) => counted).length;
}
