/** Writes PNG files: adds chunks, and makes plain files. No I/O. */
import { crc32, deflateSync } from "node:zlib";
import { hashText } from "../core/random.ts";

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Length, type and checksum around a chunk's data. */
const CHUNK_FRAME_BYTES = 12;
/** Signature and IHDR. Ancillary chunks may follow directly. */
const HEAD_BYTES = SIGNATURE.length + CHUNK_FRAME_BYTES + 13;

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  body.copy(framed, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}

function insertAfterHead(png: Buffer, chunks: readonly Buffer[]): Buffer {
  return Buffer.concat([png.subarray(0, HEAD_BYTES), ...chunks, png.subarray(HEAD_BYTES)]);
}

/** The same picture with text chunks (iTXt, UTF-8) that state what it was made from. */
function withWords(png: Buffer, words: Readonly<Record<string, string>>): Buffer {
  const chunks = Object.entries(words).map(([keyword, text]) =>
    chunk("iTXt", Buffer.concat([Buffer.from(`${keyword}\0\0\0\0\0`, "latin1"), Buffer.from(text, "utf8")])),
  );
  return insertAfterHead(png, chunks);
}

/**
 * The same picture in a file of exactly `bytes`, by a private ancillary chunk that every reader skips. A file that is already
 * too large, or too close to the size for a chunk, is returned unchanged.
 */
export function paddedTo(png: Buffer, bytes: number): Buffer {
  const room = bytes - png.length - CHUNK_FRAME_BYTES;
  return room < 0 ? png : insertAfterHead(png, [chunk("paDd", Buffer.alloc(room, 0x2e))]);
}

/** The pixels of plain pictures by size: all are colour 0. Few sizes are requested. */
const plainPixels = new Map<string, Buffer>();

function plainPixelsChunk(width: number, height: number): Buffer {
  const size = `${width}*${height}`;
  const known = plainPixels.get(size);
  if (known !== undefined) return known;
  // One bit a pixel, and a byte before each row.
  const pixels = chunk("IDAT", deflateSync(Buffer.alloc((Math.ceil(width / 8) + 1) * height)));
  plainPixels.set(size, pixels);
  return pixels;
}

/** A real picture of one colour: of the requested size, a few hundred bytes, and quickly made. */
function plainPng(width: number, height: number, [red, green, blue]: readonly [number, number, number]): Buffer {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.writeUInt8(1, 8);
  // Indexed: the palette has one colour.
  head.writeUInt8(3, 9);
  return Buffer.concat([
    SIGNATURE,
    chunk("IHDR", head),
    chunk("PLTE", Buffer.from([red, green, blue])),
    plainPixelsChunk(width, height),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** The values that a plain file depends on. */
export interface PlainSource {
  readonly prompt: string;
  readonly model: string;
  readonly width: number;
  readonly height: number;
  readonly seed: number;
  readonly index: number;
}

/** The picture with its description, so that a file can be matched to its request. */
export function imprint(png: Buffer, { prompt, model, seed, index }: PlainSource): Buffer {
  return withWords(png, {
    Description: prompt,
    Comment: `seed ${seed}, image ${index}`,
    Software: `darkroom-emulator ${model}`,
  });
}

/** A picture of one colour in a file of `bytes`, or as small as possible. It is made again each time, always with equal bytes. */
export function plainFile(source: PlainSource, bytes: number | null): Buffer {
  const { prompt, seed, index, width, height } = source;
  const hash = hashText(`${prompt}\n${seed}\n${index}`);
  const png = imprint(plainPng(width, height, [hash & 0xff, (hash >>> 8) & 0xff, (hash >>> 16) & 0xff]), source);
  return bytes === null ? png : paddedTo(png, bytes);
}
