/**
 * Reads images, both uploads and results: what the bytes are, how large, and whether the image is whole. It follows the
 * container's structure and decodes nothing. Bytes after the image's end do not matter. Pure; holds at most
 * `MAX_TAKEN_BYTES`, whatever the bytes are.
 */

export const IMAGE_TYPES = [
  ...["image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp", "image/tiff", "image/avif", "image/heic"],
] as const;
export type ImageType = (typeof IMAGE_TYPES)[number];

export interface ImageFacts {
  readonly type: ImageType;
  /** As stored, before any orientation is applied. */
  readonly width: number;
  readonly height: number;
  /** The Exif orientation: 1 upright, 2…8 turned or mirrored. */
  readonly orientation: number;
}

export type ImageHead =
  | ({ readonly kind: "image" } & ImageFacts)
  /** The bytes so far fit an image, but do not yet reach its size. */
  | { readonly kind: "incomplete" }
  /** Not an image of these formats. `looksLike` is for people. */
  | { readonly kind: "foreign"; readonly looksLike: string };

export type Inspection =
  | ({ readonly ok: true } & ImageFacts)
  /** `reason` completes "the image …". `cutOff`: it began as an image, and more bytes could make it whole. */
  | { readonly ok: false; readonly cutOff: boolean; readonly reason: string };

/** Reads an image chunk by chunk. */
export class ImageReader {
  readonly #start = new Uint8Array(SNIFFED_BYTES);
  #bytes = 0;
  #parser: Parser | null = null;

  get bytes(): number {
    return this.#bytes;
  }

  /** Null before the first dozen bytes, and for bytes that are no image. */
  get type(): ImageType | null {
    return this.#parser?.facts.type ?? null;
  }

  /** `incomplete` until enough bytes were seen. */
  get head(): ImageHead {
    if (this.#bytes < SIGNATURE_BYTES) return { kind: "incomplete" };
    if (this.#parser === null) return { kind: "foreign", looksLike: looksLike(this.#start.subarray(0, this.#bytes)) };
    const { foreign, type, width, height, orientation } = this.#parser.facts;
    if (foreign !== null) return { kind: "foreign", looksLike: foreign };
    return width === 0 ? { kind: "incomplete" } : { kind: "image", type, width, height, orientation };
  }

  add(chunk: Uint8Array): void {
    const before = this.#bytes;
    if (before < SNIFFED_BYTES) this.#start.set(chunk.subarray(0, SNIFFED_BYTES - before), before);
    this.#bytes += chunk.byteLength;
    if (before >= SIGNATURE_BYTES) {
      this.#parser?.feed(chunk);
      return;
    }
    if (this.#bytes < SIGNATURE_BYTES) return;
    const signature = this.#start.slice(0, SIGNATURE_BYTES);
    const type = typeOf(signature);
    if (type === null) return;
    this.#parser = new Parser(type);
    this.#parser.feed(signature);
    this.#parser.feed(chunk.subarray(SIGNATURE_BYTES - before));
  }

  /** The result. To be called after the last chunk. */
  end(): Inspection {
    const { head } = this;
    if (this.#bytes === 0) return { ok: false, cutOff: true, reason: "is empty" };
    if (head.kind === "foreign") return { ok: false, cutOff: false, reason: `is ${head.looksLike}, not an image` };
    if (this.#bytes < SIGNATURE_BYTES) {
      return { ok: false, cutOff: true, reason: `is no image: it has ${this.#bytes} bytes` };
    }
    if (head.kind === "incomplete") {
      const reason = `is cut off: its ${this.#bytes} bytes end before they say how large it is`;
      return { ok: false, cutOff: true, reason };
    }
    if (this.#parser?.isWhole !== true) {
      const reason = `is cut off: ${this.#bytes} bytes of ${head.type} without the image's end`;
      return { ok: false, cutOff: true, reason };
    }
    const { kind: _, ...facts } = head;
    return { ok: true, ...facts };
  }
}

/** Inspects an image whose bytes are all there. */
export function inspectImage(bytes: Uint8Array): Inspection {
  const reader = new ImageReader();
  reader.add(bytes);
  return reader.end();
}

/** The head of an image from its first bytes. More bytes never change an answer other than `incomplete`. */
export function readImageHead(bytes: Uint8Array): ImageHead {
  const reader = new ImageReader();
  reader.add(bytes);
  return reader.head;
}

/** The longest signature. Fewer bytes may still become any image. */
const SIGNATURE_BYTES = 12;
/** Enough to name what the bytes are instead of an image. */
const SNIFFED_BYTES = 512;
/** The largest piece that is held: a TIFF's directory, a `meta` box, an Exif segment. */
const MAX_TAKEN_BYTES = 1024 * 1024;

/** Bounds the work on hostile bytes: a file with more parts than this is not accepted as an image. */
const MAX_PARTS = 100_000;

/**
 * What a format's reader requests next: that many bytes; to skip that many; to skip a JPEG's scan up to and including its
 * next marker, whose number is the result; or to skip a GIF's sub-blocks up to and including the empty one. The last two may
 * be many small steps, so the driver loops over them itself.
 */
type Want =
  | { readonly kind: "take"; readonly bytes: number }
  | { readonly kind: "skip"; readonly bytes: number }
  | { readonly kind: "scan" }
  | { readonly kind: "blocks" };

/** A format's reader: requests bytes, records what it learns, and returns at the image's end. */
type Format = (facts: MutableFacts) => Generator<Want, void, DataView>;

interface MutableFacts {
  readonly type: ImageType;
  width: number;
  height: number;
  orientation: number;
  /** What the bytes are instead, when the structure is broken. */
  foreign: string | null;
  /** The bytes may end here although more could follow: a GIF without its last byte, a box that extends to the end. */
  mayEnd: boolean;
  /** How many bytes were read or skipped. */
  at: number;
}

const EMPTY = new DataView(new ArrayBuffer(0));

/** Runs a format's reader over chunks. */
class Parser {
  readonly facts: MutableFacts;
  readonly #reading: Generator<Want, void, DataView>;
  #want: Want | null = null;
  #parts = 0;
  /** For a `take`: the bytes so far. */
  #taken = new Uint8Array(0);
  /** Bytes left of a `take`, of a `skip`, or of the current sub-block; -1 before the first sub-block. */
  #left = 0;
  /** For a `scan`: the previous byte was FF. */
  #isMarker = false;

  constructor(type: ImageType) {
    this.facts = { type, width: 0, height: 0, orientation: 1, foreign: null, mayEnd: false, at: 0 };
    this.#reading = FORMATS[type](this.facts);
    this.#next(EMPTY);
  }

  get isWhole(): boolean {
    return this.facts.foreign === null && (this.#want === null || this.facts.mayEnd);
  }

  feed(chunk: Uint8Array): void {
    let at = 0;
    while (this.#want !== null && at < chunk.byteLength) {
      const from = at;
      switch (this.#want.kind) {
        case "take":
        case "skip":
          at = this.#pass(chunk, at, this.#want.kind === "take");
          break;
        case "scan":
          at = this.#scan(chunk, at);
          break;
        case "blocks":
          at = this.#passBlocks(chunk, at);
          break;
        default:
          throw new Error(`no such want: ${JSON.stringify(this.#want satisfies never)}`);
      }
      this.facts.at += at - from;
      if (this.#given !== null) this.#next(this.#given);
    }
  }

  /** The requested bytes, once they are there. */
  #given: DataView | null = null;

  #pass(chunk: Uint8Array, from: number, keeps: boolean): number {
    const to = Math.min(chunk.byteLength, from + this.#left);
    if (keeps) this.#taken.set(chunk.subarray(from, to), this.#taken.byteLength - this.#left);
    this.#left -= to - from;
    if (this.#left === 0) this.#given = new DataView(this.#taken.buffer);
    return to;
  }

  #scan(chunk: Uint8Array, from: number): number {
    let at = from;
    while (at < chunk.byteLength) {
      if (!this.#isMarker) {
        const found = chunk.indexOf(0xff, at);
        if (found < 0) return chunk.byteLength;
        at = found + 1;
        this.#isMarker = true;
        continue;
      }
      const marker = chunk[at] ?? 0;
      at += 1;
      if (marker === 0xff) continue;
      this.#isMarker = false;
      // A stuffed zero, a restart or a reserved number: the scan continues.
      if (marker < 0xc0 || (marker >= 0xd0 && marker <= 0xd8)) continue;
      this.#given = new DataView(Uint8Array.of(marker).buffer);
      break;
    }
    return at;
  }

  #passBlocks(chunk: Uint8Array, from: number): number {
    let at = from;
    while (at < chunk.byteLength) {
      if (this.#left > 0) {
        const passed = Math.min(this.#left, chunk.byteLength - at);
        this.#left -= passed;
        at += passed;
        continue;
      }
      this.#left = chunk[at] ?? 0;
      at += 1;
      if (this.#left > 0) continue;
      this.#given = EMPTY;
      break;
    }
    return at;
  }

  #next(bytes: DataView): void {
    let given = bytes;
    do {
      this.#given = null;
      this.#parts += 1;
      const { value, done } = this.#reading.next(given);
      if (this.#parts > MAX_PARTS) this.facts.foreign = "an image of too many parts";
      this.#want = done || this.facts.foreign !== null ? null : value;
      this.#left = this.#want?.kind === "take" || this.#want?.kind === "skip" ? this.#want.bytes : 0;
      given = EMPTY;
    } while ((this.#want?.kind === "take" || this.#want?.kind === "skip") && this.#left === 0);
    this.#taken = new Uint8Array(this.#want?.kind === "take" ? this.#left : 0);
    this.#isMarker = false;
  }
}

const skip = (bytes: number): Want => ({ kind: "skip", bytes: Math.max(0, bytes) });
const take = (bytes: number): Want => ({ kind: "take", bytes });

function setSize(facts: MutableFacts, width: number, height: number): void {
  if (width < 1 || height < 1) facts.foreign = `an ${facts.type} without an area`;
  facts.width = Math.max(0, width);
  facts.height = Math.max(0, height);
}

function ascii(bytes: DataView, at: number, length: number): string {
  let text = "";
  for (let index = at; index < at + length && index < bytes.byteLength; index++) {
    text += String.fromCharCode(bytes.getUint8(index));
  }
  return text;
}

/** Chunks of length, name, data and checksum, up to and including IEND. */
const png: Format = function* (facts) {
  yield skip(8);
  const header = yield take(16);
  if (ascii(header, 4, 4) !== "IHDR") {
    facts.foreign = "a PNG without its header";
    return;
  }
  setSize(facts, header.getUint32(8), header.getUint32(12));
  yield skip(header.getUint32(0) - 8 + 4);
  while (true) {
    const chunk = yield take(8);
    const length = chunk.getUint32(0);
    const name = ascii(chunk, 4, 4);
    if (!/^[A-Za-z]{4}$/.test(name)) {
      facts.foreign = "a PNG with a broken chunk";
      return;
    }
    if (name === "eXIf" && length <= MAX_TAKEN_BYTES) {
      facts.orientation = exifOrientation(yield take(length));
      yield skip(4);
    } else yield skip(length + 4);
    if (name === "IEND") return;
  }
};

/**
 * Segments, and after each scan's header its data up to the next marker, until the end mark. A thumbnail's end mark is inside
 * a segment and is skipped with it.
 */
const jpeg: Format = function* (facts) {
  yield skip(2);
  let inScan = false;
  while (true) {
    if (!inScan && (yield take(1)).getUint8(0) !== 0xff) {
      facts.foreign = "a JPEG with a broken segment";
      return;
    }
    let marker = (inScan ? yield { kind: "scan" } : yield take(1)).getUint8(0);
    while (marker === 0xff) marker = (yield take(1)).getUint8(0);
    // These markers have no segment.
    if (marker < 0xc0 || (marker >= 0xd0 && marker <= 0xd8)) continue;
    if (marker === 0xd9 || marker === 0xda) {
      if (facts.width === 0) {
        facts.foreign = "a JPEG without a frame";
        return;
      }
      if (marker === 0xd9) return;
    }
    const length = (yield take(2)).getUint16(0);
    if (length < 2) {
      facts.foreign = "a JPEG with a broken segment";
      return;
    }
    // C0 to CF are frame headers, except DHT (C4), JPG (C8) and DAC (CC).
    const isFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (isFrame && length >= 7) {
      const frame = yield take(5);
      setSize(facts, frame.getUint16(3), frame.getUint16(1));
      yield skip(length - 7);
    } else if (marker === 0xe1) {
      const data = yield take(length - 2);
      if (ascii(data, 0, 6) === "Exif\0\0") facts.orientation = exifOrientation(data, 6);
    } else yield skip(length - 2);
    inScan ||= marker === 0xda;
  }
};

/** A RIFF of chunks, each padded to an even length. The first chunk has the size. */
const webp: Format = function* (facts) {
  const header = yield take(12);
  const riffBytes = header.getUint32(4, true);
  // Writers that stream leave the length at 0.
  const endsAt = riffBytes === 0 ? Number.POSITIVE_INFINITY : 8 + riffBytes;
  while (facts.at < endsAt) {
    const chunk = yield take(8);
    facts.mayEnd = false;
    const name = ascii(chunk, 0, 4);
    const length = chunk.getUint32(4, true);
    const dataEndsAt = facts.at + length;
    if (facts.width === 0) yield* webpSize(facts, name);
    else if (name === "EXIF" && length <= MAX_TAKEN_BYTES) {
      const data = yield take(length);
      // Some writers put JPEG's own prefix before the block.
      facts.orientation = exifOrientation(data, ascii(data, 0, 6) === "Exif\0\0" ? 6 : 0);
    }
    if (facts.foreign !== null) return;
    yield skip(Math.min(dataEndsAt, endsAt) - facts.at);
    // Readers accept a missing padding of the last chunk, and an end after any chunk when the length was left at 0.
    facts.mayEnd = facts.at + (length & 1) >= endsAt || endsAt === Number.POSITIVE_INFINITY;
    yield skip(Math.min(length & 1, endsAt - facts.at));
  }
};

function* webpSize(facts: MutableFacts, name: string): ReturnType<Format> {
  switch (name) {
    case "VP8 ": {
      const frame = yield take(10);
      setSize(facts, frame.getUint16(6, true) & 0x3fff, frame.getUint16(8, true) & 0x3fff);
      return;
    }
    case "VP8L": {
      const frame = yield take(5);
      const bits = frame.getUint32(1, true);
      setSize(facts, (bits & 0x3fff) + 1, ((bits >>> 14) & 0x3fff) + 1);
      return;
    }
    case "VP8X": {
      const canvas = yield take(10);
      const side = (at: number) => canvas.getUint16(at, true) + (canvas.getUint8(at + 2) << 16) + 1;
      setSize(facts, side(4), side(7));
      return;
    }
    default:
      facts.foreign = "a WebP without an image";
  }
}

/** Blocks up to the trailer. A file that lacks only the trailer is accepted, as every reader does. */
const gif: Format = function* (facts) {
  const coloursBytes = (flags: number) => (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0);
  const screen = yield take(13);
  setSize(facts, screen.getUint16(6, true), screen.getUint16(8, true));
  yield skip(coloursBytes(screen.getUint8(10)));
  let images = 0;
  while (true) {
    facts.mayEnd = images > 0;
    const block = (yield take(1)).getUint8(0);
    if (block === 0x00) continue;
    facts.mayEnd = false;
    if (block === 0x2c) {
      const image = yield take(9);
      yield skip(coloursBytes(image.getUint8(8)) + 1);
      images += 1;
    } else if (block === 0x21) yield skip(1);
    else {
      // The trailer, or other bytes that a writer put in its place.
      if (images === 0) facts.foreign = "a GIF without an image";
      return;
    }
    yield { kind: "blocks" };
  }
};

/** File header, one of several headers, rows. The file's length field is wrong in some files, so the rows decide the length. */
const bmp: Format = function* (facts) {
  const file = yield take(18);
  const headerBytes = file.getUint32(14, true);
  if (headerBytes !== 12 && (headerBytes < 40 || headerBytes > 124)) {
    facts.foreign = "text or data that begins with BM";
    return;
  }
  const header = yield take(headerBytes - 4);
  const isOld = headerBytes === 12;
  const width = isOld ? header.getUint16(0, true) : header.getInt32(0, true);
  const height = isOld ? header.getUint16(2, true) : Math.abs(header.getInt32(4, true));
  const bitsPerPixel = header.getUint16(isOld ? 6 : 10, true);
  const compression = isOld ? 0 : header.getUint32(12, true);
  setSize(facts, width, height);
  const isPlain = bitsPerPixel > 0 && (compression === 0 || compression === 3 || compression === 6);
  const rowBytes = Math.ceil((width * bitsPerPixel) / 32) * 4;
  const endsAt = isPlain ? file.getUint32(10, true) + rowBytes * height : file.getUint32(2, true);
  yield skip(endsAt - facts.at);
};

const TIFF_WIDTH = 256;
const TIFF_HEIGHT = 257;
const TIFF_ORIENTATION = 274;
/** The tags of the offsets of strips or tiles, and of their lengths. */
const TIFF_OFFSETS = [273, 324];
const TIFF_LENGTHS = [279, 325];
/** Bytes of one value for each type: BYTE, ASCII, SHORT, LONG, RATIONAL and so on. */
const TIFF_VALUE_BYTES = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8];

/**
 * The first directory, anywhere in the file, with the values, strips and tiles that it lists. Lists of strips and tiles are
 * followed when they come later in the file.
 */
const tiff: Format = function* (facts) {
  const header = yield take(8);
  const little = header.getUint8(0) === 0x49;
  const directoryAt = header.getUint32(4, little);
  if (directoryAt < 8) {
    facts.foreign = "a TIFF without a directory";
    return;
  }
  yield skip(directoryAt - facts.at);
  const entries = (yield take(2)).getUint16(0, little);
  const directory = yield take(entries * 12);
  const sides = { width: 0, height: 0 };
  const ends: number[] = [];
  const lists: { tag: number; at: number; count: number; valueBytes: number; values: number[] | null }[] = [];
  for (let at = 0; at < directory.byteLength; at += 12) {
    const tag = directory.getUint16(at, little);
    const valueBytes = TIFF_VALUE_BYTES[directory.getUint16(at + 2, little)] ?? 0;
    const count = directory.getUint32(at + 4, little);
    const long = directory.getUint32(at + 8, little);
    const value = valueBytes === 2 ? directory.getUint16(at + 8, little) : long;
    const isInPlace = count * valueBytes <= 4;
    if (!isInPlace) ends.push(long + count * valueBytes);
    if (tag === TIFF_WIDTH) sides.width = value;
    if (tag === TIFF_HEIGHT) sides.height = value;
    if (tag === TIFF_ORIENTATION && value >= 1 && value <= 8) facts.orientation = value;
    if (TIFF_OFFSETS.includes(tag) || TIFF_LENGTHS.includes(tag)) {
      const values = isInPlace ? numbers(new DataView(directory.buffer, at + 8, 4), count, valueBytes, little) : null;
      lists.push({ tag, at: isInPlace ? 0 : long, count, valueBytes, values });
    }
  }
  setSize(facts, sides.width, sides.height);
  if (facts.foreign !== null) return;
  for (const list of lists.toSorted((a, b) => a.at - b.at)) {
    const bytes = list.count * list.valueBytes;
    if (list.values !== null || list.at < facts.at || bytes > MAX_TAKEN_BYTES) continue;
    yield skip(list.at - facts.at);
    list.values = numbers(yield take(bytes), list.count, list.valueBytes, little);
  }
  const offsets = lists.find(({ tag }) => TIFF_OFFSETS.includes(tag))?.values ?? [];
  const lengths = lists.find(({ tag }) => TIFF_LENGTHS.includes(tag))?.values ?? [];
  const endsAt = offsets.reduce(
    (end, offset, index) => Math.max(end, offset + (lengths[index] ?? 0)),
    Math.max(0, ...ends),
  );
  yield skip(endsAt - facts.at);
};

function numbers(bytes: DataView, count: number, valueBytes: number, little: boolean): number[] {
  return Array.from({ length: count }, (_, index) =>
    valueBytes === 2 ? bytes.getUint16(index * 2, little) : bytes.getUint32(index * 4, little),
  );
}

/** AVIF and HEIC: boxes with a length and a name. `meta` has the sizes, and either it or `mdat` the data. */
const heif: Format = function* (facts) {
  let hasSize = false;
  let hasData = false;
  while (!hasSize || !hasData) {
    const box = yield take(8);
    const name = ascii(box, 4, 4);
    const shortBytes = box.getUint32(0);
    const bytes = shortBytes === 1 ? Number((yield take(8)).getBigUint64(0)) - 16 : shortBytes - 8;
    if (shortBytes === 0) {
      // The last box extends to the end of the file.
      facts.mayEnd = hasSize;
      yield skip(Number.POSITIVE_INFINITY);
    } else if (bytes < 0) {
      facts.foreign = "an image with a broken box";
      return;
    } else if (name === "meta" && bytes <= MAX_TAKEN_BYTES) {
      const meta = yield take(bytes);
      setLargestSize(facts, meta);
      hasSize = true;
      hasData ||= positionsOf(meta, "idat").length > 0;
    } else {
      yield skip(bytes);
      hasData ||= name === "mdat";
    }
  }
};

/** Sets the largest `ispe` property of a `meta` box: a name, four bytes, width, height. Thumbnails and tiles have smaller ones. */
function setLargestSize(facts: MutableFacts, meta: DataView): void {
  const sizes = positionsOf(meta, "ispe")
    .filter((at) => at + 16 <= meta.byteLength)
    .map((at) => ({ width: meta.getUint32(at + 8), height: meta.getUint32(at + 12) }));
  const largest = sizes.reduce((a, b) => (b.width * b.height > a.width * a.height ? b : a), { width: 0, height: 0 });
  setSize(facts, largest.width, largest.height);
}

/** The positions of a box's name in the bytes of another box. */
function positionsOf(bytes: DataView, name: string): number[] {
  const positions: number[] = [];
  for (let at = 0; at + 4 <= bytes.byteLength; at++) if (ascii(bytes, at, 4) === name) positions.push(at);
  return positions;
}

const FORMATS: Readonly<Record<ImageType, Format>> = {
  "image/png": png,
  "image/jpeg": jpeg,
  "image/webp": webp,
  "image/gif": gif,
  "image/bmp": bmp,
  "image/tiff": tiff,
  "image/avif": heif,
  "image/heic": heif,
};

/** The orientation in an Exif block (a TIFF header and its first directory) at `from`; 1 when none can be read. */
export function exifOrientation(exif: DataView, from = 0): number {
  const order = ascii(exif, from, 2);
  if (exif.byteLength < from + 14 || (order !== "II" && order !== "MM")) return 1;
  const little = order === "II";
  const start = from + exif.getUint32(from + 4, little);
  if (start + 2 > exif.byteLength) return 1;
  const entries = exif.getUint16(start, little);
  for (let entry = 0, at = start + 2; entry < entries && at + 12 <= exif.byteLength; entry++, at += 12) {
    if (exif.getUint16(at, little) !== TIFF_ORIENTATION) continue;
    const value = exif.getUint16(at + 8, little);
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

const HEIF_BRANDS: Readonly<Record<string, ImageType>> = {
  avif: "image/avif",
  avis: "image/avif",
  heic: "image/heic",
  heix: "image/heic",
  mif1: "image/heic",
  msf1: "image/heic",
};

/** The type by the first dozen bytes; null for no image. */
function typeOf(signature: Uint8Array): ImageType | null {
  const text = String.fromCharCode(...signature);
  if (text.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
  if (text.startsWith("\xff\xd8\xff")) return "image/jpeg";
  if (text.startsWith("RIFF") && text.slice(8, 12) === "WEBP") return "image/webp";
  if (text.startsWith("GIF87a") || text.startsWith("GIF89a")) return "image/gif";
  if (text.startsWith("BM")) return "image/bmp";
  if (text.startsWith("II*\0") || text.startsWith("MM\0*")) return "image/tiff";
  return text.slice(4, 8) === "ftyp" ? (HEIF_BRANDS[text.slice(8, 12)] ?? null) : null;
}

function looksLike(bytes: Uint8Array): string {
  const start = new TextDecoder().decode(bytes).trimStart().toLowerCase();
  // A prolog, a document type and comments may precede it.
  if (start.startsWith("<") && /<svg[\s>]/.test(start)) return "SVG";
  if (start.startsWith("<?xml") || start.startsWith("<error")) return "XML";
  if (start.startsWith("<!doctype") || start.startsWith("<html")) return "HTML";
  if (start.startsWith("{") || start.startsWith("[")) return "JSON";
  if (start.startsWith("%pdf")) return "PDF";
  if (start.slice(4, 8) === "ftyp") return "a video";
  const isText = bytes.subarray(0, 64).every((byte) => byte >= 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d);
  return isText ? "text" : "unknown data";
}
