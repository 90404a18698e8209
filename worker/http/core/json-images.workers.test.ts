import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { JsonImages, type TakenImage } from "./json-images.ts";

const utf8 = new TextEncoder();
const options = {
  markOf: (index: number) => `<${index}>`,
  maxImageBytes: 1000,
  maxTextBytes: 4000,
  expectedBytes: null,
};

/** Feeds a text in chunks of the given size. Returns the images that were taken out and the remaining text. */
function take(text: string, chunkBytes = 7, given: Partial<typeof options> = {}) {
  const bytes = utf8.encode(text);
  const reader = new JsonImages({ ...options, ...given });
  const images: (TakenImage | "text_too_large")[] = [];
  for (let at = 0; at < bytes.byteLength; at += chunkBytes) {
    // Copied, because the next image is decoded into the same bytes.
    for (const image of reader.add(bytes.slice(at, at + chunkBytes))) images.push(structuredClone(image));
    if (images.at(-1) === "text_too_large") return { images, text: null };
  }
  return { images, text: reader.text() };
}

const bytesOf = (image: TakenImage | "text_too_large" | undefined) =>
  image !== undefined && image !== "text_too_large" && image.ok ? [...image.bytes] : image;
const PIXELS = Uint8Array.from({ length: 100 }, (_, index) => index * 7);
const URL_OF_PIXELS = `data:image/png;base64,${PIXELS.toBase64()}`;

describe("JsonImages", () => {
  it.each([1, 2, 3, 7, 64, 10_000])("takes data URLs out of text that comes in chunks of %d bytes", (chunkBytes) => {
    const body = JSON.stringify({ prompt: '画 „a“ \\ "b"', images: [URL_OF_PIXELS, "https://a.com/b", URL_OF_PIXELS] });
    const taken = take(body, chunkBytes);
    expect(taken.images.map(bytesOf)).toEqual([[...PIXELS], [...PIXELS]]);
    expect(JSON.parse(taken.text ?? "")).toEqual({
      prompt: '画 „a“ \\ "b"',
      images: ["<0>", "https://a.com/b", "<1>"],
    });
  });

  it.each([
    ["slashes as PHP writes them", (url: string) => url.replaceAll("/", "\\/")],
    ["signs as .NET writes them", (url: string) => url.replaceAll("+", "\\u002B").replaceAll("=", "\\u003d")],
    ["line breaks", (url: string) => url.replace(/(.{40})/g, "$1\\r\\n")],
  ])("takes a data URL with %s", (_name, escaped) => {
    const head = "data:image/png;name=a+b;base64,";
    const base64 = Uint8Array.from({ length: 301 }, (_, index) => 255 - (index % 70)).toBase64();
    // Line breaks are only in the base64.
    const url = _name === "line breaks" ? head + escaped(base64) : escaped(head + base64);
    for (const chunkBytes of [1, 2, 3, 7, 64, 10_000]) {
      const taken = take(`{"image":"${url}"}`, chunkBytes);
      expect(taken.images.map(bytesOf)).toEqual([[...Uint8Array.fromBase64(base64)]]);
      expect(JSON.parse(taken.text ?? "")).toEqual({ image: "<0>" });
    }
  });

  it("leaves every text that is no data URL in base64 unchanged", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.integer({ min: 1, max: 40 }), (value, chunkBytes) => {
        const odd = ["data:\\", 'data:\\"base64,', 'data:"', "data:a\\/b", "data:\u0001;base64;"];
        const body = {
          value,
          odd,
          prompt: "data: a chart",
          key: "data:image/svg+xml,<svg/>",
          "data:x": "dat",
          empty: "",
        };
        const taken = take(JSON.stringify(body), chunkBytes, { maxTextBytes: 1e6 });
        expect(taken).toEqual({ images: [], text: JSON.stringify(body) });
      }),
    );
  });

  it("leaves text that breaks off unchanged, so that JSON.parse refuses it", () => {
    expect(take('{"a": "dat').text).toBe('{"a": "dat');
    expect(take('{"a": "b\\').text).toBe('{"a": "b\\');
  });

  it("takes an image of exactly the allowed number of bytes, and refuses one more byte", () => {
    for (const extra of [-2, -1, 0]) {
      const { images } = take(`["data:;base64,${new Uint8Array(1000 + extra).toBase64()}"]`);
      expect(bytesOf(images[0])).toHaveLength(1000 + extra);
    }
    for (const extra of [1, 2, 3, 5000]) {
      const { images, text } = take(`["data:;base64,${new Uint8Array(1000 + extra).toBase64()}", "b"]`);
      expect(images).toEqual([{ ok: false, code: "too_large" }]);
      expect(text).toBe('["<0>", "b"]');
    }
  });

  it.each(["???", "QUJD=QUJD", "QUJ", "Q\\u0041\\bJD"])("refuses %s as no base64", (base64) => {
    const { images } = take(`["data:image/png;base64,${base64}"]`);
    expect(images).toEqual(
      base64 === "QUJ" ? [{ ok: true, bytes: utf8.encode("AB") }] : [{ ok: false, code: "not_base64" }],
    );
  });

  it("stops when there is more text than allowed, whatever the size of its images", () => {
    const { images } = take(`["${"a".repeat(5000)}"]`);
    expect(images).toEqual(["text_too_large"]);
  });
});
