import { z } from "zod";
import { MAX_METADATA_KEY_CHARS } from "../../../schemas/job.ts";
import type { Workflow } from "../../../schemas/paths.ts";
import type { FieldError } from "../../../schemas/problem.ts";
import { ImageSource, MAX_INPUT_IMAGES, ReferenceSubmit, TextSubmit } from "../../../schemas/submit.ts";
import { allowedWords, givenWords, schemaAt, valueAt } from "../../allowed-words.ts";
import { type Field, FLAT_SPELLINGS } from "./field-spellings.ts";
import { allFound, type Found, fieldsOf, type Given, isRecord, MAX_ERRORS, pointerStep } from "./given-fields.ts";
import { envelopeFields } from "./vendor-envelope.ts";

/** A file of a form; its bytes are looked at later. */
export class FormFile {
  readonly file: Blob;
  constructor(file: Blob) {
    this.file = file;
  }
}

/** The most that any model makes is no rule for anyone: what theirs makes, the model's check says. */
const n = z.int().min(1).optional();

/** The contract's submission, but that an image may also be a form's file. */
const Submit = {
  "image-from-text": TextSubmit.extend({ n, images: z.undefined().optional() }),
  "image-from-reference": ReferenceSubmit.extend({
    n,
    images: z
      .array(z.union([ImageSource, z.instanceof(FormFile)]))
      .min(1)
      .max(MAX_INPUT_IMAGES),
  }),
} as const;

type Normal = TextSubmit & { readonly images: readonly (string | FormFile)[] };

export type NormaliseAnswer =
  | {
      readonly ok: true;
      readonly submit: Normal;
      /** Where the client gave a field (or, absent, where we would have it): the path of later findings about it. */
      pointerOf(path: string): string;
    }
  | {
      readonly ok: false;
      readonly errors: readonly FieldError[];
      /** What was given as the model, if anything was. */
      readonly model: unknown;
      pointerOf(path: string): string;
    };

/** The fields of a JSON body, in whichever of the spellings. */
export function jsonFields(body: unknown): Found {
  if (!isRecord(body)) return { given: [], errors: [{ path: "", message: "must be a JSON object" }] };
  const { input, parameters, ...flat } = body;
  const envelope = envelopeFields({ input, parameters });
  const own = fieldsOf(flat, "", FLAT_SPELLINGS);
  return allFound(own, envelope);
}

interface Merged {
  readonly values: Map<Field, unknown>;
  readonly pointers: Map<string, string>;
  readonly errors: FieldError[];
}

/** Each field once: a second giving is refused even when it says the same, for one of them is a mistake. */
function merge(given: readonly Given[]): Merged {
  const values = new Map<Field, unknown>();
  const items: unknown[] = [];
  const pointers = new Map<string, string>();
  const errors: FieldError[] = [];
  for (const { field, pointer, value, itemOf, only } of given) {
    // JSON clients write null for "not given".
    if (value === null) continue;
    const first = pointers.get(`/${field}`) ?? pointers.get(`/${field}/0`);
    if (itemOf !== undefined && (first === undefined || items.length > 0)) {
      if (items.length === 0) pointers.set(`/${field}`, itemOf);
      pointers.set(`/${field}/${items.length}`, pointer);
      items.push(value);
      values.set(field, items);
    } else if (first === undefined) {
      pointers.set(`/${field}`, pointer);
      if (only === true) pointers.set(`/${field}/0`, pointer);
      values.set(field, only === true ? [value] : value);
    } else {
      errors.push({ path: pointer, message: `gives ${field} a second time: ${first} has it already` });
    }
  }
  return { values, pointers, errors };
}

/** People write 1664x928; upstream wants an asterisk. */
function normaliseSize(size: unknown): unknown {
  return typeof size === "string" ? size.trim().replace(/^(\d+)\s*[*x×]\s*(\d+)$/i, "$1*$2") : size;
}

/** Half of a surrogate pair would not survive storage. */
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

const IMAGE_WORDS = "an http(s) address, a data URL or a form's file";
const IMAGES_WORDS = `a list of 1 to ${MAX_INPUT_IMAGES} images`;

/** What is wrong, what is allowed there and what was given, in words; `given` are the fields, by name. */
function messageOf(issue: z.core.$ZodIssue, given: Readonly<Record<string, unknown>>, workflow: Workflow): string {
  const { path, message } = issue;
  const [field] = path;
  if (field === "images" && workflow === "image-from-text") {
    return "image-from-text takes no images; image-from-reference does";
  }
  // Those that the schemas themselves word; what else they check is worded here.
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

/** A field that is not there: said where the client would have put it. */
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

/** Texts that storage would change, which nobody should find out later. */
function brokenTexts(values: ReadonlyMap<Field, unknown>): Field[] {
  const metadata = values.get("metadata");
  const texts: readonly (readonly [Field, readonly unknown[]])[] = [
    ["prompt", [values.get("prompt")]],
    ["negativePrompt", [values.get("negativePrompt")]],
    ["metadata", isRecord(metadata) ? Object.entries(metadata).flat() : []],
  ];
  return texts.filter(([, parts]) => parts.some(isBroken)).map(([field]) => field);
}

/** The submission in the contract's own form, or all that is wrong with it, at the places where the client wrote it. */
export function normaliseSubmit(workflow: Workflow, found: Found): NormaliseAnswer {
  const { values, pointers, errors } = merge(found.given);
  const pointerOf = pointerFinder(pointers);
  if (values.has("size")) values.set("size", normaliseSize(values.get("size")));
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
    return { ok: true, submit: { ...rest, images: images ?? [] }, pointerOf };
  }
  const misread = all.length > 0;
  const given = Object.fromEntries(values);
  const said = new Set<string>();
  for (const issue of parsed.error?.issues ?? []) {
    const [field] = issue.path;
    const isMissing = issue.path.length === 1 && !Object.hasOwn(given, field ?? "");
    // What seems missing may be what was misspelled or misplaced.
    if (misread && isMissing) continue;
    const path = issue.path.map((step) => pointerStep(String(step))).join("");
    // Of several bounds that one value breaks, one message names them all.
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
