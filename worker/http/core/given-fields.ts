/**
 * Finds the fields of a submission in a body, JSON or form, wherever its client put them; the compatible APIs then adjust what was
 * found. Pure.
 */
import type { Warning } from "../../../schemas/job.ts";
import type { ModelInfo } from "../../../schemas/limits.ts";
import type { Workflow } from "../../../schemas/paths.ts";
import type { FieldError } from "../../../schemas/problem.ts";
import { givenWords } from "../../allowed-words.ts";
import {
  BOOLEANS,
  didYouMean,
  type Field,
  formFieldOf,
  IGNORED_OPTIONS,
  NUMBERS,
  OBJECTS,
  SPELLINGS,
} from "./submit-fields.ts";

/** A field as the client gave it. `pointer` is the JSON Pointer of its place. */
export interface Given {
  readonly field: Field;
  readonly pointer: string;
  readonly value: unknown;
  /**
   * Set for an item of a list that the client wrote in pieces (a message's content, a form's parts): the pointer of the list.
   */
  readonly list?: string;
}

/** What was found in a body. */
export interface Found {
  readonly given: readonly Given[];
  readonly errors: readonly FieldError[];
  readonly warnings: readonly Warning[];
  /** The pointer of an envelope's content, where a missing prompt or image belongs. */
  readonly content?: string;
}

/**
 * No more errors are listed: a client with so many reads no list, and each entry costs a search for the name that was meant.
 */
export const MAX_ERRORS = 20;
const MAX_NAME_CHARS = 64;
/** One text and the images of any model, and a few more, so that a few too many are named one by one. */
const MAX_CONTENT_ITEMS = 24;

const NOTHING: Found = { given: [], errors: [], warnings: [] };

/** One step of a JSON Pointer (RFC 6901); a very long name is cut. */
export function pointerStep(name: string | number): string {
  return `/${String(name).slice(0, MAX_NAME_CHARS).replace(/~/g, "~0").replace(/\//g, "~1")}`;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function allFound(...parts: readonly Found[]): Found {
  const content = parts.find((part) => part.content !== undefined)?.content;
  return {
    given: parts.flatMap((part) => part.given),
    errors: parts.flatMap((part) => part.errors),
    warnings: parts.flatMap((part) => part.warnings),
    ...(content === undefined ? {} : { content }),
  };
}

function wrong(path: string, message: string): Found {
  return { ...NOTHING, errors: [{ path, message }] };
}

/** How a name that has no meaning in its place is answered: a known option is a warning, any other an error. */
function unknownName(pointer: string, name: string, value: unknown, accepted: Iterable<string>): Found {
  const option = IGNORED_OPTIONS.get(name);
  if (option === undefined) {
    const meant = didYouMean(name, accepted);
    return wrong(pointer, meant === null ? "unknown field" : `unknown field; did you mean ${meant}?`);
  }
  if (value === null || value === "") return NOTHING;
  // A form gives every value as text, so texts are compared too.
  const isHarmless = option.values?.some((harmless) => harmless === value || String(harmless) === value) ?? true;
  if (!isHarmless) return wrong(pointer, `asks for what is not done here (${option.because}); leave it out`);
  return { ...NOTHING, warnings: [{ code: "option_ignored", message: `${name} is ignored: ${option.because}` }] };
}

/** The names that are accepted in a place. A workflow without images accepts no name of them. */
function acceptedNames(workflow: Workflow, spellings: ReadonlyMap<string, Field>): string[] {
  const names = [...spellings].filter(([, field]) => field !== "images" || workflow === "image-from-reference");
  return names.map(([name]) => name);
}

/** The fields of one object of a body, by the spellings that are accepted there. */
function fieldsOf(
  workflow: Workflow,
  object: Readonly<Record<string, unknown>>,
  base: string,
  spellings: ReadonlyMap<string, Field>,
): Found {
  const parts: Found[] = [];
  for (const [name, value] of Object.entries(object)) {
    const pointer = `${base}${pointerStep(name)}`;
    const field = spellings.get(name);
    if (field !== undefined) parts.push({ ...NOTHING, given: [{ field, pointer, value }] });
    else if (parts.filter(({ errors }) => errors.length > 0).length === MAX_ERRORS) break;
    else parts.push(unknownName(pointer, name, value, acceptedNames(workflow, spellings)));
  }
  return allFound(...parts);
}

/** The kinds of a content item, and the field that each gives. */
const ITEM_KINDS: Readonly<Record<string, Field>> = { text: "prompt", image: "images", image_url: "images" };

/** One item of a message's content: `{text}`, `{image}` or OpenAI's `{image_url: {url}}`, with or without a `type`. */
function contentItem(workflow: Workflow, item: unknown, content: string, index: number): Found {
  const pointer = `${content}/${index}`;
  if (!isRecord(item)) return wrong(pointer, "must be {text} or {image}");
  const kinds = Object.keys(ITEM_KINDS).filter((kind) => item[kind] !== undefined && item[kind] !== null);
  const names = workflow === "image-from-reference" ? ["text", "image"] : ["text"];
  const unknown = Object.keys(item).filter((name) => name !== "type" && !Object.hasOwn(ITEM_KINDS, name));
  const errors = unknown.flatMap((name) => unknownName(`${pointer}${pointerStep(name)}`, name, null, names).errors);
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1) {
    const either = { path: pointer, message: "must have either text or image" };
    return { ...NOTHING, errors: errors.length > 0 ? errors : [either] };
  }
  const { type } = item;
  if (type !== undefined && type !== null && type !== kind) {
    errors.push({ path: `${pointer}/type`, message: `says ${givenWords(type)}, but the item holds ${kind}` });
  }
  const field = ITEM_KINDS[kind] as Field;
  const value = kind === "image_url" && isRecord(item.image_url) ? item.image_url.url : item[kind];
  const list = field === "images" ? { list: content } : {};
  return { ...NOTHING, given: [{ field, pointer: `${pointer}/${kind}`, value, ...list }], errors };
}

/** The fields of `input.messages`, which must be one message of the user. */
function messagesOf(workflow: Workflow, messages: unknown, pointer: string): Found {
  if (!Array.isArray(messages) || messages.length !== 1) {
    return wrong(pointer, "must be a list of exactly one message: an image model has no conversation");
  }
  const base = `${pointer}/0`;
  const message: unknown = messages[0];
  if (!isRecord(message)) return wrong(base, "must be {role, content}");
  const unknown = Object.keys(message).filter((name) => name !== "role" && name !== "content");
  const parts = unknown.map((name) => unknownName(`${base}${pointerStep(name)}`, name, null, ["role", "content"]));
  if (message.role !== "user") parts.push(wrong(`${base}/role`, "must be user"));
  const { content } = message;
  const place = `${base}/content`;
  if (typeof content === "string") {
    parts.push({ ...NOTHING, given: [{ field: "prompt", pointer: place, value: content }] });
  } else if (!Array.isArray(content)) parts.push(wrong(place, "must be a list of {text} and {image}"));
  else if (content.length > MAX_CONTENT_ITEMS) {
    parts.push(wrong(place, `must have ${MAX_CONTENT_ITEMS} items at most: one text and the images`));
  } else {
    parts.push({ ...NOTHING, content: place });
    parts.push(...content.map((item, index) => contentItem(workflow, item, place, index)));
  }
  return allFound(...parts);
}

function inputOf(workflow: Workflow, input: unknown): Found {
  if (!isRecord(input)) return wrong("/input", "must be an object with messages");
  const { messages, ...rest } = input;
  const flat = fieldsOf(workflow, rest, "/input", SPELLINGS.input);
  if (messages !== undefined && messages !== null) {
    return allFound(messagesOf(workflow, messages, "/input/messages"), flat);
  }
  return flat.given.length > 0 || flat.errors.length > 0 ? flat : wrong("/input/messages", "is required");
}

/** The fields of a JSON body: our own at its top, and those of the vendor's envelope `{input, parameters}`. */
export function jsonFields(workflow: Workflow, body: unknown): Found {
  if (!isRecord(body)) return wrong("", "must be a JSON object");
  const { input, parameters, ...flat } = body;
  const parts = [fieldsOf(workflow, flat, "", SPELLINGS.top)];
  if (input !== undefined && input !== null) parts.push(inputOf(workflow, input));
  if (isRecord(parameters)) parts.push(fieldsOf(workflow, parameters, "/parameters", SPELLINGS.parameters));
  else if (parameters !== undefined && parameters !== null) parts.push(wrong("/parameters", "must be an object"));
  return allFound(...parts);
}

/** Reads a form's text. A text that is no number, boolean or JSON stays text, and is refused later. */
function typed(field: Field, text: string): unknown {
  if (NUMBERS.has(field) && /^-?\d{1,15}(\.\d{1,15})?$/.test(text.trim())) return Number(text);
  if (BOOLEANS.has(field) && /^(true|false)$/i.test(text.trim())) return text.trim().toLowerCase() === "true";
  if (!OBJECTS.has(field)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** A part of a form: its text, or the image that was found in its file. */
export type FormPart = readonly [name: string, value: string | GivenImage];

/** An image whose bytes came with the body. Equal bytes have equal `key`s. Only http knows what was found in them. */
export abstract class GivenImage {
  abstract readonly key: string;
}

/**
 * The fields of a form's parts, in their order: numbers and booleans are read from text, objects from JSON. An empty part
 * counts as absent. All image parts are one list; the first part of each name has the pointer `/NAME/0`.
 */
export function formFields(workflow: Workflow, parts: Iterable<FormPart>): Found {
  const found: Found[] = [];
  const countOf = new Map<string, number>();
  let firstImage: string | null = null;
  for (const [name, value] of parts) {
    const pointer = pointerStep(name);
    const field = formFieldOf(name);
    if (value === "") continue;
    if (found.filter(({ errors }) => errors.length > 0).length === MAX_ERRORS) break;
    if (field === undefined) found.push(unknownName(pointer, name, value, acceptedNames(workflow, SPELLINGS.form)));
    else if (field === "images") {
      const index = countOf.get(name) ?? 0;
      countOf.set(name, index + 1);
      firstImage ??= pointer;
      found.push({ ...NOTHING, given: [{ field, pointer: `${pointer}/${index}`, value, list: firstImage }] });
    } else if (typeof value === "string") {
      found.push({ ...NOTHING, given: [{ field, pointer, value: typed(field, value) }] });
    } else found.push(wrong(pointer, "must be text, not a file"));
  }
  return allFound(...found);
}

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
