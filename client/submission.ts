import { Job } from "../schemas/job.ts";
import { paths, type Workflow } from "../schemas/paths.ts";
import type { ReferenceSubmit, TextSubmit } from "../schemas/submit.ts";
import { type ApiCall, callApi, parseAnswer } from "./api-call.ts";
import type { Settings } from "./client-options.ts";

/** Options of a submission. */
export interface SubmitOptions {
  /**
   * 1 to 255 printable ASCII characters. Without one, each call gets its own key, so that its retries make one job. Pass your
   * own key to make a submission safe across restarts of your program.
   */
  readonly idempotencyKey?: string | undefined;
  /** How long the server holds the answer until the job is done, at most 60. The job may come back unfinished. */
  readonly waitSeconds?: number | undefined;
  /** With the operator's token: the client that the job belongs to. */
  readonly client?: string | undefined;
  /** The header `darkroom-hops` of the webhook that led to this submission, so that a loop of webhooks and submissions ends. */
  readonly hops?: string | null | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The request of each workflow. */
export interface RequestOf {
  readonly "image-from-text": TextSubmit;
  readonly "image-from-reference": ReferenceSubmit;
}

/** A reference submission without its images. */
export type FileSubmit = Omit<ReferenceSubmit, "images">;

/** A reference image: its bytes (the `File`s of an input element are `Blob`s), or an address as in `submit`. */
export type ReferenceImage = Blob | string;

/** Submits as JSON. See `DarkroomClient.submit`. */
export function submitJson<W extends Workflow>(
  settings: Settings,
  workflow: W,
  request: RequestOf[W],
  options: SubmitOptions,
): Promise<Job> {
  const { callTimeoutMs, uploadTimeoutMs } = settings.timing;
  const isUpload = "images" in request && request.images.some((image) => /^data:/i.test(image));
  return submitBody(settings, workflow, JSON.stringify(request), isUpload ? uploadTimeoutMs : callTimeoutMs, options);
}

/** Submits as multipart. See `DarkroomClient.submitFiles`. */
export function submitMultipart(
  settings: Settings,
  request: FileSubmit,
  images: readonly ReferenceImage[],
  options: SubmitOptions,
): Promise<Job> {
  const form = formOf(request, images);
  return submitBody(settings, "image-from-reference", form, settings.timing.uploadTimeoutMs, options);
}

async function submitBody(
  settings: Settings,
  workflow: Workflow,
  body: string | FormData,
  timeoutMs: number,
  options: SubmitOptions,
): Promise<Job> {
  const key = keyOf(options.idempotencyKey);
  const { waitSeconds, client, hops } = options;
  const query = client === undefined ? "" : `?${new URLSearchParams({ client })}`;
  const call: ApiCall = {
    method: "POST",
    path: `${paths.workflow(workflow)}${query}`,
    headers: {
      ...keyHeader(key),
      ...(hops ? { "Darkroom-Hops": hops } : {}),
      ...(waitSeconds === undefined ? {} : { Prefer: `wait=${Math.ceil(waitSeconds)}` }),
    },
    body,
    idempotencyKey: key,
    timeoutMs: timeoutMs + (waitSeconds ?? 0) * 1000,
    signal: options.signal,
  };
  return parseAnswer(await callApi(settings, call), Job);
}

/** Fields have their JSON names; values other than strings are JSON. Files and addresses go under `images`, in order. */
function formOf(request: FileSubmit, images: readonly ReferenceImage[]): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(request)) {
    if (value === undefined) continue;
    form.append(name, typeof value === "string" ? value : JSON.stringify(value));
  }
  images.forEach((image, index) => {
    if (typeof image === "string") form.append("images", image);
    else form.append("images", image, image instanceof File ? image.name : `image-${index + 1}`);
  });
  return form;
}

/** The header of a key. The draft asks for a Structured-Field String, which has quotes. */
export function keyHeader(key: string): Record<string, string> {
  return { "Idempotency-Key": `"${key.replace(/["\\]/g, "\\$&")}"` };
}

/** The caller's key, checked, or a new one. */
export function keyOf(given: string | undefined): string {
  return checkKey(given ?? newKey());
}

/** Not `crypto.randomUUID`, which pages served over plain http lack. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function checkKey(key: string): string {
  if (/^[\x20-\x7e]{1,255}$/.test(key) && key.trim() !== "") return key;
  throw new TypeError("idempotencyKey must be 1 to 255 printable ASCII characters");
}
