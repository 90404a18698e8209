import { type FieldError, PROBLEMS, type Problem, type ProblemCode } from "../../schemas/problem.ts";
import { asksFor } from "./core/accept.ts";
import { type HttpContext, originOf } from "./http-env.ts";
import { PRIVATE_VARY } from "./negotiated.ts";

interface ProblemExtras {
  readonly errors?: readonly FieldError[];
  readonly headers?: Readonly<Record<string, string>>;
}

/** Ends the handling of a request; `app.onError` turns it into its RFC 9457 answer. `detail` is for people. */
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

/** An RFC 9457 answer. Its `type` is the place of that code in our own docs. */
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
  };
  const accept = c.req.header("accept");
  const compact = asksFor(accept, "application/json") || asksFor(accept, "application/problem+json");
  return new Response(compact ? JSON.stringify(problem) : `${JSON.stringify(problem, null, 2)}\n`, {
    status,
    headers: { "Content-Type": "application/problem+json", Vary: PRIVATE_VARY, ...extras.headers },
  });
}
