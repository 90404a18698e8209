/**
 * What an image is and how large, told by its first bytes and by nothing else: six formats, each a fixed header. Pure, and
 * bounded: the work is at most one step a segment, whatever the bytes say.
 */

export const IMAGE_TYPES = ["image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp", "image/tiff"] as const;
export type ImageType = (typeof IMAGE_TYPES)[number];

export type ImageHead =
  | { readonly kind: "image"; readonly type: ImageType; readonly width: number; readonly height: number }
  /** The bytes so far fit an image, and its size lies further on. */
  | { readonly kind: "incomplete" }
  /** Not an image of these formats. `looksLike` is for people. */
  | { readonly kind: "foreign"; readonly looksLike: string };

/** The longest signature; fewer bytes may still become any image. */
export const SIGNATURE_BYTES = 12;

const INCOMPLETE: ImageHead = { kind: "incomplete" };

/** Reads the head of an image from its first bytes. More bytes never change an answer other than `incomplete`. */
export function readImageHead(bytes: Uint8Array): ImageHead {
  if (bytes.byteLength < SIGNATURE_BYTES) return INCOMPLETE;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (startsWith(bytes, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])) return pngHead(view);
  if (startsWith(bytes, [0xff, 0xd8, 0xff])) return jpegHead(view);
  if (ascii(bytes, 0, 4) === "RIFF" && ascii(bytes, 8, 4) === "WEBP") return webpHead(view, bytes);
  if (ascii(bytes, 0, 6) === "GIF87a" || ascii(bytes, 0, 6) === "GIF89a") {
    return image("image/gif", view.getUint16(6, true), view.getUint16(8, true));
  }
  if (ascii(bytes, 0, 2) === "BM") return bmpHead(view);
  if (startsWith(bytes, [0x49, 0x49, 0x2a, 0x00])) return tiffHead(view, true);
  if (startsWith(bytes, [0x4d, 0x4d, 0x00, 0x2a])) return tiffHead(view, false);
  return foreign(looksLike(bytes));
}

function image(type: ImageType, width: number, height: number): ImageHead {
  if (width < 1 || height < 1) return foreign(`an ${type} without an area`);
  return { kind: "image", type, width, height };
}

function foreign(looksLike: string): ImageHead {
  return { kind: "foreign", looksLike };
}

function startsWith(bytes: Uint8Array, start: readonly number[]): boolean {
  return start.every((byte, index) => bytes[index] === byte);
}

function ascii(bytes: Uint8Array, offset: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(offset, offset + length));
}

/** Signature, then IHDR: length, name, width, height. */
function pngHead(view: DataView): ImageHead {
  if (view.byteLength < 24) return INCOMPLETE;
  if (view.getUint32(12) !== 0x49484452) return foreign("a PNG without its header");
  return image("image/png", view.getUint32(16), view.getUint32(20));
}

/** Segments up to the frame header: C0 to CF but DHT (C4), JPG (C8) and DAC (CC). */
function jpegHead(view: DataView): ImageHead {
  let offset = 2;
  while (offset + 4 <= view.byteLength) {
    if (view.getUint8(offset) !== 0xff) return foreign("a JPEG with a broken segment");
    const marker = view.getUint8(offset + 1);
    if (marker === 0xff) {
      offset += 1;
      continue;
    }
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      if (offset + 9 > view.byteLength) return INCOMPLETE;
      return image("image/jpeg", view.getUint16(offset + 7), view.getUint16(offset + 5));
    }
    // Image data or the end before any frame header.
    if (marker === 0xda || marker === 0xd9) return foreign("a JPEG without a frame");
    const isBare = marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8);
    const lengthBytes = isBare ? 0 : view.getUint16(offset + 2);
    if (!isBare && lengthBytes < 2) return foreign("a JPEG with a broken segment");
    offset += 2 + lengthBytes;
  }
  return INCOMPLETE;
}

/** RIFF, then a lossy, a lossless or an extended first chunk. */
function webpHead(view: DataView, bytes: Uint8Array): ImageHead {
  if (view.byteLength < 30) return INCOMPLETE;
  switch (ascii(bytes, 12, 4)) {
    case "VP8 ":
      return image("image/webp", view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff);
    case "VP8L": {
      const bits = view.getUint32(21, true);
      return image("image/webp", (bits & 0x3fff) + 1, ((bits >>> 14) & 0x3fff) + 1);
    }
    case "VP8X":
      return image("image/webp", uint24(view, 24) + 1, uint24(view, 27) + 1);
    default:
      return foreign("a WebP without an image");
  }
}

function uint24(view: DataView, offset: number): number {
  return view.getUint16(offset, true) | (view.getUint8(offset + 2) << 16);
}

/** A 12-byte core header has 16-bit sides; all later ones 32-bit, the height negative where rows run downwards. */
function bmpHead(view: DataView): ImageHead {
  if (view.byteLength < 26) return INCOMPLETE;
  const headerBytes = view.getUint32(14, true);
  if (headerBytes === 12) return image("image/bmp", view.getUint16(18, true), view.getUint16(20, true));
  if (headerBytes < 40 || headerBytes > 124) return foreign("text or data that begins with BM");
  return image("image/bmp", view.getInt32(18, true), Math.abs(view.getInt32(22, true)));
}

/** The first directory, anywhere in the file: tag 256 is the width, 257 the height, as SHORT (3) or LONG (4). */
function tiffHead(view: DataView, littleEndian: boolean): ImageHead {
  const start = view.getUint32(4, littleEndian);
  if (start + 2 > view.byteLength) return INCOMPLETE;
  const entries = view.getUint16(start, littleEndian);
  const sides = { 256: 0, 257: 0 };
  for (let entry = 0; entry < entries; entry++) {
    const offset = start + 2 + entry * 12;
    if (offset + 12 > view.byteLength) return INCOMPLETE;
    const tag = view.getUint16(offset, littleEndian);
    if (tag !== 256 && tag !== 257) continue;
    const isShort = view.getUint16(offset + 2, littleEndian) === 3;
    sides[tag] = isShort ? view.getUint16(offset + 8, littleEndian) : view.getUint32(offset + 8, littleEndian);
  }
  return image("image/tiff", sides[256], sides[257]);
}

function looksLike(bytes: Uint8Array): string {
  const start = new TextDecoder().decode(bytes.subarray(0, 512)).trimStart().toLowerCase();
  if (start.startsWith("<?xml") || start.startsWith("<error")) return "XML";
  if (start.startsWith("<svg")) return "SVG";
  if (start.startsWith("<!doctype") || start.startsWith("<html")) return "HTML";
  if (start.startsWith("{") || start.startsWith("[")) return "JSON";
  if (start.startsWith("%pdf")) return "PDF";
  if (ascii(bytes, 4, 4) === "ftyp") return "AVIF, HEIC or a video";
  const isText = bytes.subarray(0, 64).every((byte) => byte >= 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d);
  return isText ? "text" : "unknown data";
}
