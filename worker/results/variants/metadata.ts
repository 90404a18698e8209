/** Reads what matters for showing a JPEG or WebP beside its pixels: kind, orientation, colour profile. Pure. */
import type { VariantFormat } from "../../../schemas/paths.ts";
import { exifOrientation, readImageHead } from "../image-reader.ts";
import type { Frame } from "./downscale.ts";
import { ImageRefusal } from "./variant.ts";

/** A profile is copied into each variant. Larger ones (of printers) would outweigh a small variant. */
const MAX_PROFILE_BYTES = 32 * 1024;

function ascii(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The profile when it is for RGB and not too large; else null, and the colours count as sRGB. */
export function usableProfile(profile: Uint8Array): Uint8Array | null {
  const isProfile = profile.byteLength >= 128 && ascii(profile, 36, 4) === "acsp";
  return isProfile && ascii(profile, 16, 4) === "RGB " && profile.byteLength <= MAX_PROFILE_BYTES ? profile : null;
}

export interface JpegFacts {
  readonly width: number;
  readonly height: number;
  readonly components: number;
  /** Bytes that a decoder needs for coefficients: all of a progressive image, none of a sequential one. */
  readonly coefficientBytes: number;
  readonly orientation: number;
  readonly profile: Uint8Array | null;
}

/** Reads the segments of a whole JPEG up to its first scan. Throws `ImageRefusal`. */
export function jpegFacts(bytes: Uint8Array): JpegFacts {
  const view = viewOf(bytes);
  let frame: Omit<JpegFacts, "orientation" | "profile"> | null = null;
  let orientation = 1;
  const profileParts: Uint8Array[] = [];
  for (let at = 2; at + 4 <= bytes.byteLength; ) {
    const marker = view.getUint8(at + 1);
    if (view.getUint8(at) !== 0xff) break;
    if (marker === 0xff || marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) {
      at += marker === 0xff ? 1 : 2;
      continue;
    }
    if (marker === 0xda || marker === 0xd9) break;
    const length = view.getUint16(at + 2);
    const data = bytes.subarray(at + 4, at + 2 + length);
    if (marker === 0xe1 && ascii(data, 0, 6) === "Exif\0\0") orientation = exifOrientation(viewOf(data), 6);
    if (marker === 0xe2 && ascii(data, 0, 12) === "ICC_PROFILE\0") profileParts.push(data.subarray(14));
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      frame = frameFacts(marker, data);
    }
    at += 2 + Math.max(2, length);
  }
  if (frame === null) throw new ImageRefusal("is damaged: a JPEG without a frame");
  const profile = profileParts.length === 0 ? null : usableProfile(joined(profileParts));
  return { ...frame, orientation, profile };
}

function frameFacts(marker: number, data: Uint8Array): Omit<JpegFacts, "orientation" | "profile"> {
  const components = data[5] ?? 0;
  if (data.byteLength < 6 + components * 3) throw new ImageRefusal("is damaged: its frame header is cut off");
  const view = viewOf(data);
  const [height, width] = [view.getUint16(1), view.getUint16(3)];
  const factors = Array.from({ length: components }, (_, index) => {
    const packed = view.getUint8(6 + index * 3 + 1);
    return { across: packed >> 4, down: packed & 15 };
  });
  const across = Math.max(1, ...factors.map((factor) => factor.across));
  const down = Math.max(1, ...factors.map((factor) => factor.down));
  // SOF2, 6, 10 and 14 are progressive. Each coefficient of each component takes two bytes, at the component's own
  // resolution.
  const progressive = (marker & 3) === 2;
  const shares = factors.map((factor) => (factor.across * factor.down) / (across * down));
  const coefficientBytes = progressive ? 2 * width * height * shares.reduce((sum, share) => sum + share, 0) : 0;
  return { width, height, components, coefficientBytes };
}

export interface WebpFacts {
  readonly width: number;
  readonly height: number;
  readonly animated: boolean;
  readonly orientation: number;
  readonly profile: Uint8Array | null;
}

/** The complete chunks of a WebP's container. */
function* webpChunks(bytes: Uint8Array): Generator<{ type: string; data: Uint8Array; at: number }> {
  const view = viewOf(bytes);
  for (let at = 12; at + 8 <= bytes.byteLength; ) {
    const length = view.getUint32(at + 4, true);
    yield { type: ascii(bytes, at, 4), data: bytes.subarray(at + 8, at + 8 + length), at };
    at += 8 + length + (length & 1);
  }
}

/** Reads the chunks of a whole WebP. Throws `ImageRefusal`. */
export function webpFacts(bytes: Uint8Array): WebpFacts {
  const head = readImageHead(bytes);
  if (head.kind !== "image") throw new ImageRefusal("is damaged: a WebP without a frame");
  const facts = {
    width: head.width,
    height: head.height,
    animated: false,
    orientation: 1,
    profile: null as Uint8Array | null,
  };
  for (const { type, data } of webpChunks(bytes)) {
    if (type === "VP8X") facts.animated = ((data[0] ?? 0) & 0x02) !== 0;
    if (type === "ICCP") facts.profile = usableProfile(data);
    // Some writers put JPEG's own prefix before the block.
    if (type === "EXIF") facts.orientation = exifOrientation(viewOf(data), ascii(data, 0, 6) === "Exif\0\0" ? 6 : 0);
  }
  return facts;
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

const text = (words: string): Uint8Array => new TextEncoder().encode(words);

/** A JPEG or WebP from one of our encoders, with the profile added. A PNG gets its profile while it is written. */
export function withProfile(
  format: Exclude<VariantFormat, "png">,
  bytes: Uint8Array<ArrayBuffer>,
  profile: Uint8Array,
): Uint8Array<ArrayBuffer> {
  return format === "jpeg" ? jpegWithProfile(bytes, profile) : webpWithProfile(bytes, profile);
}

/** One segment right after the start mark: `MAX_PROFILE_BYTES` fits into one. */
function jpegWithProfile(bytes: Uint8Array<ArrayBuffer>, profile: Uint8Array): Uint8Array<ArrayBuffer> {
  const data = joined([text("ICC_PROFILE\0"), Uint8Array.of(1, 1), profile]);
  const length = data.byteLength + 2;
  const segment = joined([Uint8Array.of(0xff, 0xe2, length >> 8, length & 0xff), data]);
  return joined([bytes.subarray(0, 2), segment, bytes.subarray(2)]);
}

function webpChunk(type: string, data: Uint8Array): Uint8Array {
  const head = new Uint8Array(8);
  head.set(text(type));
  viewOf(head).setUint32(4, data.byteLength, true);
  return joined([head, data, new Uint8Array(data.byteLength & 1)]);
}

const HAS_PROFILE = 0x20;
const HAS_ALPHA = 0x10;

function webpWithProfile(bytes: Uint8Array<ArrayBuffer>, profile: Uint8Array): Uint8Array<ArrayBuffer> {
  const [first] = webpChunks(bytes);
  if (first === undefined) return bytes;
  let extended: Uint8Array;
  let rest: Uint8Array;
  if (first.type === "VP8X") {
    extended = first.data.slice();
    rest = bytes.subarray(first.at + 18);
  } else {
    const size = webpFrameSize(first);
    extended = new Uint8Array(10);
    extended[0] = size.alpha ? HAS_ALPHA : 0;
    writeUint24(extended, 4, size.width - 1);
    writeUint24(extended, 7, size.height - 1);
    rest = bytes.subarray(12);
  }
  extended[0] = (extended[0] ?? 0) | HAS_PROFILE;
  const body = joined([text("WEBP"), webpChunk("VP8X", extended), webpChunk("ICCP", profile), rest]);
  return webpChunk("RIFF", body) as Uint8Array<ArrayBuffer>;
}

function webpFrameSize({ type, data }: { type: string; data: Uint8Array }) {
  const view = viewOf(data);
  if (type === "VP8L") {
    const bits = view.getUint32(1, true);
    return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1, alpha: ((bits >>> 28) & 1) === 1 };
  }
  return { width: view.getUint16(6, true) & 0x3fff, height: view.getUint16(8, true) & 0x3fff, alpha: false };
}

function writeUint24(bytes: Uint8Array, at: number, value: number): void {
  bytes.set([value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff], at);
}

/** The frame turned upright by the Exif orientation. RGBA. */
export function upright(
  frame: Uint8ClampedArray<ArrayBuffer>,
  width: number,
  height: number,
  orientation: number,
): Frame {
  if (orientation === 1) return { frame, width, height };
  const swaps = orientation >= 5;
  const turnedWidth = swaps ? height : width;
  const turnedHeight = swaps ? width : height;
  const from = new Uint32Array(frame.buffer);
  const turned = new Uint32Array(from.length);
  // Which axes of the stored image the orientation reverses. From 5 on, columns and rows are exchanged too.
  const flipsX = orientation === 2 || orientation === 3 || orientation === 7 || orientation === 8;
  const flipsY = orientation === 3 || orientation === 4 || orientation === 6 || orientation === 7;
  for (let y = 0, to = 0; y < turnedHeight; y++) {
    for (let x = 0; x < turnedWidth; x++, to++) {
      const [fromX, fromY] = swaps ? [y, x] : [x, y];
      const at = (flipsY ? height - 1 - fromY : fromY) * width + (flipsX ? width - 1 - fromX : fromX);
      turned[to] = from[at] as number;
    }
  }
  return { frame: new Uint8ClampedArray(turned.buffer), width: turnedWidth, height: turnedHeight };
}
