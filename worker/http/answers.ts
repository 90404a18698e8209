import type { MiddlewareHandler } from "hono";
import { type FieldError, PROBLEMS, type Problem, type ProblemCode } from "../../schemas/problem.ts";
import { OutOfTime } from "../bounds.ts";
import { traceIdOf } from "../job/core/record.ts";
import { type HttpContext, type HttpEnv, originOf } from "./context.ts";
import { asksFor, chooseType, readTraceparent } from "./core/request-headers.ts";

/** What an answer depends on beside its address: `Accept` decides its form, and the asker what may be seen. */
export const PRIVATE_VARY = "Accept, Authorization, Cookie";
/** For public answers, whose JSON is indented or compact as `Accept` says. The same holds for problems. */
export const PUBLIC_VARY = "Accept";

/** A client's own id is used when it is harmless in a log and in a header. */
const SANE_REQUEST_ID = /^[A-Za-z0-9][A-Za-z0-9._=+/@:-]{0,127}$/;

const SECURITY_HEADERS = {
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "X-Frame-Options": "DENY",
  "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Cache-Control": "no-store",
} as const;

/** Always set here: the values that a handler, an object or the bucket put into an answer are replaced. */
const SET_HERE_ONLY: ReadonlySet<string> = new Set(["X-Request-Id", "Date"]);

let dated = { second: 0, text: "" };

/** The current time as a Date header. The text is made once a second, not for each answer. */
function httpDate(): string {
  const second = Math.floor(Date.now() / 1000);
  if (dated.second !== second) dated = { second, text: new Date(second * 1000).toUTCString() };
  return dated.text;
}

/** The headers of every answer. An answer is constructed with them, because each header set afterwards is a call into the runtime. */
function commonHeaders(c: HttpContext): Record<string, string> {
  return { "X-Request-Id": c.get("requestId"), Date: httpDate(), ...SECURITY_HEADERS };
}

/** RFC 9110 9.3.2: HEAD answers the length that GET would have. The GET handler's body is measured and not sent. */
async function setLength({ headers, body }: Response): Promise<void> {
  if (body === null || headers.has("Content-Length")) return;
  headers.set("Content-Length", String((await new Response(body).arrayBuffer()).byteLength));
}

/** Outermost: sets the request's id, and adds the headers that an answer made elsewhere lacks. Headers that a handler set are kept. */
export const commonAnswers: MiddlewareHandler<HttpEnv> = async (c, next) => {
  const given = c.req.header("x-request-id");
  const requestId = given !== undefined && SANE_REQUEST_ID.test(given) ? given : crypto.randomUUID();
  c.set("requestId", requestId);
  await next();
  const { headers } = c.res;
  // An answer that was made with the common headers already has the request's id.
  if (headers.get("X-Request-Id") !== requestId) {
    const common = Object.entries(commonHeaders(c));
    for (const [name, value] of common) if (SET_HERE_ONLY.has(name) || !headers.has(name)) headers.set(name, value);
  }
  if (c.req.method === "HEAD") await setLength(c.res);
};

type Headers = Readonly<Record<string, string>>;

/** An answer with the headers of every answer. */
export function answer(c: HttpContext, body: string | null, status: number, headers: Headers): Response {
  return new Response(body, { status, headers: { ...commonHeaders(c), ...headers } });
}

/** Answers JSON that is already compact text; indented unless `Accept` names application/json, which curl and browsers do not send. */
export function jsonTextAnswer(c: HttpContext, json: string, status = 200, headers: Headers = {}): Response {
  const compact = asksFor(c.req.header("accept"), "application/json");
  const text = compact ? json : `${JSON.stringify(JSON.parse(json), null, 2)}\n`;
  return answer(c, text, status, { "Content-Type": "application/json", Vary: PRIVATE_VARY, ...headers });
}

/** As `jsonTextAnswer`, from a value. */
export function jsonAnswer(c: HttpContext, body: unknown, status = 200, headers: Headers = {}): Response {
  const compact = asksFor(c.req.header("accept"), "application/json");
  const text = compact ? JSON.stringify(body) : `${JSON.stringify(body, null, 2)}\n`;
  return answer(c, text, status, { "Content-Type": "application/json", Vary: PRIVATE_VARY, ...headers });
}

/** The offered media type that `Accept` prefers; a 406 that lists the offers when it takes none of them. */
export function negotiate<Offer extends string>(c: HttpContext, offers: readonly [Offer, ...Offer[]]): Offer {
  const chosen = chooseType(c.req.header("accept"), offers);
  if (chosen !== null) return chosen;
  throw new ProblemError("not_acceptable", `This is available as ${offers.join(", ")}; Accept takes none of them.`);
}

interface ProblemExtras {
  /** Only with `budget_exceeded`. */
  readonly spend?: Pick<Problem, "currency" | "limit" | "charged" | "reserved" | "atRisk" | "resetsAt">;
  readonly errors?: readonly FieldError[];
  readonly headers?: Headers;
}

/** Thrown to end a request with an RFC 9457 answer. `detail` is for people. */
export class ProblemError extends Error {
  readonly code: ProblemCode;
  readonly extras: ProblemExtras;

  constructor(code: ProblemCode, detail: string, extras: ProblemExtras = {}) {
    super(detail);
    this.name = "ProblemError";
    this.code = code;
    this.extras = extras;
  }
}

/** An RFC 9457 answer. Its `type` is the code's place in our own docs. */
export function problemAnswer(c: HttpContext, code: ProblemCode, detail: string, extras: ProblemExtras = {}): Response {
  const [status, title] = PROBLEMS[code];
  const problem: Problem = {
    type: `${originOf(c)}/api/docs#problem-${code}`,
    title,
    status,
    detail,
    code,
    requestId: c.get("requestId"),
    ...(extras.errors === undefined ? {} : { errors: [...extras.errors] }),
    ...extras.spend,
  };
  const accept = c.req.header("accept");
  const compact = asksFor(accept, "application/json") || asksFor(accept, "application/problem+json");
  const text = compact ? JSON.stringify(problem) : `${JSON.stringify(problem, null, 2)}\n`;
  return answer(c, text, status, { "Content-Type": "application/problem+json", Vary: PRIVATE_VARY, ...extras.headers });
}

/** The 400 of several faults: `detail` has the first, and `errors` has all of them. */
export function faultsProblem(
  code: "invalid_request" | "invalid_query",
  errors: readonly FieldError[],
  nameOf: (path: string) => string,
): ProblemError {
  const [first] = errors;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : "";
  const detail = first === undefined ? "It is not valid." : `${nameOf(first.path)} ${first.message}${more}`;
  return new ProblemError(code, detail, { errors });
}

/** Seconds after which a call to a busy or just restarted object is worth repeating, as text. */
const RETRY_AFTER_SECONDS = "1";

/**
 * Turns whatever was thrown into a problem. An unexpected error is logged with the request's id; its message is in no answer.
 */
export function problemOf(c: HttpContext, error: Error): ProblemError {
  if (error instanceof ProblemError) return error;
  // The platform marks errors of calls to objects as `overloaded` (shed load) or `retryable` (reset by a deploy). `OutOfTime`
  // is our own bound.
  const marks = error as Error & { overloaded?: boolean; retryable?: boolean };
  const passing = marks.overloaded === true || marks.retryable === true || error instanceof OutOfTime;
  console.error({
    event: passing ? "object_unavailable" : "unexpected_error",
    requestId: c.get("requestId"),
    // A submission that makes no job has no other log line with its trace id.
    traceId: traceIdOf({ traceparent: readTraceparent(c.req.header("traceparent")) ?? undefined }),
    method: c.req.method,
    route: c.req.path,
    error: error.stack ?? String(error),
  });
  if (!passing) {
    const detail = `An unexpected error. The log has it under the request id ${c.get("requestId")}.`;
    return new ProblemError("internal", detail);
  }
  const detail =
    "Too busy for a moment; the same request again is safe when it has an Idempotency-Key or changes nothing.";
  return new ProblemError("overloaded", detail, { headers: { "Retry-After": RETRY_AFTER_SECONDS } });
}

/** The RFC 9457 answer to a throw. */
export function errorAnswer(c: HttpContext, error: Error): Response {
  const { code, message, extras } = problemOf(c, error);
  return problemAnswer(c, code, message, extras);
}
