import type { z } from "zod";
import { paths } from "../schemas/paths.ts";
import type { Settings } from "./client-options.ts";
import {
  type CallFacts,
  DarkroomForbiddenOrigin,
  DarkroomProblem,
  DarkroomUnexpectedAnswer,
  DarkroomUnreachable,
  parseProblem,
} from "./errors.ts";
import { pause } from "./pause.ts";
import { retryAfterMs } from "./retry-after.ts";
import { type FailedTry, retryDelayMs } from "./retry-policy.ts";

/** One call of the API; each is safe to repeat. */
export interface ApiCall {
  readonly method: "GET" | "POST" | "DELETE";
  /** Path and query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | FormData;
  readonly jobId?: string;
  readonly idempotencyKey?: string;
  /** One try's time; the client's usual when left out. */
  readonly timeoutMs?: number;
  /** Statuses that are answers too, beside 2xx and 304. */
  readonly takes?: readonly number[];
  readonly signal?: AbortSignal | undefined;
}

/** A success, or a status that the call takes for an answer too. */
export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** How many tries it took: above 1, an earlier one may have been carried out. */
  readonly tries: number;
  readonly facts: CallFacts;
}

/**
 * Makes the call, repeats it by the retry policy, and answers with any 2xx, or a 304. Throws `DarkroomProblem`,
 * `DarkroomUnreachable`, `DarkroomForbiddenOrigin`, `DarkroomUnexpectedAnswer`, or the signal's reason.
 */
export async function callApi(settings: Settings, call: ApiCall): Promise<ApiAnswer> {
  const url = new URL(call.path, settings.baseUrl).href;
  const facts: CallFacts = {
    method: call.method,
    url,
    jobId: call.jobId ?? null,
    idempotencyKey: call.idempotencyKey ?? null,
  };
  for (let tries = 1; ; tries++) {
    const outcome = await tryOnce(settings, call, facts);
    if (outcome.kind === "answered") return { ...outcome, tries, facts };
    const delayMs = retryDelayMs(outcome.failed, tries, settings.timing.retry, Math.random());
    if (delayMs === null) throw withTries(outcome.error, tries);
    await pause(delayMs, call.signal);
  }
}

/** The error of a call that was tried more than once: the first try may have been carried out although the last was refused. */
const triesOf = new WeakMap<Error, number>();

function withTries(error: Error, tries: number): Error {
  triesOf.set(error, tries);
  return error;
}

/** Whether the call behind this error was made more than once, so that a refusal may be the echo of its own first try. */
export function wasRepeated(error: Error): boolean {
  return (triesOf.get(error) ?? 1) > 1;
}

type TryOutcome =
  | { readonly kind: "answered"; readonly status: number; readonly headers: Headers; readonly text: string }
  | { readonly kind: "failed"; readonly failed: FailedTry; readonly error: Error };

async function tryOnce(settings: Settings, call: ApiCall, facts: CallFacts): Promise<TryOutcome> {
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
    text = await response.text();
  } catch (cause) {
    call.signal?.throwIfAborted();
    const origin = timeout.aborted ? null : await refusedOrigin(settings, facts.url);
    if (origin !== null) {
      return {
        kind: "failed",
        failed: { kind: "forbidden_origin" },
        error: new DarkroomForbiddenOrigin(origin, facts, cause),
      };
    }
    const reason = timeout.aborted ? `no answer within ${timeoutMs} ms` : "no answer";
    return { kind: "failed", failed: { kind: "unreachable" }, error: new DarkroomUnreachable(reason, facts, cause) };
  }
  const { status, headers } = response;
  if (response.ok || status === 304 || call.takes?.includes(status)) return { kind: "answered", status, headers, text };
  const problem = parseProblem(jsonOrNull(text));
  const waitMs = retryAfterMs(headers.get("retry-after"), Date.now());
  return {
    kind: "failed",
    failed: { kind: "refused", status, code: problem?.code ?? null, retryAfterMs: waitMs },
    error:
      problem === null
        ? new DarkroomUnexpectedAnswer(status, "not a problem document", facts)
        : new DarkroomProblem(problem, waitMs, facts),
  };
}

const PROBE_MS = 5_000;

/**
 * The origin of the page that runs this, when the server answers but the browser keeps its answers from the page: to a script
 * that looks like a server that is down. Null outside a page, on the server's own origin, and when the server does not answer.
 */
async function refusedOrigin(settings: Settings, url: string): Promise<string | null> {
  const { location } = globalThis as { readonly location?: { readonly origin?: string } };
  const origin = location?.origin;
  if (origin === undefined || new URL(url).origin === origin) return null;
  try {
    // `no-cors` hides the answer from this script, but not whether there was one.
    const signal = AbortSignal.timeout(PROBE_MS);
    const init = { mode: "no-cors", signal } as RequestInit;
    const answer = await settings.fetch(new URL(paths.health, settings.baseUrl).href, init);
    // The types of Workers know neither.
    return (answer.type as string) === "opaque" ? origin : null;
  } catch {
    return null;
  }
}

function headersOf(settings: Settings, call: ApiCall): Record<string, string> {
  return {
    Accept: "application/json",
    ...(typeof call.body === "string" ? { "Content-Type": "application/json" } : {}),
    ...authHeaders(settings),
    ...call.headers,
  };
}

/** What says who asks; nothing where a cookie does. */
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

/** The answer's body by its schema: new fields are passed over, anything else that differs throws `DarkroomUnexpectedAnswer`. */
export function parseAnswer<Schema extends z.ZodType>(answer: ApiAnswer, schema: Schema): z.output<Schema> {
  const parsed = schema.safeParse(jsonOrNull(answer.text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue === undefined ? "" : `${issue.path.join(".") || "body"}: ${issue.message}`;
  throw new DarkroomUnexpectedAnswer(answer.status, where, answer.facts);
}
