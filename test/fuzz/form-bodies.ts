import fc from "fast-check";
import { hostileText } from "./hostile-values.ts";

/** A PNG of one pixel. */
export const PICTURE = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);

interface Part {
  readonly head: string;
  readonly bytes: Buffer;
}

/** Bytes of files: valid images, and others. */
const fileBytes: fc.Arbitrary<Buffer> = fc.oneof(
  { weight: 5, arbitrary: fc.nat(255).map((last) => Buffer.concat([PICTURE, Buffer.from([last])])) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(
        "",
        "GIF89a",
        "BM",
        "\xff\xd8\xff",
        "RIFF____WEBP",
        "%PDF-1.7",
        "<svg onload=alert(1)>",
        "MZ",
        "II*\0",
        "\x89PNG\r\n\x1a\n",
      )
      .map((text) => Buffer.from(text, "latin1")),
  },
  { weight: 1, arbitrary: fc.nat(60).map((end) => PICTURE.subarray(0, end)) },
  {
    weight: 1,
    // The header has any size, and the first chunk has any type.
    arbitrary: fc
      .tuple(fc.uint8Array({ minLength: 17, maxLength: 17 }))
      .map(([junk]) => Buffer.concat([PICTURE.subarray(0, 12), junk, PICTURE.subarray(29)])),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        fc.constantFrom(
          "GIF89a",
          "\xff\xd8\xff\xe0",
          "BM",
          "RIFF\xff\xff\xff\xffWEBPVP8X",
          "RIFF\x10\0\0\0WEBPVP8L",
          "II*\0\x08\0\0\0\xff\xff",
          "MM\0*\xff\xff\xff\xff",
        ),
        fc.uint8Array({ maxLength: 80 }),
      )
      .map(([head, rest]) => Buffer.concat([Buffer.from(head, "latin1"), rest])),
  },
);

const quoted = (text: string) => text.replaceAll('"', "%22").replaceAll("\r", "%0D").replaceAll("\n", "%0A");

const FILE_NAMES = [
  "a.png",
  "",
  "a\u0000.png",
  "..\\..\\a",
  "../../a",
  "a\tb\u0001.png",
  "\u202egnp.exe",
  "a".repeat(5_000),
  "CON",
  "é.png",
  "a;b=c",
  "%0d%0a",
];

const file: fc.Arbitrary<Part> = fc
  .tuple(
    fc.constantFrom("image", "image", "image", "images", "prompt", "__proto__", ""),
    fc.constantFrom(...FILE_NAMES),
    fc.constantFrom(
      "image/png",
      "image/gif",
      "text/html",
      "application/octet-stream",
      "",
      "image/png; charset=x",
      "multipart/mixed; boundary=b",
    ),
    fileBytes,
  )
  .map(([name, fileName, type, bytes]) => ({
    head: `Content-Disposition: form-data; name="${name}"; filename="${quoted(fileName)}"${type === "" ? "" : `\r\nContent-Type: ${type}`}`,
    bytes,
  }));

const TEXT_FIELDS = [
  "prompt",
  "negativePrompt",
  "size",
  "n",
  "seed",
  "promptExtend",
  "watermark",
  "model",
  "priority",
  "maxAttempts",
  "deadlineSeconds",
  "onUncertain",
  "metadata",
  "image",
  "constructor",
  "x",
];
const TEXT_VALUES = [
  "1",
  "0",
  "-1",
  "true",
  "TRUE",
  "high",
  "fail",
  "1664*928",
  "{}",
  '{"a":1}',
  "{",
  "https://example.com/a.png",
  "1e3",
  "999999999999999999999",
];

const field: fc.Arbitrary<Part> = fc
  .tuple(fc.constantFrom(...TEXT_FIELDS), fc.oneof(fc.constantFrom(...TEXT_VALUES), hostileText))
  .map(([name, text]) => ({ head: `Content-Disposition: form-data; name="${name}"`, bytes: Buffer.from(text) }));

const prompt: Part = { head: 'Content-Disposition: form-data; name="prompt"', bytes: Buffer.from("in oil") };
const picture: Part = {
  head: 'Content-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type: image/png',
  bytes: PICTURE,
};

const ODD_HEADS = [
  "",
  "Content-Disposition: form-data",
  'Content-Disposition: form-data; name="prompt',
  "Content-Disposition: attachment; filename=a",
  "content-disposition:form-data;name=prompt",
  'Content-Disposition: form-data; name="prompt"; name="image"',
  'Content-Disposition: form-data; name="prompt"\r\nContent-Transfer-Encoding: base64',
  "Content-Disposition: form-data; name*=utf-8''prompt",
  `Content-Disposition: form-data; name="${"n".repeat(20_000)}"`,
  "\u0000: \u0000",
  'Content-Disposition: form-data; name="image"; filename="a"\r\nContent-Type: multipart/mixed; boundary=inner',
  'Content-Disposition: form-data; name="prompt"\r\n folded: yes',
];

const odd: fc.Arbitrary<Part> = fc.constantFrom(...ODD_HEADS).map((head) => ({
  head,
  bytes: Buffer.from('--inner\r\nContent-Disposition: file; filename="b"\r\n\r\nx\r\n--inner--'),
}));

/** Thousands of parts are tested here, not large ones. */
const MAX_FLOOD_BYTES = 400_000;

/** A few parts, or an absurd number of them. */
const parts: fc.Arbitrary<readonly Part[]> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .array(fc.oneof({ weight: 2, arbitrary: file }, { weight: 1, arbitrary: field }), { maxLength: 4 })
      .map((more) => [prompt, ...more]),
  },
  { weight: 3, arbitrary: fc.array(field, { maxLength: 3 }).map((more) => [prompt, picture, ...more]) },
  { weight: 4, arbitrary: fileBytes.map((bytes) => [prompt, { ...picture, bytes }]) },
  { weight: 3, arbitrary: fc.array(fc.oneof(file, field, odd), { maxLength: 8 }) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constantFrom(100, 3_000), fc.oneof(file, field, odd)).map(([count, part]) => {
      const most = Math.floor(MAX_FLOOD_BYTES / (part.head.length + part.bytes.length + 1));
      return Array.from({ length: Math.min(count, most) }, () => part);
    }),
  },
);

const CRLF = Buffer.from("\r\n");

/** Assembles the parts, mostly in the right way. */
function assembled(given: readonly Part[], boundary: string, how: string): Buffer {
  const start = Buffer.from(`--${boundary}\r\n`, "latin1");
  const pieces = given.flatMap(({ head, bytes }) => [start, Buffer.from(`${head}\r\n\r\n`), bytes, CRLF]);
  const end = Buffer.from(`--${boundary}--\r\n`, "latin1");
  switch (how) {
    case "no end":
      return Buffer.concat(pieces);
    case "cut":
      return Buffer.concat([...pieces, end]).subarray(0, -Math.min(20, end.length + 5));
    case "end first":
      return Buffer.concat([end, ...pieces, end]);
    case "bare line feeds":
      return Buffer.from(
        Buffer.concat([...pieces, end])
          .toString("latin1")
          .replaceAll("\r\n", "\n"),
        "latin1",
      );
    case "with words around":
      return Buffer.concat([Buffer.from("a preamble\r\n"), ...pieces, end, Buffer.from("an epilogue")]);
    case "nothing":
      return Buffer.alloc(0);
    case "another boundary":
      return Buffer.concat([...pieces, Buffer.from("--other--\r\n")]);
    default:
      return Buffer.concat([...pieces, end]);
  }
}

const HOW = ["no end", "cut", "end first", "bare line feeds", "with words around", "nothing", "another boundary"];

/** Hostile `multipart/form-data`, with its Content-Type. */
export const formBodies: fc.Arbitrary<{ readonly contentType: string; readonly bytes: Uint8Array }> = fc
  .record({
    parts,
    boundary: fc.oneof(
      { weight: 8, arbitrary: fc.constant("----b0undary") },
      fc.constantFrom("b", "-", "--", "a b", "\u00e9", "b".repeat(70), "b".repeat(300), "'()+_,./:=?"),
    ),
    how: fc.oneof({ weight: 8, arbitrary: fc.constant("right") }, { weight: 3, arbitrary: fc.constantFrom(...HOW) }),
    announced: fc.oneof({ weight: 12, arbitrary: fc.constant<string | null>(null) }, fc.constantFrom("other", "", '"')),
  })
  .map(({ parts: given, boundary, how, announced }) => {
    const named = announced ?? (/^[A-Za-z0-9-]+$/.test(boundary) ? boundary : `"${boundary}"`);
    return { contentType: `multipart/form-data; boundary=${named}`, bytes: assembled(given, boundary, how) };
  });
