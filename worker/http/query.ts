import { z } from "zod";
import { givenWords } from "../allowed-words.ts";
import { faultsProblem, type ProblemError } from "./answers.ts";
import type { HttpContext } from "./context.ts";
import { MAX_ERRORS } from "./core/given-fields.ts";
import { didYouMean } from "./core/submit-fields.ts";

/** One key of a query: its documentation and how it is read. Declared once, at its route. */
export interface QueryParameter<Value> {
  readonly schema: z.ZodType;
  /** The key may be repeated. */
  readonly isList?: true;
  /** Reads the value from the given texts, none of which is empty. `key` is for messages. */
  readonly read: (texts: readonly string[], key: string) => Value;
}

export type QueryShape = Readonly<Record<string, QueryParameter<unknown>>>;
export type QueryOf<Shape extends QueryShape> = {
  readonly [Key in keyof Shape]: Shape[Key] extends QueryParameter<infer Value> ? Value : never;
};

/** A problem about one key of the query. */
export function queryProblem(key: string, message: string): ProblemError {
  return faultsProblem("invalid_query", [{ path: key, message }], (path) => path);
}

/** A whole number from `min` to `max`; `fallback` when it is absent. */
export function whole<Fallback extends number | null>(
  range: { readonly min: number; readonly max: number; readonly fallback: Fallback },
  description: string,
): QueryParameter<number | Fallback> {
  const { min, max, fallback } = range;
  const read = ([text]: readonly string[], key: string) => {
    if (text === undefined) return fallback;
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw queryProblem(key, `must be a whole number from ${min} to ${max}`);
  };
  return { schema: z.int().min(min).max(max).optional().meta({ description }), read };
}

/** A text of `maxChars` characters at most; null when it is absent. */
export function text(maxChars: number, description: string): QueryParameter<string | null> {
  const read = ([given]: readonly string[], key: string) => {
    if (given === undefined) return null;
    if (given.length > maxChars) throw queryProblem(key, `must have ${maxChars} characters at most`);
    return given;
  };
  return { schema: z.string().optional().meta({ description }), read };
}

function chosen<Option extends string | number>(options: readonly Option[], given: string, key: string): Option {
  const option = options.find((known) => String(known) === given.trim());
  if (option !== undefined) return option;
  throw queryProblem(key, `must be one of ${options.join(", ")}; got ${givenWords(given)}`);
}

/** One of the given words or numbers; null when it is absent. */
export function choice<const Option extends string | number>(
  options: readonly [Option, ...Option[]],
  description: string,
): QueryParameter<Option | null> {
  return {
    schema: z
      .literal([...options])
      .optional()
      .meta({ description }),
    read: ([given], key) => (given === undefined ? null : chosen(options, given, key)),
  };
}

/** Some of the given words, repeated or separated by commas; null when none is given. */
export function choices<Option extends string>(
  options: readonly Option[],
  description: string,
): QueryParameter<Option[] | null> {
  return {
    schema: z
      .array(z.enum([...options]))
      .optional()
      .meta({ description }),
    isList: true,
    read: (texts, key) => {
      const given = texts.flatMap((part) => part.split(",")).filter((part) => part !== "");
      return given.length === 0 ? null : given.map((part) => chosen(options, part, key));
    },
  };
}

/** A key whose text is returned as it is: its handler, or other code, interprets it. */
export function documented(schema: z.ZodType, description: string): QueryParameter<string | null> {
  return { schema: schema.optional().meta({ description }), read: ([given]) => given ?? null };
}

const MAX_KEY_CHARS = 64;

/**
 * Reads a query as it is declared. An undeclared key, or a repeated one that is no list, is refused: a client that misspells
 * a filter must not get an answer without it. A key `NAME.KEY` stands for every key that begins with `NAME.`, and its handler
 * reads it.
 */
export function queryReader<Shape extends QueryShape>(shape: Shape): (c: HttpContext) => QueryOf<Shape> {
  const known = Object.keys(shape);
  const families = known.filter((key) => key.endsWith(".KEY")).map((key) => key.slice(0, -"KEY".length));
  const isKnown = (key: string) =>
    known.includes(key) || families.some((start) => key.startsWith(start) && key.length > start.length);
  const knownWords = known.length === 0 ? "this route takes none" : `known are ${known.join(", ")}`;

  function check(given: URLSearchParams): void {
    const faults = new Map<string, string>();
    const met = new Set<string>();
    for (const key of given.keys()) {
      if (!isKnown(key)) {
        const meant = didYouMean(key, known);
        faults.set(
          key,
          `is not a key of this query${meant === null ? "" : `; did you mean ${meant}?`} (${knownWords})`,
        );
      } else if (met.has(key) && shape[key]?.isList !== true) faults.set(key, "is given twice");
      met.add(key);
      if (faults.size === MAX_ERRORS) break;
    }
    if (faults.size === 0) return;
    const errors = [...faults].map(([key, message]) => ({ path: key.slice(0, MAX_KEY_CHARS), message }));
    throw faultsProblem("invalid_query", errors, (path) => path);
  }

  const read = (textsOf: (key: string) => readonly string[]) =>
    Object.fromEntries(Object.entries(shape).map(([key, parameter]) => [key, parameter.read(textsOf(key), key)]));
  // Each entry has the type that its own parameter reads.
  const absent = read(() => []) as QueryOf<Shape>;
  return (c) => {
    if (!c.req.url.includes("?")) return absent;
    const given = new URL(c.req.url).searchParams;
    check(given);
    return read((key) => given.getAll(key).filter((value) => value !== "")) as QueryOf<Shape>;
  };
}
