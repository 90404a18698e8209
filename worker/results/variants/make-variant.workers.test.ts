import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, inject, it } from "vitest";
import { readImageHead } from "../image-reader.ts";
import { decodeWhole } from "./codecs.ts";
import { makeVariant } from "./make-variant.ts";
import { jpegFacts, webpFacts } from "./metadata.ts";
import { openPng } from "./png-source.ts";
import { ImageRefusal, variantOf, variantSize } from "./variant.ts";

const KEY = "jobs/job_a/1/0";
const RED = [220, 40, 40];
const GREEN = [40, 200, 60];
const BLUE = [40, 60, 220];
const YELLOW = [240, 220, 40];

// Provided by test/support/picture-setup.ts, whose declaration is not visible to these types.
const pictures = inject("pictures" as never) as Readonly<Record<string, string>>;

afterEach(() => reset());

function fileOf(name: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromBase64(pictures[name] ?? "");
}

async function variantOfFile(
  file: Uint8Array<ArrayBuffer>,
  contentType: string,
  variant = variantOf(320, "webp", 95),
  signal = AbortSignal.timeout(20_000),
) {
  await env.RESULTS.put(KEY, file);
  const object = await env.RESULTS.get(KEY);
  if (object === null) throw new Error("not stored");
  return makeVariant({ contentType, bytes: object.size }, object.body, variant, signal);
}

function typeOf(name: string): string {
  return { png: "image/png", jpg: "image/jpeg", webp: "image/webp", gif: "image/gif" }[name.split(".")[1] ?? ""] ?? "";
}

async function* streamOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function pixelsOf(bytes: Uint8Array<ArrayBuffer>): Promise<{ width: number; height: number; rgba: Uint8Array }> {
  const head = readImageHead(bytes);
  if (head.kind !== "image") throw new Error("no image was made");
  const { width, height } = head;
  if (head.type === "image/png") {
    const source = await openPng(streamOf(bytes));
    const rgba = new Uint8Array(width * height * 4);
    let at = 0;
    await source.rows((row) => {
      rgba.set(row, at);
      at += row.byteLength;
    });
    return { width, height, rgba };
  }
  const decoded = await decodeWhole(head.type === "image/jpeg" ? "jpeg" : "webp", bytes);
  return { width, height, rgba: new Uint8Array(decoded.bytes.buffer) };
}

/** The colours in the middle of each quarter: top left, top right, bottom left, bottom right. */
async function quartersOf(bytes: Uint8Array<ArrayBuffer>) {
  const { width, height, rgba } = await pixelsOf(bytes);
  return [
    [1, 1],
    [3, 1],
    [1, 3],
    [3, 3],
  ].map(([x = 0, y = 0]) => {
    const at = (Math.floor((y * height) / 4) * width + Math.floor((x * width) / 4)) * 4;
    return [...rgba.subarray(at, at + 4)];
  });
}

function expectNear(found: readonly (readonly number[])[], wanted: readonly (readonly number[])[]): void {
  const differences = found.map((colour, index) =>
    Math.max(...(wanted[index] ?? []).map((level, channel) => Math.abs(level - (colour[channel] ?? 999)))),
  );
  expect(Math.max(...differences), `${JSON.stringify(found)} against ${JSON.stringify(wanted)}`).toBeLessThan(12);
}

describe("a variant", () => {
  it.each([
    "rgb.png",
    "palette.png",
    "palette4.png",
    "rgb16.png",
    "interlaced.png",
    "interlaced-palette.png",
    "plain.jpg",
    "progressive.jpg",
    "lossy.webp",
  ])("of %s shows the same as the original, in each format", async (name) => {
    for (const format of ["webp", "jpeg", "png"] as const) {
      const made = await variantOfFile(fileOf(name), typeOf(name), variantOf(null, format, 95));
      expect(readImageHead(made.bytes)).toMatchObject({
        kind: "image",
        type: `image/${format}`,
        width: 240,
        height: 160,
      });
      expectNear(await quartersOf(made.bytes), [RED, GREEN, BLUE, YELLOW]);
    }
  });

  it("leaves no `location` in the global scope, by which the MCP library would fail when it is evaluated later", async () => {
    // Each of the four codecs runs.
    await variantOfFile(fileOf("plain.jpg"), "image/jpeg", variantOf(null, "webp", 95));
    await variantOfFile(fileOf("lossy.webp"), "image/webp", variantOf(null, "jpeg", 95));
    expect("location" in globalThis).toBe(false);
  });
});

describe("a variant's size", () => {
  it.each([
    ["rgb.png", 320, 240, 160],
    ["plain.jpg", 1280, 240, 160],
  ] as const)("of %s at %i is not larger than the original", async (name, width, ...size) => {
    const made = await variantOfFile(fileOf(name), typeOf(name), variantOf(width, "png", null));
    expect([made.width, made.height]).toEqual(size);
  });

  it.each([
    [{ width: 1664, height: 928 }, 320, { width: 320, height: 178 }],
    [{ width: 1664, height: 928 }, null, { width: 1664, height: 928 }],
    [{ width: 928, height: 1664 }, 1280, { width: 928, height: 1664 }],
    [{ width: 1440, height: 2560 }, 1280, { width: 1086, height: 1931 }],
    [{ width: 724, height: 5792 }, 1280, { width: 512, height: 4096 }],
    [{ width: 4096, height: 4096 }, null, { width: 1449, height: 1449 }],
    [{ width: 3, height: 9000 }, 320, { width: 3, height: 9000 }],
    [{ width: 9000, height: 3 }, 320, { width: 320, height: 1 }],
  ] as const)("of %o at %s is %o", (image, width, size) => {
    expect(variantSize(image, variantOf(width, "webp", null))).toEqual(size);
  });
});

describe("what a variant keeps", () => {
  const all = { webp: "image/webp", jpeg: "image/jpeg", png: "image/png" } as const;

  it.each(["rgba.png", "rgba16.png", "clear-palette.png", "lossless.webp"])(
    "of %s is its transparency, which is white in a JPEG",
    async (name) => {
      for (const format of ["webp", "png"] as const) {
        const made = await variantOfFile(fileOf(name), typeOf(name), variantOf(320, format, null));
        const quarters = await quartersOf(made.bytes);
        expect(quarters.map(([, , , alpha]) => alpha)).toEqual([255, 255, 255, 0]);
        expectNear(quarters.slice(0, 3), [RED, GREEN, BLUE]);
      }
      const jpeg = await variantOfFile(fileOf(name), typeOf(name), variantOf(320, "jpeg", 95));
      expectNear(await quartersOf(jpeg.bytes), [RED, GREEN, BLUE, [255, 255, 255]]);
    },
  );

  it.each(["grey.png", "grey.jpg"])("of %s is its grey", async (name) => {
    const made = await variantOfFile(fileOf(name), typeOf(name));
    for (const [red, green, blue] of await quartersOf(made.bytes))
      expectNear([[red ?? 0, red ?? 0]], [[green ?? 0, blue ?? 0]]);
  });

  it.each(["profile.png", "profile.jpg", "profile.webp"])("of %s is its colour profile", async (name) => {
    const jpeg = await variantOfFile(fileOf(name), typeOf(name), variantOf(320, "jpeg", 90));
    const { profile } = jpegFacts(jpeg.bytes);
    expect(new TextDecoder("latin1").decode(profile?.subarray(36, 40))).toBe("acsp");
    const webp = await variantOfFile(fileOf(name), typeOf(name), variantOf(320, "webp", 90));
    expect(webpFacts(webp.bytes)).toMatchObject({ width: 240, height: 160, profile });
    const png = await variantOfFile(fileOf(name), typeOf(name), variantOf(320, "png", null));
    const source = await openPng(streamOf(png.bytes));
    expect(source.profile).toEqual(profile);
    // The result can still be decoded.
    for (const { bytes } of [jpeg, webp, png]) expect((await pixelsOf(bytes)).rgba.byteLength).toBe(240 * 160 * 4);
  });

  it("is no other metadata", async () => {
    const original = fileOf("turned6.jpg");
    expect(new TextDecoder("latin1").decode(original)).toContain("Exif");
    for (const format of ["webp", "jpeg", "png"] as const) {
      const made = await variantOfFile(original, all.jpeg, variantOf(320, format, null));
      expect(new TextDecoder("latin1").decode(made.bytes)).not.toMatch(/exif/i);
    }
  });

  it.each([
    [1, [RED, GREEN, BLUE, YELLOW]],
    [2, [GREEN, RED, YELLOW, BLUE]],
    [3, [YELLOW, BLUE, GREEN, RED]],
    [4, [BLUE, YELLOW, RED, GREEN]],
    [5, [RED, BLUE, GREEN, YELLOW]],
    [6, [BLUE, RED, YELLOW, GREEN]],
    [7, [YELLOW, GREEN, BLUE, RED]],
    [8, [GREEN, YELLOW, RED, BLUE]],
  ])("of a JPEG with orientation %i is what a viewer shows, upright", async (orientation, quarters) => {
    const made = await variantOfFile(fileOf(`turned${orientation}.jpg`), all.jpeg);
    expect([made.width, made.height]).toEqual(orientation >= 5 ? [160, 240] : [240, 160]);
    expectNear(await quartersOf(made.bytes), quarters);
  });

  it("of a turned PNG and a turned WebP is the same", async () => {
    const png = await variantOfFile(fileOf("turned.png"), all.png);
    expect([png.width, png.height]).toEqual([160, 240]);
    expectNear(await quartersOf(png.bytes), [BLUE, RED, YELLOW, GREEN]);
    const webp = await variantOfFile(fileOf("turned.webp"), all.webp);
    expectNear(await quartersOf(webp.bytes), [GREEN, YELLOW, RED, BLUE]);
  });
});

/** A PNG of `rows` rows of one byte value a sample, packed as it is written. */
async function plainPng(head: readonly number[], raw: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const packing = new Response(raw).body?.pipeThrough(new CompressionStream("deflate"));
  const packed = new Uint8Array(await new Response(packing).arrayBuffer());
  const chunk = (type: string, data: Uint8Array) => {
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, data.byteLength);
    return [length, new TextEncoder().encode(type), data, new Uint8Array(4)];
  };
  const parts = [
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    ...chunk("IHDR", Uint8Array.from(head)),
    ...chunk("IDAT", packed),
    ...chunk("IEND", new Uint8Array(0)),
  ];
  return new Uint8Array(await new Blob(parts as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}

function pngHead(width: number, height: number, depth = 8, colour = 2, interlace = 0): number[] {
  const sides = new Uint8Array(8);
  const view = new DataView(sides.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  return [...sides, depth, colour, 0, 0, interlace];
}

describe("an image of which no variant can be made", () => {
  const refused = (file: Uint8Array<ArrayBuffer>, contentType: string) =>
    expect(variantOfFile(file, contentType)).rejects;

  it.each([
    ["cmyk.jpg", /has 4 colour components/],
    ["animated.webp", /is animated/],
    ["plain.gif", /is image\/gif; variants are made of PNG, JPEG and WebP/],
  ])("%s is refused with the reason", async (name, reason) => {
    await refused(fileOf(name), typeOf(name)).toThrow(reason);
  });

  it.each(["rgb.png", "interlaced.png", "profile.png", "plain.jpg", "progressive.jpg", "lossy.webp", "lossless.webp"])(
    "%s, cut off anywhere, is refused or shows the part that is there",
    async (name) => {
      const file = fileOf(name);
      for (let part = 1; part < 16; part++) {
        const cut = file.slice(0, Math.floor((file.byteLength * part) / 16));
        const outcome = await variantOfFile(cut, typeOf(name)).then(
          () => "made",
          (error: unknown) => (error instanceof ImageRefusal ? "refused" : error),
        );
        // Only a JPEG decoder fills in what is missing.
        expect(name.endsWith(".jpg") ? ["made", "refused"] : ["refused"], `${part}/16`).toContain(outcome);
      }
    },
  );

  it.each([
    ["too many pixels", pngHead(4097, 4096), /has 4097\*4096 pixels/],
    ["too long a side", pngHead(20_000, 1), /has 20000\*1 pixels/],
    ["more pixels than numbers", pngHead(0xffffffff, 0xffffffff), /pixels/],
    ["no area", pngHead(0, 5), /no area/],
    ["too many interlaced pixels", pngHead(3000, 3000, 8, 2, 1), /an interlaced PNG/],
    ["an unknown colour type", pngHead(8, 8, 8, 5), /no colour type 5/],
    ["an unknown depth", pngHead(8, 8, 7, 2), /with 7 bits/],
    ["a palette that is missing", pngHead(8, 8, 8, 3), /palette is missing/],
    ["fewer rows than it says", pngHead(8, 900), /cannot be unpacked/],
  ])("a PNG with %s is refused", async (_what, head, reason) => {
    await refused(await plainPng(head, new Uint8Array(25 * 8)), "image/png").toThrow(reason);
  });

  it("a PNG with a filter that does not exist is refused", async () => {
    await refused(await plainPng(pngHead(1, 1), Uint8Array.of(9, 1, 2, 3)), "image/png").toThrow(/filter 9/);
  });

  it("a file of another kind than its type is refused", async () => {
    for (const contentType of ["image/png", "image/jpeg", "image/webp"]) {
      await refused(fileOf("plain.gif"), contentType).toThrow(ImageRefusal);
    }
  });

  it("a JPEG and a WebP whose header asks for more memory than allowed are refused before they are decoded", async () => {
    const jpeg = fileOf("plain.jpg");
    const frame = jpeg.findIndex((byte, at) => byte === 0xff && jpeg[at + 1] === 0xc0);
    new DataView(jpeg.buffer).setUint32(frame + 5, 0xffff_ffff);
    await refused(jpeg, "image/jpeg").toThrow(/has 65535\*65535 pixels/);
    const webp = fileOf("lossy.webp");
    new DataView(webp.buffer).setUint32(26, 0xff3f_ff3f);
    await refused(webp, "image/webp").toThrow(/has 16383\*16383 pixels/);
  });

  it("an image whose time runs out is not reported as damaged", async () => {
    const ended = AbortSignal.abort(new DOMException("late", "TimeoutError"));
    await expect(variantOfFile(fileOf("rgb.png"), "image/png", variantOf(320, "webp", 75), ended)).rejects.toThrow(
      "late",
    );
  });
});

describe("memory", () => {
  /** Rows of noise over a ramp, which compress as badly as a photo. */
  function noise(width: number, height: number): Uint8Array<ArrayBuffer> {
    const raw = new Uint8Array((width * 3 + 1) * height);
    let state = 1;
    for (let at = 0; at < raw.byteLength; at++) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      raw[at] = at % (width * 3 + 1) === 0 ? 0 : ((at >> 12) & 127) + ((state >>> 16) & 63);
    }
    return raw;
  }

  it.each([
    [2048, 2048, variantOf(1280, "webp", 100)],
    [2048, 2048, variantOf(null, "jpeg", 100)],
    [724, 5792, variantOf(null, "jpeg", 100)],
    [1024, 1024, variantOf(null, "png", null)],
  ])("of a PNG of %i*%i and its variant %o stays below 64 MB", async (width, height, variant) => {
    const file = await plainPng(pngHead(width, height), noise(width, height));
    expect((await variantOfFile(file, "image/png", variant)).heldBytes).toBeLessThan(64_000_000);
  });

  it.each(["large.jpg", "large-progressive.jpg", "large.webp"])(
    "of a variant of %s stays below 64 MB",
    async (name) => {
      const made = await variantOfFile(fileOf(name), typeOf(name), variantOf(1280, "webp", 75));
      expect(made.heldBytes).toBeLessThan(64_000_000);
      // The measured decoding is not a trivial one.
      expect(made.heldBytes).toBeGreaterThan(30_000_000);
    },
  );

  it.each(["too-large.jpg", "too-large-progressive.jpg", "too-large.webp"])("is refused for %s", async (name) => {
    await expect(variantOfFile(fileOf(name), typeOf(name))).rejects.toThrow(
      /decoding it takes \d+ MB; up to 58 MB are given/,
    );
  });

  it("of a transparent WebP variant stays below 64 MB, because the variant is made smaller", async () => {
    const width = 1500;
    const file = await plainPng(pngHead(width, width, 8, 6), noise((width * 4) / 3, width));
    const made = await variantOfFile(file, "image/png", variantOf(1280, "webp", 100));
    expect([made.width, made.height]).toEqual([894, 894]);
    expect(made.heldBytes).toBeLessThan(64_000_000);
    // In the other formats it has the requested size.
    expect((await variantOfFile(file, "image/png", variantOf(1280, "jpeg", 75))).width).toBe(1280);
  });

  it("of the variant of the largest PNG stays below 64 MB, although it unpacks to a thousand times its size", async () => {
    const file = await plainPng(pngHead(4096, 4096, 8, 6), new Uint8Array((4096 * 4 + 1) * 4096));
    expect(file.byteLength).toBeLessThan(100_000);
    const made = await variantOfFile(file, "image/png", variantOf(1280, "jpeg", 75));
    expect([made.width, made.height]).toEqual([1280, 1280]);
    expect(made.heldBytes).toBeLessThan(64_000_000);
  });
});
