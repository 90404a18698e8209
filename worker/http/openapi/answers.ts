import { z } from "zod";
import type { ZodOpenApiMediaTypeObject, ZodOpenApiResponseObject, ZodOpenApiResponsesObject } from "zod-openapi";
import { PROBLEMS, Problem, type ProblemCode } from "../../../schemas/problem.ts";
import { EXAMPLES, type ExampleName, problemExample } from "./examples.ts";

const text = (description: string, example: string) =>
  z
    .string()
    .optional()
    .meta({ description, examples: [example] });

/** Every documented header of an answer. */
const HEADERS = {
  "X-Request-Id": z
    .string()
    .meta({ description: "Names this request in logs and problems; the client's own when it sent a sane one." }),
  Location: z.string().meta({ description: "The job's own address." }),
  "Retry-After": text("Seconds after which it is worth asking again, from the job's own estimate.", "3"),
  ETag: z.string().meta({ description: "The version of the job; give it back as `If-None-Match`." }),
  "Preference-Applied": text("The `Prefer` that was followed.", "wait=30"),
  "Idempotency-Replayed": text(
    "`true` when an earlier request with this Idempotency-Key made, or retried, the job.",
    "true",
  ),
  RateLimit: text("What is left of the limit, and in how many seconds there is more.", '"submit";r=0;t=31'),
  "RateLimit-Policy": text(
    "The limit: a quota of `q` in a window of `w` seconds, or of unfinished jobs.",
    '"submit";q=600;w=60',
  ),
  Link: text("Where it is explained.", '</api/docs#idempotency>; rel="describedby"'),
  "Accept-Post": text("The types of body that are taken.", "application/json, multipart/form-data"),
  "Accept-Encoding": text("The encodings of a body that are taken.", "identity"),
  "Accept-Ranges": text("Parts can be asked for by `Range`.", "bytes"),
  Upgrade: text("The protocol that is spoken here.", "websocket"),
  "Sec-WebSocket-Version": text("The version of it.", "13"),
  "WWW-Authenticate": text("How to authenticate.", 'Bearer realm="darkroom"'),
  "Set-Cookie": z.string().meta({ description: "The session: HttpOnly, SameSite=Strict, Secure off localhost." }),
  "Content-Range": text("Which bytes these are.", "bytes 0-1023/1534201"),
  "Content-Disposition": text("A file name for saving.", 'inline; filename="image-B-myT-1.png"'),
} as const;

export type AnswerHeader = keyof typeof HEADERS;

// Each header is one component of the document, because most answers carry several.
for (const [name, schema] of Object.entries(HEADERS)) {
  z.globalRegistry.add(schema, { ...schema.meta(), header: { id: name } });
}

/** The documented headers of an answer; `X-Request-Id` is on every one. */
export function headers(...names: readonly AnswerHeader[]) {
  return z.object(Object.fromEntries((["X-Request-Id", ...names] as const).map((name) => [name, HEADERS[name]])));
}

/** Content of one media type. The document holds each example once. */
export function shown(schema: z.ZodType, ...names: readonly ExampleName[]): ZodOpenApiMediaTypeObject {
  const examples = Object.fromEntries(names.map((name) => [name, { $ref: `#/components/examples/${name}` }]));
  return { schema, ...(names.length === 0 ? {} : { examples }) };
}

/** An answer in JSON. */
export function json(
  description: string,
  schema: z.ZodType,
  example: ExampleName,
  names: readonly AnswerHeader[] = [],
): ZodOpenApiResponseObject {
  return { description, headers: headers(...names), content: { "application/json": shown(schema, example) } };
}

/** The headers of every answer with one job. */
export const JOB_HEADERS = ["ETag", "Retry-After", "Preference-Applied"] as const;

/** When each problem occurs, for the docs; its title is in `PROBLEMS`. */
export const PROBLEM_CASES: Readonly<Record<ProblemCode, string>> = {
  invalid_request:
    "A field is missing, unknown, of the wrong kind or nothing that the model takes; `errors` names each one.",
  malformed_json: "The body is not UTF-8 JSON.",
  malformed_body:
    "The body is not the multipart/form-data that its Content-Type announces, or broke off before its end.",
  invalid_query: "A key of the query is unknown, given twice or cannot be read; `errors` names it.",
  invalid_idempotency_key:
    "The Idempotency-Key is empty, longer than 255 characters, not printable ASCII, or there are several.",
  budget_exceeded:
    "The client's monthly spend limit (CLIENT_BUDGETS) has no room for another attempt. `limit`, `charged`, `reserved`, `atRisk` say how it is used, `resetsAt` when it starts again.",
  price_unknown: "The client has a spend limit, and the price of the model is not known: PRICES can say it.",
  unauthorized: "There is no token or session, or it is nobody's.",
  forbidden_origin: "A page of another origin tried to change something or to open a socket.",
  client_paused: "The operator has paused the client; the detail has the reason.",
  operator_only: "The route is for the operator, and a client's token or session was shown.",
  open_mode_refused: "AUTH_MODE=open is met on a public host name.",
  invalid_link: "A signed link was changed, cut, or is over.",
  not_found: "No route has this path.",
  job_not_found: "No such job, or another client's.",
  client_not_found: "No setting names this client: `CLIENT_TOKENS`, `CLIENT_BUDGETS` or `CLIENT_WEBHOOKS`.",
  model_not_found: "No model has this name.",
  image_not_found: "The job has no image of this number.",
  delivery_not_found: "The job has no delivery of this number.",
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
  loop_detected:
    "Webhooks led to this submission over several Darkrooms, as its header `Darkroom-Hops` says: a receiver submits for each webhook.",
};

/** The problems of every route. */
const ALWAYS: readonly ProblemCode[] = [
  "uri_too_long",
  "header_fields_too_large",
  "internal",
  "misconfigured",
  "overloaded",
];

/** The headers that an answer of this status carries, beside the problem. */
const HEADERS_OF: Readonly<Record<string, readonly AnswerHeader[]>> = {
  "401": ["WWW-Authenticate"],
  "415": ["Accept-Post", "Accept-Encoding"],
  "416": ["Content-Range"],
  "422": ["Link"],
  "426": ["Upgrade", "Sec-WebSocket-Version"],
  "429": ["Retry-After", "RateLimit", "RateLimit-Policy"],
  "503": ["Retry-After"],
};

const pascalCase = (code: string) =>
  code.replace(/(^|_)(\w)/g, (_found, _start, letter: string) => letter.toUpperCase());

/** The problem answers of an operation, one for each status. Equal ones are one component of the document. */
export function problemAnswers(codes: readonly ProblemCode[]): ZodOpenApiResponsesObject {
  const byStatus = Map.groupBy(new Set([...codes, ...ALWAYS]), (code) => String(PROBLEMS[code][0]));
  const answers: ZodOpenApiResponsesObject = {};
  for (const [status, met] of byStatus) {
    const id = met.map(pascalCase).sort().join("Or");
    // The type accepts texts of digits as statuses; this is one.
    answers[status as "400"] = PROBLEM_ANSWERS.get(id) ?? problemAnswer(id, status, met);
  }
  return answers;
}

/** One object for each set of codes: the document takes each component once. */
const PROBLEM_ANSWERS = new Map<string, ZodOpenApiResponseObject>();

function problemAnswer(id: string, status: string, codes: readonly ProblemCode[]): ZodOpenApiResponseObject {
  const examples = Object.fromEntries(codes.map((code) => [code, { $ref: `#/components/examples/problem_${code}` }]));
  const made: ZodOpenApiResponseObject = {
    id,
    description: codes.map((code) => `\`${code}\`: ${PROBLEM_CASES[code]}`).join(" "),
    headers: headers(...(HEADERS_OF[status] ?? [])),
    content: { "application/problem+json": { schema: Problem, examples } },
  };
  PROBLEM_ANSWERS.set(id, made);
  return made;
}

/** `components.examples` of the document. */
export function exampleComponents(): Record<string, { value: unknown }> {
  const own = Object.entries(EXAMPLES).map(([name, value]) => [name, { value }]);
  const problems = (Object.keys(PROBLEMS) as ProblemCode[]).map((code) => [
    `problem_${code}`,
    { value: problemExample(code, PROBLEM_CASES[code]) },
  ]);
  return Object.fromEntries([...own, ...problems]);
}
