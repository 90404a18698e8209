import { byteChunks } from "../byte-chunks.ts";
import { type CopyAnswer, type CopyImage, linkEndMs, STORED_LINK, type StoredImage } from "./contract.ts";
import { ImageReader, readImageHead } from "./image-reader.ts";
import { fixedLengthSink, type ImageSink, unknownLengthSink } from "./image-sink.ts";
import { fromR2 } from "./job-files.ts";
import { type Fetch, isDataUrl, openLink } from "./result-link.ts";

/** Larger than the largest image that any model makes (4096², 16 bits a channel, hardly compressed). */
const MAX_IMAGE_BYTES = 64 * 1024 * 1024;

/** Large enough that the cost per chunk does not matter. Two chunks are held at a time. */
const CHUNK_BYTES = 256 * 1024;

/** How much longer a link that still delivers past its end is tried while storing fails. */
const GRACE_MS = 24 * 3_600_000;

const ENDED = "the copy was ended before the image was whole";

export interface CopierSettings {
  /** Upstream's own address. Where that is this machine, links to this machine may be plain http. */
  readonly baseUrl: string;
  /** The bound on each call to the bucket; absent: `R2_BOUND_MS`. */
  readonly storageBoundMs?: number;
}

type ImageFacts = Omit<StoredImage, "key" | "index">;

type Copied =
  /** `image: null`: an object existed already and was kept. */
  | { readonly kind: "copied"; readonly image: ImageFacts | null }
  /**
   * `final`: no repetition can deliver the image. `damaged`: the bytes that arrived are no whole image; `md5` is theirs when
   * it was asked for and all of them arrived. `opened`: the link delivers, and something else failed.
   */
  | {
      readonly kind: "failed";
      readonly final: boolean;
      readonly damaged?: { readonly md5: string | null };
      readonly opened?: true;
      readonly reason: string;
    };

/** What is stored at a key, determined from its bytes. */
type AtKey =
  | { readonly kind: "image"; readonly image: ImageFacts }
  | { readonly kind: "none" }
  | { readonly kind: "unreadable" };

/**
 * Copies images from upstream's links into R2. An image is streamed, and becomes an object only after its end was seen: bytes
 * that are cut off, too large or no image never become an object. When a key already holds an image (a crash came between the
 * copy and its record), that image is the answer, even if its link has ended. A link that does not deliver is tried until it
 * ends. Each call to the bucket is bounded here; the signal bounds the download.
 */
export function createImageCopier(
  bucket: R2Bucket,
  settings: CopierSettings,
  fetch: Fetch,
  now: () => number = Date.now,
): CopyImage {
  const { baseUrl, storageBoundMs } = settings;

  return async (source, target, signal): Promise<CopyAnswer> => {
    const { link, deliveredAtMs } = source;
    if (link.startsWith(STORED_LINK)) return embedded(link.slice(STORED_LINK.length), target.index);
    const copied = await copy(link, target.key, signal);
    if (copied.kind === "copied" && copied.image !== null) {
      return { kind: "stored", image: { ...target, ...copied.image } };
    }
    const there = await atKey(target.key);
    if (there.kind === "image") return { kind: "stored", image: { ...target, ...there.image } };
    if (copied.kind === "copied") return { kind: "failed", dead: false, reason: "the stored image cannot be read now" };
    const endMs = linkEndMs(link, deliveredAtMs) + (copied.opened === true ? GRACE_MS : 0);
    return { kind: "failed", dead: copied.final || now() >= endMs, reason: copied.reason };
  };

  async function embedded(key: string, index: number): Promise<CopyAnswer> {
    const there = await atKey(key);
    switch (there.kind) {
      case "image":
        return { kind: "stored", image: { key, index, ...there.image } };
      case "none":
        return { kind: "failed", dead: true, reason: "the bytes that upstream delivered are no whole image" };
      case "unreadable":
        return { kind: "failed", dead: false, reason: "the stored image cannot be read now" };
      default:
        throw new Error(`no such kind: ${JSON.stringify(there satisfies never)}`);
    }
  }

  async function copy(link: string, key: string, signal: AbortSignal): Promise<Copied> {
    let isOpened = false;
    try {
      const opened = await openLink(link, baseUrl, fetch, signal);
      if (!opened.ok) return { kind: "failed", final: opened.final, reason: opened.reason };
      isOpened = true;
      const md5 = md5Of(opened.response.headers);
      const copied = await store(opened.response, key, signal, false);
      if (copied.kind === "copied" || copied.damaged === undefined) return copied;
      if (isDataUrl(link)) return { ...copied, final: true };
      return md5 === null ? copied : await copyAgain(copied, link, key, md5, signal);
    } catch (error) {
      const reason = signal.aborted ? ENDED : `the copy broke off: ${withoutLinks(String(error))}`;
      return { ...failed(reason), ...(isOpened ? { opened: true } : {}) };
    }
  }

  /**
   * Damaged bytes may be exactly the file that the host has. Then its checksum (OSS: `Content-MD5`, and the `ETag` of files
   * uploaded whole) matches them, and no repetition gives other bytes.
   */
  async function copyAgain(
    damaged: Copied,
    link: string,
    key: string,
    md5: string,
    signal: AbortSignal,
  ): Promise<Copied> {
    const opened = await openLink(link, baseUrl, fetch, signal);
    if (!opened.ok) return damaged;
    const copied = await store(opened.response, key, signal, true);
    const isFile = copied.kind === "failed" && copied.damaged?.md5 === md5;
    return isFile ? { ...copied, final: true } : copied;
  }

  async function store(response: Response, key: string, signal: AbortSignal, withMd5: boolean): Promise<Copied> {
    const length = lengthOf(response);
    if (response.body === null) return failed("the answer is empty");
    if (length !== null && length > MAX_IMAGE_BYTES) {
      response.body.cancel().catch(() => undefined);
      const reason = `the image has ${length} bytes; ${MAX_IMAGE_BYTES} are taken at most`;
      return { kind: "failed", final: true, reason };
    }
    const open = (contentType: string): ImageSink =>
      length === null
        ? unknownLengthSink(bucket, key, contentType, storageBoundMs)
        : fixedLengthSink(bucket, key, length, contentType, storageBoundMs);
    const pump = new Pump(open, withMd5);
    try {
      for await (const chunk of byteChunks(response.body, CHUNK_BYTES, signal)) {
        const refusal = await pump.take(chunk);
        if (refusal !== null) return refusal;
      }
      if (signal.aborted) return failed(ENDED);
      if (length !== null && pump.bytes !== length) {
        return failed(`the image is cut off: ${pump.bytes} of ${length} bytes arrived`);
      }
      return await pump.end();
    } finally {
      await pump.dispose();
    }
  }

  /** Reads what is stored at the key. Removes an object that is no image. */
  async function atKey(key: string): Promise<AtKey> {
    try {
      const object = await fromR2(bucket.get(key), storageBoundMs);
      if (object === null) return { kind: "none" };
      const reader = new ImageReader();
      const hash = new Hash("SHA-256");
      const stop = new AbortController();
      const chunks = byteChunks(object.body, CHUNK_BYTES, stop.signal);
      try {
        while (true) {
          const { value, done } = await fromR2(chunks.next(), storageBoundMs);
          if (done) break;
          reader.add(value);
          await hash.write(value);
        }
      } finally {
        stop.abort();
      }
      const seen = reader.end();
      if (seen.ok) return { kind: "image", image: await factsOf(seen, reader, hash) };
      await fromR2(bucket.delete(key), storageBoundMs);
      return { kind: "none" };
    } catch {
      // The copy is tried again, and this read with it.
      return { kind: "unreadable" };
    }
  }
}

/** Stores an image that came inside upstream's answer at its own key, and returns the link to it. Throws when R2 does. */
export async function storeEmbeddedImage(
  bucket: R2Bucket,
  key: string,
  bytes: Uint8Array<ArrayBuffer>,
  boundMs?: number,
): Promise<string> {
  const head = readImageHead(bytes);
  const contentType = head.kind === "image" ? head.type : "application/octet-stream";
  const put = () => bucket.put(key, bytes, { onlyIf: { etagDoesNotMatch: "*" }, httpMetadata: { contentType } });
  // The bytes exist nowhere else, so a short failure of the storage must not lose them.
  for (let left = 2; ; left--) {
    try {
      await fromR2(put(), boundMs);
      return STORED_LINK + key;
    } catch (error) {
      if (left === 0) throw error;
    }
  }
}

function failed(reason: string): Extract<Copied, { kind: "failed" }> {
  return { kind: "failed", final: false, reason };
}

/** A runtime's error may quote the link, whose signature opens the image to anyone. */
function withoutLinks(text: string): string {
  return text.replace(/https?:\/\/\S+/gi, "the link");
}

/** Null when the host names no length, or that of a compressed form. */
function lengthOf(response: Response): number | null {
  const encoding = response.headers.get("content-encoding") ?? "identity";
  const length = response.headers.get("content-length");
  return encoding === "identity" && length !== null && /^\d{1,15}$/.test(length) ? Number(length) : null;
}

/** The MD5 in lower-case hex; null when the headers have none. */
function md5Of(headers: Headers): string | null {
  const contentMd5 = headers.get("content-md5");
  if (contentMd5 !== null) return Buffer.from(contentMd5, "base64").toString("hex");
  return /^"([0-9a-f]{32})"$/i.exec(headers.get("etag") ?? "")?.[1]?.toLowerCase() ?? null;
}

async function factsOf(
  seen: { readonly type: string; readonly width: number; readonly height: number },
  reader: ImageReader,
  hash: Hash,
): Promise<ImageFacts> {
  const { type, width, height } = seen;
  return { contentType: type, width, height, bytes: reader.bytes, sha256: await hash.end() };
}

class Hash {
  readonly #stream: DigestStream;
  readonly #writer: WritableStreamDefaultWriter;

  constructor(algorithm: "SHA-256" | "MD5") {
    this.#stream = new crypto.DigestStream(algorithm);
    this.#writer = this.#stream.getWriter();
    // The digest of an abandoned copy is never read.
    this.#stream.digest.catch(() => undefined);
  }

  async write(chunk: Uint8Array): Promise<void> {
    await this.#writer.write(chunk);
  }

  /** The digest in hex. */
  async end(): Promise<string> {
    await this.#writer.close();
    return new Uint8Array(await this.#stream.digest).toHex();
  }
}

/** Passes chunks on to the bucket. The last chunk is held back until the whole image was seen to be complete. */
class Pump {
  readonly #open: (contentType: string) => ImageSink;
  readonly #reader = new ImageReader();
  readonly #hash = new Hash("SHA-256");
  readonly #md5: Hash | null;
  readonly #waiting: Uint8Array[] = [];
  #sink: ImageSink | null = null;

  constructor(open: (contentType: string) => ImageSink, withMd5: boolean) {
    this.#open = open;
    this.#md5 = withMd5 ? new Hash("MD5") : null;
  }

  get bytes(): number {
    return this.#reader.bytes;
  }

  /** A failure when reading on is useless, else null. */
  async take(chunk: Uint8Array): Promise<Copied | null> {
    this.#reader.add(chunk);
    const { head, type } = this.#reader;
    if (head.kind === "foreign") {
      return { ...failed(`the answer is ${head.looksLike}, not an image`), damaged: { md5: null } };
    }
    if (this.bytes > MAX_IMAGE_BYTES) {
      return { kind: "failed", final: true, reason: `the image is larger than ${MAX_IMAGE_BYTES} bytes` };
    }
    await this.#hash.write(chunk);
    await this.#md5?.write(chunk);
    this.#waiting.push(chunk);
    if (type === null) return null;
    this.#sink ??= this.#open(type);
    while (this.#waiting.length > 1) await this.#pass(this.#sink);
    return null;
  }

  async end(): Promise<Copied> {
    const seen = this.#reader.end();
    if (!seen.ok) {
      const md5 = (await this.#md5?.end()) ?? null;
      return { ...failed(`the image cannot be used: it ${seen.reason}`), damaged: { md5 } };
    }
    const sink = this.#sink;
    if (sink === null) throw new Error("an image was seen whole before its type was");
    while (this.#waiting.length > 0) await this.#pass(sink);
    const image = await factsOf(seen, this.#reader, this.#hash);
    const isNew = await sink.finish();
    this.#sink = null;
    return { kind: "copied", image: isNew ? image : null };
  }

  async dispose(): Promise<void> {
    await this.#sink?.abort();
    this.#sink = null;
  }

  async #pass(sink: ImageSink): Promise<void> {
    const chunk = this.#waiting.shift();
    if (chunk !== undefined) await sink.write(chunk);
  }
}
