import type { UpstreamReport } from "../../../schemas/job.ts";
import type { Failure } from "../../dashscope/contract.ts";
import type { Lease } from "../../lane/contract.ts";
import type { StoredImage } from "../../results/contract.ts";

/** What happened, or what was asked for. What names an attempt is refused when that attempt no longer matters. */
export type JobFact =
  /** A lane took the ticket of that round. */
  | { readonly type: "enqueued"; readonly lane: string; readonly round: number }
  /** The lane has no waiting ticket of that round: lost, or a lease for it is on its way. */
  | { readonly type: "ticket_missing"; readonly round: number }
  /** A lane gave leave to start, and the call is about to be made. */
  | { readonly type: "attempt_began"; readonly lease: Lease }
  | {
      readonly type: "task_accepted";
      readonly attempt: number;
      readonly taskId: string;
      readonly report: UpstreamReport;
    }
  | {
      readonly type: "delivered";
      readonly attempt: number;
      readonly links: readonly string[];
      readonly report: UpstreamReport;
    }
  | { readonly type: "call_failed"; readonly attempt: number; readonly failure: Failure }
  /** Upstream no longer knows the task: whether it made an image will never be learned. */
  | { readonly type: "task_lost"; readonly attempt: number; readonly failure: Failure }
  /** The task was read, or could not be (`failure`): it is as it was, and people should know why nothing comes. */
  | { readonly type: "task_read"; readonly attempt: number; readonly failure: Failure | null }
  /** Upstream says that the task was canceled. */
  | { readonly type: "task_found_canceled"; readonly attempt: number; readonly failure: Failure }
  /** The object that held the call is gone, and the call with it. */
  | { readonly type: "call_lost"; readonly attempt: number }
  | { readonly type: "budget_ended"; readonly attempt: number }
  | { readonly type: "late_window_ended"; readonly attempt: number }
  | { readonly type: "image_stored"; readonly attempt: number; readonly index: number; readonly image: StoredImage }
  | {
      readonly type: "store_failed";
      readonly attempt: number;
      readonly index: number;
      readonly dead: boolean;
      readonly reason: string;
    }
  | { readonly type: "backoff_ended" }
  | { readonly type: "deadline_passed" }
  | { readonly type: "cancel" }
  | { readonly type: "retry" }
  /** What the outbox held was told to its receiver. */
  | { readonly type: "released"; readonly leaseId: string }
  | { readonly type: "observed"; readonly count: number }
  | { readonly type: "left"; readonly lane: string }
  /** Upstream was asked to cancel the task; `canceled` false: it would not, or could not be reached. */
  | { readonly type: "task_canceled"; readonly taskId: string; readonly canceled: boolean }
  | { readonly type: "cataloged"; readonly seq: number }
  /** Nobody told the catalog of that, though somebody had said so. */
  | { readonly type: "catalog_missed"; readonly seq: number };

/** What the machine needs beside the record: the time, a random number in [0, 1), and the settings of the day. */
export interface JobContext {
  readonly nowMs: number;
  readonly jitter: number;
  readonly budgetMs: number;
  readonly lateAnswerMs: number;
  readonly retentionMs: number;
  /** The lane in which the job waits, or would; null while the Worker is misconfigured. */
  readonly lane: string | null;
}

/** Why a fact changed nothing. `stale`: it names what no longer matters; the others: the job's status forbids it. */
export type FactRefusal = "stale" | "finished" | "not_finished";
