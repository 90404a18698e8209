/** Answers with a stored image, as HTTP says: conditions, ranges, HEAD; and as something that can only ever be looked at. */

import { entityTag, holds, matches } from "./entity-tag.ts";
import type { FileName } from "./image-file-name.ts";
import { fromR2 } from "./job-files.ts";

export interface ServeOptions {
  readonly fileName: FileName;
  /** How long a private cache may keep it: the bytes never change, but the right to see them ends. */
  readonly maxAgeSeconds: number;
}

export type ServeAnswer =
  | { readonly kind: "response"; readonly response: Response }
  /** The object is not in the bucket. */
  | { readonly kind: "gone" }
  /** For a 412: `If-Match` names other bytes. */
  | { readonly kind: "precondition_failed" }
  /** For a 416: these headers belong in it. */
  | {
      readonly kind: "range_not_satisfiable";
      readonly bytes: number;
      readonly headers: { readonly "content-range": string };
    };

/** What a browser shows as an image and never runs. Anything else is for download. */
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
  /** What its entity tag is made of: as long as it is the same, so are the bytes. */
  readonly version: string;
  /** Where it lies, and its length; null when it is gone. Not asked for while the client has it. */
  readonly locate: () => Promise<{ readonly key: string; readonly bytes: number } | null>;
}

/** A reader waits so long, in ms, for the bucket's answer, and then for the first bytes. */
const READ_WITHIN_MS = 12_000;

/** The body, once its first bytes are there: an answer that has begun cannot become a refusal any more. */
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

/** Ends with the reader of what is passed on, or with the body: either shows the other that it ended too early. */
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

/** Serves GET and HEAD of a stored image. A matching `If-None-Match` is answered without asking the bucket. */
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
  // Without a date of change a date in If-Range matches nothing; only the very tag does.
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

/** The name in ASCII, and in any script where that is another. */
function fileNames({ full, ascii }: FileName): string {
  const plain = `filename="${ascii}"`;
  return full === ascii ? plain : `${plain}; filename*=UTF-8''${encodeURIComponent(full)}`;
}

/**
 * The one range of a `Range` header over `size` bytes. Null: send everything (no range, several, another unit, or not
 * readable: RFC 9110 lets a server ignore them all). `not_satisfiable`: it begins past the end.
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
