/** Reads an answer's body within bounds, and separates embedded images from its text. */

/** An answer holds links. The longest one seen has a few KB. */
const MAX_TEXT_BYTES = 1024 * 1024;
/** The bound on embedded images of one answer, decoded: six images of the largest common size, and a share of an isolate's 128 MB. */
const MAX_IMAGE_BYTES = 32 * 1024 * 1024;
/** A string of at least this length that is all base64 is an image; anything shorter is text. */
const IMAGE_FROM_CHARS = 8192;
const IMAGE_TEXT = /^(?:data:[\w.+/-]*(?:;[\w=.+-]+)*;base64,)?[A-Za-z0-9+/_-]+={0,2}$/i;
/** Lines of base64 have 64 or 76 characters, and words are shorter. A string with more lines at its start is text. */
const MOST_LINES = IMAGE_FROM_CHARS / 32;

export interface AnswerBody {
  /** The text with `embedded:0`, `embedded:1`… in place of images; null when the body is larger than any answer can be. */
  readonly text: string | null;
  readonly embedded: readonly Uint8Array<ArrayBuffer>[];
}

/** The text that replaces the image of this number. */
export function embeddedMark(index: number): string {
  return `embedded:${index}`;
}

/** The number of a mark; null for any other text. */
export function embeddedIndex(text: string): number | null {
  const digits = /^embedded:(\d{1,3})$/.exec(text)?.[1];
  return digits === undefined ? null : Number(digits);
}

const TOO_LARGE: AnswerBody = { text: null, embedded: [] };

/**
 * Reads a body to its end. Images embedded in it as base64 (data URLs, `b64_json`) are decoded while they arrive and never
 * held as text. Throws what the stream throws. The content type is not read: a recorded answer had none.
 */
export async function readAnswerBody(body: ReadableStream<Uint8Array> | null): Promise<AnswerBody> {
  if (body === null) return { text: "", embedded: [] };
  const reader = body.getReader();
  const scanner = new BodyScanner();
  while (true) {
    const { done, value } = await reader.read();
    if (done) return scanner.end();
    if (scanner.add(value)) continue;
    // Not awaited, because it may never settle while the peer keeps sending.
    reader.cancel().catch(() => undefined);
    return TOO_LARGE;
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Follows JSON strings through chunks of bytes. Everything else is passed on unread. */
class BodyScanner {
  readonly #decoder = new TextDecoder();
  readonly #latin1 = new TextDecoder("latin1");
  readonly #embedded: Uint8Array<ArrayBuffer>[] = [];
  #text = "";
  #textBytes = 0;
  #imageBytes = 0;
  #inString = false;
  #escaped = false;
  /** Bytes of the current string while it may still be an image; null once it is known to be text. */
  #candidate: Uint8Array[] | null = null;
  #candidateChars = 0;
  #image: Base64Image | null = null;

  /** False when the body is too large. */
  add(chunk: Uint8Array): boolean {
    let from = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at];
      if (this.#escaped) this.#escaped = false;
      else if (this.#inString && byte === BACKSLASH) this.#escaped = true;
      else if (byte === QUOTE) {
        this.#take(chunk.subarray(from, at));
        from = at;
        if (this.#inString) this.#endString();
        else this.#candidate = [];
        this.#inString = !this.#inString;
        // The quote itself is part of the text.
        this.#pass(chunk.subarray(at, at + 1));
        from = at + 1;
      }
    }
    this.#take(chunk.subarray(from));
    return this.#textBytes <= MAX_TEXT_BYTES && this.#imageBytes <= MAX_IMAGE_BYTES;
  }

  end(): AnswerBody {
    // A body that ends inside a string is not JSON, but its text is still shown.
    this.#endString();
    const text = this.#text + this.#decoder.decode();
    return this.#textBytes > MAX_TEXT_BYTES ? TOO_LARGE : { text, embedded: this.#embedded };
  }

  #pass(bytes: Uint8Array): void {
    this.#textBytes += bytes.length;
    this.#text += this.#decoder.decode(bytes, { stream: true });
  }

  #take(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.#image !== null) {
      this.#imageBytes += this.#image.add(this.#latin1.decode(bytes));
      return;
    }
    if (!this.#inString || this.#candidate === null) {
      this.#pass(bytes);
      return;
    }
    this.#candidate.push(bytes.slice());
    this.#candidateChars += bytes.length;
    if (this.#candidateChars < IMAGE_FROM_CHARS) return;
    const start = this.#candidate.map((part) => this.#latin1.decode(part)).join("");
    if (!beginsImage(start)) {
      this.#giveUpCandidate();
      return;
    }
    this.#candidate = null;
    this.#candidateChars = 0;
    this.#image = new Base64Image();
    this.#imageBytes += this.#image.add(withoutPrefix(start));
  }

  #giveUpCandidate(): void {
    for (const part of this.#candidate ?? []) this.#pass(part);
    this.#candidate = null;
    this.#candidateChars = 0;
  }

  #endString(): void {
    this.#giveUpCandidate();
    if (this.#image === null) return;
    this.#text += embeddedMark(this.#embedded.length);
    this.#embedded.push(this.#image.end());
    this.#image = null;
  }
}

/** An escape that continues in the next piece. */
const OPEN_ESCAPE = /(?:\\(?:u[0-9a-fA-F]{0,3})?|%[0-9a-fA-F]?)$/;
/** The escapes of JSON, and those of an address, which a data URL may have. */
const ESCAPE = /\\(?:u([0-9a-fA-F]{4})|(.))|%([0-9a-fA-F]{2})/g;
/** The one-letter escapes of JSON that stand for white space or control characters. */
const BLANK_ESCAPES = "bfnrt";

/** The characters of a JSON string's text; a space for each escaped control character. */
function unescaped(text: string): string {
  return text.replace(ESCAPE, (_, unit: string | undefined, char: string | undefined, byte: string | undefined) => {
    if (char !== undefined) return BLANK_ESCAPES.includes(char) ? " " : char;
    return String.fromCharCode(Number.parseInt(unit ?? byte ?? "", 16));
  });
}

/** Whether a string is an image, by its first `IMAGE_FROM_CHARS` characters. Base64 may be broken into lines. */
function beginsImage(text: string): boolean {
  const start = unescaped(text.slice(0, IMAGE_FROM_CHARS).replace(OPEN_ESCAPE, ""));
  const lines = start.split(/\s+/);
  return lines.length <= MOST_LINES && IMAGE_TEXT.test(lines.join(""));
}

/** The base64 of an image's text, whose data URL may be written with escapes. A comma in bare base64 is no end of a prefix. */
function withoutPrefix(text: string): string {
  const isDataUrl = /^\s*data:/i.test(unescaped(text.slice(0, IMAGE_FROM_CHARS)));
  return isDataUrl ? text.replace(/^.*?(?:,|\\u002c|%2c)/is, "") : text;
}

const NOT_BASE64 = /[^A-Za-z0-9+/_-]+/g;

/**
 * Decodes base64 text that arrives in pieces, as `Buffer.from(text, "base64")` decodes the whole text: characters that are not
 * base64 are ignored, and the first `=` is the end.
 */
class Base64Image {
  readonly #parts: Uint8Array[] = [];
  #rest = "";
  #escape = "";
  #ended = false;

  /** Returns how many bytes were added. */
  add(text: string): number {
    if (this.#ended) return 0;
    const given = this.#escape + text;
    this.#escape = OPEN_ESCAPE.exec(given)?.[0] ?? "";
    const chars = unescaped(given.slice(0, given.length - this.#escape.length));
    const end = chars.indexOf("=");
    this.#ended = end >= 0;
    const all = this.#rest + (this.#ended ? chars.slice(0, end) : chars).replace(NOT_BASE64, "");
    const whole = all.length - (all.length % 4);
    this.#rest = all.slice(whole);
    return this.#decode(all.slice(0, whole));
  }

  end(): Uint8Array<ArrayBuffer> {
    this.#decode(this.#rest);
    const bytes = new Uint8Array(this.#parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.#parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  #decode(text: string): number {
    const bytes = Buffer.from(text, "base64");
    this.#parts.push(bytes);
    return bytes.length;
  }
}
