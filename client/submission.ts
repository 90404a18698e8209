import { Job } from "../schemas/job.ts";
import { paths, type Workflow } from "../schemas/paths.ts";
import type { ReferenceSubmit, TextSubmit } from "../schemas/submit.ts";
import { type ApiCall, callApi, parseAnswer } from "./api-call.ts";
import type { Settings } from "./client-options.ts";

/** How a submission is made. */
export interface SubmitOptions {
  /**
   * 1 to 255 printable ASCII characters. Left out, each call gets its own, so that the client's own repetitions make one job.
   * Give your own to make a submission safe across restarts of your program.
   */
  readonly idempotencyKey?: string | undefined;
  /** Hold the answer until the job is done, at most so long (the server takes up to 60). The job may come back unfinished. */
  readonly waitSeconds?: number | undefined;
  /** An operator's choice among the clients: for whom the job is made. */
  readonly client?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What each workflow takes. */
export interface RequestOf {
  readonly "image-from-text": TextSubmit;
  readonly "image-from-reference": ReferenceSubmit;
}

/** All of a reference submission but its images. */
export type FileSubmit = Omit<ReferenceSubmit, "images">;

/** A reference image: its bytes (`File`s of an input element are `Blob`s), or an address as `submit` takes it. */
export type ReferenceImage = Blob | string;

/** Submits by JSON. See `DarkroomClient.submit`. */
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

/** Submits files, and addresses among them, by multipart. See `DarkroomClient.submitFiles`. */
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
  const key = checkKey(options.idempotencyKey ?? newKey());
  const { waitSeconds, client } = options;
  const query = client === undefined ? "" : `?${new URLSearchParams({ client })}`;
  const call: ApiCall = {
    method: "POST",
    path: `${paths.workflow(workflow)}${query}`,
    headers: {
      // A Structured-Field String, as the draft asks: with quotes.
      "Idempotency-Key": `"${key.replace(/["\\]/g, "\\$&")}"`,
      ...(waitSeconds === undefined ? {} : { Prefer: `wait=${Math.ceil(waitSeconds)}` }),
    },
    body,
    idempotencyKey: key,
    timeoutMs: timeoutMs + (waitSeconds ?? 0) * 1000,
    signal: options.signal,
  };
  return parseAnswer(await callApi(settings, call), Job);
}

/** Fields by their JSON names, what is not text as JSON; files and addresses under `images`, in order. */
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

/** `crypto.randomUUID` exists in secure contexts only; a page served over http on a local network has this. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function checkKey(key: string): string {
  if (/^[\x20-\x7e]{1,255}$/.test(key) && key.trim() !== "") return key;
  throw new TypeError("idempotencyKey must be 1 to 255 printable ASCII characters");
}
