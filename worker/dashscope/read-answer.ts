/** Reads upstream's answer: takes status, headers and text, returns its meaning; and removes the key from its words. Pure. */
import type { UpstreamReport } from "../../schemas/job.ts";
import { embeddedIndex } from "./answer-body.ts";
import { classify, type UpstreamProblem } from "./classify.ts";
import type { UpstreamAnswer } from "./contract.ts";
import type { HintContext } from "./failure-table.ts";
import { DecisiveAnswer } from "./wire.ts";

/** An answer as received over HTTP. */
export interface HttpAnswer {
  readonly httpStatus: number;
  /** From the header. The body's id goes before it. */
  readonly requestId: string | null;
  readonly retryAfterMs: number | null;
  /** Null: the body is larger than any answer can be, and was not read to its end. */
  readonly text: string | null;
}

/** Prepares upstream's text to be stored: removes secrets and limits the length. */
export type Tidy = (text: string, maxChars: number) => string;

/** Upstream's messages are shown to people; anything longer adds no information. */
const MAX_MESSAGE_CHARS = 500;
/** Codes and ids are far shorter. */
const MAX_WORD_CHARS = 200;
/** How much of a body without a message is kept: enough to recognise it. */
const MAX_PAGE_CHARS = 200;

/**
 * The meaning of an answer to `generate` (`taskId` null) or to `readTask` (the requested task). Images go before anything
 * else in the answer, because they are paid for. So does a task id in a success. An answer that is not about the task itself
 * leaves a task `unreadable`: upstream reports each task's state, even an unknown one, with status 200.
 */
export function readAnswer(
  answer: HttpAnswer,
  taskId: string | null,
  tidy: Tidy,
  context: HintContext,
): UpstreamAnswer {
  const { httpStatus } = answer;
  const json = parseJson(answer.text);
  const parsed = DecisiveAnswer.safeParse(json);
  const body = parsed.success ? parsed.data : null;
  const said = wordsIn(json);
  const word = (text: string | null | undefined) => (text == null || text === "" ? null : tidy(text, MAX_WORD_CHARS));
  const report: UpstreamReport = {
    httpStatus,
    code: word(said.code),
    message: said.message === null ? null : tidy(said.message, MAX_MESSAGE_CHARS),
    requestId: word(body?.request_id) ?? word(answer.requestId),
    taskId: taskId ?? word(body?.output?.task_id),
  };
  const fail = (problem: UpstreamProblem, known: UpstreamReport = report) => {
    // The body about an unknown or canceled task has no further information.
    const isUnsaid = known.message === null && problem !== "taskUnknown" && problem !== "taskCanceled";
    const message = isUnsaid ? firstWords(answer.text, tidy) : known.message;
    return classify(problem, { ...known, message }, answer.retryAfterMs, context);
  };
  const unanswered = (problem: UpstreamProblem): UpstreamAnswer =>
    taskId === null
      ? { kind: "failed", failure: fail(problem) }
      : { kind: "unreadable", failure: { ...fail(problem), mayBeBilled: true } };

  if (httpStatus >= 300 && httpStatus < 400) return unanswered("redirected");
  const output = body?.output ?? null;
  const refusal = output?.results?.find((result) => (result?.code ?? "") !== "") ?? null;
  const status = output?.task_status?.toUpperCase() ?? null;
  const isSuccess = httpStatus >= 200 && httpStatus < 300;
  // A task that still runs may already show some images. Its final answer has all of them.
  const links = status !== null && WAITING.includes(status) ? [] : linksIn(json, isSuccess ? IMAGE_ROOTS : ["output"]);
  if (links.length > 0) {
    // Upstream may have refused some of several images: the others are delivered, and the report says why there are fewer.
    const tidied = links.map((link) => tidy(link, Number.POSITIVE_INFINITY));
    return { kind: "delivered", links: tidied, report: withWords(report, refusal, tidy) };
  }
  if (!isSuccess) return unanswered("refused");
  if (answer.text === null) return unanswered("tooLarge");
  if (body === null) return unanswered(report.code === null ? "badBody" : "refused");

  switch (status) {
    case "FAILED":
      return { kind: "failed", failure: fail("refused", withWords(report, output, tidy)) };
    case "CANCELED":
      return { kind: "task_canceled", failure: fail("taskCanceled") };
    case "UNKNOWN":
      return { kind: "task_lost", failure: fail("taskUnknown") };
    case "SUCCEEDED":
      break;
    case null:
      if (refusal !== null) break;
      if (taskId === null && report.taskId !== null) return { kind: "accepted", taskId: report.taskId, report };
      if (report.code !== null) return unanswered("refused");
      return unanswered(taskId === null ? "noImage" : "badBody");
    default:
      // An unknown status counts as waiting: giving up a running task would pay for a second one.
      if (taskId !== null) return { kind: "pending", taskStatus: status === "PENDING" ? status : "RUNNING", report };
      if (report.taskId !== null) return { kind: "accepted", taskId: report.taskId, report };
      return unanswered(report.code === null ? "badBody" : "refused");
  }
  if (refusal !== null) return { kind: "failed", failure: fail("refused", withWords(report, refusal, tidy)) };
  return { kind: "failed", failure: fail("noImage") };
}

/** Whether an answer without content (to a cancellation) reports success. */
export function isPlainSuccess(httpStatus: number, text: string | null): boolean {
  const json = parseJson(text);
  return httpStatus === 200 && typeof json === "object" && json !== null && wordsIn(json).code === null;
}

/** `Retry-After` as ms from now: seconds, or an HTTP date. Null when it is absent or neither; never negative. */
export function retryAfterMs(header: string | null, nowMs: number): number | null {
  if (header === null) return null;
  const text = header.trim();
  // A number of any length is a wait. The caller has its own bound.
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1000, Number.MAX_SAFE_INTEGER);
  // Every form of an HTTP date begins with three letters. Date.parse accepts many other texts.
  const atMs = /^[A-Z][a-z]{2}/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - nowMs);
}

/** Keys of code and message in envelopes: DashScope's own, OpenAI's `error`, and those of gateways. */
const CODE_KEYS = ["code", "error_code", "errorCode", "err_code"];
const MESSAGE_KEYS = [
  ...["message", "msg", "error_msg", "error_message", "errorMessage", "error_description", "detail", "title", "reason"],
];
/** Some gateways have a code for success too. */
const SUCCESS_CODE = /^(?:success|succeeded|ok|0|200)$/i;

interface Words {
  readonly code: string | null;
  readonly message: string | null;
}

/** Code and message, from any of the envelopes. */
export function wordsIn(json: unknown): Words {
  if (!isRecord(json)) return { code: null, message: null };
  const error = isRecord(json.error) ? json.error : {};
  const code = firstOf(json, CODE_KEYS) ?? firstOf(error, [...CODE_KEYS, "type"]);
  return {
    code: code !== null && SUCCESS_CODE.test(code) ? null : code,
    message: firstOf(json, MESSAGE_KEYS) ?? firstOf(error, MESSAGE_KEYS) ?? textOf(json.error),
  };
}

function firstOf(json: Readonly<Record<string, unknown>>, keys: readonly string[]): string | null {
  for (const key of keys) {
    const text = textOf(json[key]);
    if (text !== null) return text;
  }
  return null;
}

function textOf(value: unknown): string | null {
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value !== "" ? value : null;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Parts of an answer that may hold images: DashScope's, and those of compatible envelopes. */
const IMAGE_ROOTS: readonly string[] = ["output", "data", "choices", "results", "images"];
/** Keys that hold images. The value is an address, a data URL, base64, an object with such a key, or a list of them. */
const IMAGE_KEYS: readonly string[] = [
  ...["image", "images", "image_url", "imageUrl", "url", "result_url", "output_image_url", "b64_json", "b64_image"],
];
/** No answer is nested deeper than a choice's part. */
const MAX_DEPTH = 10;
/** Statuses of a task that has not ended. */
const WAITING: readonly string[] = ["PENDING", "RUNNING", "SUSPENDED"];

/** Every image in these parts of an answer, in order and without repetition. */
function linksIn(json: unknown, roots: readonly string[]): string[] {
  const links = new Set<string>();
  const visit = (value: unknown, key: string, depth: number): void => {
    if (depth > MAX_DEPTH) return;
    if (typeof value === "string") {
      const link = IMAGE_KEYS.includes(key) ? linkOf(value, key) : null;
      if (link !== null) links.add(link);
    } else if (Array.isArray(value)) {
      for (const entry of value) visit(entry, key, depth + 1);
    } else if (isRecord(value)) {
      for (const [name, entry] of Object.entries(value)) visit(entry, name, depth + 1);
    }
  };
  if (isRecord(json)) for (const root of roots) visit(json[root], root, 0);
  return [...links];
}

/** How the base64 of a PNG, a JPEG or a WebP begins. */
const BASE64_IMAGE = /^(?:iVBORw0KGgo|\/9j\/|UklGR)[A-Za-z0-9+/]*={0,2}$/;

function linkOf(text: string, key: string): string | null {
  if (/^https?:\/\//i.test(text) || /^data:image\//i.test(text) || embeddedIndex(text) !== null) return text;
  if (text.startsWith("//")) return `https:${text}`;
  return key.startsWith("b64_") || BASE64_IMAGE.test(text) ? `data:image/png;base64,${text}` : null;
}

function withWords(
  report: UpstreamReport,
  words: { code?: string | null | undefined; message?: string | null | undefined } | null,
  tidy: Tidy,
): UpstreamReport {
  return {
    ...report,
    code: words?.code ? tidy(words.code, MAX_WORD_CHARS) : report.code,
    message: words?.message ? tidy(words.message, MAX_MESSAGE_CHARS) : report.message,
  };
}

/** The first words of a body without a message, without markup; null for an empty body. */
function firstWords(text: string | null, tidy: Tidy): string | null {
  if (text === null) return null;
  // Secrets are removed before the text is cut, so that no half of a secret remains.
  const words = tidy(text, 20 * MAX_PAGE_CHARS).replace(/<[^>]*>/g, " ");
  const line = words.replace(/\s+/g, " ").trim();
  return line === "" ? null : tidy(line, MAX_PAGE_CHARS);
}

/** `undefined` for a text that is no JSON, or was not read. */
export function parseJson(text: string | null): unknown {
  if (text === null) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The text that replaces the key. */
const MASK = "[key]";

/** A shorter key's encoded forms would be found in any text. */
const MIN_ENCODED_BYTES = 8;

function escaped(text: string): string {
  return text.replace(/[^\w]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** The base64 characters (of either alphabet) that depend on `bytes` alone when they begin at offset `alignment` modulo 3. */
function base64Core(bytes: Uint8Array, alignment: number): string {
  const padded = Buffer.concat([Buffer.alloc(alignment), bytes]);
  const core = padded.toString("base64").slice(Math.ceil((alignment * 8) / 6), Math.floor((padded.length * 8) / 6));
  return escaped(core).replaceAll("\\x2b", "[+-]").replaceAll("\\x2f", "[/_]");
}

/**
 * Replaces the key in text from upstream or from a gateway before it, in these forms: plain; in an address, with any
 * characters escaped and in any case; in hex; in base64 after any prefix. The key is printable ASCII.
 */
export function keyMask(key: string): (text: string) => string {
  const bytes = Buffer.from(key);
  const plain = Array.from(key, (character) => {
    const hex = character.charCodeAt(0).toString(16).padStart(2, "0");
    return `(?:${escaped(character)}|%${hex})`;
  }).join("");
  if (bytes.length < MIN_ENCODED_BYTES) return (text) => text.replace(new RegExp(plain, "g"), MASK);
  const anyCase = new RegExp(`${plain}|${bytes.toString("hex")}`, "gi");
  const base64 = new RegExp([0, 1, 2].map((alignment) => base64Core(bytes, alignment)).join("|"), "g");
  return (text) => text.replace(anyCase, MASK).replace(base64, MASK);
}
