import Ajv2020, { type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { contentSchema, documentedAnswer } from "../support/documented-answer.ts";
import type { Answer } from "./attack.ts";
import type { ApiDocument } from "./operation-attacks.ts";

interface Route {
  readonly path: string;
  readonly method: string;
}

/** Compares the JSON of answers with the document's schemas. */
export class DocumentedAnswers {
  readonly #ajv = new Ajv2020({ strict: false });
  readonly #document: ApiDocument;
  readonly #routes = new Map<string, Route>();
  readonly #validators = new Map<string, ValidateFunction>();

  constructor(document: ApiDocument) {
    this.#document = document;
    addFormats(this.#ajv);
    this.#ajv.addSchema(document, "api");
    for (const [path, item] of Object.entries(document.paths)) {
      for (const [method, { operationId }] of Object.entries(item)) this.#routes.set(operationId, { path, method });
    }
  }

  /** What is wrong with a JSON answer of this operation; null when nothing is, or the answer is no JSON or has no schema. */
  finding(operationId: string, answer: Answer): string | null {
    const route = this.#routes.get(operationId);
    const type = answer.headers["content-type"] ?? "";
    if (route === undefined || !type.endsWith("json") || answer.body.length === 0) return null;
    const { path, method } = route;
    const status = String(answer.status);
    const documented = documentedAnswer(this.#document, path, method, status);
    const content = documented?.answer.content;
    if (documented === null || content === undefined) return null;
    if (!(type in content)) return `a ${status} of ${operationId} in ${type}, which is not documented`;
    const pointer = contentSchema(documented.pointer, type);
    const known = this.#validators.get(pointer);
    const validate = known ?? this.#ajv.compile({ $ref: `api${pointer}` });
    this.#validators.set(pointer, validate);
    if (validate(JSON.parse(answer.body.toString()))) return null;
    return `a ${status} of ${operationId} that is not as documented: ${this.#ajv.errorsText(validate.errors)}`;
  }
}
