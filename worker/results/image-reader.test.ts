import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { ImageReader, type ImageType, inspectImage, readImageHead } from "./image-reader.ts";

/** Grain that compresses badly and is the same every time. */
function drawing(width: number, height: number, channels: 3 | 4 = 3) {
  let state = 1;
  const grain = Uint8Array.from({ length: width * height * channels }, () => {
    state = (state * 48_271) % 0x7fffffff;
    return state >> 16;
  });
  return sharp(grain, { raw: { width, height, channels } });
}

/** An uncompressed BMP, which sharp does not write: file header, header of `headerBytes`, rows. */
function bmp(width: number, height: number, headerBytes: 12 | 40 | 124): Uint8Array {
  const rowBytes = Math.ceil((Math.abs(width) * 3) / 4) * 4;
  const bytes = Buffer.alloc(14 + headerBytes + rowBytes * Math.abs(height));
  bytes.write("BM");
  bytes.writeUInt32LE(bytes.byteLength, 2);
  bytes.writeUInt32LE(14 + headerBytes, 10);
  bytes.writeUInt32LE(headerBytes, 14);
  bytes.writeUInt16LE(24, headerBytes === 12 ? 24 : 28);
  if (headerBytes === 12) {
    bytes.writeUInt16LE(width, 18);
    bytes.writeUInt16LE(height, 20);
  } else {
    bytes.writeInt32LE(width, 18);
    bytes.writeInt32LE(height, 22);
  }
  return bytes;
}

const MADE: [name: string, type: ImageType, width: number, height: number, make: () => Promise<Uint8Array>][] = [
  ["png", "image/png", 60, 34, () => drawing(60, 34).png().toBuffer()],
  ["png with a palette", "image/png", 33, 60, () => drawing(33, 60).png({ palette: true }).toBuffer()],
  ["jpeg", "image/jpeg", 61, 35, () => drawing(61, 35).jpeg().toBuffer()],
  ["progressive jpeg", "image/jpeg", 62, 36, () => drawing(62, 36).jpeg({ progressive: true }).toBuffer()],
  ["jpeg with Exif and a profile", "image/jpeg", 63, 37, () => drawing(63, 37).jpeg().withMetadata().toBuffer()],
  ["webp", "image/webp", 64, 38, () => drawing(64, 38).webp().toBuffer()],
  ["lossless webp", "image/webp", 65, 39, () => drawing(65, 39).webp({ lossless: true }).toBuffer()],
  ["webp with alpha", "image/webp", 66, 40, () => drawing(66, 40, 4).webp().toBuffer()],
  ["gif", "image/gif", 67, 41, () => drawing(67, 41).gif().toBuffer()],
  ["tiff", "image/tiff", 68, 42, () => drawing(68, 42).tiff().toBuffer()],
  ["big-endian tiff", "image/tiff", 2, 3, async () => tiffBigEndian(2, 3)],
  ["bmp", "image/bmp", 69, 43, async () => bmp(69, 43, 40)],
  ["bmp, top row first", "image/bmp", 70, 44, async () => bmp(70, -44, 124)],
  ["bmp of OS/2", "image/bmp", 71, 45, async () => bmp(71, 45, 12)],
  ["animated gif", "image/gif", 40, 30, () => animation().gif().toBuffer()],
  ["animated webp", "image/webp", 40, 30, () => animation().webp().toBuffer()],
  [
    "tiff of tiles",
    "image/tiff",
    90,
    70,
    () => drawing(90, 70).tiff({ tile: true, tileWidth: 32, tileHeight: 32 }).toBuffer(),
  ],
  ["avif", "image/avif", 72, 46, () => drawing(72, 46).avif().toBuffer()],
];

/** Three frames of 40*30. */
function animation() {
  const frames = Uint8Array.from({ length: 40 * 90 * 3 }, (_, index) => (index * index) >> 7);
  return sharp(frames, { raw: { width: 40, height: 90, channels: 3, pageHeight: 30 } });
}

/** Header and a directory of two entries: a SHORT width and a LONG height. */
function tiffBigEndian(width: number, height: number): Uint8Array {
  const bytes = Buffer.alloc(8 + 2 + 24 + 4);
  bytes.write("MM");
  bytes.writeUInt16BE(42, 2);
  bytes.writeUInt32BE(8, 4);
  bytes.writeUInt16BE(2, 8);
  bytes.writeUInt16BE(256, 10);
  bytes.writeUInt16BE(3, 12);
  bytes.writeUInt32BE(1, 14);
  bytes.writeUInt16BE(width, 18);
  bytes.writeUInt16BE(257, 22);
  bytes.writeUInt16BE(4, 24);
  bytes.writeUInt32BE(1, 26);
  bytes.writeUInt32BE(height, 30);
  return bytes;
}

describe.each(MADE)("%s", (_name, type, width, height, make) => {
  const facts = { type, width, height, orientation: 1 };

  it("is recognised by its bytes, with its size", async () => {
    expect(readImageHead(await make())).toEqual({ kind: "image", ...facts });
  });

  it("is incomplete, and never foreign, until enough of it was seen; further bytes do not change the answer", async () => {
    const bytes = await make();
    const kinds = Array.from(bytes, (_byte, length) => readImageHead(bytes.subarray(0, length)).kind);
    const first = kinds.indexOf("image");
    expect(kinds.slice(0, first).every((kind) => kind === "incomplete")).toBe(true);
    if (first !== -1) expect(kinds.slice(first).every((kind) => kind === "image")).toBe(true);
  });

  it("is whole in chunks of any size", async () => {
    const bytes = await make();
    for (const chunkBytes of [1, 7, 1000, bytes.byteLength]) {
      expect(inspect(bytes, chunkBytes)).toEqual({ ok: true, ...facts });
    }
  });

  it("is whole with any bytes after it, one or many", async () => {
    const bytes = await make();
    const tails = [[0x00], [0x41], [0xff], Buffer.alloc(1100, 0x41), Buffer.alloc(50_000, 0xff), bytes];
    for (const tail of tails) {
      expect(inspect(Buffer.concat([bytes, Buffer.from(tail)]), 4096)).toEqual({ ok: true, ...facts });
    }
  });

  it("is not whole when it is cut off anywhere", async () => {
    const bytes = await make();
    const lengths = Array.from(bytes, (_byte, length) => length);
    const passed = lengths.filter((length) => inspect(bytes.subarray(0, length), 4096).ok);
    const notPassed = (allowed: (length: number) => boolean) => passed.filter((length) => !allowed(length));
    // A GIF may end after any block once it has an image; a TIFF before padding; a WebP before its last padding.
    if (type === "image/gif") expect(notPassed((length) => bytes[length - 1] === 0)).toEqual([]);
    else if (type === "image/tiff") expect(notPassed((length) => bytes.byteLength - length <= 4)).toEqual([]);
    else if (type === "image/webp") expect(notPassed((length) => length === bytes.byteLength - 1)).toEqual([]);
    else expect(passed).toEqual([]);
  });

  it("is cut off, and not foreign, wherever it is cut", async () => {
    const bytes = await make();
    for (let length = 0; length < bytes.byteLength; length += 13) {
      const inspection = inspectImage(bytes.subarray(0, length));
      expect(inspection.ok || inspection.cutOff).toBe(true);
    }
  });
});

describe("a JPEG", () => {
  const segment = (marker: number, data: Uint8Array): Buffer => {
    const head = Buffer.from([0xff, marker, 0, 0]);
    head.writeUInt16BE(data.byteLength + 2, 2);
    return Buffer.concat([head, data]);
  };
  const withSegments = (jpeg: Buffer, ...segments: Buffer[]): Buffer =>
    Buffer.concat([jpeg.subarray(0, 2), ...segments, jpeg.subarray(2)]);

  it("does not end at its thumbnail's end", async () => {
    const thumbnail = await drawing(16, 9).jpeg().toBuffer();
    const bytes = withSegments(await drawing(61, 35).jpeg().toBuffer(), segment(0xe1, thumbnail));
    expect(inspectImage(bytes)).toMatchObject({ ok: true, width: 61 });
    expect(inspectImage(bytes.subarray(0, -2))).toMatchObject({ ok: false, cutOff: true });
  });

  it("may have more than a megabyte of segments before its frame", async () => {
    const segments = Array.from({ length: 25 }, () => segment(0xe2, Buffer.alloc(60_000, 0xff)));
    const bytes = withSegments(await drawing(61, 35).jpeg().toBuffer(), ...segments);
    expect(bytes.byteLength).toBeGreaterThan(1_400_000);
    expect(inspect(bytes, 65_536)).toMatchObject({ ok: true, width: 61, height: 35 });
  });

  it("of endless padding is given up", () => {
    const padding = new Uint8Array(600_000).fill(0xff);
    padding.set([0xff, 0xd8, 0xff]);
    expect(inspect(padding, 65_536)).toMatchObject({ ok: false, cutOff: false });
  });

  it("with a broken segment is not an image", () => {
    const broken = Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 0, 1, 2, 3, 4, 5, 6, 7);
    expect(readImageHead(broken)).toEqual({ kind: "foreign", looksLike: "a JPEG with a broken segment" });
  });
});

describe("hostile bytes", () => {
  /** An image of ten megabytes that consists of the smallest parts of its format. */
  const parts = (start: Uint8Array, part: number[]): Uint8Array => {
    const bytes = Buffer.alloc(10_000_000, 1);
    bytes.set(start);
    for (let at = start.byteLength; at + part.length <= bytes.byteLength; at += part.length) bytes.set(part, at);
    return bytes;
  };

  it.each<[string, () => Promise<Uint8Array>]>([
    [
      "a PNG of empty chunks",
      async () =>
        parts((await drawing(8, 8).png().toBuffer()).subarray(0, 33), [0, 0, 0, 0, 0x74, 0x45, 0x58, 0x74, 0, 0, 0, 0]),
    ],
    ["a JPEG of empty segments", async () => parts(Uint8Array.of(0xff, 0xd8), [0xff, 0xe2, 0, 2])],
    [
      "a WebP of empty chunks",
      async () => {
        const start = (await drawing(8, 8).webp().toBuffer()).subarray(0, 38);
        new DataView(start.buffer, start.byteOffset).setUint32(4, 10_000_000, true);
        new DataView(start.buffer, start.byteOffset).setUint32(16, 18, true);
        return parts(start, [0x4a, 0x55, 0x4e, 0x4b, 0, 0, 0, 0]);
      },
    ],
  ])("of many parts are given up: %s", async (_what, make) => {
    expect(inspect(await make(), 65_536)).toEqual({
      ok: false,
      cutOff: false,
      reason: "is an image of too many parts, not an image",
    });
  });

  it.each<[string, () => Promise<Uint8Array>]>([
    ["a JPEG's scan", async () => parts((await drawing(8, 8).jpeg().toBuffer()).subarray(0, -2), [0xff, 0x00])],
    ["a GIF's sub-blocks", async () => parts((await drawing(8, 8).gif().toBuffer()).subarray(0, -2), [1, 0])],
  ])("of many steps are read to the end: %s", async (_what, make) => {
    expect(inspect(await make(), 65_536)).toMatchObject({ cutOff: true });
  });
});

describe("a GIF", () => {
  it("that lacks only its last byte is whole", async () => {
    const bytes = await drawing(67, 41).gif().toBuffer();
    expect(inspectImage(bytes.subarray(0, -1))).toMatchObject({ ok: true });
    expect(inspectImage(bytes.subarray(0, -2))).toMatchObject({ ok: false, cutOff: true });
  });
});

describe("a WebP", () => {
  it("that lacks only its last padding is whole", async () => {
    // A lossless image with an odd length is padded.
    for (let side = 8; side < 40; side++) {
      const bytes = await drawing(side, 9).webp({ lossless: true }).toBuffer();
      if (new DataView(bytes.buffer, bytes.byteOffset).getUint32(16, true) % 2 === 0) continue;
      expect(inspectImage(bytes.subarray(0, -1))).toMatchObject({ ok: true });
      expect(inspectImage(bytes.subarray(0, -2))).toMatchObject({ ok: false, cutOff: true });
      return;
    }
    throw new Error("no image was padded");
  });
});

describe("the orientation", () => {
  it.each(["jpeg", "png", "webp", "tiff"] as const)("of a %s is read", async (format) => {
    for (const orientation of [1, 3, 6, 8]) {
      const bytes = await drawing(40, 30).withMetadata({ orientation }).toFormat(format).toBuffer();
      expect(inspect(bytes, 100)).toMatchObject({ ok: true, width: 40, height: 30, orientation });
    }
  });
});

function inspect(bytes: Uint8Array, chunkBytes: number) {
  const reader = new ImageReader();
  for (let at = 0; at < bytes.byteLength; at += chunkBytes) reader.add(bytes.subarray(at, at + chunkBytes));
  expect(reader.bytes).toBe(bytes.byteLength);
  return reader.end();
}

describe("readImageHead", () => {
  const text = (words: string) => new TextEncoder().encode(words);

  it.each([
    ["an HTML page", text("<!DOCTYPE html><html><body>502</body></html>"), "HTML"],
    ["an object store's error", text('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'), "XML"],
    ["JSON", text('{"code":"NotFound"}'), "JSON"],
    ["an SVG", text('<svg xmlns="http://www.w3.org/2000/svg"/>'), "SVG"],
    [
      "an SVG with a prolog",
      text('<?xml version="1.0"?>\n<!-- drawn -->\n<svg xmlns="http://www.w3.org/2000/svg"/>'),
      "SVG",
    ],
    ["an SVG with a document type", text('\ufeff<!DOCTYPE svg PUBLIC "x" "y">\n<svg width="1"/>'), "SVG"],
    ["a PDF", text("%PDF-1.7 and so on"), "PDF"],
    ["plain text", text("this is not an image"), "text"],
    ["text that begins with BM", text("BMW is a maker of motor cars"), "text or data that begins with BM"],
    ["a video", Uint8Array.of(0, 0, 0, 28, ...text("ftypisom"), 0, 0, 0, 0), "a video"],
    ["noise", Uint8Array.from({ length: 64 }, (_, index) => (index * 151 + 3) % 256), "unknown data"],
    ["a PNG's signature before other things", pngWith("JUNK", 1, 1), "a PNG without its header"],
    ["a PNG without an area", pngWith("IHDR", 0, 9), "an image/png without an area"],
  ])("reads %s as foreign and names what it looks like", (_what, bytes, looksLike) => {
    expect(readImageHead(bytes)).toEqual({ kind: "foreign", looksLike });
  });
});

function pngWith(chunk: string, width: number, height: number): Uint8Array {
  const bytes = Buffer.alloc(32);
  bytes.set([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  bytes.write(chunk, 12, "latin1");
  bytes.writeUInt32BE(width, 16);
  bytes.writeUInt32BE(height, 20);
  return bytes;
}
