import type { FieldError } from "../../../schemas/problem.ts";
import { type Field, FORM_SPELLINGS } from "./field-spellings.ts";
import { type Found, type Given, MAX_ERRORS, pointerStep, unknownField } from "./given-fields.ts";
import { FormFile } from "./normalise-submit.ts";

const NUMBERS: ReadonlySet<Field> = new Set(["n", "seed", "maxAttempts", "deadlineSeconds"]);
const BOOLEANS: ReadonlySet<Field> = new Set(["promptExtend", "watermark"]);

/** A form knows text only; what is no number or boolean stays text, and is then refused as such. */
function typed(field: Field, text: string): unknown {
  if (NUMBERS.has(field) && /^-?\d{1,15}(\.\d{1,15})?$/.test(text.trim())) return Number(text);
  if (BOOLEANS.has(field) && /^(true|false)$/i.test(text.trim())) return text.trim().toLowerCase() === "true";
  if (field !== "metadata") return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/**
 * The fields of a form's parts, in their order: numbers and booleans are read from text, `metadata` from JSON. An empty part is
 * one that was not filled in. Of the image parts of one name the first has the pointer `/images/0`.
 */
export function formFields(parts: Iterable<readonly [string, string | Blob]>): Found {
  const given: Given[] = [];
  const errors: FieldError[] = [];
  const imagesOf = new Map<string, number>();
  for (const [name, value] of parts) {
    const pointer = pointerStep(name);
    const field = FORM_SPELLINGS.get(name);
    if (errors.length === MAX_ERRORS) break;
    if (field === undefined) errors.push(unknownField(pointer, name, FORM_SPELLINGS.keys()));
    else if (value === "") continue;
    else if (field === "images") {
      const index = imagesOf.get(name) ?? 0;
      imagesOf.set(name, index + 1);
      const image = typeof value === "string" ? value : new FormFile(value);
      given.push({ field, pointer: `${pointer}/${index}`, value: image, itemOf: pointer });
    } else if (typeof value === "string") given.push({ field, pointer, value: typed(field, value) });
    else errors.push({ path: pointer, message: "must be text, not a file" });
  }
  return { given, errors };
}
