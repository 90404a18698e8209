/** What both protocols share about bodies: our own options, and options that a model lacks. Pure. */
import type { ModelInfo } from "../../../schemas/limits.ts";
import type { Found } from "../../http/core/given-fields.ts";
import { type Field, SPELLINGS } from "../../http/core/submit-fields.ts";

const OURS: readonly Field[] = ["priority", "maxAttempts", "deadlineSeconds", "onUncertain", "metadata", "webhook"];

/** The spellings of options that only this service has. Clients send them as extra fields. */
export const OWN_OPTIONS: ReadonlySet<string> = new Set(
  [...SPELLINGS.top].filter(([, field]) => OURS.includes(field)).map(([name]) => name),
);

/** `null` means absent. */
export function isGiven(value: unknown): boolean {
  return value !== null && value !== undefined;
}

/** The value given for a field, if any; the first of several. */
export function givenFor({ given }: Found, field: Field): unknown {
  return given.find((giving) => giving.field === field && isGiven(giving.value))?.value;
}

/** Replaces the value of one field; null removes the field. */
export function withValue(found: Found, field: Field, value: unknown): Found {
  const first = found.given.find((giving) => giving.field === field);
  const rest = found.given.filter((giving) => giving.field !== field);
  const pointer = first?.pointer ?? `/${field}`;
  return { ...found, given: value === null ? rest : [...rest, { field, pointer, value }] };
}

/** Removes the options that the model lacks, because upstream ignores unknown ones. */
export function withoutUnsupported(
  found: Found,
  supports: ModelInfo["supports"],
): { readonly found: Found; readonly ignored: readonly string[] } {
  const lacks = (field: Field) => Object.hasOwn(supports, field) && !supports[field as keyof typeof supports];
  const kept = found.given.filter(({ field }) => !lacks(field));
  const dropped = found.given.filter(({ field, value }) => lacks(field) && isGiven(value));
  const names = dropped.map(({ pointer }) => pointer.slice(pointer.lastIndexOf("/") + 1));
  return { found: { ...found, given: kept }, ignored: [...new Set(names)] };
}
