/**
 * Whether all of an image's bytes are there, told by its container alone; nothing is decoded. For images that are at hand as a
 * whole: what comes in a stream is judged by `ImageInspector`. Pure, and bounded by the number of bytes.
 */
import type { ImageType } from "./image-head.ts";

/** `bytes` must begin with the head of an image of this type. What follows an image's end is no matter. */
export function hasEnd(type: ImageType, bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (type) {
    case "image/png":
      return pngEnds(view);
    case "image/jpeg":
      return jpegEnds(bytes, view);
    case "image/webp":
      return bytes.byteLength >= view.getUint32(4, true) + 8;
    case "image/gif":
      return gifEnds(bytes);
    case "image/bmp":
      return bytes.byteLength >= view.getUint32(2, true);
    case "image/tiff":
      // Its directory was found; where the rest lies is told nowhere in one place.
      return true;
    default:
      throw new Error(`no such type: ${JSON.stringify(type satisfies never)}`);
  }
}

/** Chunks of length, name, data and checksum, up to and with IEND. */
function pngEnds(view: DataView): boolean {
  let offset = 8;
  while (offset + 12 <= view.byteLength) {
    if (view.getUint32(offset + 4) === 0x49454e44) return true;
    offset += 12 + view.getUint32(offset);
  }
  return false;
}

/**
 * The end mark after the first scan's begin: before it there may be the one of a thumbnail; inside image data FF is always
 * followed by something else; and after it a phone may have appended a film.
 */
function jpegEnds(bytes: Uint8Array, view: DataView): boolean {
  let offset = 2;
  while (offset + 4 <= bytes.byteLength && bytes[offset + 1] !== 0xda) {
    const marker = view.getUint8(offset + 1);
    const isBare = marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8);
    if (marker === 0xff) offset += 1;
    else offset += isBare ? 2 : 2 + view.getUint16(offset + 2);
  }
  for (let at = bytes.indexOf(0xff, offset); at >= 0; at = bytes.indexOf(0xff, at + 1)) {
    if (bytes[at + 1] === 0xd9) return true;
  }
  return false;
}

/** Blocks up to the trailer; one that lacks nothing but the trailer is taken, as every reader does. */
function gifEnds(bytes: Uint8Array): boolean {
  const colours = (flags: number) => (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0);
  let offset = 13 + colours(bytes[10] ?? 0);
  let images = 0;
  while (offset < bytes.byteLength) {
    const block = bytes[offset];
    if (block === 0x3b) return images > 0;
    if (block === 0x2c) {
      images += 1;
      offset += 11 + colours(bytes[offset + 9] ?? 0);
    } else if (block === 0x21) offset += 2;
    else return false;
    // Sub-blocks, each with its length before it; one of none ends them.
    let length = bytes[offset];
    while (length !== undefined && length !== 0) {
      offset += 1 + length;
      length = bytes[offset];
    }
    if (length === undefined) return false;
    offset += 1;
  }
  return images > 0;
}
