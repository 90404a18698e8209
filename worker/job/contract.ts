import type { JobEvent } from "../../schemas/event.ts";
import type { Job, JobRequest, Metadata, OutputImage, Warning } from "../../schemas/job.ts";
import type { Workflow } from "../../schemas/paths.ts";
import type { Delivery, DeliveryList, WebhookType } from "../../schemas/webhook.ts";
import type { ClientSpend } from "../catalog/contract.ts";
import type { Lease, Place } from "../lane/contract.ts";
import type { SpendPosition } from "../spend/core/position.ts";
import type { JobPrice } from "./core/spend.ts";

/** Who asks: a client's name; null for the operator or the holder of a signed link, who may see any client's job. */
export type Viewer = string | null;

/** What a deployment's settings or its model table fill in where a client says nothing. */
export type LeftOut = "model" | "n" | "seed" | "maxAttempts" | "deadlineSeconds" | "webhook";

/** Where the ends of a job are sent. */
export interface JobWebhook {
  readonly url: string;
  readonly events: readonly WebhookType[];
  /** What links in the events start with, unless the settings name an origin. */
  readonly origin: string;
  /** How many Darkrooms' webhooks led to the submission. */
  readonly hops: number;
}

/** Everything a job is made of; checked before it comes here. Uploaded images are in R2 already. */
export interface Submission {
  readonly id: string;
  readonly client: string;
  readonly workflow: Workflow;
  readonly model: string;
  readonly request: JobRequest;
  /** Which of the request's fields, or the model, the client left to us. */
  readonly leftOut: readonly LeftOut[];
  readonly metadata: Metadata;
  readonly warnings: readonly Warning[];
  /** Absent: the job sends no webhooks. */
  readonly webhook?: JobWebhook;
  /** Of the request (W3C Trace Context, version 00): its trace id is in the job's log lines, and its webhooks send it on. */
  readonly traceparent?: string;
  readonly idempotencyKey: string | null;
  /** How many jobs its request makes together, when that is more than one: the request with this key again makes as many. */
  readonly parts?: number;
  /** Absent from a submitter of the previous version. */
  readonly price?: JobPrice;
  /** Of a client with a spend limit: its catalog has reserved the first attempt. Later than this the job is not made any more. */
  readonly grantUntilMs?: number;
  /**
   * When the room that was taken for it within the client's limit on unfinished jobs ends. Later than this the job is not made any
   * more: its catalog counts the room no longer. Absent: none was taken, or the submitter is of an earlier version.
   */
  readonly roomUntilMs?: number;
  /** The id that this submission gets next if the job of this id was removed; absent without an Idempotency-Key. */
  readonly nextId?: string;
  /**
   * Until when its uploads are kept without a submission; absent: no uploads. A later submission is refused, because they may be
   * removed.
   */
  readonly uploadsUntilMs?: number;
}

/** The public job without what depends on who asks and from where: links and image addresses. */
export interface JobView extends Omit<Job, "links" | "output" | "warnings"> {
  /** For its client's ledger; null for a job from before prices. */
  readonly spend: SpendPosition | null;
  readonly client: string;
  readonly warnings: readonly Warning[];
  readonly output: { readonly images: readonly Omit<OutputImage, "url">[] } | null;
  /** When a copy that failed is tried again; null unless the images are being stored and one has failed. */
  readonly copyAgainAt: string | null;
  /** Changes whenever anything in the view does: the seed of the ETag. */
  readonly tag: string;
}

/**
 * The job as a GET answers it, made in its object, so that the Worker gets one text and not a tree that is serialized and parsed
 * on the way.
 */
export interface ShownJob {
  /** As the view's. */
  readonly tag: string;
  /** Of the signed links in `json`. */
  readonly epoch: string;
  /** In how many seconds it is worth asking again; null when it is done. */
  readonly retryAfterSeconds: number | null;
  /** The public `Job`, compact. */
  readonly json: string;
}

/** What may be changed in every place of a job, finished or not. Absent parts stay as they are. */
export interface JobPatch {
  /** A pinned job is kept when its retention is over. */
  readonly pinned?: boolean;
  /** All of the job's metadata from now on. */
  readonly metadata?: Metadata;
}

export type JobRefusal =
  | { readonly ok: false; readonly code: "job_not_found" }
  | { readonly ok: false; readonly code: "job_gone" }
  | { readonly ok: false; readonly code: "job_finished"; readonly status: string }
  | { readonly ok: false; readonly code: "job_not_finished"; readonly status: string }
  | { readonly ok: false; readonly code: "idempotency_key_reused"; readonly fields: readonly string[] }
  | { readonly ok: false; readonly code: "image_not_found" }
  | { readonly ok: false; readonly code: "delivery_not_found" }
  | { readonly ok: false; readonly code: "upload_timed_out" }
  /** The money, or the room, of the submission or of the retry has ended. Nothing was stored. */
  | { readonly ok: false; readonly code: "grant_expired" }
  | { readonly ok: false; readonly code: "budget_exceeded"; readonly spend: ClientSpend }
  /** A retry, under a spend limit, of a job whose price was not known when it was submitted. */
  | { readonly ok: false; readonly code: "price_unknown"; readonly model: string };

export type JobAnswer<T> = ({ readonly ok: true } & T) | JobRefusal;

/** What the object of a job can be asked. `fetch` takes the WebSocket upgrade and the SSE stream; see `watch/watch-request.ts`. */
export interface JobRpc {
  /**
   * Called before the first upload of a submission is stored under this id. `new`: uploads under it are kept until `untilMs`, and
   * removed soon after when no submission came. `exists`, `gone`: there is, or was, a job of this id; nothing is expected.
   * `holder` names this one request. `nextId` as in a submission.
   */
  expectUploads(holder: string, untilMs: number, nextId?: string): Promise<"new" | "exists" | "gone">;
  /** Until when the job or its tombstone is kept at least, epoch ms; null when there is neither. */
  keptUntil(): Promise<number | null>;
  /**
   * No submission of this holder follows: what it stored is removed, unless another one is expected. A job that another request made
   * keeps its own images. Idempotent.
   */
  dropUploads(holder: string): Promise<void>;
  /**
   * Stored before it answers. With `notifiesCatalog` the caller notifies the client's catalog of a new job. A repeated submission
   * gets the same job with `replayed`; a tombstone answers `job_gone`.
   */
  submit(submission: Submission, notifiesCatalog?: boolean): Promise<JobAnswer<{ view: JobView; replayed: boolean }>>;
  /** The submitter failed to notify the catalog of the job as it was at `seq`: the job does it. Idempotent. */
  catalogMissed(seq: number): Promise<void>;
  view(viewer: Viewer): Promise<JobAnswer<{ view: JobView; retryKey?: string }>>;
  /** As `view`, as text; its links start with `origin`. */
  show(viewer: Viewer, origin: string): Promise<JobAnswer<ShownJob>>;
  /** Holds until the view's tag differs from `tag`, or with `tag: null` until the job is done; at most `timeoutMs`. */
  wait(viewer: Viewer, tag: string | null, timeoutMs: number): Promise<JobAnswer<{ view: JobView }>>;
  events(
    viewer: Viewer,
    after: number,
    limit: number,
  ): Promise<JobAnswer<{ events: JobEvent[]; nextAfter: number; done: boolean }>>;
  /** The key of a stored image; the prompt names its file. */
  image(
    viewer: Viewer,
    index: number,
  ): Promise<JobAnswer<{ key: string; contentType: string; bytes: number; sha256: string; prompt: string }>>;
  /** Idempotent; `job_finished` on a succeeded or failed job. */
  cancel(viewer: Viewer): Promise<JobAnswer<{ view: JobView }>>;
  /**
   * Takes a failed or canceled job; else `job_finished` or `job_not_finished`. The key of the job's last retry names that retry:
   * the answer is the job as it is now, with `replayed`, and nothing is run again. After `roomUntilMs`, the end of the room that
   * was taken for it, it is refused with `grant_expired`.
   */
  retry(
    viewer: Viewer,
    key?: string | null,
    roomUntilMs?: number,
  ): Promise<JobAnswer<{ view: JobView; replayed?: boolean }>>;
  /**
   * Pins, unpins, or replaces the metadata. Writes no event and leaves `seq`; the tag changes, watchers get the job, and the catalog its
   * entry with a larger `revision`. A job that is unpinned after its `expiresAt` is removed right after the answer.
   */
  patch(viewer: Viewer, patch: JobPatch): Promise<JobAnswer<{ view: JobView }>>;
  /** The job's webhook and all deliveries that are kept: the newest 100. */
  deliveries(viewer: Viewer): Promise<JobAnswer<{ list: DeliveryList }>>;
  /**
   * Sends an event again, in a new round of tries and whatever became of it before, as soon as no earlier event waits. If a try
   * that is running succeeds, no other follows.
   */
  resend(viewer: Viewer, number: number): Promise<JobAnswer<{ delivery: Delivery }>>;
  /** Cancels if needed. Afterwards every call answers `job_gone`, a second removal too. */
  remove(viewer: Viewer): Promise<JobAnswer<object>>;
  /**
   * From the lane: start the attempt of this lease, at `lease.notBeforeMs` or now. Refused when the job no longer waits for it,
   * gets it after `lease.beginByMs`, or cannot read its uploads: the quota was not used. A repeated call for a lease that was
   * begun gets the same answer with the same start, also when the attempt is over by then.
   */
  begin(lease: Lease): Promise<{ accepted: true; startedAtMs: number } | { accepted: false }>;
  /** From the lane: a new place. Answers whether anyone still watches. */
  placed(ticketNumber: number, place: Place): Promise<boolean>;
}
