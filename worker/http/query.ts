import type { HttpContext } from "./http-env.ts";
import { ProblemError } from "./problem.ts";

/** A problem about one key of the query. */
export function queryProblem(key: string, message: string): ProblemError {
  return new ProblemError("invalid_query", `${key} ${message}`, { errors: [{ path: key, message }] });
}

/** A whole number of the query; null when absent. */
export function wholeNumberOf(c: HttpContext, key: string, min: number, max: number): number | null {
  const text = c.req.query(key);
  if (text === undefined) return null;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw queryProblem(key, `must be a whole number from ${min} to ${max}`);
}
