import type { JobCounts, JobStatus, JobSummary } from "../../schemas/job.ts";
import type { Workflow } from "../../schemas/paths.ts";
import type { JobView } from "../job/contract.ts";
import type { Grant, LedgerRow, LedgerTotals } from "../spend/core/ledger.ts";
import type { SpendPosition } from "../spend/core/position.ts";
import type { ClientBudget } from "../spend/prices.ts";
import type { CountedResult } from "../webhooks/core/delivery.ts";

/** A job as the catalog keeps it: a summary without links. `queue` is null here: the lane is asked for places when they are needed. */
export interface CatalogEntry extends Omit<JobSummary, "links" | "output" | "client" | "metadata" | "pinned"> {
  readonly output: JobView["output"];
  /** Of two entries with the same `seq` the newer has the larger one. These three are absent in entries from before they were sent. */
  readonly revision?: number;
  readonly pinned?: boolean;
  readonly metadata?: JobSummary["metadata"];
  /** The whole prompt as `foldText` makes it. Searched and not listed; absent in entries of jobs from before it was sent. */
  readonly searchText?: string;
  /** Absent in entries of jobs from before prices. */
  readonly spend?: SpendPosition;
}

/** What a removed job has spent, as its last message gives it. */
export interface LastSpend {
  readonly seq: number;
  readonly model: string;
  readonly spend: SpendPosition;
}

/** A client's money of this month, in millionths, and its limit. */
export interface ClientSpend extends LedgerTotals {
  readonly currency: string;
  readonly limitMicros: number;
  readonly resetsAtMs: number;
}

/**
 * Which jobs are meant. Null and absent parts mean any, as do empty `words` and `metadata`; the optional ones are newer than the
 * call.
 */
export interface JobFilter {
  readonly status: readonly JobStatus[] | null;
  readonly workflow: Workflow | null;
  readonly model?: string | null;
  /** Words of `searchWords`, each of which the prompt must contain. */
  readonly words?: readonly string[];
  /** Entries that the job's metadata must have, values as text. */
  readonly metadata?: readonly { readonly key: string; readonly value: string }[];
  /** Only pinned jobs, or only those that are not. */
  readonly pinned?: boolean | null;
  /** Only jobs submitted before this moment. */
  readonly beforeMs?: number | null;
}

export interface ListQuery extends JobFilter {
  readonly limit: number;
  /** Opaque, from an earlier answer. */
  readonly cursor: string | null;
}

/** The operator's pause of the client; `untilMs` null: until it is resumed. */
export interface ClientPause {
  readonly reason: string;
  readonly sinceMs: number;
  readonly untilMs: number | null;
}

/** A request that holds its answer until its job is done; see `core/held-marks.ts`. */
export interface HeldClaim {
  /** The same for identical requests. */
  readonly fingerprint: string;
  /** Names the job that the request makes if it is a new one. */
  readonly key: string;
  /** Names this one request. */
  readonly holder: string;
  /** The request states that it is a repetition. */
  readonly isRepeat: boolean;
  /** When the request arrived, in epoch ms. A repetition that arrived later shows that its client has given this one up. */
  readonly receivedAtMs?: number;
  /** After how long a waiter may have hung up unseen, in ms; absent: each hang-up is seen. */
  readonly hiddenHangUpMs?: number;
  /** The request awaits this call until then, in epoch ms. Executed later, the claim stores nothing; absent: it is always stored. */
  readonly untilMs?: number;
}

export interface FirstReservation {
  readonly jobId: string;
  readonly micros: number;
  /** Until when the job may be made. */
  readonly untilMs: number;
}

/** `gone`: the job of this id was removed. `alert`: set when the money is used to the budget's `alertAt` or beyond. */
export type FirstAnswer =
  | { readonly result: "granted"; readonly alert: ClientSpend | null }
  | { readonly result: "budget_exceeded"; readonly spend: ClientSpend }
  | { readonly result: "too_many_pending" }
  | { readonly result: "paused"; readonly paused: ClientPause }
  | { readonly result: "gone" };

/** What metrics show of a client. */
export interface ClientMetrics {
  /** The money of this UTC month. */
  readonly spend: LedgerTotals;
  /** Tries of webhooks by outcome, since the first one. */
  readonly deliveries: Readonly<Partial<Record<CountedResult, number>>>;
}

/** What the object of a client's catalog can be asked. `fetch` takes the live feed: WebSocket or SSE. */
export interface CatalogRpc {
  /** Takes the entry unless it holds one with a newer `seq`, or with the same `seq` and no older `revision`. */
  record(entry: CatalogEntry): Promise<void>;
  /** As `record`, of many. */
  recordAll(entries: readonly CatalogEntry[]): Promise<void>;
  /**
   * The job is removed; a later `record` of it is ignored, unless it is of a job that was created later under the same id.
   * `removedAtMs`: by the clock of the job's object; the version before does not send it, and then it is now.
   */
  forget(jobId: string, last?: LastSpend | null, removedAtMs?: number): Promise<void>;
  /**
   * For a client with a spend limit: reserves the first attempt of a submission, and its place among at most `pendingLimit`
   * unfinished jobs. Stored before it answers; repeated for the same job, it counts once.
   */
  reserveFirst(asked: FirstReservation, budget: ClientBudget, pendingLimit: number): Promise<FirstAnswer>;
  /** Whether `reserveFirst` would answer that the job was removed. */
  isRemoved(jobId: string): Promise<boolean>;
  /** As `reserveFirst` for the jobs of one request: all of them or none. `reserved`: those that no other request has reserved. */
  reserveParts(
    asked: readonly FirstReservation[],
    budget: ClientBudget,
    pendingLimit: number,
  ): Promise<{ readonly answer: FirstAnswer; readonly reserved: readonly string[] }>;
  /** Frees the money and places of parts that this request alone has reserved and of which no job is made. */
  releaseParts(parts: readonly Pick<FirstReservation, "jobId" | "untilMs">[]): Promise<void>;
  /** Reserves one more attempt of a job that exists. Repeated, it gives the same answer and counts once. */
  reserveAgain(grant: Grant, budget: ClientBudget): Promise<{ granted: true } | { granted: false; spend: ClientSpend }>;
  /** What was spent on these UTC days, both included, by day and model; and the money of this month. */
  usage(fromDay: string, toDay: string): Promise<{ rows: readonly LedgerRow[]; totals: LedgerTotals }>;
  metrics(): Promise<ClientMetrics>;
  /** Counts one try of a webhook. Repeated, it counts again: a call that may have been carried out is not made again. */
  countDelivery(result: CountedResult): Promise<void>;
  /**
   * Newest first. A search may answer with fewer entries than `limit`, and with a cursor to continue from. `invalid_cursor` when
   * the cursor is not one of ours.
   */
  list(
    query: ListQuery,
  ): Promise<
    | { ok: true; entries: CatalogEntry[]; nextCursor: string | null; feedCursor: number }
    | { ok: false; code: "invalid_cursor" }
  >;
  /** How many jobs there are of each kind, among the newest 2 000. */
  count(filter: JobFilter): Promise<JobCounts>;
  /**
   * Reserves up to `wanted` submissions for a short while, so that the limit on unfinished jobs holds without a call for
   * each submit. Answers how many were granted: `least` (1 unless given) or more; or 0 when fewer are free, and while the client
   * is paused, which `paused` says then (absent from a catalog of an earlier version, which may also grant fewer than `least`).
   */
  reserve(
    wanted: number,
    limit: number,
    least?: number,
  ): Promise<{ granted: number; endsAtMs: number; paused?: ClientPause | null | undefined }>;
  /**
   * Pauses the client, or resumes it with null: `reserve` grants nothing meanwhile. What was granted before may be used up.
   * `givenAtMs`: when the operator's request arrived; a call that is carried out after that of a later request changes nothing.
   */
  pause(pause: ClientPause | null, givenAtMs?: number): Promise<void>;
  /**
   * The key of the job that the request waits for: its own, or that of an earlier identical request whose answer was not
   * delivered. Stored before it answers, so that a repetition makes no second job, whatever crashes.
   */
  claimHeld(claim: HeldClaim): Promise<string>;
  /**
   * The request still waits; called every few seconds. False: its mark is settled, or another request has taken it, and no more
   * calls are needed.
   */
  stillHeld(key: string, holder: string): Promise<boolean>;
  /** The request waits no longer: its client has the answer, or has not. Idempotent. */
  settleHeld(key: string, holder: string, how: "delivered" | "undelivered"): Promise<void>;
}
