import { Validator } from "@seriousme/openapi-schema-validator";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { describe, expect, it } from "vitest";
import { EventPage, FeedFrame, JobFrame } from "../../../schemas/event.ts";
import { Job, JobList } from "../../../schemas/job.ts";
import { Health, Limits, Session } from "../../../schemas/limits.ts";
import { PROBLEMS } from "../../../schemas/problem.ts";
import { jsonFields } from "../core/given-fields.ts";
import { normaliseSubmit } from "../core/normalise-submit.ts";
import { openApiDocument } from "./document.ts";
import * as examples from "./examples.ts";

const document = openApiDocument();
const text = JSON.stringify(document);

/** Every object with a `schema` and an `example` or `examples` beside it. */
function* documented(node: unknown, path = "#"): Generator<{ path: string; example: unknown }> {
  if (typeof node !== "object" || node === null) return;
  const record = node as Record<string, unknown>;
  if ("schema" in record && "example" in record) yield { path, example: record.example };
  if ("schema" in record && typeof record.examples === "object" && !Array.isArray(record.examples)) {
    for (const example of Object.values(record.examples ?? {}))
      yield { path, example: (example as { value: unknown }).value };
  }
  for (const [key, value] of Object.entries(record)) {
    if (key !== "example" && key !== "examples")
      yield* documented(value, `${path}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`);
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
    if (key !== "example" && key !== "examples")
      yield* schemasWithExamples(value, `${path}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`);
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
    // Of no route: unknown paths and wrong methods.
    for (const code of Object.keys(PROBLEMS).filter((name) => name !== "not_found" && name !== "method_not_allowed")) {
      expect(text, code).toContain(`"code":"${code}"`);
    }
  });

  it("refers only to what it holds", () => {
    const names = new Set(Object.keys(document.components?.schemas ?? {}));
    const refs = [...text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map((match) => match[1] ?? "");
    expect(refs.length).toBeGreaterThan(10);
    expect(refs.filter((ref) => !names.has(ref))).toEqual([]);
  });

  it("is OpenAPI 3.1, as its makers' own schema has it", async () => {
    const validator = new Validator();
    expect(await validator.validate(JSON.parse(text))).toEqual({ valid: true });
    expect(validator.version).toBe("3.1");
  });

  it("gives examples of headers and fields that their own schemas take", () => {
    const ajv = new Ajv2020({ strict: false });
    addFormats(ajv);
    ajv.addSchema(document as object, "api");
    const found = [...schemasWithExamples(document, "#")];
    expect(found.length).toBeGreaterThan(100);
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
          const { headers } = answer as { headers?: object };
          for (const [name, header] of Object.entries(headers ?? {})) {
            expect(
              (header as { description?: string }).description,
              `${operation.operationId} ${status} ${name}`,
            ).toMatch(/./);
          }
        }
      }
    }
  });

  it("gives examples that its own schemas take", () => {
    const ajv = new Ajv2020({ strict: false });
    addFormats(ajv);
    ajv.addSchema(document as object, "api");
    const found = [...documented(document.paths, "#/paths")];
    expect(found.length).toBeGreaterThan(40);
    for (const { path, example } of found) {
      const valid = ajv.validate({ $ref: `api${path}/schema` }, example);
      expect(valid, `${path}: ${ajv.errorsText()}`).toBe(true);
    }
  });

  it("gives examples that the contract takes", () => {
    expect(Job.parse(examples.queuedJob)).toEqual(examples.queuedJob);
    expect(Job.parse(examples.succeededJob)).toEqual(examples.succeededJob);
    expect(Job.parse(examples.canceledJob)).toEqual(examples.canceledJob);
    expect(JobList.parse(examples.jobList)).toEqual(examples.jobList);
    expect(EventPage.parse(examples.eventPage)).toEqual(examples.eventPage);
    expect(JobFrame.parse(examples.jobFrame)).toEqual(examples.jobFrame);
    expect(FeedFrame.parse(examples.feedFrame)).toEqual(examples.feedFrame);
    expect(Limits.parse(examples.limits)).toEqual(examples.limits);
    expect(Health.parse(examples.health)).toEqual(examples.health);
    expect(Session.parse(examples.session)).toEqual(examples.session);
  });

  it("gives example submissions that are taken", () => {
    for (const body of [examples.textSubmit, examples.vendorSubmit]) {
      expect(normaliseSubmit("image-from-text", jsonFields("image-from-text", body))).toMatchObject({ ok: true });
    }
    for (const body of [examples.referenceSubmit, examples.snakeReferenceSubmit]) {
      expect(normaliseSubmit("image-from-reference", jsonFields("image-from-reference", body))).toMatchObject({
        ok: true,
      });
    }
  });
});
