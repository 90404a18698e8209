import { z } from "zod";
import { MAX_ERRORS } from "./core/given-fields.ts";
import { didYouMean } from "./core/submit-fields.ts";
import type { HttpContext } from "./http-env.ts";
import { ProblemError } from "./problem.ts";

/** A problem about one key of the query. */
export function queryProblem(key: string, message: string): ProblemError {
  return new ProblemError("invalid_query", `${key} ${message}`, { errors: [{ path: key, message }] });
}

const MAX_KEY_CHARS = 64;

function isList(schema: z.core.$ZodType | undefined): boolean {
  return schema instanceof z.ZodOptional ? isList(schema.unwrap()) : schema instanceof z.ZodArray;
}

/**
 * A check that refuses a query with a key that the route's documented query does not have, or with one twice that is no
 * list: whoever misspells a filter must not get an answer without it.
 */
export function queryCheck(documented: z.ZodObject): (c: HttpContext) => void {
  const known = Object.keys(documented.shape);
  // A documented key like `metadata.KEY` stands for every key that begins like it.
  const families = known.filter((key) => key.endsWith(".KEY")).map((key) => key.slice(0, -"KEY".length));
  const isKnown = (key: string) =>
    known.includes(key) || families.some((start) => key.startsWith(start) && key.length > start.length);
  const lists = new Set(known.filter((key) => isList(documented.shape[key])));
  const knownWords = known.length === 0 ? "this route takes none" : `known are ${known.join(", ")}`;
  return (c) => {
    if (!c.req.url.includes("?")) return;
    const met = new Map<string, string>();
    const given = new Set<string>();
    for (const key of new URL(c.req.url).searchParams.keys()) {
      if (!isKnown(key)) {
        const meant = didYouMean(key, known);
        met.set(key, `is not a key of this query${meant === null ? "" : `; did you mean ${meant}?`} (${knownWords})`);
      } else if (given.has(key) && !lists.has(key)) met.set(key, "is given twice");
      given.add(key);
      if (met.size === MAX_ERRORS) break;
    }
    const errors = [...met].map(([key, message]) => ({ path: key.slice(0, MAX_KEY_CHARS), message }));
    const [first] = errors;
    if (first === undefined) return;
    const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : "";
    throw new ProblemError("invalid_query", `${first.path} ${first.message}${more}`, { errors });
  };
}

/** A key's value; null when it is absent or empty, as of a form's field that was left out. */
export function queryValue(c: HttpContext, key: string): string | null {
  const text = c.req.query(key);
  return text === undefined || text === "" ? null : text;
}

/** A whole number of the query; null when absent. */
export function wholeNumberOf(c: HttpContext, key: string, min: number, max: number): number | null {
  const text = queryValue(c, key);
  if (text === null) return null;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw queryProblem(key, `must be a whole number from ${min} to ${max}`);
}
