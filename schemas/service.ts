import type { Job, JobList } from "./job.ts";
import type { JobFilter, JobPage } from "./job-filter.ts";
import type { VariantAsk } from "./paths.ts";
import type { ReferenceSubmit, TextSubmit } from "./submit.ts";

/** The `props` that an app's service binding sets: `props = { client = "my-app" }`. */
export interface ServiceProps {
  /** The client whose jobs the app makes and sees, by its name in `CLIENT_TOKENS`. */
  readonly client: string;
}

/** A reference image: an address or a data URL, or the bytes of a file. */
export type ServiceImage = string | ArrayBuffer | Uint8Array;

export interface ServiceSubmitOptions {
  /** 1 to 255 printable ASCII characters. With it, the same submission again resolves to the same job. */
  readonly idempotencyKey?: string | undefined;
  /** How long to wait for the job to be done, at most 60. The job may come back unfinished. */
  readonly waitSeconds?: number | undefined;
  /** W3C Trace Context: kept with the job, in its log lines and webhooks. An invalid one is ignored. */
  readonly traceparent?: string | undefined;
  /** The header `darkroom-hops` of the webhook that led to this submission, so that a loop of webhooks and submissions ends. */
  readonly hops?: string | null | undefined;
}

export interface ServiceWaitOptions {
  /** Stops waiting and rejects with the signal's reason. The caller needs the compatibility flag `enable_abortsignal_rpc`. */
  readonly signal?: AbortSignal | undefined;
  /** Stops waiting after this time and resolves to the job as it is then. Left out: waits until the job is done. */
  readonly timeoutSeconds?: number | undefined;
}

/**
 * The entrypoint `DarkroomService`, which an app in another Worker calls over a service binding. There is no token: the
 * binding's `props` name the client. Limits, spend and refusals are those of the HTTP API. A refusal rejects with an error
 * whose `name` is `DarkroomProblem` and which has `code`, `status`, `problem` and `retryAfterMs`. A caller with a
 * compatibility date before 2026-04-21 gets only the message, which ends with the code.
 */
export interface DarkroomService {
  submit(workflow: "image-from-text", request: TextSubmit, options?: ServiceSubmitOptions): Promise<Job>;
  submit(
    workflow: "image-from-reference",
    request: Omit<ReferenceSubmit, "images"> & { readonly images: readonly ServiceImage[] },
    options?: ServiceSubmitOptions,
  ): Promise<Job>;
  get(id: string): Promise<Job>;
  /** Resolves once the job is done, or at the timeout. */
  wait(id: string, options?: ServiceWaitOptions): Promise<Job>;
  /** One page, newest first. */
  list(filter?: Omit<JobFilter, "client"> & JobPage): Promise<JobList>;
  /** Idempotent. A finished job is refused with `job_finished`. */
  cancel(id: string): Promise<Job>;
  /** Puts a failed or canceled job back into the queue. */
  retry(id: string): Promise<Job>;
  /** The image as a stream, with its type, length and ETag; with `variant` a smaller one. */
  image(id: string, index: number, variant?: VariantAsk): Promise<Response>;
  /** The whole HTTP API as this client, for `createDarkroomClient({ fetch })`. */
  fetch(request: Request): Promise<Response>;
}
