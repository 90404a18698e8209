import fc from "fast-check";
import { LANES } from "../canary/marked-secrets.ts";
import type { AnswerEntry } from "../support/documented-answer.ts";
import type { HttpAttack } from "./attack.ts";
import { credential } from "./credentials.ts";
import { formBodies, PICTURE } from "./form-bodies.ts";
import { hostileHeaders, hostileValue } from "./hostile-headers.ts";
import { hostileText, type Json } from "./hostile-values.ts";
import { jsonBodies } from "./mutations.ts";
import { type Meanings, type Schema, valuesOf } from "./schema-values.ts";

interface Parameter {
  readonly in: "path" | "query" | "header" | "cookie";
  readonly name: string;
  readonly schema: Schema;
}

export interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<Record<string, AnswerEntry>>;
}

/** The parts of the running service's OpenAPI document that are read here. */
export interface ApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>;
    readonly responses?: Readonly<Record<string, Exclude<AnswerEntry, { readonly $ref: string }>>>;
  };
}

const ADDRESSES = [
  "https://example.com/a.png",
  "http://a.example/%00?x=\u00e9",
  "ftp://a/b",
  "https://u:p@a.example/",
  "data:image/png;base64,AAAA",
  "data:,",
  "file:///etc/passwd",
  "http://[::1",
  "//a",
];

const image: fc.Arbitrary<Json> = fc.oneof(
  fc.constant(`data:image/png;base64,${PICTURE.toString("base64")}`),
  fc.constantFrom(...ADDRESSES),
);

/** The models that the emulator plays. */
export const MODELS: readonly string[] = [...LANES.shared, ...LANES.blocked, LANES.tasks, LANES.edits];

/** Values that models accept, which the schemas do not describe. */
const MEANINGS: Meanings = {
  model: fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...MODELS) }, { weight: 1, arbitrary: hostileText }),
  size: fc.constantFrom("1664*928", "1328x1328", "1024*1024", "1*1", "99999*99999"),
  n: fc.constantFrom(1, 1, 1, 1, 2, 6, 7),
  images: image,
  image,
  reference_image_url: image,
};

/** The text percent-encoded; an unpaired surrogate becomes bytes that are invalid UTF-8. */
function encoded(text: string): string {
  return text.isWellFormed()
    ? encodeURIComponent(text)
    : text.replace(/./gsu, (unit) => (unit.isWellFormed() ? encodeURIComponent(unit) : "%ED%A0%80"));
}

const rawStep = fc.constantFrom(
  "%",
  "%0A",
  "%0D%0Aa:b",
  "%00",
  "%2F",
  "%2e%2e",
  "..",
  ".",
  "%ff",
  "%C4%80",
  "%25",
  "job_",
  "a%20b",
  "%u0041",
  "@id@%0A",
  "@id@/",
);

const pathStep = (parameter: Parameter): fc.Arbitrary<string> =>
  parameter.name === "index"
    ? fc.oneof(
        { weight: 4, arbitrary: fc.constantFrom("0", "0", "0", "1", "5") },
        fc.constantFrom("-1", "00", "1e1", "9999", "10000", "0x0", "%30"),
        rawStep,
      )
    : fc.oneof(
        { weight: 10, arbitrary: fc.constant("@id@") },
        fc.stringMatching(/^job_[A-Za-z0-9_-]{21,64}$/),
        rawStep,
        hostileText.map((text) => encoded(text.slice(0, 300)) || "x"),
      );

type Pair = readonly [string, string];

/** The pairs of a query: each parameter right, wrong, twice, or absent; and unknown ones. */
function queries(
  parameters: readonly Parameter[],
  valid: (schema: Schema, name: string) => fc.Arbitrary<Json>,
): fc.Arbitrary<string> {
  const of = ({ name, schema }: Parameter): fc.Arbitrary<readonly Pair[]> => {
    const good = valid(schema, name).map((value) => [name, String(value)] as const);
    const bad = hostileText.map((text) => [name, text.slice(0, 600)] as const);
    return fc.oneof(
      { weight: 5, arbitrary: fc.constant<readonly Pair[]>([]) },
      { weight: 3, arbitrary: good.map((pair) => [pair]) },
      { weight: 2, arbitrary: bad.map((pair) => [pair]) },
      { weight: 1, arbitrary: fc.tuple(good, bad).map((pairs) => pairs) },
    );
  };
  const more = fc.oneof(
    { weight: 6, arbitrary: fc.constant("") },
    fc.constantFrom(
      "&&&===",
      "&%",
      "&a[]=1&a[b]=2",
      "&__proto__=1",
      `&${"x".repeat(9_000)}`,
      "&x=%ff",
      "?#",
      "&signature=x&end=1",
      "&end=1e9",
    ),
  );
  return fc.tuple(fc.tuple(...parameters.map(of)), more).map(([given, rest]) => {
    const text =
      given
        .flat()
        .map(([name, value]) => `${encoded(name)}=${encoded(value)}`)
        .join("&") + rest;
    return text === "" ? "" : `?${text.replaceAll("#", "%23")}`;
  });
}

type Body = { readonly contentType: string | null; readonly bytes: Uint8Array | null };

function bodies(operation: Operation, valid: (schema: Schema, name: string) => fc.Arbitrary<Json>): fc.Arbitrary<Body> {
  const json = operation.requestBody?.content["application/json"]?.schema;
  const nothing: Body = { contentType: null, bytes: null };
  if (json === undefined)
    return fc.oneof(
      { weight: 8, arbitrary: fc.constant(nothing) },
      { weight: 1, arbitrary: fc.constant({ contentType: "application/json", bytes: Buffer.from("{}") }) },
    );
  const asJson = jsonBodies(valid(json, "")).map((bytes): Body => ({ contentType: "application/json", bytes }));
  const otherType = fc
    .tuple(hostileValue("content-type"), jsonBodies(valid(json, "")))
    .map(([contentType, bytes]): Body => ({ contentType, bytes }));
  const wellFormed = [
    { weight: 16, arbitrary: asJson },
    { weight: 2, arbitrary: otherType },
    { weight: 1, arbitrary: fc.constant(nothing) },
  ];
  if (operation.requestBody?.content["multipart/form-data"] === undefined) return fc.oneof(...wellFormed);
  return fc.oneof(...wellFormed, {
    weight: 8,
    arbitrary: formBodies.map(({ contentType, bytes }): Body => ({ contentType, bytes })),
  });
}

/** Hostile requests of one operation: path, query, headers and body, each from its schema in the document. */
function attacksOf(
  path: string,
  method: string,
  operation: Operation,
  schemas: ApiDocument["components"]["schemas"],
): fc.Arbitrary<HttpAttack> {
  const valid = valuesOf(schemas, MEANINGS);
  const parameters = (where: Parameter["in"]) =>
    (operation.parameters ?? []).filter((parameter) => parameter.in === where);
  const steps = fc.record(
    Object.fromEntries(parameters("path").map((parameter) => [parameter.name, pathStep(parameter)])),
  );
  const own = parameters("header").map(({ name }) =>
    fc.option(
      hostileValue(name).map((value): Pair => [name, value]),
      { freq: 1 },
    ),
  );
  const others = fc.oneof(
    { weight: 3, arbitrary: fc.constant<readonly Pair[]>([]) },
    { weight: 2, arbitrary: hostileHeaders },
  );
  const link =
    path.endsWith("/events") && path.includes("{id}") ? "@events@" : path.endsWith("{index}") ? "@image@" : null;
  const address = fc
    .tuple(steps, queries(parameters("query"), valid))
    .map(([given, query]) => path.replace(/\{(\w+)\}/g, (_, name: string) => given[name] ?? "") + query);
  return fc
    .record({
      path:
        link === null
          ? address
          : fc.oneof({ weight: 2, arbitrary: address }, { weight: 1, arbitrary: fc.constant(link) }),
      own: fc.tuple(...own),
      others,
      credential,
      body: bodies(operation, valid),
      target: fc.nat(10_000),
    })
    .map(({ path: asked, own: ownHeaders, others: otherHeaders, credential: who, body, target }): HttpAttack => {
      const type: readonly Pair[] = body.contentType === null ? [] : [["content-type", body.contentType]];
      // A Content-Type that was made for the body must be the only one.
      const rest = otherHeaders.filter(
        ([name]) => !["authorization", "cookie"].includes(name) && (type.length === 0 || name !== "content-type"),
      );
      const headers = [...type, ...ownHeaders.filter((pair) => pair !== null), ...rest];
      return {
        kind: "operation",
        operation: operation.operationId,
        method: method.toUpperCase(),
        path: asked,
        headers,
        credential: who,
        body: body.bytes,
        target,
      };
    });
}

/** Hostile requests of every operation in the document; submissions, which can be wrong in the most ways, are more frequent. */
export function operationAttacks({ paths, components }: ApiDocument): fc.Arbitrary<HttpAttack> {
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({
      weight: operation.requestBody === undefined ? 2 : operation.operationId.startsWith("submit") ? 9 : 2,
      arbitrary: attacksOf(path, method, operation, components.schemas),
    })),
  );
  return fc.oneof(...operations);
}
