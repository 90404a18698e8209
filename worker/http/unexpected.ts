import { OutOfTime } from "../bounds.ts";
import type { HttpContext } from "./http-env.ts";
import { ProblemError, problemAnswer } from "./problem.ts";

/** Seconds after which a call to a busy or just restarted object is worth repeating. */
const RETRY_AFTER_SECONDS = "1";

/** Every throw is a problem. One that was not foreseen is logged with the request's id, and its answer says nothing of it. */
export function problemOf(c: HttpContext, error: Error): ProblemError {
  if (error instanceof ProblemError) return error;
  // The platform's own marks on errors of calls to objects: shed load, or a reset by a deploy. And our own bound on such calls.
  const marks = error as Error & { overloaded?: boolean; retryable?: boolean };
  const passing = marks.overloaded === true || marks.retryable === true || error instanceof OutOfTime;
  console.error({
    event: passing ? "object_unavailable" : "unexpected_error",
    requestId: c.get("requestId"),
    method: c.req.method,
    route: c.req.path,
    error: error.stack ?? String(error),
  });
  return passing
    ? new ProblemError(
        "overloaded",
        "Too busy for a moment; the same request again is safe when it has an Idempotency-Key or changes nothing.",
        { headers: { "Retry-After": RETRY_AFTER_SECONDS } },
      )
    : new ProblemError(
        "internal",
        `Something unforeseen happened. The log has it under the request id ${c.get("requestId")}.`,
      );
}

/** The RFC 9457 answer to a throw. */
export function errorAnswer(c: HttpContext, error: Error): Response {
  const { code, message, extras } = problemOf(c, error);
  return problemAnswer(c, code, message, extras);
}
