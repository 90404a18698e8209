/**
 * Reads a PNG row by row from a stream. It holds a few rows and some 100 KB, however large the image is. Only an interlaced
 * image is held as a whole, and its size is bounded for that reason.
 */
import { exifOrientation } from "../image-reader.ts";
import { usableProfile } from "./metadata.ts";
import { ImageRefusal, type PixelSource } from "./variant.ts";

/** The widest image of a model has 11 585 pixels (4096² at 8:1). Two rows are held, with at most 8 bytes a pixel. */
const MAX_SIDE = 16_384;
/** The pixels of the largest image of a model, 4096*4096: about 2 s of decoding. */
const MAX_PIXELS = 4096 * 4096;
/** The bound on an interlaced image, which is held as RGBA: 24 MB. */
const MAX_INTERLACED_PIXELS = 6_000_000;
/** The bound on chunks that are read and not skipped: a palette, a profile, an Exif block. */
const MAX_READ_CHUNK_BYTES = 256 * 1024;
/** How many compressed bytes the inflater gets at once. At worst they become 1032 times as many, which its memory then holds. */
const PIECE_BYTES = 4096;
const INFLATED_BYTES = 64 * 1024;

/** Reads a stream's bytes in the amounts that the format asks for. */
class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #held: Uint8Array = new Uint8Array(0);

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Between one byte and `most` bytes, in the stream's own buffer. */
  async some(most: number): Promise<Uint8Array> {
    while (this.#held.byteLength === 0) {
      const { value, done } = await this.#chunks.next();
      if (done === true) throw new ImageRefusal("is cut off: it ends before its pixels do");
      this.#held = value;
    }
    const taken = this.#held.subarray(0, most);
    this.#held = this.#held.subarray(taken.byteLength);
    return taken;
  }

  async exactly(count: number): Promise<Uint8Array<ArrayBuffer>> {
    const taken = new Uint8Array(count);
    for (let at = 0; at < count; ) {
      const part = await this.some(count - at);
      taken.set(part, at);
      at += part.byteLength;
    }
    return taken;
  }

  async skip(count: number): Promise<void> {
    for (let left = count; left > 0; ) left -= (await this.some(left)).byteLength;
  }

  async end(): Promise<void> {
    await this.#chunks.return?.();
  }
}

interface Chunk {
  readonly type: string;
  readonly length: number;
}

async function nextChunk(bytes: ByteReader): Promise<Chunk> {
  const head = await bytes.exactly(8);
  const length = new DataView(head.buffer).getUint32(0);
  if (length > 0x7fffffff) throw new ImageRefusal("is damaged: a part of it claims an impossible length");
  return { type: String.fromCharCode(...head.subarray(4)), length };
}

const CHECKSUM_BYTES = 4;

async function readChunk(bytes: ByteReader, { type, length }: Chunk): Promise<Uint8Array<ArrayBuffer>> {
  if (length > MAX_READ_CHUNK_BYTES) throw new ImageRefusal(`has a ${type} part of ${length} bytes`);
  const data = await bytes.exactly(length);
  await bytes.skip(CHECKSUM_BYTES);
  return data;
}

/** Inflates what `pieces` yields, a little at a time, because the platform's inflater accepts as much as it is given. */
class Inflater {
  readonly #pieces: AsyncIterator<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamBYOBReader;
  #buffer = new ArrayBuffer(INFLATED_BYTES);
  #held = new Uint8Array(0);
  #wasFull = false;
  #ended = false;

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
    const stream = new DecompressionStream("deflate");
    this.#writer = stream.writable.getWriter();
    this.#writer.closed.catch(() => undefined);
    this.#reader = stream.readable.getReader({ mode: "byob" });
  }

  /** Fills `into`. Throws `ImageRefusal` when the data ends before that or is invalid. */
  async fill(into: Uint8Array): Promise<void> {
    for (let at = 0; at < into.byteLength; ) {
      if (this.#held.byteLength === 0) this.#held = await this.#read();
      const part = this.#held.subarray(0, into.byteLength - at);
      into.set(part, at);
      at += part.byteLength;
      this.#held = this.#held.subarray(part.byteLength);
    }
  }

  async #read(): Promise<Uint8Array<ArrayBuffer>> {
    let settled = false;
    const reading = this.#reader.read(new Uint8Array(this.#buffer)).then(
      (result) => {
        settled = true;
        return result;
      },
      () => {
        settled = true;
        return null;
      },
    );
    // A read that filled its buffer usually left more output, which comes without another piece.
    if (this.#wasFull) await Promise.race([reading, scheduler.wait(1)]);
    while (!settled && !this.#ended) {
      const { value, done } = await this.#pieces.next();
      if (done === true) {
        this.#ended = true;
        this.#writer.close().catch(() => undefined);
      } else await this.#writer.write(value).catch(() => undefined);
    }
    const result = await reading;
    if (result?.value === undefined || result.done) throw new ImageRefusal("is damaged: its pixels cannot be unpacked");
    this.#buffer = result.value.buffer;
    this.#wasFull = result.value.byteLength === INFLATED_BYTES;
    return result.value;
  }

  async end(): Promise<void> {
    await this.#pieces.return?.();
    await this.#writer.abort().catch(() => undefined);
    await this.#reader.cancel().catch(() => undefined);
  }
}

async function* pixelPieces(bytes: ByteReader, first: Chunk): AsyncGenerator<Uint8Array, void, void> {
  for (let chunk = first; chunk.type === "IDAT"; chunk = await nextChunk(bytes)) {
    for (let left = chunk.length; left > 0; ) {
      const piece = await bytes.some(Math.min(left, PIECE_BYTES));
      left -= piece.byteLength;
      yield piece;
    }
    await bytes.skip(CHECKSUM_BYTES);
  }
}

interface Header {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly colour: 0 | 2 | 3 | 4 | 6;
  readonly interlaced: boolean;
}

const SAMPLES = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 } as const;
const DEPTHS: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};

function readHeader(data: Uint8Array): Header {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, colour, compression, filter, interlace] = [8, 9, 10, 11, 12].map((at) => view.getUint8(at));
  if (depth === undefined || colour === undefined || DEPTHS[colour]?.includes(depth) !== true) {
    throw new ImageRefusal(`is damaged: a PNG has no colour type ${colour} with ${depth} bits`);
  }
  if (compression !== 0 || filter !== 0 || (interlace !== 0 && interlace !== 1)) {
    throw new ImageRefusal("is damaged: its header names a method that PNG does not have");
  }
  const interlaced = interlace === 1;
  const mostPixels = interlaced ? MAX_INTERLACED_PIXELS : MAX_PIXELS;
  if (width < 1 || height < 1) throw new ImageRefusal("is damaged: it has no area");
  if (width > MAX_SIDE || height > MAX_SIDE || width * height > mostPixels) {
    const kind = interlaced ? "an interlaced PNG" : "a PNG";
    throw new ImageRefusal(
      `has ${width}*${height} pixels; of ${kind} up to ${mostPixels} are decoded, ${MAX_SIDE} to a side`,
    );
  }
  // Checked against DEPTHS, which has exactly these five.
  return { width, height, depth, colour: colour as Header["colour"], interlaced };
}

/** The colours of a palette image, or of a grey one of 8 bits at most: RGBA for each sample. */
function tableOf({ colour, depth }: Header, palette: Uint8Array | null, transparency: Uint8Array | null): Uint8Array {
  const table = new Uint8Array(256 * 4);
  const steps = 2 ** depth - 1;
  const clearGrey = colour === 0 && transparency !== null ? (transparency[1] ?? -1) : -1;
  for (let sample = 0; sample < 256; sample++) {
    const at = sample * 4;
    if (colour === 3) {
      table.set(palette?.subarray(sample * 3, sample * 3 + 3) ?? [], at);
      table[at + 3] = transparency?.[sample] ?? 255;
    } else {
      table.fill((sample * 255) / steps, at, at + 3);
      table[at + 3] = sample === clearGrey ? 0 : 255;
    }
  }
  return table;
}

type ToRgba = (row: Uint8Array, rgba: Uint8Array, width: number) => void;

function converterOf(header: Header, palette: Uint8Array | null, transparency: Uint8Array | null): ToRgba {
  const { colour, depth } = header;
  if (depth <= 8 && (colour === 0 || colour === 3)) {
    if (colour === 3 && palette === null) throw new ImageRefusal("is damaged: its palette is missing");
    const table = new Uint32Array(tableOf(header, palette, transparency).buffer);
    const mask = 2 ** depth - 1;
    const perByte = 8 / depth;
    return (row, rgba, width) => {
      const pixels = new Uint32Array(rgba.buffer, rgba.byteOffset, width);
      for (let x = 0; x < width; x++) {
        const shift = 8 - depth * ((x % perByte) + 1);
        pixels[x] = table[((row[(x / perByte) | 0] as number) >> shift) & mask] as number;
      }
    };
  }
  // The upper 8 of 16 bits are used.
  const bytes = depth / 8;
  const samples = SAMPLES[colour];
  const hasAlpha = colour === 4 || colour === 6;
  const isGrey = colour === 0 || colour === 4;
  const clear = hasAlpha || transparency === null ? null : clearPixel(transparency, samples, bytes);
  return (row, rgba, width) => {
    const stride = samples * bytes;
    for (let x = 0, at = 0, to = 0; x < width; x++, at += stride, to += 4) {
      rgba[to] = row[at] as number;
      rgba[to + 1] = row[isGrey ? at : at + bytes] as number;
      rgba[to + 2] = row[isGrey ? at : at + 2 * bytes] as number;
      if (hasAlpha) rgba[to + 3] = row[at + stride - bytes] as number;
      else rgba[to + 3] = clear?.every((byte, index) => row[at + index] === byte) === true ? 0 : 255;
    }
  };
}

/** The bytes of the one invisible pixel value. tRNS has it with 16 bits a sample. */
function clearPixel(transparency: Uint8Array, samples: number, bytes: number): readonly number[] | null {
  if (transparency.byteLength < samples * 2) return null;
  return Array.from({ length: samples * bytes }, (_, index) =>
    bytes === 2 ? (transparency[index] as number) : (transparency[index * 2 + 1] as number),
  );
}

/** Reverses the row's filter in place. `above` is the previous row, zeros for the first. */
function unfilter(filter: number, row: Uint8Array, above: Uint8Array, step: number): void {
  const { byteLength } = row;
  switch (filter) {
    case 0:
      return;
    case 1:
      for (let at = step; at < byteLength; at++) row[at] = (row[at] as number) + (row[at - step] as number);
      return;
    case 2:
      for (let at = 0; at < byteLength; at++) row[at] = (row[at] as number) + (above[at] as number);
      return;
    case 3:
      for (let at = 0; at < byteLength; at++) {
        const left = at < step ? 0 : (row[at - step] as number);
        row[at] = (row[at] as number) + ((left + (above[at] as number)) >> 1);
      }
      return;
    case 4:
      for (let at = 0; at < byteLength; at++) {
        const left = at < step ? 0 : (row[at - step] as number);
        const up = above[at] as number;
        const corner = at < step ? 0 : (above[at - step] as number);
        const toLeft = Math.abs(up - corner);
        const toUp = Math.abs(left - corner);
        const toCorner = Math.abs(left + up - 2 * corner);
        const nearest = toLeft <= toUp && toLeft <= toCorner ? left : toUp <= toCorner ? up : corner;
        row[at] = (row[at] as number) + nearest;
      }
      return;
    default:
      throw new ImageRefusal(`is damaged: a row has the filter ${filter}`);
  }
}

/** Where each of the seven passes of an interlaced image begins, and its steps. */
const PASSES = [
  { x: 0, y: 0, stepX: 8, stepY: 8 },
  { x: 4, y: 0, stepX: 8, stepY: 8 },
  { x: 0, y: 4, stepX: 4, stepY: 8 },
  { x: 2, y: 0, stepX: 4, stepY: 4 },
  { x: 0, y: 2, stepX: 2, stepY: 4 },
  { x: 1, y: 0, stepX: 2, stepY: 2 },
  { x: 0, y: 1, stepX: 1, stepY: 2 },
] as const;

/** Reads `height` filtered rows and passes each to `give` as RGBA. */
async function readRows(
  inflater: Inflater,
  { depth, colour }: Header,
  width: number,
  height: number,
  toRgba: ToRgba,
  give: (rgba: Uint8Array, y: number) => void,
): Promise<void> {
  const bits = depth * SAMPLES[colour];
  const rowBytes = Math.ceil((width * bits) / 8);
  const step = Math.max(1, bits / 8);
  const filter = new Uint8Array(1);
  const rgba = new Uint8Array(width * 4);
  let row = new Uint8Array(rowBytes);
  let above = new Uint8Array(rowBytes);
  for (let y = 0; y < height; y++) {
    await inflater.fill(filter);
    await inflater.fill(row);
    unfilter(filter[0] as number, row, above, step);
    toRgba(row, rgba, width);
    give(rgba, y);
    [row, above] = [above, row];
  }
}

async function readInterlaced(inflater: Inflater, header: Header, toRgba: ToRgba): Promise<Uint8Array> {
  const { width, height } = header;
  const frame = new Uint32Array(width * height);
  for (const { x, y, stepX, stepY } of PASSES) {
    const columns = Math.ceil((width - x) / stepX);
    const rows = Math.ceil((height - y) / stepY);
    if (columns <= 0 || rows <= 0) continue;
    await readRows(inflater, header, columns, rows, toRgba, (rgba, row) => {
      const pixels = new Uint32Array(rgba.buffer, 0, columns);
      const start = (y + row * stepY) * width + x;
      for (let column = 0; column < columns; column++) frame[start + column * stepX] = pixels[column] as number;
    });
  }
  return new Uint8Array(frame.buffer);
}

/** Inflates the ICC profile of an iCCP chunk; null when it is invalid or larger than `mostBytes`. */
async function inflateSmall(data: Uint8Array, mostBytes: number): Promise<Uint8Array | null> {
  const inflater = new Inflater(
    (async function* () {
      for (let at = 0; at < data.byteLength; at += PIECE_BYTES) yield data.subarray(at, at + PIECE_BYTES);
    })(),
  );
  try {
    const head = new Uint8Array(4);
    await inflater.fill(head);
    // An ICC profile begins with its own length.
    const length = new DataView(head.buffer).getUint32(0);
    if (length < 128 || length > mostBytes) return null;
    const profile = new Uint8Array(length);
    profile.set(head);
    await inflater.fill(profile.subarray(4));
    return profile;
  } catch (error) {
    if (error instanceof ImageRefusal) return null;
    throw error;
  } finally {
    await inflater.end();
  }
}

async function readProfile(chunk: Uint8Array): Promise<Uint8Array | null> {
  // The name, its terminator and the method precede the profile.
  const nameEnd = chunk.indexOf(0);
  if (nameEnd < 0) return null;
  const profile = await inflateSmall(chunk.subarray(nameEnd + 2), MAX_READ_CHUNK_BYTES);
  return profile === null ? null : usableProfile(profile);
}

/**
 * Opens a PNG of any colour type and depth. Checksums are not verified. An orientation counts only before the pixels, as in
 * browsers. gAMA, cHRM and cICP are ignored. Throws `ImageRefusal`.
 */
export async function openPng(chunks: AsyncIterable<Uint8Array>): Promise<PixelSource> {
  const bytes = new ByteReader(chunks);
  await bytes.skip(8);
  let chunk = await nextChunk(bytes);
  if (chunk.type !== "IHDR" || chunk.length !== 13) throw new ImageRefusal("is damaged: its header is missing");
  const header = readHeader(await readChunk(bytes, chunk));
  let palette: Uint8Array | null = null;
  let transparency: Uint8Array | null = null;
  let profile: Uint8Array | null = null;
  let orientation = 1;
  for (chunk = await nextChunk(bytes); chunk.type !== "IDAT"; chunk = await nextChunk(bytes)) {
    if (chunk.type === "PLTE") palette = await readChunk(bytes, chunk);
    else if (chunk.type === "tRNS") transparency = await readChunk(bytes, chunk);
    else if (chunk.type === "eXIf" && chunk.length <= MAX_READ_CHUNK_BYTES) {
      orientation = exifOrientation(new DataView((await readChunk(bytes, chunk)).buffer));
    } else if (chunk.type === "iCCP" && chunk.length <= MAX_READ_CHUNK_BYTES) {
      profile = await readProfile(await readChunk(bytes, chunk));
    } else if (chunk.type === "IEND") throw new ImageRefusal("is damaged: it has no pixels");
    else await bytes.skip(chunk.length + CHECKSUM_BYTES);
  }
  const firstPixels = chunk;
  const toRgba = converterOf(header, palette, transparency);
  const { width, height } = header;
  return {
    width,
    height,
    orientation,
    profile,
    rows: async (row) => {
      const inflater = new Inflater(pixelPieces(bytes, firstPixels));
      try {
        if (!header.interlaced) {
          await readRows(inflater, header, width, height, toRgba, row);
          return;
        }
        const frame = await readInterlaced(inflater, header, toRgba);
        for (let y = 0; y < height; y++) row(frame.subarray(y * width * 4, (y + 1) * width * 4));
      } finally {
        await inflater.end();
        await bytes.end();
      }
    },
  };
}
