import type { z } from "zod";
import type { ProblemCode } from "../../../schemas/problem.ts";
import { type AnswerHeader, headers } from "./headers.ts";

/** A job's id where a path has one. */
export const ID = "{id}";
/** What a route that asks who is there may answer. */
export const AUTH: readonly ProblemCode[] = ["unauthorized", "open_mode_refused", "invalid_query"];
/** And one that changes something. */
export const WRITE: readonly ProblemCode[] = [...AUTH, "forbidden_origin"];
/** And one about a job. */
export const ONE_JOB: readonly ProblemCode[] = ["job_not_found", "job_gone"];
/** For everyone. */
export const PUBLIC = { security: [] };
/** For a signed link, too. */
export const BY_LINK = { security: [{ bearer: [] }, { session: [] }, { signedLink: [] }] };

/** A JSON answer with its example. */
export function json(description: string, schema: z.ZodType, example: unknown, names: readonly AnswerHeader[] = []) {
  return { description, headers: headers(...names), content: { "application/json": { schema, example } } };
}

/** What every answer with one job carries. */
export const JOB_HEADERS = ["ETag", "Retry-After", "Preference-Applied"] as const;
