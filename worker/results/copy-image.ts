import { byteChunks } from "../byte-chunks.ts";
import type { CopyAnswer, CopyImage, StoredImage } from "./contract.ts";
import { type Fetch, type FetchedLink, fetchLink } from "./fetch-link.ts";
import { ImageInspector } from "./image-inspector.ts";
import { fixedLengthSink, type ImageSink, unknownLengthSink } from "./image-sink.ts";
import { LINK_LIFE_MS, signatureEnded } from "./result-link.ts";

/** The largest image any model makes (4096², 16 bits a channel, hardly compressed) is smaller. */
const MAX_IMAGE_BYTES = 64 * 1024 * 1024;

/** Large enough that hand-overs cost nothing beside the copy; two are held at a time. */
const CHUNK_BYTES = 256 * 1024;

const ENDED = "the copy was ended before the image was whole";

type Failure = Extract<FetchedLink, { ok: false }>;
type Copied = { readonly ok: true; readonly image: Omit<StoredImage, "key" | "index"> | "already_there" } | Failure;

/**
 * Copies images from upstream's links into R2. An image is streamed, and becomes an object only when its last byte was
 * seen to be its end: what is cut off, foreign or too large never exists. A key that holds an image already (a crash
 * came between the copy and its record) answers with that image, its link dead or not. A link whose image is not found is dead
 * once `missingForMs` have passed since upstream delivered.
 */
export function createImageCopier(
  bucket: R2Bucket,
  settings: { readonly baseUrl: string; readonly missingForMs: number },
  fetch: Fetch,
  now: () => number = Date.now,
): CopyImage {
  return async (source, target, signal): Promise<CopyAnswer> => {
    const copied = await copy(source.link, target.key, signal);
    if (copied.ok && copied.image !== "already_there") {
      return { kind: "stored", image: { ...target, ...copied.image } };
    }
    const there = await storedAt(target.key);
    if (there !== null) return { kind: "stored", image: { ...target, ...there } };
    if (copied.ok) return { kind: "failed", dead: false, reason: "the stored image vanished while it was read" };
    return { kind: "failed", dead: isDead(copied, source), reason: copied.reason };
  };

  function isDead(failure: Failure, source: { readonly link: string; readonly deliveredAtMs: number }): boolean {
    const nowMs = now();
    if (failure.kind === "missing" && nowMs >= source.deliveredAtMs + settings.missingForMs) return true;
    if (failure.kind === "gone" || nowMs >= source.deliveredAtMs + LINK_LIFE_MS) return true;
    return failure.kind === "refused" && signatureEnded(source.link, nowMs);
  }

  async function copy(link: string, key: string, signal: AbortSignal): Promise<Copied> {
    try {
      const fetched = await fetchLink(link, settings.baseUrl, fetch, signal);
      return fetched.ok ? await store(fetched.response, key, signal) : fetched;
    } catch (error) {
      return failed(signal.aborted ? ENDED : `the copy broke off: ${withoutLinks(String(error))}`);
    }
  }

  async function store(response: Response, key: string, signal: AbortSignal): Promise<Copied> {
    const length = lengthOf(response);
    if (response.body === null) return failed("the answer is empty");
    if (length !== null && length > MAX_IMAGE_BYTES) {
      response.body.cancel().catch(() => undefined);
      return { ok: false, kind: "gone", reason: `the image has ${length} bytes; ${MAX_IMAGE_BYTES} are taken at most` };
    }
    const pump = new Pump((contentType) =>
      length === null ? unknownLengthSink(bucket, key, contentType) : fixedLengthSink(bucket, key, length, contentType),
    );
    try {
      for await (const chunk of byteChunks(response.body, CHUNK_BYTES, signal)) {
        const refusal = await pump.take(chunk);
        if (refusal !== null) return failed(refusal);
      }
      if (signal.aborted) return failed(ENDED);
      if (length !== null && pump.bytes !== length) {
        return failed(`the image is cut off: ${pump.bytes} of ${length} bytes came`);
      }
      return await pump.end();
    } finally {
      await pump.dispose();
    }
  }

  /** What lies at a key, told from its own bytes; null for nothing, or for what is no image, which is removed. */
  async function storedAt(key: string): Promise<Omit<StoredImage, "key" | "index"> | null> {
    const object = await bucket.get(key).catch(() => null);
    if (object === null) return null;
    try {
      const inspector = new ImageInspector();
      const hash = new Hash();
      for await (const chunk of byteChunks(object.body, CHUNK_BYTES, new AbortController().signal)) {
        inspector.add(chunk);
        await hash.write(chunk);
      }
      const seen = inspector.end();
      const sha256 = await hash.end();
      if (seen.ok) {
        return { contentType: seen.type, width: seen.width, height: seen.height, bytes: inspector.bytes, sha256 };
      }
      await bucket.delete(key);
    } catch {
      // Unreadable now: the copy is tried again, and this with it.
    }
    return null;
  }
}

function failed(reason: string): Failure {
  return { ok: false, kind: "failed", reason };
}

/** A runtime's error may quote the link, and with its signature anyone can open the image. */
function withoutLinks(text: string): string {
  return text.replace(/https?:\/\/\S+/g, "the link");
}

/** Null where the host does not tell, or tells that of a compressed form. */
function lengthOf(response: Response): number | null {
  const encoding = response.headers.get("content-encoding") ?? "identity";
  const length = response.headers.get("content-length");
  return encoding === "identity" && length !== null && /^\d{1,15}$/.test(length) ? Number(length) : null;
}

class Hash {
  readonly #stream = new crypto.DigestStream("SHA-256");
  readonly #writer = this.#stream.getWriter();

  constructor() {
    // Of a copy that is given up nobody asks the digest.
    this.#stream.digest.catch(() => undefined);
  }

  async write(chunk: Uint8Array): Promise<void> {
    await this.#writer.write(chunk);
  }

  async end(): Promise<string> {
    await this.#writer.close();
    return new Uint8Array(await this.#stream.digest).toHex();
  }
}

/** Passes chunks on to the bucket, the last one always held back: it goes only when the whole was seen to be right. */
class Pump {
  readonly #open: (contentType: string) => ImageSink;
  readonly #inspector = new ImageInspector();
  readonly #hash = new Hash();
  readonly #waiting: Uint8Array[] = [];
  #sink: ImageSink | null = null;

  constructor(open: (contentType: string) => ImageSink) {
    this.#open = open;
  }

  get bytes(): number {
    return this.#inspector.bytes;
  }

  /** A sentence when nothing further is worth reading. */
  async take(chunk: Uint8Array): Promise<string | null> {
    this.#inspector.add(chunk);
    const { head } = this.#inspector;
    if (head.kind === "foreign") return `what came is ${head.looksLike}, not an image`;
    if (this.bytes > MAX_IMAGE_BYTES) return `the image is larger than ${MAX_IMAGE_BYTES} bytes`;
    await this.#hash.write(chunk);
    this.#waiting.push(chunk);
    if (head.kind === "incomplete") return null;
    this.#sink ??= this.#open(head.type);
    while (this.#waiting.length > 1) await this.#pass(this.#sink);
    return null;
  }

  async end(): Promise<Copied> {
    const seen = this.#inspector.end();
    if (!seen.ok) return failed(`what came cannot be used: ${seen.reason}`);
    const sink = this.#sink;
    if (sink === null) throw new Error("an image was seen whole before its head was");
    while (this.#waiting.length > 0) await this.#pass(sink);
    const sha256 = await this.#hash.end();
    const isNew = await sink.finish();
    this.#sink = null;
    if (!isNew) return { ok: true, image: "already_there" };
    const { type, width, height } = seen;
    return { ok: true, image: { contentType: type, width, height, bytes: this.bytes, sha256 } };
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
