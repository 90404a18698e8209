import {
  MaxFileSizeExceededError,
  MaxPartsExceededError,
  MaxTotalSizeExceededError,
  MultipartParseError,
  MultipartParser,
  type MultipartPart,
} from "@remix-run/multipart-parser";
import type { z } from "zod";
import type { Workflow } from "../../schemas/paths.ts";
import { MAX_BODY_BYTES, MAX_IMAGE_BYTES } from "../../schemas/submit.ts";
import { byteChunks } from "../byte-chunks.ts";
import { type InputCheck, notBase64, tooLarge } from "../results/input-image.ts";
import { faultsProblem, ProblemError } from "./answers.ts";
import type { HttpContext } from "./context.ts";
import { type FormPart, type Found, formFields, type GivenImage, jsonFields } from "./core/given-fields.ts";
import { DATA_URL_HEAD, JsonImages, type TakenImage } from "./core/json-images.ts";
import { formFieldOf } from "./core/submit-fields.ts";
import type { Uploads } from "./uploads.ts";

/** The longest prompts, twice, in the widest characters, with room for metadata. */
const MAX_TEXT_BYTES = 1024 * 1024;
/** A body of at most this size that holds no image is read at once. */
const SMALL_BODY_BYTES = 64 * 1024;
const CHUNK_BYTES = 64 * 1024;
/** The rest of a refused body is read while each chunk comes within `DROP_CHUNK_MS`, up to these bounds in all. */
const DROP_CHUNK_MS = 10_000;
const DROP_REST_MS = 120_000;
const DROP_REST_BYTES = 2 * MAX_BODY_BYTES;
/** Every field and every image, and some more, so that a few too many are named one by one. */
const MAX_FORM_PARTS = 100;
/** The longest head of a data URL (before its base64) in a form's text. */
const MAX_DATA_URL_HEAD_BYTES = 220;
/** A file is read up to this size, so that the answer about one that is too large can say its size. */
const MAX_READ_FILE_BYTES = 2 * MAX_IMAGE_BYTES;

/** Receives the images of a body one at a time, as they arrive. */
export interface ImageSink {
  /** The bytes are valid until the next image. */
  take(bytes: Uint8Array<ArrayBuffer>): Promise<GivenImage>;
  /** An image that is known to be unusable, and why. */
  refused(check: InputCheck): GivenImage;
}

/** A body that was read. Each image stands in the place of its bytes. */
export type ReadBody =
  | { readonly kind: "json"; readonly value: unknown }
  | { readonly kind: "form"; readonly parts: readonly FormPart[] };

function sizeWords(bytes: number): string {
  return bytes >= 1_000_000 ? `${Math.floor(bytes / 1_000_000)} MB` : `${Math.floor(bytes / 1000)} KB`;
}

/** The problem of a body that is larger than `maxBytes`. */
export function bodyTooLarge(what: string, maxBytes: number): ProblemError {
  return new ProblemError("body_too_large", `A body of ${what} may have ${sizeWords(maxBytes)} at most.`);
}

/** When the connection breaks, or the body is no HTTP, the sender is at fault. */
function brokenBody(): ProblemError {
  return new ProblemError("malformed_body", "The body broke off before its end.");
}

/** The length that the body is declared to have; null when it is sent in chunks. */
function declaredBytes(c: HttpContext): number | null {
  const length = c.req.header("content-length");
  return length === undefined || !/^\d{1,15}$/.test(length) ? null : Number(length);
}

/**
 * Yields the body chunk by chunk. A body that is declared too large is refused at once. After a refusal midway the rest is
 * read and dropped before the answer is sent: a connection whose body was cut off is reset, and the client never reads its
 * answer.
 */
export async function* bodyChunks(
  c: HttpContext,
  what: string,
  maxBytes: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const { body } = c.req.raw;
  if ((declaredBytes(c) ?? 0) > maxBytes) throw bodyTooLarge(what, maxBytes);
  if (body === null) return;
  const stop = new AbortController();
  const chunks = byteChunks(body, CHUNK_BYTES, stop.signal);
  let bytes = 0;
  try {
    for (;;) {
      const next = await chunks.next().catch(() => {
        throw brokenBody();
      });
      if (next.done) return;
      bytes += next.value.byteLength;
      if (bytes > maxBytes) throw bodyTooLarge(what, maxBytes);
      yield next.value;
    }
  } finally {
    await dropRest(chunks, stop);
  }
}

/**
 * Reads and drops a body that no handler has read, before the request is answered: a client that is still sending when the
 * connection ends never reads why it was refused. Stops when a client sends less than 64 KB in 10 s, after 2 minutes, or
 * after 200 MB.
 */
export async function dropUnread({ body, bodyUsed }: Request): Promise<void> {
  if (body === null || bodyUsed || body.locked) return;
  const stop = new AbortController();
  await dropRest(byteChunks(body, CHUNK_BYTES, stop.signal), stop);
}

/** Reads the rest of a body, within the bounds of time and size. A body that has ended or broken off has no rest. */
async function dropRest(chunks: AsyncGenerator<Uint8Array, void, void>, stop: AbortController): Promise<void> {
  // Only an abort ends a read that waits for a silent client.
  const endAfter = (ms: number) => setTimeout(() => stop.abort(), ms);
  const ending = endAfter(DROP_REST_MS);
  let silence = endAfter(DROP_CHUNK_MS);
  try {
    for (let bytes = 0; bytes < DROP_REST_BYTES; ) {
      const next = await chunks.next();
      if (next.done) return;
      bytes += next.value.byteLength;
      clearTimeout(silence);
      silence = endAfter(DROP_CHUNK_MS);
    }
    await chunks.return();
  } catch {
    // The body broke off.
  } finally {
    clearTimeout(ending);
    clearTimeout(silence);
  }
}

/** The whole body of a route that takes small ones. */
export async function smallBody(c: HttpContext, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bodyChunks(c, "this route", maxBytes)) chunks.push(chunk);
  return joined(chunks);
}

function joined(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const [only] = chunks;
  if (only !== undefined && chunks.length === 1) return only as Uint8Array<ArrayBuffer>;
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0));
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}

/** Parses JSON and applies `revive` to each value. V8's message quotes the text around a mistake, which must not be in an answer. */
export function parseJson(text: string, revive: ((value: unknown) => unknown) | null = null): unknown {
  if (text === "") throw new ProblemError("malformed_json", "The body is empty.");
  try {
    return revive === null ? JSON.parse(text) : JSON.parse(text, (_key, value: unknown) => revive(value));
  } catch (error) {
    const where = revive === null ? /position \d+( \(line \d+ column \d+\))?/.exec(String(error))?.[0] : undefined;
    throw new ProblemError("malformed_json", `The body is not JSON${where === undefined ? "" : `: see ${where}`}.`);
  }
}

function decodeUtf8(decode: () => string): string {
  try {
    return decode();
  } catch {
    throw new ProblemError("malformed_json", "The body is not UTF-8.");
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
/** Every data URL in base64 contains this. */
const BASE64_MARK = new TextEncoder().encode(";base64,");

function mayHoldImages(bytes: Uint8Array): boolean {
  for (let at = bytes.indexOf(BASE64_MARK[0] ?? 0); at >= 0; at = bytes.indexOf(BASE64_MARK[0] ?? 0, at + 1)) {
    if (BASE64_MARK.every((byte, index) => bytes[at + index] === byte)) return true;
  }
  return false;
}

/** A body that is declared to be small. The runtime reads no more of it than was declared. */
async function wholeBody(c: HttpContext): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await c.req.raw.arrayBuffer());
  } catch {
    throw brokenBody();
  }
}

/** Reads one JSON body. Its images are taken out while it streams in, so that one at a time is in memory. */
async function readJson(c: HttpContext, what: string, maxBytes: number, sink: ImageSink): Promise<unknown> {
  const declared = declaredBytes(c);
  const isSmall = declared !== null && declared <= Math.min(SMALL_BODY_BYTES, maxBytes);
  const whole = isSmall ? await wholeBody(c) : null;
  if (whole !== null && !mayHoldImages(whole)) return parseJson(decodeUtf8(() => utf8.decode(whole)));
  const nonce = crypto.randomUUID();
  const expectedBytes = declared === null ? null : Math.ceil((declared / 4) * 3);
  const taken: GivenImage[] = [];
  const json = new JsonImages({
    markOf: (index) => `${nonce}/${index}`,
    maxImageBytes: MAX_IMAGE_BYTES,
    maxTextBytes: MAX_TEXT_BYTES,
    expectedBytes,
  });
  const add = async (chunk: Uint8Array<ArrayBuffer>) => {
    for (const image of json.add(chunk)) {
      if (image === "text_too_large") throw bodyTooLarge("text beside images", MAX_TEXT_BYTES);
      taken.push(await takeImage(sink, image));
    }
  };
  for await (const chunk of whole === null ? bodyChunks(c, what, maxBytes) : [whole]) await add(chunk);
  const text = decodeUtf8(() => json.text());
  if (taken.length === 0) return parseJson(text);
  return parseJson(text, (value: unknown) => {
    if (typeof value !== "string" || !value.startsWith(nonce)) return value;
    return taken[Number(value.slice(nonce.length + 1))] ?? value;
  });
}

async function takeImage(sink: ImageSink, image: TakenImage): Promise<GivenImage> {
  if (image.ok) return await sink.take(image.bytes);
  return sink.refused(image.code === "too_large" ? tooLarge(null) : notBase64());
}

/** One part of a form. */
export interface ReadPart {
  readonly name: string;
  /** True also for a part with an image's type: some clients send a file without its name, and no text has that type. */
  readonly isFile: boolean;
  readonly bytes: number;
  readonly part: MultipartPart;
}

/** Yields the parts of a form one at a time, as they arrive. `allow` gets the bytes so far before they are kept, and may throw. */
export async function* formParts(
  c: HttpContext,
  what: string,
  maxBytes: number,
  allow: (bytes: number) => void = () => undefined,
): AsyncGenerator<ReadPart, void, void> {
  const parser = new MultipartParser(formBoundary(c), {
    maxParts: MAX_FORM_PARTS,
    maxFileSize: MAX_READ_FILE_BYTES,
    maxTotalSize: maxBytes,
  });
  let bytes = 0;
  let isWhole = false;
  try {
    for await (const chunk of bodyChunks(c, what, maxBytes)) {
      // Bytes after the last boundary are not part of the form; the parser would treat them as an error.
      if (isWhole) continue;
      bytes += chunk.byteLength;
      allow(bytes);
      for (const part of parser.write(chunk)) yield readPart(part);
      isWhole = isFinished(parser);
    }
  } catch (error) {
    throw formProblem(error);
  }
  if (!isWhole) throw formProblem(new MultipartParseError("no end"));
}

function readPart(part: MultipartPart): ReadPart {
  const isFile = part.isFile || /^image\//i.test(part.mediaType ?? "");
  return { name: part.name ?? "", isFile, bytes: part.size, part };
}

/** The boundary that the Content-Type of a form names. */
function formBoundary(c: HttpContext): string {
  const contentType = c.req.header("content-type") ?? "";
  const [, quoted, plain] = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType) ?? [];
  const boundary = quoted ?? plain;
  if (boundary !== undefined) return boundary;
  throw new ProblemError("malformed_body", "The Content-Type multipart/form-data names no boundary.");
}

/** Reads one form. Its files are checked and stored one at a time, as they arrive; its texts have one bound together. */
async function readForm(c: HttpContext, what: string, sink: ImageSink): Promise<FormPart[]> {
  const parts: FormPart[] = [];
  const bytesOf = imageBuffer();
  let textBytes = 0;
  for await (const part of formParts(c, what, MAX_BODY_BYTES)) {
    const image = await imageOfPart(part, sink, bytesOf);
    if (image === null) textBytes += part.bytes;
    if (textBytes > MAX_TEXT_BYTES) throw bodyTooLarge("text beside images", MAX_TEXT_BYTES);
    parts.push([part.name, image ?? textOf(part)]);
  }
  return parts;
}

function isFinished(parser: MultipartParser): boolean {
  try {
    parser.finish();
    return true;
  } catch {
    return false;
  }
}

/** Joins the pieces of each file in one buffer, which the next file overwrites. The pieces are freed. */
export function imageBuffer(): (part: ReadPart) => Uint8Array<ArrayBuffer> {
  let buffer = new Uint8Array(0);
  return ({ part: { content }, bytes }) => {
    if (buffer.byteLength < bytes) buffer = new Uint8Array(bytes);
    let offset = 0;
    for (const piece of content.splice(0)) {
      buffer.set(piece, offset);
      offset += piece.byteLength;
    }
    return buffer.subarray(0, bytes);
  };
}

/** The text of a part. Its bytes are freed. */
export function textOf({ part }: ReadPart): string {
  try {
    return part.text;
  } catch (error) {
    throw formProblem(error);
  } finally {
    part.content.splice(0);
  }
}

/** The image of a part: a file, or a data URL in an image field. Null when the part is a text. */
async function imageOfPart(
  part: ReadPart,
  sink: ImageSink,
  bytesOf: (part: ReadPart) => Uint8Array<ArrayBuffer>,
): Promise<GivenImage | null> {
  if (part.isFile) {
    return part.bytes > MAX_IMAGE_BYTES ? sink.refused(tooLarge(part.bytes)) : await sink.take(bytesOf(part));
  }
  if (formFieldOf(part.name) !== "images") return null;
  const head = DATA_URL_HEAD.exec(beginning(part, MAX_DATA_URL_HEAD_BYTES))?.[0];
  return head === undefined ? null : await dataUrlPart(textOf(part).slice(head.length), sink);
}

/** The first bytes of a part, each as one character. */
function beginning({ part: { content } }: ReadPart, maxBytes: number): string {
  let text = "";
  for (const piece of content) {
    if (text.length >= maxBytes) break;
    text += String.fromCharCode(...piece.subarray(0, maxBytes - text.length));
  }
  return text;
}

async function dataUrlPart(base64: string, sink: ImageSink): Promise<GivenImage> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = Uint8Array.fromBase64(base64);
  } catch {
    return sink.refused(notBase64());
  }
  return bytes.byteLength > MAX_IMAGE_BYTES ? sink.refused(tooLarge(bytes.byteLength)) : await sink.take(bytes);
}

function formProblem(error: unknown): Error {
  if (error instanceof MaxFileSizeExceededError) {
    return new ProblemError("image_too_large", `A part of the form has more than ${sizeWords(MAX_READ_FILE_BYTES)}.`);
  }
  if (error instanceof MaxTotalSizeExceededError) return bodyTooLarge("a form", MAX_BODY_BYTES);
  if (error instanceof MaxPartsExceededError) {
    return new ProblemError("malformed_body", `The form has more than ${MAX_FORM_PARTS} parts.`);
  }
  // The decoder throws a TypeError for a text that is not UTF-8.
  if (error instanceof MultipartParseError || error instanceof TypeError) {
    const detail = "The body is not the multipart/form-data that its Content-Type announces.";
    return new ProblemError("malformed_body", detail);
  }
  return error instanceof Error ? error : new Error(String(error));
}

/** The type of the body in lower case and without parameters; empty when none was sent. */
export function mediaTypeOf(c: HttpContext): string {
  return (c.req.header("content-type") ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
}

/** Refuses a body with a Content-Encoding. */
export function refuseEncoded(c: HttpContext): void {
  const encoding = c.req.header("content-encoding");
  if (encoding === undefined || encoding === "identity") return;
  throw new ProblemError(
    "unsupported_media_type",
    `Send the body as it is, not in Content-Encoding ${encoding.slice(0, 40)}.`,
    // RFC 9110 15.5.16: `Accept-Encoding` lists what is taken.
    { headers: { "Accept-Encoding": "identity" } },
  );
}

/**
 * Reads a submission's body, JSON or form, and gives each image in it to `sink`. `what` names the body in errors. A JSON body
 * may have `maxJsonBytes`, and a form as much as any body.
 */
export async function readBody(c: HttpContext, what: string, maxJsonBytes: number, sink: ImageSink): Promise<ReadBody> {
  refuseEncoded(c);
  const mediaType = mediaTypeOf(c);
  if (mediaType === "application/json" || /^application\/[\w.-]+\+json$/.test(mediaType)) {
    return { kind: "json", value: await readJson(c, what, maxJsonBytes, sink) };
  }
  if (mediaType === "multipart/form-data") return { kind: "form", parts: await readForm(c, what, sink) };
  const given = mediaType === "" ? "No Content-Type was sent" : `The Content-Type is ${mediaType.slice(0, 80)}`;
  const curl =
    mediaType === "application/x-www-form-urlencoded" ? " With curl: --json '{…}', or -F for each field." : "";
  throw new ProblemError(
    "unsupported_media_type",
    `${given}; a submission is application/json or multipart/form-data.${curl}`,
    { headers: { "Accept-Post": "application/json, multipart/form-data" } },
  );
}

/** The fields of a submission's body, JSON or form. Its images are stored in `uploads` meanwhile. */
export async function readSubmitFields(c: HttpContext, workflow: Workflow, uploads: Uploads): Promise<Found> {
  const maxJsonBytes = workflow === "image-from-text" ? MAX_TEXT_BYTES : MAX_BODY_BYTES;
  const body = await readBody(c, workflow, maxJsonBytes, uploads);
  return body.kind === "json" ? jsonFields(workflow, body.value) : formFields(workflow, body.parts);
}

/** The limit on a JSON body that is not a submission; a hundred job ids take 3 KB. */
const MAX_JSON_BODY_BYTES = 16 * 1024;

/** The problems that `jsonBody` throws. */
export const JSON_BODY_PROBLEMS = [
  "invalid_request",
  "malformed_json",
  "malformed_body",
  "unsupported_media_type",
  "body_too_large",
] as const;

/** The JSON body, checked against the schema. An absent body counts as an empty object. */
export async function jsonBody<Schema extends z.ZodType>(c: HttpContext, schema: Schema): Promise<z.output<Schema>> {
  const text = new TextDecoder().decode(await smallBody(c, MAX_JSON_BODY_BYTES));
  if (text !== "" && mediaTypeOf(c) !== "application/json") {
    throw new ProblemError("unsupported_media_type", "The body is JSON.", {
      headers: { "Accept-Post": "application/json" },
    });
  }
  const parsed = schema.safeParse(text === "" ? {} : parseJson(text));
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message, code, ...rest }) => ({
    path: `/${path.join("/")}`,
    message:
      code === "unrecognized_keys" ? `${(rest as { keys: string[] }).keys.join(", ")} is not a field here` : message,
  }));
  throw faultsProblem("invalid_request", faults, (path) => path);
}
