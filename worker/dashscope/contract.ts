import type { JobErrorCode, JobRequest, UpstreamReport } from "../../schemas/job.ts";

/** One failure and its classification. Nothing outside of worker/dashscope reads a status number or an error's text. */
export interface Failure {
  /**
   * `retry`: counted, repeated after a backoff. `give_up`: no repetition can help. `put_back`: throttled, the job waits in
   * its old place, not counted. `block`: the account or the deployment is at fault, the lane waits, not counted.
   */
  readonly disposition: "retry" | "give_up" | "put_back" | "block";
  /** The code of the job's error when this failure ends it. */
  readonly jobCode: JobErrorCode;
  readonly message: string;
  readonly hint: string;
  /** Upstream may have made, and charged, an image. */
  readonly mayBeBilled: boolean;
  /** Who is at fault: `upstream` counts for the lane's breaker; `none` says nothing about upstream's health. */
  readonly fault: "upstream" | "request" | "account" | "none";
  /** How often this kind is repeated at most, in addition to the bound of `maxAttempts`; null for no own bound. */
  readonly maxRepeats: number | null;
  /** False: upstream had no part in the failure, so it uses up none of the job's attempts. Absent: `disposition` decides. */
  readonly counted?: false;
  readonly retryAfterMs: number | null;
  readonly report: UpstreamReport;
}

export type UpstreamAnswer =
  /** The images exist and are paid for. */
  | { readonly kind: "delivered"; readonly links: readonly string[]; readonly report: UpstreamReport }
  /** An asynchronous task was accepted. */
  | { readonly kind: "accepted"; readonly taskId: string; readonly report: UpstreamReport }
  | { readonly kind: "pending"; readonly taskStatus: "PENDING" | "RUNNING"; readonly report: UpstreamReport }
  /** `readTask` could not read the task (network, 5xx, throttled). The task is unchanged; read it again later. */
  | { readonly kind: "unreadable"; readonly failure: Failure }
  /** Upstream does not know the task: it is new, it expired, or its outcome cannot be determined. */
  | { readonly kind: "task_lost"; readonly failure: Failure }
  /** The task was canceled upstream, by us or by somebody else: no image was made. */
  | { readonly kind: "task_canceled"; readonly failure: Failure }
  | { readonly kind: "failed"; readonly failure: Failure };

/** An input image: an address or a data URL; or bytes, which are read while they are sent and never held as a whole. */
export type SentImage = string | ImageBytes;

export interface ImageBytes {
  readonly contentType: string;
  /** The length of `body`. */
  readonly bytes: number;
  /** Consumed by the call. */
  readonly body: ReadableStream<Uint8Array>;
}

export interface GenerateInput {
  readonly model: string;
  readonly request: JobRequest;
  /** In the request's order. */
  readonly images: readonly SentImage[];
}

/**
 * Upstream's API. Never throws: a network error and an abort by the signal are answers too, namely `failed` (`unreadable`
 * from `readTask`) with fault `none`. Only the caller that aborted knows the reason (budget, cancel), so it checks its signal
 * first.
 */
export interface Upstream {
  /** A synchronous call, or the submission of a task where the model has an asynchronous API. */
  generate(input: GenerateInput, signal: AbortSignal): Promise<UpstreamAnswer>;
  readTask(taskId: string, signal: AbortSignal): Promise<UpstreamAnswer>;
  /** Best effort: true when upstream reports the task as canceled. */
  cancelTask(taskId: string, signal: AbortSignal): Promise<boolean>;
}

/** How a host answered when it was asked, with a key, for a task that does not exist. The call costs nothing. */
export type KeyAnswer =
  /** `accepted` is null when the answer says nothing about the key (400, 403, 429, 5xx). */
  | {
      readonly kind: "answered";
      readonly accepted: boolean | null;
      readonly httpStatus: number;
      readonly code: string | null;
      readonly message: string | null;
      readonly tookMs: number;
      /** The host's clock; null when the answer has none. */
      readonly dateMs: number | null;
    }
  /** The host answers, but not as DashScope does. */
  | { readonly kind: "foreign"; readonly httpStatus: number; readonly looksLike: string }
  | { readonly kind: "silent"; readonly reason: string };
