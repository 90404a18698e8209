import type { UpstreamReport } from "../../../schemas/job.ts";
import type { ClientSpend } from "../../catalog/contract.ts";
import type { Failure } from "../../dashscope/contract.ts";
import type { Lease } from "../../lane/contract.ts";
import type { StoredImage } from "../../results/contract.ts";
import type { JobPatch } from "../contract.ts";
import type { Answers, MessageKind, MessageTo } from "./outbox.ts";

/** What each fact carries. A fact that names an attempt or a ticket is refused once that no longer matters. */
interface FactData {
  /** A lane leased an attempt, its uploads are open, and the call is about to be made. */
  attempt_began: { readonly lease: Lease };
  /** Before the call: the bucket could not be read. `leased`: the lane's lease is out and must be given back. */
  uploads_unreadable: { readonly ticketNumber: number; readonly leased: boolean; readonly reason: string };
  /** Before the call: an uploaded image is gone for good. */
  upload_missing: { readonly ticketNumber: number; readonly sha256: string };
  /** The lane has no waiting ticket of that number: it was lost, or a lease for it is on its way. */
  ticket_missing: { readonly ticketNumber: number };
  /** It is time to ask whether the lane still has the ticket. */
  ticket_check_due: object;
  /** The client's limit has no room for the attempt of this ticket. */
  budget_exceeded: { readonly ticketNumber: number; readonly spend: ClientSpend };
  task_accepted: { readonly attempt: number; readonly taskId: string; readonly report: UpstreamReport };
  delivered: { readonly attempt: number; readonly links: readonly string[]; readonly report: UpstreamReport };
  call_failed: { readonly attempt: number; readonly failure: Failure };
  /** Upstream does not know the task: whether it made an image may never be known. */
  task_lost: { readonly attempt: number; readonly failure: Failure };
  /** The task was read and has not ended; with `failure` it could not be read. */
  task_read: { readonly attempt: number; readonly failure: Failure | null };
  /** Upstream says that the task was canceled. */
  task_found_canceled: { readonly attempt: number; readonly failure: Failure };
  /** The process that held the call has ended, and the call with it. */
  call_lost: { readonly attempt: number };
  budget_ended: { readonly attempt: number };
  late_window_ended: { readonly attempt: number };
  image_stored: { readonly attempt: number; readonly index: number; readonly image: StoredImage };
  store_failed: {
    readonly attempt: number;
    readonly index: number;
    readonly dead: boolean;
    readonly reason: string;
  };
  backoff_ended: object;
  deadline_passed: object;
  cancel: object;
  /** `grant`: the number of the reservation that its client's catalog gave for it. `key`: the Idempotency-Key of the request. */
  retry: { readonly grant?: number; readonly key?: string | null };
  /** A client pins or unpins the job, or replaces its metadata. An absent field stays as it is. */
  annotate: JobPatch;
  /** A client asks that the event of this number is sent to the webhook again. */
  resend: { readonly seq: number };
  /** Deleted by its client, or its retention is over. */
  remove: { readonly why: "deleted" | "expired" };
  /** The Idempotency-Key of this tombstone was used again, for the job `successorId` (null: by a caller that does not say). */
  key_reused: { readonly successorId: string | null; readonly deadlineSeconds: number };
  tombstone_ended: object;
  /** A receiver has answered a message of the outbox. */
  message_answered: { [Kind in MessageKind]: AnsweredMessage<Kind> }[MessageKind];
  /** The submitter was to notify the catalog of the job as it was at `seq`, and failed. */
  catalog_missed: { readonly seq: number };
}

interface AnsweredMessage<Kind extends MessageKind> {
  readonly message: MessageTo<Kind>;
  readonly answer: Answers[Kind];
}

export type FactType = keyof FactData;
export type FactOf<Type extends FactType> = { readonly type: Type } & FactData[Type];
/** What happened, or what was asked for. */
export type JobFact = { [Type in FactType]: FactOf<Type> }[FactType];

/** What the machine needs besides the record: the time, a random number in [0, 1), and today's settings. */
export interface JobContext {
  readonly nowMs: number;
  readonly jitter: number;
  readonly budgetMs: number;
  readonly lateAnswerMs: number;
  readonly retentionMs: number;
  /** The lane that the job asks, or would ask; null while the Worker is misconfigured. */
  readonly lane: string | null;
  /** The client has a spend limit, or may have one while the Worker is misconfigured: an attempt needs a grant. */
  readonly isLimited: boolean;
}

/** Why a fact changed nothing. `stale`: what it names no longer matters; the others: the job's place forbids it. */
export type FactRefusal = "stale" | "finished" | "not_finished" | "removed";
