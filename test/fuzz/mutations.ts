import fc from "fast-check";
import { hostileJson, hostileName, type Json, JsonObject, jsonText } from "./hostile-values.ts";

/** A change of one member of an object. `at` is the member's number, modulo the number of members. */
interface Change {
  readonly how: "replace" | "remove" | "twice" | "rename" | "add" | "nest" | "inside";
  readonly at: number;
  readonly name: string;
  readonly value: Json;
}

const change: fc.Arbitrary<Change> = fc.record({
  how: fc.oneof(
    { weight: 6, arbitrary: fc.constant("replace" as const) },
    { weight: 1, arbitrary: fc.constantFrom("remove" as const, "twice" as const, "rename" as const, "nest" as const) },
    { weight: 2, arbitrary: fc.constantFrom("add" as const, "inside" as const) },
  ),
  at: fc.nat(100),
  name: hostileName,
  value: hostileJson,
});

function changed(value: Json, { how, at, name, value: hostile }: Change): Json {
  if (!(value instanceof JsonObject)) return hostile;
  const { members } = value;
  const index = members.length === 0 ? 0 : at % members.length;
  const member = members[index];
  if (member === undefined || how === "add") return new JsonObject([...members, [name, hostile]]);
  const instead = (...others: (readonly [string, Json])[]) => new JsonObject(members.toSpliced(index, 1, ...others));
  switch (how) {
    case "replace":
      return instead([member[0], hostile]);
    case "remove":
      return instead();
    case "twice":
      return instead(member, [member[0], hostile]);
    case "rename":
      return instead([name, member[1]]);
    case "nest":
      return instead([member[0], [member[1]]]);
    case "inside":
      return instead([member[0], insideOf(member[1], at, hostile, name)]);
    default:
      throw new Error(`no such change: ${JSON.stringify(how satisfies never)}`);
  }
}

/** A change one level further down, if there is one. */
function insideOf(value: Json, at: number, hostile: Json, name: string): Json {
  if (Array.isArray(value)) return value.length === 0 ? [hostile] : value.with(at % value.length, hostile);
  if (value instanceof JsonObject)
    return changed(value, { how: at % 2 === 0 ? "replace" : "add", at, name, value: hostile });
  return hostile;
}

const utf8 = (text: string) => new TextEncoder().encode(text);

/** Changes that make a text invalid JSON or invalid UTF-8. */
const spoiled = fc.constantFrom<(text: string) => Uint8Array>(
  (text) => utf8(text.slice(0, -1)),
  (text) => utf8(text.slice(0, Math.floor(text.length / 2))),
  (text) => utf8(`${text}${text}`),
  (text) => utf8(`\ufeff${text}`),
  (text) => utf8(`${text} //`),
  (text) => utf8(text.replaceAll('"', "'")),
  (text) => utf8(text.replace(",", ",,")),
  (text) => utf8(`\u0000${text}`),
  (text) => new Uint8Array(Buffer.from(text, "utf16le")),
  (text) =>
    new Uint8Array(Buffer.concat([Buffer.from(text.slice(0, -2)), Buffer.from([0xff, 0xc0, 0x80]), Buffer.from('"}')])),
  (text) =>
    new Uint8Array(
      Buffer.concat([Buffer.from('{"prompt":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from(`",${text.slice(1)}`)]),
    ),
  () => new Uint8Array(),
  () => utf8(`{"prompt":"${"a".repeat(1_100_000)}"}`),
);

/** The bytes of a JSON body: right, nearly right, and completely wrong. */
export function jsonBodies(valid: fc.Arbitrary<Json>): fc.Arbitrary<Uint8Array> {
  const spelled = (value: Json) => utf8(jsonText(value));
  const several = fc.tuple(valid, fc.array(change, { minLength: 1, maxLength: 4 }));
  return fc.oneof(
    { weight: 5, arbitrary: valid.map(spelled) },
    { weight: 9, arbitrary: fc.tuple(valid, change).map(([value, one]) => spelled(changed(value, one))) },
    { weight: 3, arbitrary: several.map(([value, changes]) => spelled(changes.reduce(changed, value))) },
    { weight: 2, arbitrary: hostileJson.map(spelled) },
    { weight: 2, arbitrary: fc.tuple(valid, spoiled).map(([value, spoil]) => spoil(jsonText(value))) },
  );
}
