import { Validator } from "@seriousme/openapi-schema-validator";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { describe, expect, it } from "vitest";
import { EventPage, FeedFrame, JobFrame } from "../../../schemas/event.ts";
import { Job, JobList } from "../../../schemas/job.ts";
import { Health, Limits, Session } from "../../../schemas/limits.ts";
import { PROBLEMS } from "../../../schemas/problem.ts";
import { ROUTES } from "../app.ts";
import { jsonFields } from "../core/given-fields.ts";
import { normaliseSubmit } from "../core/normalise-submit.ts";
import { openApiDocument } from "./document.ts";
import { EXAMPLES } from "./examples.ts";

const document = openApiDocument(ROUTES);
const text = JSON.stringify(document);

type Node = Record<string, unknown>;
const isNode = (value: unknown): value is Node => typeof value === "object" && value !== null;

/** What a JSON Pointer of the document, like `#/components/examples/health`, refers to; undefined when it refers to nothing. */
const at = (pointer: string) =>
  pointer
    .slice(2)
    .split("/")
    .reduce<unknown>(
      (parent, step) => (isNode(parent) ? parent[step.replaceAll("~1", "/").replaceAll("~0", "~")] : undefined),
      document,
    );

const resolved = (node: unknown): Node => {
  const found = isNode(node) && typeof node.$ref === "string" ? at(node.$ref) : node;
  return isNode(found) ? found : {};
};

const step = (key: string) => key.replaceAll("~", "~0").replaceAll("/", "~1");

/** Every object with a `schema` and an `example` or `examples` beside it. */
function* documented(node: unknown, path: string): Generator<{ path: string; example: unknown }> {
  if (!isNode(node)) return;
  if ("schema" in node && "example" in node) yield { path, example: node.example };
  if ("schema" in node && isNode(node.examples) && !Array.isArray(node.examples)) {
    for (const example of Object.values(node.examples)) yield { path, example: resolved(example).value };
  }
  for (const [key, value] of Object.entries(node)) {
    if (key !== "example" && key !== "examples") yield* documented(value, `${path}/${step(key)}`);
  }
}

/** Every schema with examples in it: of a header, a parameter or a field. */
function* schemasWithExamples(node: unknown, path: string): Generator<{ path: string; examples: unknown[] }> {
  if (typeof node !== "object" || node === null) return;
  const record = node as Record<string, unknown>;
  const isSchema = "type" in record || "anyOf" in record;
  if (isSchema && "example" in record) yield { path, examples: [record.example] };
  if (isSchema && Array.isArray(record.examples)) yield { path, examples: record.examples };
  for (const [key, value] of Object.entries(record)) {
    if (key !== "example" && key !== "examples") yield* schemasWithExamples(value, `${path}/${step(key)}`);
  }
}

describe("the OpenAPI document", () => {
  it("has an id, a summary, problems and a tag for every operation", () => {
    const tags = document.tags?.map((tag) => tag.name);
    for (const item of Object.values(document.paths ?? {})) {
      for (const operation of Object.values(item)) {
        expect(operation.operationId).toMatch(/^[a-z][A-Za-z]+$/);
        expect(operation.summary).not.toBe("");
        expect(tags).toContain(operation.tags?.[0]);
        expect(Object.keys(operation.responses).some((status) => status.startsWith("5"))).toBe(true);
      }
    }
  });

  it("has an example for every problem that a route can answer", () => {
    // Two problems belong to no route: unknown paths and wrong methods.
    for (const code of Object.keys(PROBLEMS).filter((name) => name !== "not_found" && name !== "method_not_allowed")) {
      expect(text, code).toContain(`"code":"${code}"`);
    }
  });

  it("refers only to what it contains", () => {
    const refs = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1] ?? "");
    expect(refs.length).toBeGreaterThan(100);
    expect(refs.filter((ref) => at(ref) === undefined)).toEqual([]);
  });

  it("contains a problem's example once, however many routes answer with it", () => {
    for (const code of Object.keys(PROBLEMS)) {
      expect(text.split(`"code":"${code}","requestId"`).length, code).toBeLessThanOrEqual(2);
    }
    // Every operation adds its own parts. Before answers were shared, fewer operations took 427 kB.
    const operations = Object.values(document.paths ?? {}).flatMap((path) => Object.keys(path ?? {})).length;
    expect(operations).toBeGreaterThan(30);
    expect(text.length / operations).toBeLessThan(6_500);
  });

  it("is OpenAPI 3.1 by the standard's own schema", async () => {
    const validator = new Validator();
    expect(await validator.validate(JSON.parse(text))).toEqual({ valid: true });
    expect(validator.version).toBe("3.1");
  });

  it("has examples of headers and fields that match their own schemas", () => {
    const ajv = new Ajv2020({ strict: false });
    addFormats(ajv);
    ajv.addSchema(document as object, "api");
    const found = [...schemasWithExamples(document, "#")];
    expect(found.length).toBeGreaterThan(60);
    for (const { path, examples: given } of found) {
      for (const example of given) {
        const valid = ajv.validate({ $ref: `api${encodeURI(path)}` }, example);
        expect(valid, `${path}: ${ajv.errorsText()}`).toBe(true);
      }
    }
  });

  it("describes every parameter and header", () => {
    for (const item of Object.values(document.paths ?? {})) {
      for (const operation of Object.values(item)) {
        for (const parameter of operation.parameters ?? []) {
          const { name, description, schema } = parameter as {
            name: string;
            description?: string;
            schema: { description?: string };
          };
          expect(description ?? schema.description, `${operation.operationId} ${name}`).toMatch(/./);
        }
        for (const [status, answer] of Object.entries(operation.responses)) {
          const { headers } = resolved(answer) as { headers?: object };
          for (const [name, header] of Object.entries(headers ?? {})) {
            expect(
              (resolved(header) as { description?: string }).description,
              `${operation.operationId} ${status} ${name}`,
            ).toMatch(/./);
          }
        }
      }
    }
  });

  it("has examples that match its own schemas", () => {
    const ajv = new Ajv2020({ strict: false });
    addFormats(ajv);
    ajv.addSchema(document as object, "api");
    const found = [...documented(document.paths, "#/paths"), ...documented(document.components, "#/components")];
    expect(found.length).toBeGreaterThan(40);
    for (const { path, example } of found) {
      const valid = ajv.validate({ $ref: `api${path}/schema` }, example);
      expect(valid, `${path}: ${ajv.errorsText()}`).toBe(true);
    }
  });

  it("has examples that match the contract", () => {
    expect(Job.parse(EXAMPLES.queuedJob)).toEqual(EXAMPLES.queuedJob);
    expect(Job.parse(EXAMPLES.succeededJob)).toEqual(EXAMPLES.succeededJob);
    expect(Job.parse(EXAMPLES.canceledJob)).toEqual(EXAMPLES.canceledJob);
    expect(JobList.parse(EXAMPLES.jobList)).toEqual(EXAMPLES.jobList);
    expect(EventPage.parse(EXAMPLES.eventPage)).toEqual(EXAMPLES.eventPage);
    expect(JobFrame.parse(EXAMPLES.jobFrame)).toEqual(EXAMPLES.jobFrame);
    expect(FeedFrame.parse(EXAMPLES.feedFrame)).toEqual(EXAMPLES.feedFrame);
    expect(Limits.parse(EXAMPLES.limits)).toEqual(EXAMPLES.limits);
    expect(Health.parse(EXAMPLES.health)).toEqual(EXAMPLES.health);
    expect(Session.parse(EXAMPLES.session)).toEqual(EXAMPLES.session);
  });

  it("has example submissions that are accepted", () => {
    for (const body of [EXAMPLES.textSubmit, EXAMPLES.vendorSubmit]) {
      expect(normaliseSubmit("image-from-text", jsonFields("image-from-text", body))).toMatchObject({ ok: true });
    }
    for (const body of [EXAMPLES.referenceSubmit, EXAMPLES.snakeReferenceSubmit]) {
      expect(normaliseSubmit("image-from-reference", jsonFields("image-from-reference", body))).toMatchObject({
        ok: true,
      });
    }
  });
});
