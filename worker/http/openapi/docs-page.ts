import { createHash } from "node:crypto";
import { PROBLEMS, ProblemCode } from "../../../schemas/problem.ts";
import { PROBLEM_CASES } from "./answers.ts";
import type { OpenApiDocument } from "./document.ts";

const STYLE = `
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{margin-top:3rem;border-bottom:1px solid #8886}h3{margin:2rem 0 .25rem}
code,pre{font:14px/1.45 ui-monospace,monospace}pre{overflow:auto;padding:.75rem;background:#8881;border-radius:.4rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;overflow-wrap:anywhere;vertical-align:top;padding:.3rem .6rem .3rem 0;border-bottom:1px solid #8883}
.method{font-weight:700}section:target>h3,tr:target{background:#fd03}details>summary{cursor:pointer}
nav li{line-height:1.7}
`;

/** The page's own policy: no script at all, and no style but the one in it. */
export const DOCS_POLICY = `default-src 'none'; style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

function escaped(text: string): string {
  const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return text.replace(/[&<>"]/g, (found) => entities[found] ?? found);
}

/** Escaped text, with `code` in backticks. */
function prose(text = ""): string {
  return escaped(text).replace(/`([^`]+)`/g, "<code>$1</code>");
}

type Node = Readonly<Record<string, unknown>>;
const isNode = (value: unknown): value is Node => typeof value === "object" && value !== null && !Array.isArray(value);
const nodesOf = (value: unknown): [string, Node][] =>
  isNode(value) ? Object.entries(value).filter((entry): entry is [string, Node] => isNode(entry[1])) : [];
const listOf = (value: unknown): Node[] => (Array.isArray(value) ? value.filter(isNode) : []);
const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

/** A schema in a few words; a named one is linked. */
function typeText(schema: Node): string {
  const name = textOf(schema.$ref).split("/").at(-1);
  if (name !== undefined && name !== "") return `<a href="#schema-${escaped(name)}">${escaped(name)}</a>`;
  if ("const" in schema) return `<code>${escaped(JSON.stringify(schema.const))}</code>`;
  if (Array.isArray(schema.enum))
    return schema.enum.map((value) => `<code>${escaped(String(value))}</code>`).join(" | ");
  const choices = listOf(schema.anyOf ?? schema.oneOf);
  if (choices.length > 0) return choices.map(typeText).join(" | ");
  if (isNode(schema.items)) return `list of ${typeText(schema.items)}`;
  if (isNode(schema.properties))
    return `{ ${nodesOf(schema.properties)
      .map(([key]) => escaped(key))
      .join(", ")} }`;
  const type = Array.isArray(schema.type) ? schema.type.join(" | ") : textOf(schema.type);
  return escaped(type === "" ? "anything" : type);
}

function propertyRows(schema: Node): string {
  const required = Array.isArray(schema.required) ? schema.required : [];
  return nodesOf(schema.properties)
    .map(([name, property]) => {
      const star = required.includes(name) ? "" : "?";
      return `<tr><td><code>${escaped(name)}${star}</code></td><td>${typeText(property)}</td><td>${prose(textOf(property.description))}</td></tr>`;
    })
    .join("");
}

function schemaSection([name, schema]: [string, Node]): string {
  const choices = listOf(schema.oneOf ?? schema.anyOf);
  const body =
    choices.length > 0
      ? choices.map((choice) => `<table>${propertyRows(choice)}</table>`).join("<p>or</p>")
      : `<table>${propertyRows(schema)}</table>`;
  return `<section id="schema-${escaped(name)}"><h3>${escaped(name)}</h3><p>${prose(textOf(schema.description))}</p>${body}</section>`;
}

/** What a `$ref` of the document refers to; anything else is itself. */
type Resolve = (node: Node) => Node;

function example(content: unknown, resolve: Resolve): string {
  for (const [type, media] of nodesOf(content)) {
    if (type === "application/problem+json") continue;
    const [first] = nodesOf(media.examples);
    const value = media.example ?? (first === undefined ? undefined : resolve(first[1]).value);
    if (value === undefined) continue;
    return `<details><summary>Example</summary><pre>${escaped(JSON.stringify(value, null, 2))}</pre></details>`;
  }
  return "";
}

function operationSection(path: string, method: string, operation: Node, resolve: Resolve): string {
  const parameters = listOf(operation.parameters)
    .map((parameter) => {
      const schema = isNode(parameter.schema) ? parameter.schema : {};
      const description = prose(textOf(parameter.description) || textOf(schema.description));
      return `<tr><td><code>${escaped(textOf(parameter.name))}</code> <small>${escaped(textOf(parameter.in))}</small></td><td>${typeText(schema)}</td><td>${description}</td></tr>`;
    })
    .join("");
  const requestBody = isNode(operation.requestBody) ? operation.requestBody : {};
  const bodies = nodesOf(requestBody.content)
    .map(
      ([type, media]) =>
        `<p>Body, <code>${escaped(type)}</code>: ${isNode(media.schema) ? typeText(media.schema) : ""}</p>`,
    )
    .join("");
  const answers = nodesOf(operation.responses)
    .map(([status, given]) => {
      const answer = resolve(given);
      const types = nodesOf(answer.content).map(
        ([type, media]) => `<code>${escaped(type)}</code>${isNode(media.schema) ? ` ${typeText(media.schema)}` : ""}`,
      );
      return `<tr><td>${escaped(status)}</td><td>${prose(textOf(answer.description))}${example(answer.content, resolve)}</td><td>${types.join("<br>")}</td></tr>`;
    })
    .join("");
  const parts = [
    `<section id="${escaped(textOf(operation.operationId))}"><h3><span class="method">${method.toUpperCase()}</span> <code>${escaped(path)}</code></h3>`,
    `<p><strong>${prose(textOf(operation.summary))}.</strong> ${prose(textOf(operation.description))}</p>`,
    parameters === "" ? "" : `<table>${parameters}</table>`,
    bodies,
    example(requestBody.content, resolve),
    `<table>${answers}</table></section>`,
  ];
  return parts.join("");
}

const PROBLEM_ROWS = ProblemCode.options
  .map((code) => {
    const [status, title] = PROBLEMS[code];
    return `<tr id="problem-${code}"><td><code>${code}</code></td><td>${status}</td><td>${prose(title)}. ${prose(PROBLEM_CASES[code])}</td></tr>`;
  })
  .join("");

const IDEMPOTENCY = `<section id="idempotency"><h3>Idempotency-Key</h3><p>Give every submission a key of its own, and the same key again when you repeat it:
the same job answers, with <code>Idempotency-Replayed: true</code>. The key belongs to your client and is kept as long as the job. With another request it is a
<a href="#problem-idempotency_key_reused">422</a> that names the fields that differ. After the job was deleted, its key makes a new one.</p></section>`;

/** The document as a page for people: made here, with no script and nothing from another host. */
export function docsPage(document: OpenApiDocument): string {
  const resolve = (node: Node): Node => {
    if (typeof node.$ref !== "string") return node;
    const steps = node.$ref.replace(/^#\//, "").split("/");
    const found = steps.reduce<unknown>((parent, step) => (isNode(parent) ? parent[step] : undefined), document);
    return isNode(found) ? found : {};
  };
  const operations = nodesOf(document.paths).flatMap(([path, item]) =>
    nodesOf(item).map(([method, operation]) => ({ path, method, operation })),
  );
  const groups = (document.tags ?? []).map(({ name, description }) => {
    const own = operations.filter(({ operation }) => Array.isArray(operation.tags) && operation.tags[0] === name);
    const sections = own
      .map(({ path, method, operation }) => operationSection(path, method, operation, resolve))
      .join("");
    return `<h2>${escaped(name)}</h2><p>${prose(description)}</p>${sections}`;
  });
  const index = operations.map(
    ({ path, method, operation }) =>
      `<li><a href="#${escaped(textOf(operation.operationId))}"><code>${method.toUpperCase()} ${escaped(path)}</code></a> ${prose(textOf(operation.summary))}</li>`,
  );
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Darkroom API</title><style>${STYLE}</style></head><body>
<h1>Darkroom API ${escaped(document.info.version)}</h1><p>${prose(document.info.description).replaceAll("\n\n", "</p><p>")}</p><p>For programs: <a href="/api/openapi.json">openapi.json</a>.</p>
<nav><ul>${index.join("")}<li><a href="#idempotency">Idempotency-Key</a></li><li><a href="#problems">Problems</a></li><li><a href="#schemas">Schemas</a></li></ul></nav>
${groups.join("")}${IDEMPOTENCY}<h2 id="problems">Problems</h2><table>${PROBLEM_ROWS}</table>
<h2 id="schemas">Schemas</h2>${nodesOf(document.components?.schemas).map(schemaSection).join("")}</body></html>`;
}
