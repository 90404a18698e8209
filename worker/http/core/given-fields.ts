import type { FieldError } from "../../../schemas/problem.ts";
import { didYouMean, type Field } from "./field-spellings.ts";

/** A field as the client gave it: `pointer` is the JSON Pointer of where. */
export interface Given {
  readonly field: Field;
  readonly pointer: string;
  readonly value: unknown;
  /** One of a list (an image of a message's content, or a part of a form): the pointer of the whole list. */
  readonly itemOf?: string;
  /** The only one of a list, given without the list: a `reference_image_url`. */
  readonly only?: true;
}

/** Fields found in a body, and what of it is not one. */
export interface Found {
  readonly given: readonly Given[];
  readonly errors: readonly FieldError[];
  /** The pointer of an envelope's content, where a prompt or an image that is missing would have been. */
  readonly content?: string;
}

const MAX_NAME_CHARS = 64;

/** More are not listed: whoever sends so many is not reading, and each costs a search for what was meant. */
export const MAX_ERRORS = 20;

/** One step of a JSON Pointer (RFC 6901); a very long name is cut. */
export function pointerStep(name: string | number): string {
  return `/${String(name).slice(0, MAX_NAME_CHARS).replace(/~/g, "~0").replace(/\//g, "~1")}`;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function unknownField(pointer: string, name: string, known: Iterable<string>): FieldError {
  const meant = didYouMean(name, known);
  return { path: pointer, message: meant === null ? "unknown field" : `unknown field; did you mean ${meant}?` };
}

/** The fields of one object of the body, by the spellings that are known there. */
export function fieldsOf(
  object: Readonly<Record<string, unknown>>,
  base: string,
  spellings: ReadonlyMap<string, Field>,
): Found {
  const given: Given[] = [];
  const errors: FieldError[] = [];
  for (const [name, value] of Object.entries(object)) {
    const pointer = `${base}${pointerStep(name)}`;
    const field = spellings.get(name);
    if (errors.length === MAX_ERRORS) break;
    if (field === undefined) errors.push(unknownField(pointer, name, spellings.keys()));
    else if (field === "images" && name !== "images") given.push({ field, pointer, value, only: true });
    else given.push({ field, pointer, value });
  }
  return { given, errors };
}

/** Several findings as one. */
export function allFound(...parts: readonly Found[]): Found {
  const content = parts.find((part) => part.content !== undefined)?.content;
  return {
    given: parts.flatMap((part) => part.given),
    errors: parts.flatMap((part) => part.errors),
    ...(content === undefined ? {} : { content }),
  };
}
