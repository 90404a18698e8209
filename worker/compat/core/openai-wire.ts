/** OpenAI's Images wire between us and its clients: which parts of a body are used, and the shapes of answers. Pure. */
import { VARIANT_FORMATS, type VariantFormat, type Workflow } from "../../../schemas/paths.ts";
import type { ProblemCode } from "../../../schemas/problem.ts";
import {
  type FormPart,
  type Found,
  formFields,
  givenFor,
  isGiven,
  isRecord,
  jsonFields,
  withValue,
} from "../../http/core/given-fields.ts";
import { formFieldOf, SPELLINGS } from "../../http/core/submit-fields.ts";
import type { JobView } from "../../job/contract.ts";

/** The most images that one request may ask for. OpenAI has the same limit. */
export const MAX_IMAGES = 10;

/** The form of the answer. The job's own fields are in `found`. */
export interface AnswerOptions {
  /** Null: both forms, because some clients read one and some the other. */
  readonly responseFormat: "url" | "b64_json" | null;
  /** Null: the format that upstream made. */
  readonly outputFormat: VariantFormat | null;
  readonly outputCompression: number | null;
  readonly stream: boolean;
}

export interface OpenaiRequest {
  readonly found: Found;
  readonly options: AnswerOptions;
  /** The names of options that change nothing here. */
  readonly ignored: readonly string[];
  /** The client's own name for its end user. It only keeps the answers of different users apart. */
  readonly user: string | null;
}

/** What is wrong with one option: `message` completes a sentence about `param`. */
export interface ParamFault {
  readonly param: string;
  readonly message: string;
}

export type OpenaiBody =
  | { readonly kind: "json"; readonly value: unknown }
  | { readonly kind: "form"; readonly parts: readonly FormPart[] };

/** Options of the answer, which the job never gets. */
const ANSWER_OPTIONS: ReadonlySet<string> = new Set([
  "response_format",
  "output_format",
  "output_compression",
  "stream",
]);

/** OpenAI's own models, which clients have as their default. Here they mean the default model. */
const FOREIGN_MODELS = /^(gpt-image|chatgpt-image|dall-e)\b/i;

function isTaken(name: string, kind: OpenaiBody["kind"]): boolean {
  return kind === "json" ? SPELLINGS.top.has(name) : formFieldOf(name) !== undefined;
}

/** An image of a JSON body: an address, or OpenAI's `{image_url}`. */
function imageOf(item: unknown): unknown {
  return isRecord(item) && isGiven(item.image_url) ? item.image_url : item;
}

function oneOf<Word extends string>(
  options: ReadonlyMap<string, unknown>,
  param: string,
  words: readonly Word[],
): Word | null {
  const given = options.get(param);
  if (given === undefined) return null;
  const word = words.find((known) => known === given);
  if (word === undefined) throw new ParamError({ param, message: `must be one of ${words.join(", ")}` });
  return word;
}

class ParamError extends Error {
  readonly fault: ParamFault;

  constructor(fault: ParamFault) {
    super(fault.message);
    this.fault = fault;
  }
}

function compressionOf(options: ReadonlyMap<string, unknown>): number | null {
  const given = options.get("output_compression");
  if (given === undefined) return null;
  const percent = typeof given === "string" && /^\d{1,3}$/.test(given) ? Number(given) : given;
  if (typeof percent === "number" && Number.isInteger(percent) && percent >= 0 && percent <= 100) return percent;
  throw new ParamError({ param: "output_compression", message: "must be a whole number from 0 to 100" });
}

function streamOf(options: ReadonlyMap<string, unknown>): boolean {
  const given = options.get("stream");
  if (given === undefined || given === false || given === "false") return false;
  if (given === true || given === "true") return true;
  throw new ParamError({ param: "stream", message: "must be true or false" });
}

/** Refuses options that no model here can do. */
function refuseImpossible(given: ReadonlyMap<string, unknown>): void {
  if (given.has("mask")) {
    throw new ParamError({
      param: "mask",
      message: "is not possible with these models: say in the prompt what is to be changed",
    });
  }
  const background = given.get("background");
  if (background !== undefined && background !== "auto" && background !== "opaque") {
    throw new ParamError({ param: "background", message: "must be auto or opaque: these models paint every pixel" });
  }
  const n = given.get("n");
  const count = typeof n === "string" && /^\d{1,6}$/.test(n) ? Number(n) : n;
  if (count !== undefined && !(Number.isInteger(count) && Number(count) >= 1 && Number(count) <= MAX_IMAGES)) {
    throw new ParamError({ param: "n", message: `must be a whole number from 1 to ${MAX_IMAGES}` });
  }
}

/** What a body asks for, of the job and of the answer; or what is wrong with one of the answer's options. */
export function openaiRequest(workflow: Workflow, body: OpenaiBody): OpenaiRequest | ParamFault {
  if (body.kind === "json" && !isRecord(body.value)) {
    return { param: "", message: "The body must be a JSON object" };
  }
  const entries: readonly (readonly [string, unknown])[] =
    body.kind === "json" ? Object.entries(body.value as object) : body.parts;
  const given = entries.filter(([, value]) => isGiven(value) && !(body.kind === "form" && value === ""));
  const byName = new Map(given);
  try {
    refuseImpossible(byName);
    const options = new Map(given.filter(([name]) => ANSWER_OPTIONS.has(name)));
    const answer: AnswerOptions = {
      responseFormat: oneOf(options, "response_format", ["url", "b64_json"]),
      outputFormat: oneOf(options, "output_format", VARIANT_FORMATS),
      outputCompression: compressionOf(options),
      stream: streamOf(options),
    };
    const taken = given.filter(([name]) => isTaken(name, body.kind));
    const others = given.filter(([name]) => !isTaken(name, body.kind) && !ANSWER_OPTIONS.has(name));
    const ignored = others.map(([name]) => name);
    let found =
      body.kind === "json" ? jsonFields(workflow, imagesAsText(taken)) : formFields(workflow, taken as FormPart[]);
    const model = givenFor(found, "model");
    if (typeof model === "string" && FOREIGN_MODELS.test(model)) {
      found = withValue(found, "model", null);
      ignored.push("model");
    }
    if (givenFor(found, "size") === "auto") found = withValue(found, "size", null);
    const user = byName.get("user") ?? byName.get("safety_identifier");
    return { found, options: answer, ignored: [...new Set(ignored)], user: typeof user === "string" ? user : null };
  } catch (error) {
    if (error instanceof ParamError) return error.fault;
    throw error;
  }
}

function imagesAsText(taken: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  return Object.fromEntries(
    taken.map(([name, value]) => {
      if (SPELLINGS.top.get(name) !== "images") return [name, value];
      return [name, Array.isArray(value) ? value.map(imageOf) : imageOf(value)];
    }),
  );
}

/** How many images each job makes, when one job makes at most `maxN`. */
export function jobCounts(n: number, maxN: number): number[] {
  const full = Math.floor(n / maxN);
  const rest = n % maxN;
  return [...Array.from({ length: full }, () => maxN), ...(rest === 0 ? [] : [rest])];
}

export interface OpenaiError {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
}

function typeOf(status: number): string {
  if (status >= 500) return "server_error";
  if (status === 402) return "insufficient_quota";
  if (status === 403) return "permission_error";
  if (status === 429) return "rate_limit_error";
  return "invalid_request_error";
}

/** The codes that OpenAI's clients know. Other refusals have our own codes. */
const ERROR_CODES: Partial<Record<ProblemCode, string>> = {
  unauthorized: "invalid_api_key",
  invalid_request: "invalid_value",
  not_found: "unknown_url",
  rate_limited: "rate_limit_exceeded",
};

/** The parameter that a JSON Pointer refers to: `/image[]/0` is `image`. */
export function paramOf(pointer: string | undefined): string | null {
  const step = pointer?.split("/")[1];
  return step === undefined || step === "" ? null : step.replace(/\[\d*\]$/, "");
}

export function openaiError(
  code: ProblemCode,
  status: number,
  message: string,
  pointer: string | undefined,
): OpenaiError {
  return { message, type: typeOf(status), param: paramOf(pointer), code: ERROR_CODES[code] ?? code };
}

export interface FailedAnswer {
  readonly status: number;
  readonly error: OpenaiError;
}

/**
 * Why the jobs of a request gave no image: the first failure among them. The status is 424 and never one that clients repeat
 * on, because the job was already repeated as often as is useful. Images that the content check refused get OpenAI's own code
 * for that.
 */
export function failedAnswer(views: readonly Pick<JobView, "status" | "error">[]): FailedAnswer {
  const error = views.find((view) => view.error !== null)?.error ?? null;
  if (error === null) {
    const isCanceled = views.some(({ status }) => status === "canceled");
    const [code, message] = isCanceled
      ? ["job_canceled", "The job was canceled."]
      : ["job_gone", "The job succeeded, but its images were removed before they could be sent."];
    return { status: 424, error: { message, type: "image_generation_error", param: null, code } };
  }
  const message = error.hint === "" ? error.message : `${error.message} ${error.hint}`;
  if (error.code === "content_rejected") {
    const moderated = { message, type: "image_generation_user_error", param: null, code: "moderation_blocked" };
    return { status: 400, error: moderated };
  }
  const isOverLimit = error.code === "budget_exceeded";
  const type = isOverLimit ? typeOf(402) : "image_generation_error";
  return { status: isOverLimit ? 402 : 424, error: { message, type, param: null, code: error.code } };
}

/** One image of an answer, without its bytes. */
export interface AnsweredImage {
  readonly url: string;
  readonly contentType: string;
  readonly width: number;
  readonly height: number;
}

function looksOf({ contentType, width, height }: AnsweredImage) {
  return { background: "opaque", output_format: contentType.replace(/^image\//, ""), size: `${width}x${height}` };
}

/**
 * The texts around the base64 of each image, in order: one more than there are images, or a single text without base64. The
 * last brace is left out: the caller sends it at the end of the answer.
 */
export function imagesAnswer(
  images: readonly AnsweredImage[],
  created: number,
  format: AnswerOptions["responseFormat"],
): string[] {
  const [first] = images;
  const head = JSON.stringify({ created, ...(first === undefined ? {} : looksOf(first)) }).slice(0, -1);
  const texts = [`${head},"data":[`];
  const add = (text: string) => texts.push(`${texts.pop() ?? ""}${text}`);
  for (const [index, { url }] of images.entries()) {
    if (index > 0) add(",");
    if (format === "url") {
      add(JSON.stringify({ url }));
      continue;
    }
    add(format === null ? `${JSON.stringify({ url }).slice(0, -1)},"b64_json":"` : '{"b64_json":"');
    texts.push('"}');
  }
  add("]");
  return texts;
}

/** Tokens are not counted here, but clients expect the field. */
const NO_TOKENS = {
  input_tokens: 0,
  input_tokens_details: { image_tokens: 0, text_tokens: 0 },
  output_tokens: 0,
  total_tokens: 0,
};

/** The texts around the base64 of one image of a stream. */
export function completedEvent(
  workflow: Workflow,
  image: AnsweredImage,
  createdAt: number,
  format: AnswerOptions["responseFormat"],
): readonly [string, string] {
  const type = workflow === "image-from-text" ? "image_generation.completed" : "image_edit.completed";
  const body = {
    type,
    created_at: createdAt,
    ...looksOf(image),
    quality: "auto",
    usage: NO_TOKENS,
    ...(format === "b64_json" ? {} : { url: image.url }),
  };
  return [`event: ${type}\ndata: ${JSON.stringify(body).slice(0, -1)},"b64_json":"`, '"}\n\n'];
}

export function errorEvent(error: OpenaiError): string {
  return `event: error\ndata: ${JSON.stringify({ type: "error", error })}\n\n`;
}

/** An SSE comment. It keeps the connection open, and shows when the client has left. */
export const HEARTBEAT = ": the job is not done yet\n\n";

/** An SSE comment that ends a stream. */
export const END = ": end\n\n";

/** A model in OpenAI's list. When the vendor made it is not known, so `created` is 0. */
export function listedModel(id: string) {
  return { id, object: "model", created: 0, owned_by: "dashscope" };
}
