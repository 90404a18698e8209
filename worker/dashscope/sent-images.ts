import { within } from "../bounds.ts";
import { byteChunks } from "../byte-chunks.ts";
import type { ImageBytes, SentImage } from "./contract.ts";

/** The images of one request, written into its body. */
export interface SentImages {
  /** The images as text, with a unique mark in place of bytes. */
  readonly marks: readonly string[];
  /** The body, from a text that holds every mark. To be called once. */
  body(text: string): BodyInit;
  /** Stops reading. To be called once the answer is there or cannot come. False when an image broke off before that. */
  end(): Promise<boolean>;
}

type Piece = string | ImageBytes;

/**
 * Streams images into a JSON body as base64. Three images of 10 MB as strings in a body of text would take 120 MB, more
 * than an isolate has.
 */
export function sentImages(images: readonly SentImage[]): SentImages {
  const marks = images.map((image) => (typeof image === "string" ? image : crypto.randomUUID()));
  const streams = images.filter((image) => typeof image !== "string");
  let sending: Sending | null = null;

  return {
    marks,

    body(text) {
      if (streams.length === 0) return text;
      sending = new Sending(piecesOf(text, marks, images));
      return sending.readable;
    },

    async end() {
      const whole = (await sending?.end()) ?? true;
      await Promise.allSettled(streams.map((image) => image.body.cancel()));
      return whole;
    },
  };
}

function piecesOf(text: string, marks: readonly string[], images: readonly SentImage[]): Piece[] {
  const pieces: Piece[] = [];
  let rest = text;
  for (const [index, image] of images.entries()) {
    if (typeof image === "string") continue;
    const mark = marks[index] ?? "";
    const at = rest.indexOf(mark);
    if (at < 0) throw new Error(`the body does not hold the mark of image ${index}`);
    pieces.push(`${rest.slice(0, at)}data:${image.contentType};base64,`, image);
    rest = rest.slice(at + mark.length);
  }
  return [...pieces, rest];
}

/** A multiple of three: base64 turns three bytes into four letters, so each chunk ends on a whole group. */
const CHUNK_BYTES = 192 * 1024;

/**
 * The bound, in ms, on each read of an image. Well below the default budget of an attempt (45 s): an image that stops coming must
 * not look like an upstream that does not answer. With a shorter budget the attempt times out first.
 */
const READ_BOUND_MS = 10_000;

const encoder = new TextEncoder();

function lengthOf(piece: Piece): number {
  return typeof piece === "string" ? encoder.encode(piece).byteLength : 4 * Math.ceil(piece.bytes / 3);
}

/** One request body. Writing starts at once and continues as the body is read. */
class Sending {
  readonly readable: ReadableStream<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #done: Promise<void>;
  readonly #stop = new AbortController();
  #broke = false;

  constructor(pieces: readonly Piece[]) {
    const bytes = pieces.reduce((sum, piece) => sum + lengthOf(piece), 0);
    const { readable, writable } = new FixedLengthStream(bytes);
    this.readable = readable;
    this.#writer = writable.getWriter();
    this.#writer.closed.catch(() => undefined);
    // The sending ends when the reader of the body leaves. The images are not at fault then.
    this.#done = this.#send(pieces).catch(() => undefined);
  }

  async end(): Promise<boolean> {
    this.#stop.abort();
    await this.#writer.abort().catch(() => undefined);
    await this.#done;
    return !this.#broke;
  }

  async #send(pieces: readonly Piece[]): Promise<void> {
    for (const piece of pieces) {
      if (typeof piece === "string") {
        await this.#writer.write(encoder.encode(piece));
        continue;
      }
      if (await this.#sendBase64(piece)) continue;
      this.#broke = !this.#stop.signal.aborted;
      await this.#writer.abort(new Error("an input image broke off"));
      return;
    }
    await this.#writer.close();
  }

  /**
   * False when the image cannot be read, stops coming, or has another length than announced. Throws when the body's reader has
   * left.
   */
  async #sendBase64(image: ImageBytes): Promise<boolean> {
    const chunks = byteChunks(image.body, CHUNK_BYTES, this.#stop.signal);
    let bytes = 0;
    while (true) {
      const next = await within(READ_BOUND_MS, "an input image", chunks.next()).catch(() => null);
      if (next === null) return false;
      if (next.done) return bytes === image.bytes;
      bytes += next.value.byteLength;
      if (bytes > image.bytes) {
        await chunks.return();
        return false;
      }
      await this.#writer.write(encoder.encode(next.value.toBase64()));
    }
  }
}
