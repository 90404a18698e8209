/** Turns what a client gave into the contract's own submission. Pure. */
import { z } from "zod";
import { MAX_METADATA_KEY_CHARS, type Warning } from "../../../schemas/job.ts";
import type { Workflow } from "../../../schemas/paths.ts";
import type { FieldError } from "../../../schemas/problem.ts";
import { ImageSource, MAX_INPUT_IMAGES, ReferenceSubmit, TextSubmit } from "../../../schemas/submit.ts";
import { allowedWords, givenWords, schemaAt, valueAt } from "../../allowed-words.ts";
import { type Found, type Given, GivenImage, isRecord, MAX_ERRORS, pointerStep } from "./given-fields.ts";
import { DEFAULT_MODEL_ALIASES, type Field, MISSPELLED_SIZES } from "./submit-fields.ts";

/** Only the lower bound: the check against the model has the upper one. */
const n = z.int().min(1).optional();

const ImageInput = z.union([ImageSource, z.custom<GivenImage>((value) => value instanceof GivenImage)]);

/** The contract's submission, except that an image may also be bytes that came with the body. */
const Submit = {
  "image-from-text": TextSubmit.extend({ n, images: z.undefined().optional() }),
  "image-from-reference": ReferenceSubmit.extend({ n, images: z.array(ImageInput).min(1).max(MAX_INPUT_IMAGES) }),
} as const;

type Normal = TextSubmit & { readonly images: readonly (string | GivenImage)[] };

export type NormaliseAnswer = {
  /** The path for later findings about a field: where the client gave it, or our own place of it when absent. */
  pointerOf(path: string): string;
} & (
  | { readonly ok: true; readonly submit: Normal; readonly warnings: readonly Warning[] }
  /** `model`: what was given as the model, if anything. */
  | { readonly ok: false; readonly errors: readonly FieldError[]; readonly model: unknown }
);

/** One complete value of a field; for images the whole list. */
interface Giving {
  readonly field: Field;
  readonly pointer: string;
  readonly value: unknown;
  /** For a list: where each of its items was given. */
  readonly items: readonly string[];
}

/** The values of all fields: pieces of one list are joined, and one image becomes a list of one. `null` means absent. */
function givingsOf(given: readonly Given[]): Giving[] {
  const givings: Giving[] = [];
  const lists = new Map<string, { values: unknown[]; items: string[] }>();
  for (const { field, pointer, value, list } of given) {
    if (value === null || value === undefined) continue;
    const known = list === undefined ? undefined : lists.get(list);
    if (known !== undefined) {
      known.values.push(value);
      known.items.push(pointer);
    } else if (list !== undefined) {
      const made = { values: [value], items: [pointer] };
      lists.set(list, made);
      givings.push({ field, pointer: list, value: made.values, items: made.items });
    } else if (field === "images" && !Array.isArray(value)) {
      givings.push({ field, pointer, value: [value], items: [pointer] });
    } else if (field === "negativePrompt" && typeof value === "string" && value.trim() === "") {
      // The vendor's own examples send a blank where they mean none.
    } else if (field === "model" && typeof value === "string" && DEFAULT_MODEL_ALIASES.has(value)) {
      // The alias means the default, as an absent model does.
    } else givings.push({ field, pointer, value: field === "size" ? plainSize(value) : value, items: [] });
  }
  return givings;
}

/** Sizes are often written 1664x928; upstream wants an asterisk. */
function plainSize(size: unknown): unknown {
  if (typeof size !== "string") return size;
  const plain = size.trim().replace(/^(\d+)\s*[*x×]\s*(\d+)$/i, "$1*$2");
  return /^\dk$/i.test(plain) ? plain.toUpperCase() : plain;
}

/** No value of a field is nested deeper: the deepest is the list of a webhook's events. */
const MAX_DEPTH = 4;

/** Whether two values are the same. Images are compared by their bytes. Values that are nested too deep for any field differ. */
function sameValue(a: unknown, b: unknown, depth = MAX_DEPTH): boolean {
  if (a === b) return true;
  if (a instanceof GivenImage && b instanceof GivenImage) return a.key === b.key;
  if (depth === 0) return false;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => sameValue(item, b[index], depth - 1));
  }
  if (!isRecord(a) || !isRecord(b)) return false;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && sameValue(a[name], b[name], depth - 1))
  );
}

interface Merged {
  readonly values: Map<Field, unknown>;
  readonly pointers: Map<string, string>;
  readonly errors: readonly FieldError[];
}

/** Each field once. A client may give one value in several places; different values are an error. */
function merge(givings: readonly Giving[]): Merged {
  const values = new Map<Field, unknown>();
  const pointers = new Map<string, string>();
  const errors: FieldError[] = [];
  for (const { field, pointer, value, items } of givings) {
    const first = pointers.get(`/${field}`);
    if (first === undefined) {
      values.set(field, value);
      pointers.set(`/${field}`, pointer);
      for (const [index, item] of items.entries()) pointers.set(`/${field}/${index}`, item);
    } else if (!sameValue(values.get(field), value)) {
      errors.push({ path: pointer, message: `gives another ${field} than ${first}: give it once` });
    }
  }
  return { values, pointers, errors };
}

/** Storage would change half of a surrogate pair. */
function isBroken(value: unknown): boolean {
  return typeof value === "string" && !value.isWellFormed();
}

function pointerFinder(pointers: ReadonlyMap<string, string>) {
  return (path: string): string => {
    for (let end = path.length; end > 0; end = path.lastIndexOf("/", end - 1)) {
      const pointer = pointers.get(path.slice(0, end));
      if (pointer !== undefined) return pointer + path.slice(end);
    }
    return path;
  };
}

/** A name that a client made up, cut when it is long. */
const givenKey = (name: string): string => pointerStep(name).slice(1);

const IMAGE_WORDS = "an http(s) address, a data URL or a form's file";
const IMAGES_WORDS = `a list of 1 to ${MAX_INPUT_IMAGES} images`;

/** In words: what is wrong, what is allowed there and what was given. `given` has the fields by name. */
function messageOf(issue: z.core.$ZodIssue, given: Readonly<Record<string, unknown>>, workflow: Workflow): string {
  const { path, message } = issue;
  const [field] = path;
  if (field === "images" && workflow === "image-from-text") {
    return "image-from-text takes no images; image-from-reference does";
  }
  if (issue.code === "unrecognized_keys") return `has an unknown field, ${issue.keys.map(givenKey).join(", ")}`;
  if (path.length > 1 && valueAt(given, path) === undefined) return "is required";
  // The schemas word their own `custom` issues; all others are worded here.
  if (issue.code === "custom") return message;
  const got = givenWords(valueAt(given, path), field === "images" ? 0 : undefined);
  if (issue.code === "invalid_format") return `${message}; got ${got}`;
  if (field === "images") return `must be ${path.length === 1 ? IMAGES_WORDS : IMAGE_WORDS}; got ${got}`;
  if (issue.code === "invalid_key") {
    return `must have a name of 1 to ${MAX_METADATA_KEY_CHARS} characters; this one has ${String(path.at(-1)).length}`;
  }
  const schema = schemaAt(Submit[workflow], path);
  if (schema === null) throw new Error(`the contract has nothing at ${path.join("/")}`);
  return `must be ${allowedWords(schema)}; got ${got}`;
}

/** The error for an absent field, at the place where the client would have put it. */
function missing(field: string, content: string | undefined): FieldError {
  const images = field === "images";
  if (content === undefined) {
    const what = images
      ? `is required: 1 to ${MAX_INPUT_IMAGES} images, as addresses, data URLs or files`
      : "is required";
    return { path: `/${field}`, message: what };
  }
  const item = images ? `1 to ${MAX_INPUT_IMAGES} {image}, as addresses or data URLs` : "a {text}, the prompt";
  return { path: content, message: `must hold ${item}` };
}

/** The fields whose text storage would change without an error. */
function brokenTexts(values: ReadonlyMap<Field, unknown>): Field[] {
  const metadata = values.get("metadata");
  const texts: readonly (readonly [Field, readonly unknown[]])[] = [
    ["prompt", [values.get("prompt")]],
    ["negativePrompt", [values.get("negativePrompt")]],
    ["metadata", isRecord(metadata) ? Object.entries(metadata).flat() : []],
  ];
  return texts.filter(([, parts]) => parts.some(isBroken)).map(([field]) => field);
}

/** Corrects the size that two clients misspell, and warns about it. */
function correctSize(values: Map<Field, unknown>): Warning[] {
  const given = values.get("size");
  const meant = typeof given === "string" ? MISSPELLED_SIZES.get(given) : undefined;
  if (meant === undefined) return [];
  values.set("size", meant);
  return [{ code: "size_corrected", message: `the size ${given} became ${meant}, the size that models have` }];
}

/** The submission in the contract's own form, or all that is wrong with it, at the places where the client wrote it. */
export function normaliseSubmit(workflow: Workflow, found: Found): NormaliseAnswer {
  const { values, pointers, errors } = merge(givingsOf(found.given));
  const pointerOf = pointerFinder(pointers);
  const warnings = [...found.warnings, ...correctSize(values)];
  const all = [...found.errors, ...errors];
  for (const field of brokenTexts(values)) {
    all.push({ path: pointerOf(`/${field}`), message: "holds half of a character: a surrogate without its pair" });
  }
  const metadata = values.get("metadata");
  if (isRecord(metadata) && Object.hasOwn(metadata, "__proto__")) {
    all.push({ path: pointerOf("/metadata/__proto__"), message: "is no name that can be kept: choose another" });
  }
  const parsed = Submit[workflow].safeParse(Object.fromEntries(values));
  if (parsed.success && all.length === 0) {
    const { images, ...rest } = parsed.data;
    return { ok: true, submit: { ...rest, images: images ?? [] }, warnings, pointerOf };
  }
  const misread = all.length > 0;
  const given = Object.fromEntries(values);
  const said = new Set<string>();
  for (const issue of parsed.error?.issues ?? []) {
    const [field] = issue.path;
    const isMissing = issue.path.length === 1 && !Object.hasOwn(given, field ?? "");
    // A field that seems missing may be the misspelled or misplaced one.
    if (misread && isMissing) continue;
    const path = issue.path.map((step) => pointerStep(String(step))).join("");
    // A value that breaks several bounds gets one message, which names them all.
    if (said.has(path)) continue;
    said.add(path);
    all.push(
      isMissing
        ? missing(String(field), found.content)
        : { path: pointerOf(path), message: messageOf(issue, given, workflow) },
    );
  }
  return { ok: false, errors: all.slice(0, MAX_ERRORS), model: values.get("model"), pointerOf };
}
