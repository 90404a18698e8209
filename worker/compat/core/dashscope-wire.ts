/** DashScope's wire between us and its clients: which parts of a body are used, and the shapes of answers. Pure. */
import type { JobStatus } from "../../../schemas/job.ts";
import type { ProblemCode } from "../../../schemas/problem.ts";
import type { CatalogEntry } from "../../catalog/contract.ts";
import { isGiven, isRecord } from "../../http/core/given-fields.ts";
import { OWN_OPTIONS, SPELLINGS } from "../../http/core/submit-fields.ts";
import type { JobView } from "../../job/contract.ts";

/** The used part of a client's body, with every value in its place, and the names of the ignored fields. */
export interface TakenBody {
  readonly body: unknown;
  readonly ignored: readonly string[];
}

type Fields = Readonly<Record<string, unknown>>;

function only(object: Fields, isTaken: (name: string) => boolean, prefix: string, ignored: string[]): Fields {
  const given = Object.entries(object).filter(([, value]) => isGiven(value));
  ignored.push(...given.filter(([name]) => !isTaken(name)).map(([name]) => `${prefix}${name}`));
  return Object.fromEntries(given.filter(([name]) => isTaken(name)));
}

const CONTENT_KINDS: ReadonlySet<string> = new Set(["text", "image", "image_url"]);

/** An item of a message, reduced to its text or image: `type` and other keys carry no information. */
function takenItem(item: unknown): unknown {
  return isRecord(item)
    ? Object.fromEntries(Object.entries(item).filter(([name, value]) => CONTENT_KINDS.has(name) && isGiven(value)))
    : item;
}

function takenMessage(message: unknown): unknown {
  if (!isRecord(message)) return message;
  const { role, content } = message;
  return { role, content: Array.isArray(content) ? content.map(takenItem) : content };
}

const isTop = (name: string) => name === "model" || name === "input" || name === "parameters" || OWN_OPTIONS.has(name);
const isInput = (name: string) => name === "messages" || SPELLINGS.input.has(name);
const isParameter = (name: string) => SPELLINGS.parameters.has(name);

/** A body without what DashScope's clients send and nothing here reads: unknown parameters, `type`, and every `null`. */
export function takenBody(body: unknown): TakenBody {
  if (!isRecord(body)) return { body, ignored: [] };
  const ignored: string[] = [];
  const top: Record<string, unknown> = { ...only(body, isTop, "", ignored) };
  if (isRecord(top.input)) {
    const input: Record<string, unknown> = { ...only(top.input, isInput, "", ignored) };
    if (Array.isArray(input.messages)) input.messages = input.messages.map(takenMessage);
    top.input = input;
  }
  if (isRecord(top.parameters)) top.parameters = only(top.parameters, isParameter, "", ignored);
  return { body: top, ignored };
}

const ZONE_MS = 8 * 3_600_000;

/** A moment in DashScope's form: `2026-11-28 17:43:00.123`, UTC+8. */
export function wireTime(atMs: number): string {
  return new Date(atMs + ZONE_MS).toISOString().slice(0, 23).replace("T", " ");
}

/** A moment of a list's query, `20261128174300` in UTC+8; null for any other text. */
export function parseWireStamp(text: string): number | null {
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(text);
  if (match === null) return null;
  const [, year, month, day, hour, minute, second] = match;
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(ms) ? null : ms - ZONE_MS;
}

export type TaskStatus = "PENDING" | "RUNNING" | "SUCCEEDED" | "FAILED" | "CANCELED";

export function taskStatus(status: JobStatus, attempts: number): TaskStatus {
  switch (status) {
    case "queued":
      return attempts === 0 ? "PENDING" : "RUNNING";
    case "running":
    case "retrying":
      return "RUNNING";
    case "succeeded":
      return "SUCCEEDED";
    case "failed":
      return "FAILED";
    case "canceled":
      return "CANCELED";
    default:
      throw new Error(`no such status: ${JSON.stringify(status satisfies never)}`);
  }
}

/** The code of a job's failure for DashScope's clients, where upstream itself gave none. */
const FAILURE_CODES: Readonly<Record<NonNullable<JobView["error"]>["code"], readonly [code: string, status: number]>> =
  {
    attempts_exhausted: ["InternalError", 424],
    deadline_exceeded: ["InternalError.Timeout", 424],
    outcome_uncertain: ["InternalError.Timeout", 424],
    result_lost: ["InternalError", 424],
    content_rejected: ["DataInspectionFailed", 400],
    invalid_request: ["InvalidParameter", 400],
    invalid_image: ["InvalidImage.FileFormat", 400],
    image_unreachable: ["InvalidURL", 400],
    model_unavailable: ["ModelNotFound", 404],
    upstream_rejected: ["AccessDenied", 403],
    budget_exceeded: ["budget_exceeded", 402],
  };

export interface WireFailure {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/**
 * Statuses of upstream that are not passed on. Clients repeat on 408, 409, 425 and 429, and would pay again for a job that
 * was already repeated enough; a client would take 401 for its own key, but it is about the key of this deployment.
 */
const KEPT_BACK: ReadonlySet<number> = new Set([401, 408, 409, 425, 429]);

/** Upstream's code for a refused key. The key is this deployment's, never the client's. */
const OUR_KEY = "InvalidApiKey";

/**
 * Why a job has no images. The code is upstream's own where it gave one. The HTTP status is upstream's too where it refused
 * the request itself; any other failure is 424, on which no client repeats.
 */
export function failureOf(view: Pick<JobView, "status" | "error" | "attempts">): WireFailure {
  if (view.error === null) return { status: 400, code: "Canceled", message: "The task was canceled." };
  const { code, message, upstream } = view.error;
  const [ownCode, ownStatus] = FAILURE_CODES[code];
  const last = view.attempts.at(-1)?.upstream.httpStatus ?? null;
  const isRefusal = last !== null && last >= 400 && last < 500 && !KEPT_BACK.has(last);
  const given = upstream?.code === OUR_KEY ? null : (upstream?.code ?? null);
  return { status: isRefusal && given !== null ? last : ownStatus, code: given ?? ownCode, message };
}

type UrlOf = (index: number) => string;

/** From this many pixels upstream counts an image of 3.0 as 2K. */
const LARGE_PIXELS = 2_250_000;

/** Has the field names of both model families; clients of 3.0 require their own. */
function usageOf({ request, output }: JobView) {
  const images = output?.images ?? [];
  const { width = 0, height = 0 } = images[0] ?? {};
  return {
    image_count: images.length,
    width,
    height,
    output_image_count: images.length,
    output_width: width,
    output_height: height,
    output_image_type: width * height < LARGE_PIXELS ? "qima_output_1k" : "qima_output_2k",
    input_image_count: request.images.length,
    input_image_type: "qima_input",
  };
}

function metricsOf({ request, output, done }: JobView) {
  const made = output?.images.length ?? 0;
  return { TOTAL: request.n, SUCCEEDED: made, FAILED: done ? Math.max(0, request.n - made) : 0 };
}

function choicesOf({ output }: JobView, urlOf: UrlOf) {
  const content = (output?.images ?? []).map(({ index }) => ({ image: urlOf(index) }));
  return [{ finish_reason: "stop", message: { role: "assistant", content } }];
}

function resultsOf({ request, output }: JobView, urlOf: UrlOf) {
  return (output?.images ?? []).map(({ index }) => ({ orig_prompt: request.prompt, url: urlOf(index) }));
}

/** The answer to a task that was just submitted. */
export function acceptedAnswer(taskId: string, requestId: string) {
  return { output: { task_status: "PENDING", task_id: taskId }, request_id: requestId };
}

/** A task that never existed, or was removed. */
export function unknownTask(taskId: string, requestId: string) {
  return { request_id: requestId, output: { task_id: taskId, task_status: "UNKNOWN" } };
}

/** A task in its current state. A finished one has its images in both shapes: `results` and `choices`. */
export function taskAnswer(view: JobView, requestId: string, urlOf: UrlOf) {
  const status = taskStatus(view.status, view.attempts.length);
  const head = {
    task_id: view.id,
    task_status: status,
    submit_time: wireTime(Date.parse(view.createdAt)),
    ...(view.startedAt === null ? {} : { scheduled_time: wireTime(Date.parse(view.startedAt)) }),
    ...(view.finishedAt === null ? {} : { end_time: wireTime(Date.parse(view.finishedAt)) }),
    task_metrics: metricsOf(view),
  };
  if (status === "SUCCEEDED") {
    return {
      request_id: requestId,
      output: { ...head, results: resultsOf(view, urlOf), choices: choicesOf(view, urlOf), finished: true },
      usage: usageOf(view),
    };
  }
  if (status !== "FAILED") return { request_id: requestId, output: head };
  const { code, message } = failureOf(view);
  return { request_id: requestId, output: { ...head, code, message } };
}

/** A synchronous success. The two legacy paths also have their images as `results`. */
export function syncAnswer(view: JobView, requestId: string, urlOf: UrlOf, withResults: boolean) {
  const results = withResults ? { task_id: view.id, task_status: "SUCCEEDED", results: resultsOf(view, urlOf) } : {};
  return {
    output: { ...results, choices: choicesOf(view, urlOf), task_metric: metricsOf(view) },
    usage: usageOf(view),
    request_id: requestId,
  };
}

/** A row of the list of tasks; its times are epoch milliseconds. */
export function listRow(entry: CatalogEntry, client: string, region: string) {
  return {
    api_key_id: client,
    caller_parent_id: client,
    caller_uid: client,
    gmt_create: Date.parse(entry.createdAt),
    ...(entry.startedAt === null ? {} : { start_time: Date.parse(entry.startedAt) }),
    ...(entry.finishedAt === null ? {} : { end_time: Date.parse(entry.finishedAt) }),
    model_name: entry.model,
    region,
    // Nothing else of the submission is kept.
    request_id: entry.id,
    status: taskStatus(entry.status, entry.attempts),
    task_id: entry.id,
    user_api_unique_key: `apikey:v1:aigc:image-generation:${entry.model}`,
  };
}

/** The codes of our own refusals. Others get the code of their status. */
const ERROR_CODES: Partial<Record<ProblemCode, string>> = {
  unauthorized: "InvalidApiKey",
  forbidden_origin: "AccessDenied",
  open_mode_refused: "AccessDenied",
  client_paused: "AccessDenied",
  not_found: "NotFound",
  body_too_large: "BadRequest.TooLarge",
  image_too_large: "BadRequest.TooLarge",
  upload_timed_out: "RequestTimeOut",
  too_many_pending_jobs: "Throttling.RateQuota",
  rate_limited: "Throttling.RateQuota",
  overloaded: "ModelUnavailable",
  misconfigured: "ModelUnavailable",
  internal: "InternalError",
};

/** Statuses that DashScope's clients understand. Any other below 500 becomes 400. */
const OWN_STATUSES: ReadonlySet<number> = new Set([401, 402, 403, 404, 405, 408, 429]);

export function wireError(code: ProblemCode, status: number): { readonly status: number; readonly code: string } {
  const known = ERROR_CODES[code];
  // A removed job answers like one that never existed: DashScope has no 410.
  if (status === 410) return { status: 404, code: "NotFound" };
  if (status >= 500) return { status, code: known ?? "InternalError" };
  if (status === 402) return { status, code };
  return { status: OWN_STATUSES.has(status) ? status : 400, code: known ?? "InvalidParameter" };
}
