/**
 * Answers with a stored image: conditions, ranges and HEAD as in HTTP, a name for its file, and headers that let a browser only show it.
 */

import { entityTag, holds, matches } from "./core/entity-tag.ts";
import { fromR2 } from "./job-files.ts";

export interface ServeOptions {
  readonly fileName: FileName;
  /** How long a private cache may keep the image: the bytes never change, but the permission to see them ends. */
  readonly maxAgeSeconds: number;
}

export type ServeAnswer =
  | { readonly kind: "response"; readonly response: Response }
  /** The object is not in the bucket. */
  | { readonly kind: "gone" }
  /** For a 412: `If-Match` names another version. */
  | { readonly kind: "precondition_failed" }
  /** For a 416, which carries these headers. */
  | {
      readonly kind: "range_not_satisfiable";
      readonly bytes: number;
      readonly headers: { readonly "content-range": string };
    };

/** Types that a browser shows as an image and never runs. Any other is a download. */
const INLINE_TYPES: readonly string[] = [
  "image/png",
  "image/jpeg",
  "image/webp",
  "image/gif",
  "image/bmp",
  "image/avif",
];

export interface ServedImage {
  readonly contentType: string;
  /** The text of its entity tag. Equal versions have equal bytes. */
  readonly version: string;
  /** Its key and length; null when it was removed. Not called when the client already has this version. */
  readonly locate: () => Promise<{ readonly key: string; readonly bytes: number } | null>;
}

/** How long a reader waits, in ms, for the bucket's answer, and again for the first bytes. */
const READ_WITHIN_MS = 12_000;

/** The body, once its first bytes are there: after an answer has begun it cannot become a refusal. */
async function begun(body: ReadableStream<Uint8Array>, bytes: number): Promise<ReadableStream<Uint8Array>> {
  const reader = body.getReader();
  const first = await fromR2(reader.read(), READ_WITHIN_MS).catch((error: unknown) => {
    void reader.cancel().catch(() => undefined);
    throw error;
  });
  reader.releaseLock();
  const { readable, writable } = new FixedLengthStream(bytes);
  void passOn(first.value ?? new Uint8Array(0), body, writable);
  return readable;
}

/** Copies the body to `to`. When one side ends early, so does the other. */
async function passOn(
  first: Uint8Array,
  body: ReadableStream<Uint8Array>,
  to: WritableStream<Uint8Array>,
): Promise<void> {
  const writer = to.getWriter();
  try {
    await writer.write(first);
    writer.releaseLock();
    await body.pipeTo(to);
  } catch (error) {
    await Promise.allSettled([body.cancel(error), to.abort(error)]);
  }
}

/** Serves GET and HEAD of a stored image. A matching `If-None-Match` is answered without calling the bucket. */
export async function serveImage(
  bucket: R2Bucket,
  image: ServedImage,
  request: Request,
  options: ServeOptions,
): Promise<ServeAnswer> {
  const tag = entityTag(image.version);
  const headers = imageHeaders(image.contentType, tag, options);
  const ifMatch = request.headers.get("if-match");
  if (ifMatch !== null && !holds(ifMatch, tag)) return { kind: "precondition_failed" };
  const ifNoneMatch = request.headers.get("if-none-match");
  if (ifNoneMatch !== null && matches(ifNoneMatch, tag)) {
    for (const name of ["content-type", "content-disposition", "accept-ranges"]) headers.delete(name);
    return { kind: "response", response: new Response(null, { status: 304, headers }) };
  }
  const located = await image.locate();
  if (located === null) return { kind: "gone" };
  const { key, bytes } = located;
  if (request.method === "HEAD") {
    if ((await fromR2(bucket.head(key), READ_WITHIN_MS)) === null) return { kind: "gone" };
    headers.set("content-length", String(bytes));
    return { kind: "response", response: new Response(null, { headers }) };
  }
  const ifRange = request.headers.get("if-range");
  // There is no Last-Modified, so a date in If-Range matches nothing; only the exact tag does.
  const rangeHeader = ifRange === null || ifRange.trim() === tag ? request.headers.get("range") : null;
  const range = byteRange(rangeHeader, bytes);
  if (range === "not_satisfiable") {
    return { kind: "range_not_satisfiable", bytes, headers: { "content-range": `bytes */${bytes}` } };
  }
  const object = await fromR2(bucket.get(key, range === null ? {} : { range }), READ_WITHIN_MS);
  if (object === null) return { kind: "gone" };
  if (range === null) {
    headers.set("content-length", String(bytes));
    return { kind: "response", response: new Response(await begun(object.body, bytes), { headers }) };
  }
  const last = range.offset + range.length - 1;
  headers.set("content-range", `bytes ${range.offset}-${last}/${bytes}`);
  headers.set("content-length", String(range.length));
  const body = await begun(object.body, range.length);
  return { kind: "response", response: new Response(body, { status: 206, headers }) };
}

function imageHeaders(contentType: string, tag: string, options: ServeOptions): Headers {
  const inline = INLINE_TYPES.includes(contentType);
  return new Headers({
    "content-type": inline ? contentType : "application/octet-stream",
    "content-disposition": `${inline ? "inline" : "attachment"}; ${fileNames(options.fileName)}`,
    "accept-ranges": "bytes",
    etag: tag,
    "cache-control": `private, max-age=${options.maxAgeSeconds}, immutable`,
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
  });
}

/** The name in ASCII, and the full name when it differs. */
function fileNames({ full, ascii }: FileName): string {
  const plain = `filename="${ascii}"`;
  return full === ascii ? plain : `${plain}; filename*=UTF-8''${encodeURIComponent(full)}`;
}

/**
 * The one range of a `Range` header over `size` bytes. Null: send everything (no range, several, another unit, or not
 * readable; RFC 9110 lets a server ignore all of these). `not_satisfiable`: it begins after the end.
 */
export function byteRange(
  header: string | null,
  size: number,
): { readonly offset: number; readonly length: number } | "not_satisfiable" | null {
  const match = /^bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(header?.trim() ?? "");
  const [, from = "", to = ""] = match ?? [];
  if (from === "" && to === "") return null;
  if (from === "") {
    const length = Math.min(Number(to), size);
    return length === 0 ? "not_satisfiable" : { offset: size - length, length };
  }
  const offset = Number(from);
  const last = to === "" ? size - 1 : Math.min(Number(to), size - 1);
  if (to !== "" && Number(to) < offset) return null;
  return offset >= size ? "not_satisfiable" : { offset, length: last - offset + 1 };
}

const EXTENSIONS: Readonly<Record<string, string>> = {
  "image/png": "png",
  "image/jpeg": "jpg",
  "image/webp": "webp",
  "image/gif": "gif",
  "image/bmp": "bmp",
  "image/tiff": "tiff",
};

const MAX_WORDS_CHARS = 48;

/** A name in the letters of the prompt, and one in ASCII for clients that understand no other (RFC 6266, 4.3). */
export interface FileName {
  readonly full: string;
  readonly ascii: string;
}

/**
 * A file name for people: the prompt's first words, the end of the job's id and the image's number from 1. Both forms hold
 * letters, digits, `-` and `.` only, so that they need no quoting anywhere.
 */
export function imageFileName(prompt: string, jobId: string, index: number, contentType: string): FileName {
  const start = prompt.slice(0, 400).toLowerCase();
  const full = wordsOf(start.normalize("NFC"), /[^\p{L}\p{M}\p{N}]+/gu);
  const ascii = wordsOf(start.normalize("NFKD").replace(/\p{M}/gu, ""), /[^a-z0-9]+/g);
  const id = jobId.replace(/[^A-Za-z0-9]/g, "").slice(-6);
  const named = (words: string) =>
    `${[words || "image", id, index + 1].filter((part) => part !== "").join("-")}.${EXTENSIONS[contentType] ?? "bin"}`;
  return { full: named(full), ascii: named(ascii) };
}

/** The words of a text. A long text is cut at the end of a word. */
function wordsOf(text: string, between: RegExp): string {
  const words = text.replace(between, "-").replace(/^-+|-+$/g, "");
  const chars = [...words];
  if (chars.length <= MAX_WORDS_CHARS) return words;
  const cut = chars.slice(0, MAX_WORDS_CHARS + 1).join("");
  const whole = cut.replace(/-[^-]*$/, "");
  return [...whole].slice(0, MAX_WORDS_CHARS).join("");
}
