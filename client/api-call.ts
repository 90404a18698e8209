import { z } from "zod";
import type { Settings } from "./client-options.ts";
import {
  type CallFacts,
  DarkroomForbiddenOrigin,
  DarkroomProblem,
  DarkroomUnexpectedAnswer,
  DarkroomUnreachable,
  parseProblem,
} from "./errors.ts";
import { browserHint, noteReadable, refusedOrigin } from "./page-origin.ts";
import { type FailedTry, pause, retryAfterMs, retryDelayMs } from "./retry.ts";

/** One call of the API. Every call is safe to repeat. */
export interface ApiCall {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Path and query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | FormData;
  readonly jobId?: string;
  readonly idempotencyKey?: string;
  /** How long one try may take; the client's `callTimeoutMs` when left out. */
  readonly timeoutMs?: number;
  /** Further statuses that count as answers, beside 2xx and 304. */
  readonly takes?: readonly number[];
  readonly signal?: AbortSignal | undefined;
}

/** A success, or another status that the call accepts. */
export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The number of tries. When it is above 1, the server may have carried out an earlier try. */
  readonly tries: number;
  readonly facts: CallFacts;
}

/**
 * Makes the call and repeats it by the retry policy. Resolves to a 2xx, a 304, or a status that the call accepts. Throws
 * `DarkroomProblem`, `DarkroomUnreachable`, `DarkroomForbiddenOrigin`, `DarkroomUnexpectedAnswer`, or the signal's reason.
 */
export async function callApi(settings: Settings, call: ApiCall): Promise<ApiAnswer> {
  const url = new URL(call.path, settings.baseUrl).href;
  const facts: CallFacts = {
    method: call.method,
    url,
    jobId: call.jobId ?? null,
    idempotencyKey: call.idempotencyKey ?? null,
  };
  let origin: Promise<string | null> | undefined;
  const checkOrigin = () => {
    origin ??= refusedOrigin(settings, url);
    return origin;
  };
  for (let tries = 1; ; tries++) {
    const outcome = await tryOnce(settings, call, facts, checkOrigin);
    if (outcome.kind === "answered") return { ...outcome, tries, facts };
    const delayMs = retryDelayMs(outcome.failed, tries, settings.timing.retry, Math.random());
    if (delayMs === null) throw withTries(outcome.error, tries);
    await pause(delayMs, call.signal);
  }
}

/** The number of tries behind an error: the server may have carried out an earlier try although it refused the last. */
const triesOf = new WeakMap<Error, number>();

function withTries(error: Error, tries: number): Error {
  triesOf.set(error, tries);
  return error;
}

/** Whether the call behind this error was tried more than once, so that its own first try may be the cause of the refusal. */
export function wasRepeated(error: Error): boolean {
  return (triesOf.get(error) ?? 1) > 1;
}

type TryOutcome =
  | { readonly kind: "answered"; readonly status: number; readonly headers: Headers; readonly text: string }
  | { readonly kind: "failed"; readonly failed: FailedTry; readonly error: Error };

/** `checkOrigin` finds out why there is no answer. It checks only once, however often the call is tried. */
async function tryOnce(
  settings: Settings,
  call: ApiCall,
  facts: CallFacts,
  checkOrigin: () => Promise<string | null>,
): Promise<TryOutcome> {
  const timeoutMs = call.timeoutMs ?? settings.timing.callTimeoutMs;
  const timeout = AbortSignal.timeout(timeoutMs);
  let response: Response;
  let text: string;
  try {
    response = await settings.fetch(facts.url, {
      method: call.method,
      headers: headersOf(settings, call),
      signal: call.signal ? AbortSignal.any([call.signal, timeout]) : timeout,
      ...(call.body === undefined ? {} : { body: call.body }),
    });
    noteReadable(settings);
    text = await response.text();
  } catch (cause) {
    call.signal?.throwIfAborted();
    const origin = timeout.aborted ? null : await unlessAborted(checkOrigin(), call.signal);
    if (origin !== null) {
      return {
        kind: "failed",
        failed: { kind: "forbidden_origin" },
        error: new DarkroomForbiddenOrigin(origin, facts, cause),
      };
    }
    const reason = timeout.aborted
      ? `no answer within ${timeoutMs} ms`
      : `no answer${browserHint(settings, facts.url)}`;
    return { kind: "failed", failed: { kind: "unreachable" }, error: new DarkroomUnreachable(reason, facts, cause) };
  }
  const { status, headers } = response;
  if (response.ok || status === 304 || call.takes?.includes(status)) return { kind: "answered", status, headers, text };
  const error = refusalOf(status, headers, text, facts);
  const code = error instanceof DarkroomProblem ? error.code : null;
  return { kind: "failed", failed: { kind: "refused", status, code, retryAfterMs: error.retryAfterMs }, error };
}

/** The error of an answer that is not a success: the server's problem, or what a proxy in front of it sent. */
export function refusalOf(
  status: number,
  headers: Headers,
  text: string,
  facts: CallFacts,
): DarkroomProblem | DarkroomUnexpectedAnswer {
  const problem = parseProblem(jsonOrNull(text));
  const waitMs = retryAfterMs(headers.get("retry-after"), Date.now());
  return problem === null
    ? new DarkroomUnexpectedAnswer(status, `not a problem document${webPageHint(headers)}`, facts, waitMs)
    : new DarkroomProblem(problem, waitMs, facts);
}

/** Rejects with the signal's reason as soon as it is aborted. */
function unlessAborted<Value>(promise: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

function headersOf(settings: Settings, call: ApiCall): Record<string, string> {
  return {
    Accept: "application/json",
    ...(typeof call.body === "string" ? { "Content-Type": "application/json" } : {}),
    ...authHeaders(settings),
    ...call.headers,
  };
}

/** The header with the token; none when a cookie identifies the caller. */
export function authHeaders(settings: Settings): Record<string, string> {
  return settings.token === null ? {} : { Authorization: `Bearer ${settings.token}` };
}

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Parses the answer's body. Ignores unknown fields; any other difference from the schema throws `DarkroomUnexpectedAnswer`. */
export function parseAnswer<Schema extends z.ZodType>(answer: ApiAnswer, schema: Schema): z.output<Schema> {
  const parsed = schema.safeParse(jsonOrNull(answer.text));
  if (parsed.success) return parsed.data;
  const reason = `${firstIssue(parsed.error)}${webPageHint(answer.headers)}`;
  throw new DarkroomUnexpectedAnswer(answer.status, reason, answer.facts);
}

/** Names the usual cause of a web page in place of JSON. */
function webPageHint(headers: Headers): string {
  const isWebPage = headers.get("content-type")?.startsWith("text/html") ?? false;
  return isWebPage ? " (a web page came: is baseUrl the address of Darkroom?)" : "";
}

function firstIssue(error: z.ZodError): string {
  const [issue] = error.issues;
  return issue === undefined ? "" : `${issue.path.join(".") || "body"}: ${issue.message}`;
}

const AnyFrame = z.object({ type: z.string() });

/**
 * Parses a frame. Returns `null` for a type that is not among `knownTypes`: a newer server may send more. Throws
 * `DarkroomUnexpectedAnswer` for a frame that does not fit the schema.
 */
export function parseFrame<Schema extends z.ZodType>(
  text: string,
  schema: Schema,
  knownTypes: readonly string[],
  facts: CallFacts,
): z.output<Schema> | null {
  const value = jsonOrNull(text);
  const frame = AnyFrame.safeParse(value);
  if (frame.success && !knownTypes.includes(frame.data.type)) return null;
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new DarkroomUnexpectedAnswer(101, `a frame that cannot be read: ${firstIssue(parsed.error)}`, facts);
}
