import type { ZodOpenApiResponsesObject } from "zod-openapi";
import { PROBLEMS, Problem, type ProblemCode } from "../../../schemas/problem.ts";
import { problemExample } from "./examples.ts";
import { type AnswerHeader, headers } from "./headers.ts";

/** When each problem is met, for the docs; its title is in `PROBLEMS`. */
export const PROBLEM_CASES: Readonly<Record<ProblemCode, string>> = {
  invalid_request:
    "A field is missing, unknown, of the wrong kind or nothing that the model takes; `errors` names each one.",
  malformed_json: "The body is not UTF-8 JSON.",
  malformed_body:
    "The body is not the multipart/form-data that its Content-Type announces, or broke off before its end.",
  invalid_query: "A key of the query is unknown, given twice or cannot be read; `errors` names it.",
  invalid_idempotency_key:
    "The Idempotency-Key is empty, longer than 255 characters, not printable ASCII, or there are several.",
  unauthorized: "There is no token or session, or it is nobody's.",
  forbidden_origin: "A page of another origin tried to change something or to open a socket.",
  operator_only: "The route is for the operator, and a client's token or session was shown.",
  open_mode_refused: "AUTH_MODE=open is met on a public host name.",
  invalid_link: "A signed link was changed, cut, or is over.",
  not_found: "No route has this path.",
  job_not_found: "No such job, or another client's.",
  image_not_found: "The job has no image of this number.",
  method_not_allowed: "The path takes other methods; `Allow` lists them.",
  not_acceptable: "`Accept` takes none of the forms there are.",
  upload_timed_out:
    "The images of a submission arrived too slowly, or an object was too late to take it; send it again.",
  job_finished: "A finished job is not canceled, a succeeded one not retried.",
  job_not_finished: "An unfinished job is not retried.",
  job_gone: "The job was deleted, or its retention is over.",
  precondition_failed:
    "`If-Match` names another version. A job's tags are weak ones, which it never matches: only `*` does.",
  body_too_large: "The body is larger than any submission needs.",
  image_too_large: "An input image has more than 10 MB.",
  uri_too_long: "The address has more than 8192 characters.",
  unsupported_media_type: "The body is neither JSON nor a form.",
  range_not_satisfiable: "The Range begins past the image's end.",
  idempotency_key_reused: "The key belongs to a job of another request; `errors` names the fields that differ.",
  no_variant:
    "The image is damaged, animated, too large to decode safely, or neither PNG, JPEG nor WebP; `detail` says which. The original is served.",
  upgrade_required: "The WebSocket version is not 13.",
  too_many_pending_jobs: "The client has as many unfinished jobs as MAX_PENDING_JOBS allows.",
  rate_limited: "The client submits too fast.",
  too_many_watchers: "As many watch already as one object serves.",
  header_fields_too_large: "All headers together have more than 32768 characters.",
  internal: "Something unforeseen; the log has it under the request id.",
  misconfigured: "A variable is missing or wrong; `errors` names it, and never its value.",
  overloaded: "An object is busy or being replaced; repeat after `Retry-After`.",
};

/** What any route behind settings may answer. */
const ALWAYS: readonly ProblemCode[] = [
  "uri_too_long",
  "header_fields_too_large",
  "internal",
  "misconfigured",
  "overloaded",
];

/** What a status says by headers, beside the problem. */
const HEADERS_OF: Readonly<Record<string, readonly AnswerHeader[]>> = {
  "401": ["WWW-Authenticate"],
  "415": ["Accept-Post", "Accept-Encoding"],
  "416": ["Content-Range"],
  "422": ["Link"],
  "426": ["Upgrade", "Sec-WebSocket-Version"],
  "429": ["Retry-After", "RateLimit", "RateLimit-Policy"],
  "503": ["Retry-After"],
};

/** The problem answers of an operation, one for each status, with an example for each code. */
export function problemAnswers(...codes: readonly ProblemCode[]): ZodOpenApiResponsesObject {
  const byStatus = Map.groupBy([...codes, ...ALWAYS], (code) => String(PROBLEMS[code][0]));
  const answers: ZodOpenApiResponsesObject = {};
  for (const [status, met] of byStatus) {
    const examples = Object.fromEntries(
      met.map((code) => [code, { value: problemExample(code, PROBLEM_CASES[code]) }]),
    );
    // The type knows statuses as texts of digits, which this one is.
    answers[status as "400"] = {
      description: met.map((code) => `\`${code}\`: ${PROBLEM_CASES[code]}`).join(" "),
      headers: headers(...(HEADERS_OF[status] ?? [])),
      content: { "application/problem+json": { schema: Problem, examples } },
    };
  }
  return answers;
}
