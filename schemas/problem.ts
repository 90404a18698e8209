import { z } from "zod";

/** Every problem that an API call may answer. The number is its HTTP status, the text its constant title. */
export const PROBLEMS = {
  invalid_request: [400, "The request is not valid"],
  malformed_json: [400, "The body is not JSON"],
  malformed_body: [400, "The body cannot be read"],
  invalid_query: [400, "The query is not valid"],
  invalid_idempotency_key: [400, "The Idempotency-Key is not valid"],
  budget_exceeded: [402, "The spend limit of this month is reached"],
  price_unknown: [402, "The price of this model is not known"],
  unauthorized: [401, "Authentication is needed"],
  forbidden_origin: [403, "This origin may not do that"],
  client_paused: [403, "This client is paused"],
  operator_only: [403, "This is for the operator"],
  open_mode_refused: [403, "Open mode is for localhost"],
  invalid_link: [403, "This link is not valid"],
  not_found: [404, "Not found"],
  job_not_found: [404, "No such job"],
  model_not_found: [404, "No such model"],
  client_not_found: [404, "No such client"],
  image_not_found: [404, "No such image"],
  delivery_not_found: [404, "No such delivery"],
  method_not_allowed: [405, "Method not allowed"],
  not_acceptable: [406, "Not available in that form"],
  upload_timed_out: [408, "The upload took too long"],
  job_finished: [409, "The job is finished"],
  job_not_finished: [409, "The job is not finished"],
  job_gone: [410, "The job is gone"],
  precondition_failed: [412, "The precondition does not hold"],
  body_too_large: [413, "The body is too large"],
  image_too_large: [413, "An image is too large"],
  uri_too_long: [414, "The address is too long"],
  unsupported_media_type: [415, "Unsupported media type"],
  range_not_satisfiable: [416, "Range not satisfiable"],
  idempotency_key_reused: [422, "The Idempotency-Key was used for another request"],
  no_variant: [422, "No variant can be made of this image"],
  upgrade_required: [426, "A WebSocket upgrade is needed"],
  too_many_pending_jobs: [429, "Too many unfinished jobs"],
  rate_limited: [429, "Too many requests"],
  too_many_watchers: [429, "Too many watchers"],
  header_fields_too_large: [431, "The headers are too large"],
  internal: [500, "Something went wrong here"],
  misconfigured: [503, "The service is not configured"],
  overloaded: [503, "Busy, try again"],
  loop_detected: [508, "The request goes round in circles"],
} as const satisfies Record<string, readonly [number, string]>;

export type ProblemCode = keyof typeof PROBLEMS;
export const ProblemCode = z.enum(Object.keys(PROBLEMS) as [ProblemCode, ...ProblemCode[]]);

/** One fault of a request: `path` is a JSON Pointer into the body, or the name of a variable, header or query key. */
export const FieldError = z.object({ path: z.string(), message: z.string() });
export type FieldError = z.infer<typeof FieldError>;

/** RFC 9457. `detail` is for people and must not be parsed; programs use `code`. */
export const Problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: ProblemCode,
    requestId: z.string(),
    errors: z.array(FieldError).optional(),
    // Only with `budget_exceeded`.
    currency: z.string().optional(),
    limit: z.number().optional().meta({ description: "The client's spend limit for a calendar month, UTC." }),
    charged: z.number().optional(),
    reserved: z.number().optional().meta({ description: "For attempts that run or may still start." }),
    atRisk: z.number().optional(),
    resetsAt: z.iso.datetime().optional(),
  })
  .meta({ id: "Problem" });
export type Problem = z.infer<typeof Problem>;
