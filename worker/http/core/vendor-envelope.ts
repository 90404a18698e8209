import type { FieldError } from "../../../schemas/problem.ts";
import { type Field, FLAT_SPELLINGS, PARAMETER_SPELLINGS } from "./field-spellings.ts";
import { allFound, type Found, fieldsOf, type Given, isRecord, pointerStep, unknownField } from "./given-fields.ts";

/** DashScope's older text models put these under `input` in place of `messages`. */
const INPUT_SPELLINGS: ReadonlyMap<string, Field> = new Map(
  [...FLAT_SPELLINGS].filter(([, field]) => field === "prompt" || field === "negativePrompt"),
);

/** One text and all images that any model takes, and some to be told about one by one. */
const MAX_CONTENT_ITEMS = 12;

function wrong(path: string, message: string): Found {
  return { given: [], errors: [{ path, message }] };
}

/** One item of a message's content: `{text}` or `{image}`, with or without the `type` that some clients add. */
function contentItem(item: unknown, content: string, index: number): { given: Given | null; errors: FieldError[] } {
  const pointer = `${content}/${index}`;
  if (!isRecord(item)) return { given: null, errors: [{ path: pointer, message: "must be {text} or {image}" }] };
  const errors = Object.keys(item)
    .filter((name) => !["text", "image", "type"].includes(name))
    .map((name) => unknownField(`${pointer}${pointerStep(name)}`, name, ["text", "image"]));
  const kinds = (["text", "image"] as const).filter((kind) => Object.hasOwn(item, kind));
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1) {
    const message = "must have either text or image";
    return { given: null, errors: errors.length > 0 ? errors : [{ path: pointer, message }] };
  }
  if (item.type !== undefined && item.type !== kind) {
    errors.push({
      path: `${pointer}/type`,
      message: `says ${String(item.type).slice(0, 20)}, but the item holds ${kind}`,
    });
  }
  const found = { pointer: `${pointer}/${kind}`, value: item[kind] };
  if (kind === "text") return { given: { field: "prompt", ...found }, errors };
  return { given: { field: "images", ...found, itemOf: content }, errors };
}

function contentOf(content: readonly unknown[], pointer: string): Found {
  const items = content.map((item, index) => contentItem(item, pointer, index));
  const given = items.flatMap((item) => (item.given === null ? [] : [item.given]));
  return { given, errors: items.flatMap((item) => item.errors), content: pointer };
}

function messagesOf(messages: unknown, pointer: string): Found {
  if (!Array.isArray(messages) || messages.length !== 1) {
    return wrong(pointer, "must be a list of exactly one message: an image model has no conversation");
  }
  const base = `${pointer}/0`;
  const message: unknown = messages[0];
  if (!isRecord(message)) return wrong(base, "must be {role, content}");
  const errors = Object.keys(message)
    .filter((name) => name !== "role" && name !== "content")
    .map((name) => unknownField(`${base}${pointerStep(name)}`, name, ["role", "content"]));
  if (message.role !== "user") errors.push({ path: `${base}/role`, message: "must be user" });
  if (!Array.isArray(message.content)) {
    errors.push({ path: `${base}/content`, message: "must be a list of {text} and {image}" });
    return { given: [], errors };
  }
  if (message.content.length > MAX_CONTENT_ITEMS) {
    return wrong(`${base}/content`, `must have ${MAX_CONTENT_ITEMS} items at most: one text and the images`);
  }
  return allFound({ given: [], errors }, contentOf(message.content, `${base}/content`));
}

function inputOf(input: unknown): Found {
  if (!isRecord(input)) return wrong("/input", "must be an object with messages");
  const { messages, ...rest } = input;
  const flat = fieldsOf(rest, "/input", INPUT_SPELLINGS);
  if (messages === undefined) {
    return flat.given.length > 0 || flat.errors.length > 0 ? flat : wrong("/input/messages", "is required");
  }
  return allFound(messagesOf(messages, "/input/messages"), flat);
}

/** The fields of the vendor's own form: `{input: {messages: [...]}, parameters: {...}}`. */
export function envelopeFields(body: { readonly input?: unknown; readonly parameters?: unknown }): Found {
  const { input, parameters } = body;
  const parts: Found[] = [];
  if (input !== undefined) parts.push(inputOf(input));
  if (parameters !== undefined && parameters !== null) {
    parts.push(
      isRecord(parameters)
        ? fieldsOf(parameters, "/parameters", PARAMETER_SPELLINGS)
        : wrong("/parameters", "must be an object"),
    );
  }
  return allFound(...parts);
}
