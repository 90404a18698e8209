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

/** A reference image as bytes, where `submit` takes addresses: `File`s of an input element are `Blob`s. */
export type FileSubmit = Omit<ReferenceSubmit, "images">;

/** Submits by JSON. See `DarkroomClient.submit`. */
export function submitJson<W extends Workflow>(
  settings: Settings,
  workflow: W,
  request: RequestOf[W],
  options: SubmitOptions,
): Promise<Job> {
  return submitBody(settings, workflow, JSON.stringify(request), settings.timing.callTimeoutMs, options);
}

/** Submits files by multipart. See `DarkroomClient.submitFiles`. */
export function submitMultipart(
  settings: Settings,
  request: FileSubmit,
  files: readonly Blob[],
  options: SubmitOptions,
): Promise<Job> {
  const form = formOf(request, files);
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

/** Fields by their JSON names, what is not text as JSON; files under `images`, in order. */
export function formOf(request: FileSubmit, files: readonly Blob[]): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(request)) {
    if (value === undefined) continue;
    form.append(name, typeof value === "string" ? value : JSON.stringify(value));
  }
  files.forEach((file, index) => {
    form.append("images", file, file instanceof File ? file.name : `image-${index + 1}`);
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
