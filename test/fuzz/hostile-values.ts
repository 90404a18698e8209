import fc from "fast-check";

/** JSON that `JSON.stringify` cannot write: keys given twice, `__proto__`, numbers beyond any double, broken text. */
export type Json = string | number | boolean | null | RawJson | readonly Json[] | JsonObject;

/** A text that is written unchanged. */
export class RawJson {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** An object with its members in order; two may have the same name. */
export class JsonObject {
  readonly members: readonly (readonly [string, Json])[];
  constructor(members: readonly (readonly [string, Json])[]) {
    this.members = members;
  }
}

export function jsonText(value: Json): string {
  if (value instanceof RawJson) return value.text;
  if (value instanceof JsonObject) {
    return `{${value.members.map(([name, member]) => `${JSON.stringify(name)}:${jsonText(member)}`).join(",")}}`;
  }
  if (typeof value === "object" && value !== null) return `[${value.map(jsonText).join(",")}]`;
  return JSON.stringify(value);
}

/** Any UTF-16 code unit, unpaired surrogates included. */
const codeUnit = fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit));

const SPECIAL_TEXTS = [
  "",
  " ",
  "\u0000",
  "\ud800",
  "a\udfff\ud800b",
  "\u202e\u2066right to left",
  "e\u0301".repeat(300),
  "\ufeff",
  "\r\n\r\nHTTP/1.1 200 OK",
  "'; DROP TABLE jobs; --",
  '<script>alert("x")</script>',
  "{{7*7}}<%= 7*7 %>%s%n",
  "../../../etc/passwd",
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "true",
  "null",
  "NaN",
  "-0",
  "1e999",
  "0x10",
  "١٢٣",
  "\u001b[2J\u0007",
  "👩‍👩‍👧‍👦".repeat(40),
  "[fault:500 x1]",
  "[fault:empty-content x1]",
];

/** Texts that break careless code: any UTF-16, control characters, marks, markup, names of every object's members. */
export const hostileText: fc.Arbitrary<string> = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...SPECIAL_TEXTS) },
  { weight: 3, arbitrary: fc.string({ unit: codeUnit, maxLength: 40 }) },
  { weight: 2, arbitrary: fc.string({ unit: "binary", maxLength: 40 }) },
  { weight: 2, arbitrary: fc.string({ unit: "grapheme", maxLength: 40 }) },
  { weight: 1, arbitrary: fc.constantFrom(255, 256, 800, 801, 20_000, 20_001).map((length) => "a".repeat(length)) },
  { weight: 1, arbitrary: fc.constantFrom(500, 5_000).map((length) => "\u{1f4f7}".repeat(length)) },
);

export const hostileNumber: fc.Arbitrary<Json> = fc.oneof(
  fc.constantFrom(0, -1, 1, 7, 0.5, 1.5, 2_147_483_647, 2_147_483_648, -2_147_483_649, 604_801),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc
    .constantFrom(
      "1e999",
      "-1e999",
      "1e-999",
      "-0",
      `${"9".repeat(400)}`,
      "0.1e1",
      "1E+2",
      "01",
      "+1",
      "NaN",
      "Infinity",
    )
    .map((text) => new RawJson(text)),
);

const PROTOTYPE_NAMES = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "valueOf",
  "hasOwnProperty",
  "then",
  "toJSON",
];

/** Names that no schema has. */
export const hostileName: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    ...PROTOTYPE_NAMES,
    "",
    " prompt",
    "Prompt",
    "prompt\u0000",
    "/prompt",
    "~1",
    "prompts",
    "a".repeat(3000),
  ),
  hostileText,
);

/** `[[[[…]]]]` and `{"a":{"a":…}}`, closed or not. */
const deep: fc.Arbitrary<Json> = fc
  .tuple(fc.constantFrom(10, 1_000, 50_000), fc.constantFrom(["[", "]"], ['{"a":', "}"], ['[{"":', "}]"]), fc.boolean())
  .map(([depth, [open = "", close = ""], isClosed]) => {
    return new RawJson(`${open.repeat(depth)}1${isClosed ? close.repeat(depth) : ""}`);
  });

const scalar: fc.Arbitrary<Json> = fc.oneof(hostileText, hostileNumber, fc.boolean(), fc.constant(null));

const wide: fc.Arbitrary<Json> = fc
  .tuple(fc.constantFrom(21, 500, 5_000), scalar)
  .map(([length, member]) => new JsonObject(Array.from({ length }, (_, index) => [`k${index}`, member])));

/** Any JSON, and some invalid JSON. */
export const hostileJson: fc.Arbitrary<Json> = fc.oneof(
  { weight: 8, arbitrary: scalar },
  { weight: 2, arbitrary: fc.array(scalar, { maxLength: 5 }) },
  {
    weight: 3,
    arbitrary: fc.array(fc.tuple(hostileName, scalar), { maxLength: 5 }).map((members) => new JsonObject(members)),
  },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 40 }).chain((length) => fc.array(scalar, { minLength: length })) },
  { weight: 1, arbitrary: deep },
  { weight: 1, arbitrary: wide },
);
