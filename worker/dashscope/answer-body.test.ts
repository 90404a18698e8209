import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cases } from "../../test/support/properties.ts";
import { type AnswerBody, readAnswerBody } from "./answer-body.ts";

/** Reads a text that arrives in pieces of `sizes` bytes, which are used in turn. */
function read(text: string, ...sizes: number[]): Promise<AnswerBody> {
  const bytes = new TextEncoder().encode(text);
  let at = 0;
  let pieces = 0;
  return readAnswerBody(
    new ReadableStream({
      pull(controller) {
        if (at >= bytes.length) return controller.close();
        const size = sizes[pieces++ % sizes.length] ?? 1000;
        controller.enqueue(bytes.subarray(at, at + size));
        at += size;
      },
    }),
  );
}

function image(bytes: number): { base64: string; bytes: Uint8Array } {
  const content = Uint8Array.from({ length: bytes }, (_, index) => (index * 7) % 256);
  return { base64: Buffer.from(content).toString("base64"), bytes: content };
}

describe("readAnswerBody", () => {
  it.each([
    ["JSON", '{"output":{"choices":[{"message":{"content":[{"image":"https://a.example/a.png"}]}}]},"n":7}'],
    ["every script and escape", '{"a":"一幅水彩 🎨 \\"quoted\\" \\\\ \\u4e00","b":"é"}'],
    ["a page", `<html><p class="x">it's "broken</p>${"words ".repeat(3000)}</html>`],
    ["a text longer than an image begins", JSON.stringify({ prompt: "a red bicycle ".repeat(2000) })],
    ["JSON that ends too early", '{"output":{"choices":[{"mess'],
    ["a body that ends inside a string", `{"prompt":"${"a b ".repeat(50)}`],
    ["nothing", ""],
    ["a short data URL", '{"image":"data:image/png;base64,iVBORw0KGgo="}'],
  ])("leaves %s unchanged, whatever the pieces", async (_what, text) => {
    for (const size of [1, 7, 4096, 1_000_000]) expect(await read(text, size)).toEqual({ text, embedded: [] });
  });

  it.each([
    ["a data URL", "data:image/png;base64,"],
    ["a data URL with a parameter", "data:image/png;charset=utf-8;base64,"],
    ["a data URL in capitals", "DATA:IMAGE/PNG;BASE64,"],
    ["base64 alone", ""],
  ])("separates images from the text: %s", async (_what, prefix) => {
    const [first, second] = [image(20_000), image(300_001)];
    const json = (a: string, b: string) => JSON.stringify({ data: [{ b64_json: a }, { b64_json: b }], tail: "é" });
    const given = json(prefix + first.base64, prefix + second.base64);
    for (const text of [given, given.replaceAll("/", "\\/")]) {
      for (const size of [1000, 65_536, 1_000_000]) {
        const body = await read(text, size);
        expect(JSON.parse(body.text ?? "")).toEqual(JSON.parse(json("embedded:0", "embedded:1")));
        expect(
          body.embedded.map((bytes) => Buffer.compare(bytes, bytes === body.embedded[0] ? first.bytes : second.bytes)),
        ).toEqual([0, 0]);
      }
    }
  });

  it.each<[string, (json: string) => string]>([
    ["line breaks", (json) => json.replace(/[A-Za-z0-9+/]{76}/g, "$&\\r\\n")],
    ["code points for what some encoders escape", (json) => json.replaceAll("+", "\\u002B").replaceAll("=", "\\u003d")],
    ["raw line breaks", (json) => json.replace(/[A-Za-z0-9+/]{76}/g, "$&\r\n")],
    ["line breaks as code points", (json) => json.replace(/[A-Za-z0-9+/]{64}/g, "$&\\u000a")],
    ["form feeds", (json) => json.replace(/[A-Za-z0-9+/]{64}/g, "$&\\f")],
    [
      "the escapes of addresses",
      (json) => json.replace(/[+/=]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`),
    ],
    [
      "the letters of addresses",
      (json) => json.replaceAll("+", "-").replace(/(?<=[A-Za-z0-9])\/(?=[A-Za-z0-9])/g, "_"),
    ],
  ])("separates an image whose text is written with %s, whatever the pieces", async (_what, written) => {
    const { base64, bytes } = image(40_000);
    const text = written(JSON.stringify([base64]));
    for (const size of [1000, 1001, 1003, 65_536]) {
      const body = await read(text, size);
      expect(body.text).toBe('["embedded:0"]');
      expect(Buffer.compare(body.embedded[0] ?? Buffer.alloc(0), bytes)).toBe(0);
    }
  });

  it.each([
    ["a data URL", "data:image/png;base64,"],
    ["a data URL with an escaped comma", "data:image/png;base64\\u002c"],
    ["a data URL with a percent-encoded comma", "data:image/png;base64%2C"],
    ["a data URL with escaped slashes and letters", "\\u0064ata:image\\/png;base64,"],
    ["no data URL", ""],
  ])("separates an image of %s, with a comma further on, whatever the pieces", async (_what, prefix) => {
    const { base64, bytes } = image(40_000);
    for (const size of [1000, 1003, 65_536]) {
      const body = await read(`["${prefix}${base64.slice(0, 9000)},${base64.slice(9000)}"]`, size);
      expect(body.text).toBe('["embedded:0"]');
      expect(Buffer.compare(body.embedded[0] ?? Buffer.alloc(0), bytes)).toBe(0);
    }
  });

  it("decodes an image as Node decodes its whole text, with anything between its characters and whatever the pieces", async () => {
    const noise = fc.constantFrom(" ", "\n", "\r\n", "\t", "*", "é", "=");
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 6200, maxLength: 6400 }),
        fc.array(fc.tuple(fc.nat(8600), noise), { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 9 }),
        async (bytes, inserted, sizes, small) => {
          let text = Buffer.from(bytes).toString("base64");
          for (const [at, char] of inserted) {
            // Other characters than white space make a text of a string that begins with them.
            const from = /\s/.test(char) ? at : 8250 + (at % 350);
            text = text.slice(0, from) + char + text.slice(from);
          }
          const body = await read(`["${text}"]`, ...sizes, small);
          expect(body.text).toBe('["embedded:0"]');
          expect(Buffer.compare(body.embedded[0] ?? Buffer.alloc(0), Buffer.from(text, "base64"))).toBe(0);
        },
      ),
      cases(),
    );
  });

  it("reads images larger than a text may be, up to 32 MB in all", async () => {
    const { base64 } = image(8_000_000);
    expect((await read(JSON.stringify([base64, base64, base64]), 65_536)).embedded).toHaveLength(3);
    expect((await read(JSON.stringify([base64, base64, base64, base64, base64]), 65_536)).text).toBeNull();
  });

  it("stops reading a text of more than 1 MB", async () => {
    let sentBytes = 0;
    let canceled = false;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sentBytes += 65_536;
        controller.enqueue(new Uint8Array(65_536).fill(0x20));
      },
      cancel() {
        canceled = true;
      },
    });
    expect(await readAnswerBody(endless)).toEqual({ text: null, embedded: [] });
    expect(sentBytes).toBeLessThan(2_000_000);
    expect(canceled).toBe(true);
  });

  it("throws the stream's error", async () => {
    const broken = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.error(new Error("reset"));
      },
    });
    await expect(readAnswerBody(broken)).rejects.toThrow("reset");
  });
});
