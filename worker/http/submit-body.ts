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
/** A body that is no larger, and holds no image, is read at once. */
const SMALL_BODY_BYTES = 64 * 1024;
const CHUNK_BYTES = 64 * 1024;
/** The rest of a refused body is read while each chunk of it comes in time, and for so long and so much in all. */
const DROP_CHUNK_MS = 10_000;
const DROP_REST_MS = 120_000;
const DROP_REST_BYTES = 2 * MAX_BODY_BYTES;
/** Every field there is, each image, and some too many to be named one by one. */
const MAX_FORM_PARTS = 100;
/** As much as a data URL has before its base64, in a form's text. */
const MAX_DATA_URL_HEAD_BYTES = 220;
/** A file is read so far, to say of one that is too large which it is. */
const MAX_READ_FILE_BYTES = 2 * MAX_IMAGE_BYTES;

/** What becomes of the images of a body, one at a time, as they come. */
export interface ImageSink {
  /** The bytes are valid until the next image. */
  take(bytes: Uint8Array<ArrayBuffer>): Promise<GivenImage>;
  /** An image of which only its fault is known. */
  refused(check: InputCheck): GivenImage;
}

/** A body as it was read: each of its images stands where its bytes were. */
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

/** A body whose connection broke, or that is no HTTP, is its sender's fault and no failure of ours. */
function brokenBody(): ProblemError {
  return new ProblemError("malformed_body", "The body broke off before its end.");
}

/** The length that the body is declared to have; null when it is sent in chunks. */
function declaredBytes(c: HttpContext): number | null {
  const length = c.req.header("content-length");
  return length === undefined || !/^\d{1,15}$/.test(length) ? null : Number(length);
}

/**
 * The body chunk by chunk. One that is declared too large is refused at once. After a refusal midway the rest is read and
 * dropped before the answer is sent: a connection on which a body was cut off is reset, and the client never reads its answer.
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
 * Reads and drops a body that nobody has read, before the request is answered: a client that is still sending it when the
 * connection ends never reads why it was refused. Stops at a client that sends less than 64 KB in 10 s, after 2 minutes, and
 * after 200 MB.
 */
export async function dropUnread({ body, bodyUsed }: Request): Promise<void> {
  if (body === null || bodyUsed || body.locked) return;
  const stop = new AbortController();
  await dropRest(byteChunks(body, CHUNK_BYTES, stop.signal), stop);
}

/** Reads the rest of a body, in the bounds of time and size. A body that is at its end, or broke off, has none. */
async function dropRest(chunks: AsyncGenerator<Uint8Array, void, void>, stop: AbortController): Promise<void> {
  // No other way ends a read that waits for a silent client.
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
    // It broke off.
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

/** JSON, with `revive` applied to each text in it. V8 quotes the text around a mistake, which has no place in an answer. */
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
/** What every data URL in base64 holds. */
const BASE64_MARK = new TextEncoder().encode(";base64,");

function mayHoldImages(bytes: Uint8Array): boolean {
  for (let at = bytes.indexOf(BASE64_MARK[0] ?? 0); at >= 0; at = bytes.indexOf(BASE64_MARK[0] ?? 0, at + 1)) {
    if (BASE64_MARK.every((byte, index) => bytes[at + index] === byte)) return true;
  }
  return false;
}

/** One JSON body. Its images are taken out of it while it streams in, so that one at a time is in memory. */
async function readJson(c: HttpContext, what: string, maxBytes: number, sink: ImageSink): Promise<unknown> {
  const declared = declaredBytes(c);
  const chunks = bodyChunks(c, what, maxBytes);
  const held: Uint8Array<ArrayBuffer>[] = [];
  if (declared !== null && declared <= SMALL_BODY_BYTES) {
    for await (const chunk of chunks) held.push(chunk);
    const bytes = joined(held);
    if (!mayHoldImages(bytes)) return parseJson(decodeUtf8(() => utf8.decode(bytes)));
    held.splice(0, held.length, bytes);
  }
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
  for (const chunk of held) await add(chunk);
  for await (const chunk of chunks) await add(chunk);
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
  /** Some clients send a file without a name for it; no text has the type of an image. */
  readonly isFile: boolean;
  readonly bytes: number;
  readonly part: MultipartPart;
}

/** The parts of a form one at a time, as they come. `allow` is called with the bytes so far, before they are kept, and may throw. */
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
      // What follows the last boundary is of no form; the parser takes it for a mistake.
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

/** One form. Its files are checked and stored as they come, one at a time; its texts are bounded together. */
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

/** Puts the pieces of each file together in one buffer, which the next file overwrites; the pieces are let go. */
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

/** The text of a part, whose bytes are let go. */
export function textOf({ part }: ReadPart): string {
  try {
    return part.text;
  } catch (error) {
    throw formProblem(error);
  } finally {
    part.content.splice(0);
  }
}

/** The image of a part: a file, or a data URL where an image is expected. Null: the part is a text. */
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
  // A text that is not UTF-8 is a TypeError of its decoder.
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

/** Refuses a body that is compressed. */
export function refuseEncoded(c: HttpContext): void {
  const encoding = c.req.header("content-encoding");
  if (encoding === undefined || encoding === "identity") return;
  throw new ProblemError(
    "unsupported_media_type",
    `Send the body as it is, not in Content-Encoding ${encoding.slice(0, 40)}.`,
    // RFC 9110 15.5.16: the encodings that are taken.
    { headers: { "Accept-Encoding": "identity" } },
  );
}

/**
 * A submission's body, JSON or form; each image in it is given to `sink`. `what` names it in errors. A JSON body may have
 * `maxJsonBytes`, and a form as much as any body.
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

/** The fields of a submission's body, JSON or form. Its images are stored in `uploads` on the way. */
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

/** The JSON body, checked; an absent body is an empty object. */
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
