/** Makes one variant of one image. Holds at most 64 MB without code, measured for every size that a model makes (docs/performance.md). */
import { byteChunks } from "../../byte-chunks.ts";
import { type Coded, decodeWhole, encodeJpeg, encodeWebp } from "./codecs.ts";
import { Downscaler, type Frame, isOpaque, type Size } from "./downscale.ts";
import { jpegFacts, upright, webpFacts, withProfile } from "./metadata.ts";
import { openPng } from "./png-source.ts";
import { encodePng } from "./png-writer.ts";
import { ImageRefusal, MAX_TRANSPARENT_WEBP_PIXELS, type PixelSource, type Variant, variantSize } from "./variant.ts";

/** R2's streams are read in chunks of this size: few reads, and little to hold. */
const CHUNK_BYTES = 256 * 1024;

/**
 * The bound on decoding a JPEG or WebP as a whole, as `openWhole` estimates it: the file and the pixels are held twice,
 * in the codec and outside of it. With what the codec's allocator adds, 60 MB were measured at this bound.
 */
const MAX_DECODE_BYTES = 58_000_000;

export interface MadeVariant {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly width: number;
  readonly height: number;
  /** The most that frames, files and codecs held at once. `wasmBytes` is the codecs' WebAssembly memory alone. */
  readonly heldBytes: number;
  readonly wasmBytes: number;
}

async function wholeBody(body: ReadableStream<Uint8Array>, bytes: number, signal: AbortSignal): Promise<Uint8Array> {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for await (const chunk of byteChunks(body, CHUNK_BYTES, signal)) {
    whole.set(chunk.subarray(0, bytes - at), at);
    at += chunk.byteLength;
  }
  return whole;
}

interface Stored {
  readonly contentType: string;
  readonly bytes: number;
}

interface Opened {
  readonly source: PixelSource;
  /** What was held from opening until the rows were read. `wasmBytes` is the codec's memory alone. */
  readonly heldBytes: number;
  readonly wasmBytes: number;
}

/** A JPEG or WebP, decoded by a codec that can only decode whole images. */
async function openWhole(kind: "jpeg" | "webp", file: Uint8Array): Promise<Opened> {
  const facts = kind === "jpeg" ? jpegFacts(file) : { ...webpFacts(file), components: 4, coefficientBytes: 0 };
  const { width, height, orientation, profile } = facts;
  if ("animated" in facts && facts.animated === true) throw new ImageRefusal("is animated");
  if (kind === "jpeg" && facts.components !== 1 && facts.components !== 3) {
    throw new ImageRefusal(
      `has ${facts.components} colour components, as for print; of JPEG, grey and colour are decoded`,
    );
  }
  const pixelBytes = width * height * 4;
  // The decoder of a lossless WebP needs a further buffer.
  const needed = 2 * (file.byteLength + pixelBytes) + (kind === "webp" ? pixelBytes : facts.coefficientBytes);
  if (needed > MAX_DECODE_BYTES) {
    const megabytes = (needed / 1e6).toFixed(0);
    throw new ImageRefusal(
      `has ${width}*${height} pixels, and decoding it takes ${megabytes} MB; up to ${MAX_DECODE_BYTES / 1e6} MB are given`,
    );
  }
  let decoded: Coded<Uint8ClampedArray> | null = await decodeWhole(kind, file);
  const { wasmBytes } = decoded;
  if (decoded.bytes.byteLength !== pixelBytes)
    throw new ImageRefusal("is damaged: its pixels are not those of its header");
  return {
    heldBytes: file.byteLength + pixelBytes + wasmBytes,
    wasmBytes,
    source: {
      width,
      height,
      orientation,
      profile,
      rows: async (row) => {
        const pixels = new Uint8Array(decoded?.bytes.buffer ?? new ArrayBuffer(0));
        for (let y = 0; y < height; y++) row(pixels.subarray(y * width * 4, (y + 1) * width * 4));
        decoded = null;
      },
    },
  };
}

async function open(image: Stored, body: ReadableStream<Uint8Array>, signal: AbortSignal): Promise<Opened> {
  switch (image.contentType) {
    case "image/png":
      return { source: await openPng(byteChunks(body, CHUNK_BYTES, signal)), heldBytes: 0, wasmBytes: 0 };
    case "image/jpeg":
      return openWhole("jpeg", await wholeBody(body, image.bytes, signal));
    case "image/webp":
      return openWhole("webp", await wholeBody(body, image.bytes, signal));
    default:
      throw new ImageRefusal(`is ${image.contentType}; variants are made of PNG, JPEG and WebP`);
  }
}

/**
 * The frame, or a smaller one when encoding it would take too much memory. Only the decoded frame shows whether it has
 * transparent parts.
 */
function withinMemory(frame: Frame, image: Size, variant: Variant): Frame {
  const { width, height } = frame;
  if (variant.format !== "webp" || width * height <= MAX_TRANSPARENT_WEBP_PIXELS || isOpaque(frame.frame)) return frame;
  const size = variantSize(image, variant, MAX_TRANSPARENT_WEBP_PIXELS);
  const downscaler = new Downscaler(frame, size);
  const pixels = new Uint8Array(frame.frame.buffer);
  for (let y = 0; y < height; y++) downscaler.add(pixels.subarray(y * width * 4, (y + 1) * width * 4));
  return { frame: downscaler.finish(), ...size };
}

/** JPEG has no transparency, so transparent parts become white. */
function ontoWhite(frame: Uint8ClampedArray): void {
  for (let at = 0; at < frame.length; at += 4) {
    const alpha = frame[at + 3] as number;
    if (alpha === 255) continue;
    for (let channel = at; channel < at + 3; channel++) {
      frame[channel] = ((frame[channel] as number) * alpha + 255 * (255 - alpha)) / 255;
    }
    frame[at + 3] = 255;
  }
}

async function encode(
  { format, quality }: Variant,
  frame: Uint8ClampedArray<ArrayBuffer>,
  width: number,
  height: number,
  profile: Uint8Array | null,
): Promise<Coded<Uint8Array<ArrayBuffer>>> {
  if (format === "png") return { bytes: await encodePng(frame, width, height, profile), wasmBytes: 0 };
  if (format === "jpeg") ontoWhite(frame);
  const coded = await (format === "jpeg" ? encodeJpeg : encodeWebp)(frame, width, height, quality ?? 0);
  return profile === null ? coded : { ...coded, bytes: withProfile(format, coded.bytes, profile) };
}

/**
 * Makes the variant of the image whose file is `body`. Its Exif orientation is applied, its RGB colour profile (up to 32 KB)
 * is kept, and all other metadata is dropped. Throws `ImageRefusal` when this file has no variant, and the signal's reason
 * when the signal ends first.
 */
export async function makeVariant(
  image: Stored,
  body: ReadableStream<Uint8Array>,
  variant: Variant,
  signal: AbortSignal,
): Promise<MadeVariant> {
  try {
    const { source, heldBytes, wasmBytes } = await open(image, body, signal);
    const lies = source.orientation >= 5;
    const seen = lies ? { width: source.height, height: source.width } : source;
    const size = variantSize(seen, variant);
    const stored = lies ? { width: size.height, height: size.width } : size;
    const downscaler = new Downscaler(source, stored);
    await source.rows((row) => downscaler.add(row));
    // A body that the signal ended looks like one that was cut off, or like black pixels.
    signal.throwIfAborted();
    const turned = upright(downscaler.finish(), stored.width, stored.height, source.orientation);
    const { frame, width, height } = withinMemory(turned, seen, variant);
    const coded = await encode(variant, frame, width, height, source.profile);
    const encodeBytes = frame.byteLength + coded.wasmBytes + coded.bytes.byteLength;
    return {
      bytes: coded.bytes,
      width,
      height,
      heldBytes: Math.max(heldBytes, encodeBytes),
      wasmBytes: Math.max(wasmBytes, coded.wasmBytes),
    };
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
