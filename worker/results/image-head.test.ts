import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { hasEnd } from "./image-end.ts";
import { type ImageType, readImageHead } from "./image-head.ts";
import { ImageInspector } from "./image-inspector.ts";

/** Grain that compresses badly and is the same every time. */
function drawing(width: number, height: number, channels: 3 | 4 = 3) {
  let state = 1;
  const grain = Uint8Array.from({ length: width * height * channels }, () => {
    state = (state * 48_271) % 0x7fffffff;
    return state >> 16;
  });
  return sharp(grain, { raw: { width, height, channels } });
}

/** Uncompressed, as sharp does not write it: file header, header of `headerBytes`, rows. */
function bmp(width: number, height: number, headerBytes: 12 | 40 | 124): Uint8Array {
  const rowBytes = Math.ceil((Math.abs(width) * 3) / 4) * 4;
  const bytes = Buffer.alloc(14 + headerBytes + rowBytes * Math.abs(height));
  bytes.write("BM");
  bytes.writeUInt32LE(bytes.byteLength, 2);
  bytes.writeUInt32LE(14 + headerBytes, 10);
  bytes.writeUInt32LE(headerBytes, 14);
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
];

/** Header and a directory of two: a SHORT width and a LONG height. */
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
  it("is told from its bytes, with its size", async () => {
    expect(readImageHead(await make())).toEqual({ kind: "image", type, width, height });
  });

  it("is incomplete, and never foreign, until enough of it was seen; then nothing changes the answer", async () => {
    const bytes = await make();
    const kinds = Array.from(bytes, (_byte, length) => readImageHead(bytes.subarray(0, length)).kind);
    const first = kinds.indexOf("image");
    expect(kinds.slice(0, first).every((kind) => kind === "incomplete")).toBe(true);
    if (first !== -1) expect(kinds.slice(first).every((kind) => kind === "image")).toBe(true);
  });

  it("is whole in any chunks", async () => {
    const bytes = await make();
    for (const chunkBytes of [1, 7, 1000, bytes.byteLength]) {
      expect(inspect(bytes, chunkBytes)).toEqual({ ok: true, type, width, height });
    }
  });

  it("is not whole when it is cut off anywhere", async () => {
    const bytes = await make();
    const lengths = Array.from(bytes, (_byte, length) => length);
    const passed = lengths.filter((length) => inspect(bytes.subarray(0, length), 4096).ok);
    if (type === "image/tiff") {
      // Nothing in a TIFF says where it ends: only its directory must have been there.
      expect(passed.every((length) => readImageHead(bytes.subarray(0, length)).kind === "image")).toBe(true);
    } else if (type === "image/gif") {
      // Its end is two bytes, which may come amid its data too, once in some 65 000.
      expect(passed.every((length) => bytes[length - 2] === 0x00 && bytes[length - 1] === 0x3b)).toBe(true);
      expect(passed.length).toBeLessThan(bytes.byteLength / 1000);
    } else {
      expect(passed).toEqual([]);
    }
  });
});

describe.each(MADE)("%s at hand as a whole", (_name, type, _width, _height, make) => {
  it("has its end, whatever was appended to it", async () => {
    const bytes = await make();
    expect(hasEnd(type, bytes)).toBe(true);
    expect(hasEnd(type, Buffer.concat([bytes, Buffer.alloc(5000, 0x41)]))).toBe(true);
  });

  it("has none when it is cut off anywhere", async () => {
    const bytes = await make();
    const lengths = Array.from(bytes, (_byte, length) => length);
    const passed = lengths
      .filter((length) => readImageHead(bytes.subarray(0, length)).kind === "image")
      .filter((length) => hasEnd(type, bytes.subarray(0, length)));
    // A GIF's last byte is a mark that readers do without; a TIFF tells nothing.
    const without = { "image/gif": [bytes.byteLength - 1] }[type as string] ?? [];
    if (type !== "image/tiff") expect(passed).toEqual(without);
  });
});

describe("hasEnd", () => {
  it("takes no thumbnail's end for the image's", async () => {
    const thumbnail = await drawing(16, 9).jpeg().toBuffer();
    const whole = await drawing(61, 35).jpeg().toBuffer();
    const segment = Buffer.from([0xff, 0xe1, 0, 0, ...thumbnail]);
    segment.writeUInt16BE(thumbnail.byteLength + 2, 2);
    const bytes = Buffer.concat([whole.subarray(0, 2), segment, whole.subarray(2)]);
    expect(hasEnd("image/jpeg", bytes)).toBe(true);
    expect(hasEnd("image/jpeg", bytes.subarray(0, -2))).toBe(false);
  });
});

function inspect(bytes: Uint8Array, chunkBytes: number) {
  const inspector = new ImageInspector();
  for (let at = 0; at < bytes.byteLength; at += chunkBytes) inspector.add(bytes.subarray(at, at + chunkBytes));
  expect(inspector.bytes).toBe(bytes.byteLength);
  return inspector.end();
}

describe("readImageHead", () => {
  const text = (words: string) => new TextEncoder().encode(words);

  it.each([
    ["an HTML page", text("<!DOCTYPE html><html><body>502</body></html>"), "HTML"],
    ["an object store's error", text('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'), "XML"],
    ["JSON", text('{"code":"NotFound"}'), "JSON"],
    ["an SVG", text('<svg xmlns="http://www.w3.org/2000/svg"/>'), "SVG"],
    ["a PDF", text("%PDF-1.7 and so on"), "PDF"],
    ["plain text", text("this is not an image"), "text"],
    ["text that begins with BM", text("BMW is a maker of motor cars"), "text or data that begins with BM"],
    ["AVIF", Uint8Array.of(0, 0, 0, 28, ...text("ftypavif"), 0, 0, 0, 0), "AVIF, HEIC or a video"],
    ["noise", Uint8Array.from({ length: 64 }, (_, index) => (index * 151 + 3) % 256), "unknown data"],
    ["a PNG's signature before other things", pngWith("JUNK", 1, 1), "a PNG without its header"],
    ["a PNG without an area", pngWith("IHDR", 0, 9), "an image/png without an area"],
  ])("calls %s foreign and says what it looks like", (_what, bytes, looksLike) => {
    expect(readImageHead(bytes)).toEqual({ kind: "foreign", looksLike });
  });

  it("gives a JPEG of endless padding or segments up without much work", () => {
    const padding = new Uint8Array(600_000).fill(0xff);
    padding.set([0xff, 0xd8, 0xff]);
    expect(inspect(padding, 65_536)).toMatchObject({ ok: false });
    const broken = Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 0, 1, 2, 3, 4, 5, 6, 7);
    expect(readImageHead(broken)).toEqual({ kind: "foreign", looksLike: "a JPEG with a broken segment" });
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
