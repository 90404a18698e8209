/**
 * Takes images out of a JSON text while it streams in. A body with three images of 10 MB is 40 MB of text, and 160 MB of
 * strings once it is decoded and parsed; taken out one by one, each image is 10 MB of bytes, and the rest a few KB. Pure.
 */

/**
 * `data:image/png;base64,`, with any parameters and with escapes: PHP writes `data:image\/png;base64,`. A longer head is not
 * taken. A head holds no escaped quote and no escaped backslash, so that a backslash at its end begins an escape.
 */
export const DATA_URL_HEAD = /^data:(?:[^,"\\]|\\\/|\\u[0-9a-f]{4}){0,200};base64,/i;
const HEAD_SO_FAR = /^(?:d(?:a(?:t(?:a(?::(?:[^,"\\]|\\\/|\\u[0-9a-f]{4})*(?:\\(?:u[0-9a-f]{0,3})?)?)?)?)?)?)?$/i;
const MAX_HEAD_BYTES = 220;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

const latin1 = new TextDecoder("latin1");

/** An image's bytes, or why there are none. The bytes are valid until the next image is asked for: one buffer serves all. */
export type TakenImage =
  | { readonly ok: true; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly ok: false; readonly code: "too_large" | "not_base64" };

/** Escapes that JSON writers use inside base64: `\/` of PHP, `\u002B` of .NET, and line breaks. */
const ESCAPES: Readonly<Record<string, string>> = {
  "/": "/",
  n: "",
  r: "",
  t: "",
};

/** Decodes the base64 of one image piece by piece. */
class Base64Image {
  readonly #maxBytes: number;
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;
  #rest = "";
  #failed: "too_large" | "not_base64" | null = null;

  constructor(maxBytes: number, buffer: Uint8Array<ArrayBuffer>) {
    this.#maxBytes = maxBytes;
    this.#bytes = buffer;
  }

  /** The buffer that the next image is decoded into. */
  get buffer(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }

  add(text: string): void {
    if (this.#failed !== null) return;
    const all = this.#rest + (/\s/.test(text) ? text.replace(/\s+/g, "") : text);
    const whole = all.length - (all.length % 4);
    this.#rest = all.slice(whole);
    this.#decode(all.slice(0, whole));
  }

  #decode(text: string): void {
    if (text === "") return;
    const room = (text.length / 4) * 3;
    if (this.#length + room > this.#bytes.byteLength) this.#grow(this.#length + room);
    try {
      const { read, written } = this.#bytes.subarray(this.#length).setFromBase64(text);
      this.#length += written;
      if (read < text.length) this.#failed = "too_large";
    } catch {
      this.#failed = "not_base64";
    }
  }

  #grow(bytes: number): void {
    // One byte more than allowed, so that an image that is too large is recognized.
    const size = Math.min(this.#maxBytes + 1, Math.max(bytes, this.#bytes.byteLength * 2));
    if (size <= this.#bytes.byteLength) return;
    const grown = new Uint8Array(size);
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }

  end(): TakenImage {
    if (this.#failed === null) this.#decode(this.#rest);
    if (this.#failed === null && this.#length > this.#maxBytes) this.#failed = "too_large";
    if (this.#failed !== null) return { ok: false, code: this.#failed };
    return { ok: true, bytes: this.#bytes.subarray(0, this.#length) };
  }
}

type State =
  | { readonly at: "outside" }
  /** In a string whose first bytes do not yet say whether it is an image. */
  | { readonly at: "head"; head: string }
  | { readonly at: "string" }
  | { readonly at: "image"; readonly image: Base64Image; escape: string | null };

export interface JsonImagesOptions {
  /** The text that takes the place of image `index`. No client can write it. */
  readonly markOf: (index: number) => string;
  readonly maxImageBytes: number;
  /** The limit on the text without its images. */
  readonly maxTextBytes: number;
  /** The size of the body, if it is known. No image is larger, so the buffer never has to grow. */
  readonly expectedBytes: number | null;
}

/** JSON text without its images. Call `add` with each chunk, then `text`. */
export class JsonImages {
  readonly #options: JsonImagesOptions;
  readonly #text: Uint8Array[] = [];
  #textBytes = 0;
  #images = 0;
  #buffer: Uint8Array<ArrayBuffer>;
  #state: State = { at: "outside" };
  /** The last byte of the chunk was a backslash in a string: the next byte does not end the string. */
  #escaped = false;

  constructor(options: JsonImagesOptions) {
    this.#options = options;
    const { maxImageBytes, expectedBytes } = options;
    this.#buffer = new Uint8Array(Math.min(maxImageBytes, expectedBytes ?? 64 * 1024));
  }

  /** How many images were taken so far. */
  get images(): number {
    return this.#images;
  }

  /** Takes in the next bytes and yields each image that ends in them, in order. `text_too_large` ends it. */
  *add(chunk: Uint8Array<ArrayBuffer>): Generator<TakenImage | "text_too_large", void, void> {
    let from = 0;
    while (from < chunk.byteLength) {
      const state = this.#state;
      const ended = state.at === "outside" ? this.#outside(chunk, from) : this.#inside(state, chunk, from);
      from = ended.next;
      if (ended.image !== undefined) yield ended.image;
      if (this.#textBytes > this.#options.maxTextBytes) {
        yield "text_too_large";
        return;
      }
    }
  }

  /** The text with a mark in place of each image. Throws a TypeError when it is not UTF-8. */
  text(): string {
    if (this.#state.at === "head") this.#keepText(this.#state.head);
    const bytes = new Uint8Array(this.#textBytes);
    let offset = 0;
    for (const piece of this.#text) {
      bytes.set(piece, offset);
      offset += piece.byteLength;
    }
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
  }

  #keep(bytes: Uint8Array): void {
    // Copied, because a view would keep its whole chunk in memory.
    if (bytes.byteLength > 0) this.#text.push(bytes.slice());
    this.#textBytes += bytes.byteLength;
  }

  /** Keeps text that was decoded as Latin-1, one byte for each character. */
  #keepText(text: string): void {
    this.#keep(Uint8Array.from(text, (letter) => letter.charCodeAt(0)));
  }

  /** Reads through the next quote. */
  #outside(chunk: Uint8Array, from: number): { next: number; image?: undefined } {
    const quote = chunk.indexOf(QUOTE, from);
    const next = quote < 0 ? chunk.byteLength : quote + 1;
    this.#keep(chunk.subarray(from, next));
    if (quote >= 0) this.#state = { at: "head", head: "" };
    return { next };
  }

  /** Where the string that continues at `from` ends in this chunk: the index of its quote, or the chunk's end. */
  #endOfString(chunk: Uint8Array, from: number): { end: number; closed: boolean } {
    let at = from;
    if (this.#escaped) {
      this.#escaped = false;
      at += 1;
    }
    for (;;) {
      const quote = chunk.indexOf(QUOTE, at);
      const limit = quote < 0 ? chunk.byteLength : quote;
      const backslash = chunk.indexOf(BACKSLASH, at);
      if (backslash < 0 || backslash >= limit) return { end: limit, closed: quote >= 0 };
      at = backslash + 2;
      if (at > chunk.byteLength) {
        this.#escaped = true;
        return { end: chunk.byteLength, closed: false };
      }
    }
  }

  #inside(
    state: Exclude<State, { at: "outside" }>,
    chunk: Uint8Array<ArrayBuffer>,
    from: number,
  ): { next: number; image?: TakenImage } {
    if (state.at === "head") return this.#inHead(state, chunk, from);
    const { end, closed } = this.#endOfString(chunk, from);
    const piece = chunk.subarray(from, end);
    if (state.at === "string") this.#keep(closed ? chunk.subarray(from, end + 1) : piece);
    else this.#addToImage(state, latin1.decode(piece));
    if (!closed) return { next: chunk.byteLength };
    this.#state = { at: "outside" };
    if (state.at === "string") return { next: end + 1 };
    this.#keepText(`${this.#options.markOf(this.#images)}"`);
    this.#images += 1;
    const image = state.image.end();
    this.#buffer = state.image.buffer;
    return { next: end + 1, image };
  }

  /** Collects the first bytes of a string until they show whether it is a data URL. */
  #inHead(state: { readonly at: "head"; head: string }, chunk: Uint8Array, from: number): { next: number } {
    const wanted = chunk.subarray(from, from + MAX_HEAD_BYTES - state.head.length);
    const head = state.head + latin1.decode(wanted);
    const match = DATA_URL_HEAD.exec(head);
    if (match !== null) {
      const image = new Base64Image(this.#options.maxImageBytes, this.#buffer);
      this.#state = { at: "image", image, escape: null };
      return { next: from + match[0].length - state.head.length };
    }
    if (head.length < MAX_HEAD_BYTES && HEAD_SO_FAR.test(head)) {
      state.head = head;
      return { next: from + wanted.byteLength };
    }
    // This is no image: the held bytes are text, and the rest of the string is read as text.
    this.#keepText(state.head);
    this.#state = { at: "string" };
    this.#escaped = state.head.endsWith("\\");
    return { next: from };
  }

  #addToImage(state: { readonly image: Base64Image; escape: string | null }, text: string): void {
    // PHP escapes every slash; reading letter by letter takes ten times as long.
    const slashed = text.replaceAll("\\/", "/");
    if (state.escape === null && !slashed.includes("\\")) {
      state.image.add(slashed);
      return;
    }
    let plain = "";
    for (const letter of text) {
      if (state.escape === null) {
        if (letter === "\\") state.escape = "";
        else plain += letter;
        continue;
      }
      state.escape += letter;
      const isUnicode = state.escape.startsWith("u");
      if (isUnicode && state.escape.length < 5) continue;
      // An escape that base64 text does not have becomes a `?`, which is refused as no base64.
      plain += isUnicode
        ? String.fromCharCode(Number.parseInt(state.escape.slice(1), 16))
        : (ESCAPES[state.escape] ?? "?");
      state.escape = null;
    }
    state.image.add(plain);
  }
}
