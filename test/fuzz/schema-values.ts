import fc from "fast-check";
import { type Json, JsonObject } from "./hostile-values.ts";

/** The parts of JSON Schema that the document uses. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly enum?: readonly Json[];
  readonly const?: Json;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly propertyNames?: Schema;
}

/** Values for fields whose schema alone does not describe them, by the field's name. */
export type Meanings = Readonly<Record<string, fc.Arbitrary<Json>>>;

const MAX_TEXT = 60;
const MAX_INT = 2_147_483_647;

/** Makes arbitraries of values that a schema accepts. */
export function valuesOf(schemas: Readonly<Record<string, Schema>>, meanings: Meanings) {
  const resolve = (schema: Schema): Schema => {
    if (schema.$ref === undefined) return schema;
    const name = schema.$ref.split("/").at(-1) ?? "";
    const found = schemas[name];
    if (found === undefined) throw new Error(`${schema.$ref} is not in the document`);
    return found;
  };

  const text = ({ pattern, minLength = 0, maxLength = MAX_TEXT }: Schema): fc.Arbitrary<Json> =>
    pattern === undefined
      ? fc.string({ unit: "grapheme", minLength, maxLength: Math.max(minLength, Math.min(maxLength, MAX_TEXT) / 4) })
      : fc.stringMatching(new RegExp(pattern));

  const list = ({ items = {}, minItems = 0, maxItems = minItems + 2 }: Schema, name: string): fc.Arbitrary<Json> =>
    fc.array(of(items, name), { minLength: minItems, maxLength: Math.min(maxItems, minItems + 2) });

  const object = (schema: Schema): fc.Arbitrary<Json> => {
    const required = new Set(schema.required ?? []);
    const members = Object.entries(schema.properties ?? {}).map(([name, member]) => {
      const value = of(member, name).map((value) => [name, value] as const);
      if (required.has(name)) return value;
      return fc.oneof({ weight: 2, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: value });
    });
    const { additionalProperties: more } = schema;
    const extra =
      typeof more === "object"
        ? fc.array(fc.tuple(of(schema.propertyNames ?? { type: "string", minLength: 1 }, ""), of(more, "")), {
            maxLength: 3,
          })
        : fc.constant([]);
    return fc.tuple(fc.tuple(...members), extra).map(([given, others]) => {
      const named = others.map(([name, value]) => [String(name), value] as const);
      const unique = new Map([...given.filter((member) => member !== null), ...named]);
      return new JsonObject([...unique]);
    });
  };

  /** A value that this schema accepts; `name` is the field's name. */
  function of(given: Schema, name: string): fc.Arbitrary<Json> {
    const meaning = Object.hasOwn(meanings, name) ? meanings[name] : undefined;
    const schema = resolve(given);
    const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
    if (meaning !== undefined && type !== "array") return meaning;
    if (schema.const !== undefined) return fc.constant(schema.const);
    if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
    const alternatives = schema.anyOf ?? schema.oneOf;
    if (alternatives !== undefined) return fc.oneof(...alternatives.map((alternative) => of(alternative, name)));
    switch (type) {
      case "string":
        return text(schema);
      case "integer":
        return fc.integer({ min: schema.minimum ?? 0, max: Math.min(schema.maximum ?? MAX_INT, MAX_INT) });
      case "number":
        return fc.double({ noNaN: true, noDefaultInfinity: true });
      case "boolean":
        return fc.boolean();
      case "null":
        return fc.constant(null);
      case "array":
        return list(schema, name);
      case "object":
        return object(schema);
      default:
        return fc.constant("anything");
    }
  }

  return of;
}
