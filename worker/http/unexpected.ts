import { OutOfTime } from "../bounds.ts";
import type { HttpContext } from "./http-env.ts";
import { ProblemError, problemAnswer } from "./problem.ts";

/** Seconds after which a call to a busy or just restarted object is worth repeating. */
const RETRY_AFTER_SECONDS = "1";

/** Every throw becomes a problem. What we did not foresee is logged with the request's id and told to nobody. */
export function errorAnswer(c: HttpContext, error: Error): Response {
  if (error instanceof ProblemError) return problemAnswer(c, error.code, error.message, error.extras);
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
    ? problemAnswer(
        c,
        "overloaded",
        "Too busy for a moment; the same request again is safe when it has an Idempotency-Key or changes nothing.",
        {
          headers: { "Retry-After": RETRY_AFTER_SECONDS },
        },
      )
    : problemAnswer(
        c,
        "internal",
        `Something unforeseen happened. The log has it under the request id ${c.get("requestId")}.`,
      );
}
