import type { JobErrorCode, JobRequest, UpstreamReport } from "../../schemas/job.ts";

/** One failure with its verdict. Nothing outside of worker/dashscope reads a status number or an error's text. */
export interface Failure {
  /**
   * `retry`: counted, after a backoff. `give_up`: no repetition can mend it. `put_back`: throttled, the job waits in its old
   * place, not counted. `block`: the account's or the deployment's fault, the lane waits, not counted.
   */
  readonly disposition: "retry" | "give_up" | "put_back" | "block";
  /** The code of the job's error when this failure ends it. */
  readonly jobCode: JobErrorCode;
  readonly message: string;
  readonly hint: string;
  /** Upstream may have made, and charged, an image. */
  readonly mayBeBilled: boolean;
  /** Whose fault: counts for the lane's breaker when `upstream`; `none` says nothing about upstream's health. */
  readonly fault: "upstream" | "request" | "account" | "none";
  /** How many times at most this kind is worth repeating, beside `maxAttempts`; null for no bound of its own. */
  readonly maxRepeats: number | null;
  /** False: upstream has no part in it, so it uses up none of the job's attempts. Absent: as the disposition says. */
  readonly counted?: false;
  readonly retryAfterMs: number | null;
  readonly report: UpstreamReport;
}

export type UpstreamAnswer =
  /** The images exist and are paid for. */
  | { readonly kind: "delivered"; readonly links: readonly string[]; readonly report: UpstreamReport }
  /** An asynchronous task was taken. */
  | { readonly kind: "accepted"; readonly taskId: string; readonly report: UpstreamReport }
  | { readonly kind: "pending"; readonly taskStatus: "PENDING" | "RUNNING"; readonly report: UpstreamReport }
  /** `readTask` could not read it (network, 5xx, throttled): the task is as it was; read it again later. */
  | { readonly kind: "unreadable"; readonly failure: Failure }
  /** Upstream does not know the task: it is new, it expired, or its outcome cannot be learned. */
  | { readonly kind: "task_lost"; readonly failure: Failure }
  /** The task was canceled upstream, by us or by another: nothing was made. */
  | { readonly kind: "task_canceled"; readonly failure: Failure }
  | { readonly kind: "failed"; readonly failure: Failure };

/** An input image: an address or a data URL; or bytes, which are read while they are sent and never held whole. */
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
 * Upstream's wire. Never throws: a network error is an answer too, and so is an abort by the signal: `failed` (`unreadable`
 * from `readTask`) with fault `none`. Only the caller that aborted knows the reason (budget, cancel), so it checks its signal first.
 */
export interface Upstream {
  /** A synchronous call, or the submission of a task where the model has an asynchronous API. */
  generate(input: GenerateInput, signal: AbortSignal): Promise<UpstreamAnswer>;
  readTask(taskId: string, signal: AbortSignal): Promise<UpstreamAnswer>;
  /** Best effort: true when upstream says that it is canceled. */
  cancelTask(taskId: string, signal: AbortSignal): Promise<boolean>;
}

/** What a host said to a key when it was asked for a task that does not exist: a call that costs nothing. */
export type KeyAnswer =
  /** `accepted` null: the answer says nothing about the key (400, 403, 429, 5xx). */
  | {
      readonly kind: "answered";
      readonly accepted: boolean | null;
      readonly httpStatus: number;
      readonly code: string | null;
      readonly message: string | null;
      readonly tookMs: number;
      /** The host's clock; null when it does not say. */
      readonly dateMs: number | null;
    }
  /** It answers, but not as DashScope does. */
  | { readonly kind: "foreign"; readonly httpStatus: number; readonly looksLike: string }
  | { readonly kind: "silent"; readonly reason: string };
