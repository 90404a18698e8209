/** Schemas and values in words, for messages to people. Pure. */
import { z } from "zod";

type Schema = z.core.$ZodType;

/** Texts up to this length are shown as they were given; longer ones by their length. */
const SHOWN_CHARS = 20;

function orList(words: readonly string[]): string {
  const last = words.at(-1) ?? "nothing";
  return words.length < 2 ? last : `${words.slice(0, -1).join(", ")} or ${last}`;
}

function bounds(min: number, max: number): string {
  return min > 0 ? `of ${min} to ${max}` : `of at most ${max}`;
}

/** What a schema takes, in words that complete "must be …", with the bounds it has. */
export function allowedWords(schema: Schema): string {
  if (schema instanceof z.ZodOptional) return allowedWords(schema.unwrap());
  if (schema instanceof z.ZodNullable) return `${allowedWords(schema.unwrap())} or null`;
  if (schema instanceof z.ZodString) {
    return schema.maxLength === null ? "text" : `text ${bounds(schema.minLength ?? 0, schema.maxLength)} characters`;
  }
  if (schema instanceof z.ZodNumber) {
    const { minValue, maxValue, format } = schema;
    const kind = format === "safeint" ? "a whole number" : "a number";
    if (minValue === null || !Number.isSafeInteger(minValue)) return kind;
    return maxValue === Number.MAX_SAFE_INTEGER
      ? `${kind} from ${minValue} up`
      : `${kind} from ${minValue} to ${maxValue}`;
  }
  if (schema instanceof z.ZodBoolean) return "true or false";
  if (schema instanceof z.ZodNull) return "null";
  if (schema instanceof z.ZodEnum) return orList(schema.options.map(String));
  if (schema instanceof z.ZodUnion) return orList(schema.options.map(allowedWords));
  if (schema instanceof z.ZodArray) return "a list";
  if (schema instanceof z.ZodRecord || schema instanceof z.ZodObject) return "an object";
  // No input has another schema, but a message must not fail.
  return "something else";
}

/**
 * What was given, in words: its type, and the value itself where it is no longer than `shownChars`; 0 for what may hold a secret,
 * such as an address.
 */
export function givenWords(value: unknown, shownChars = SHOWN_CHARS): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (value === "") return "an empty text";
  if (typeof value === "string") {
    return value.length <= shownChars ? `the text ${JSON.stringify(value)}` : `text of ${value.length} characters`;
  }
  // JSON has no infinity: this is what a number like 1e999 is read as.
  if (typeof value === "number") return Number.isFinite(value) ? `the number ${value}` : "a number past all bounds";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : `a list of ${value.length}`;
  // In a body only a form's file is an instance of a class.
  return Object.getPrototypeOf(value) === Object.prototype ? "an object" : "a file";
}

/** The schema of what lies at a path; null where none is. */
export function schemaAt(root: Schema, path: readonly PropertyKey[]): Schema | null {
  let schema: Schema | null = root;
  for (const step of path) {
    if (schema instanceof z.ZodOptional) schema = schema.unwrap();
    if (schema instanceof z.ZodObject) schema = schema.shape[String(step)] ?? null;
    else if (schema instanceof z.ZodRecord) schema = schema.valueType;
    else if (schema instanceof z.ZodArray) schema = schema.element;
    else return null;
  }
  return schema;
}

/** What lies at a path of a value that JSON or a form gave. */
export function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    value = Reflect.get(value, step);
  }
  return value;
}
