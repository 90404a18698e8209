import { createHash } from "node:crypto";
import { PROBLEMS, ProblemCode } from "../../../schemas/problem.ts";
import { PROBLEM_CASES } from "./answers.ts";
import type { OpenApiDocument } from "./document.ts";

const STYLE = `
:root{color-scheme:light dark;--ground:light-dark(#f4f1ec,#141110);--surface:light-dark(#fffdfa,#1c1817);--raised:light-dark(#ece7df,#27211f);--line:light-dark(#ddd5ca,#342c29);--ink:light-dark(#221c19,#f3ece5);--muted:light-dark(#5f554e,#b5a99f);--glow:light-dark(#b3321a,#ff8763);--mark:light-dark(#f6e8cc,#33270f)}
*{box-sizing:border-box}html{background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,sans-serif;scroll-padding-top:1rem}body{margin:0}
a{color:var(--glow)}:focus-visible{outline:3px solid light-dark(#1c5fae,#ffd08a);outline-offset:2px}
.page{display:grid;grid-template-columns:17rem minmax(0,1fr);max-width:90rem;margin:0 auto}
nav{position:sticky;top:0;align-self:start;max-height:100vh;overflow:auto;padding:1.5rem 1rem;font-size:.875rem}
nav ul{list-style:none;margin:0 0 1rem;padding:0}nav li a{display:block;padding:.2rem .5rem;border-radius:.3rem;color:var(--ink);text-decoration:none}nav li a:hover{background:var(--raised)}
nav h2{margin:1rem .5rem .25rem;font-size:.8125rem;color:var(--muted)}nav h2:first-child{margin-top:0}
main{min-width:0;padding:1.5rem 2rem 6rem}h1{margin:0 0 .5rem;font-size:1.75rem}main h2{margin:3.5rem 0 .5rem;font-size:1.4rem}h3{margin:0;font-size:1.05rem;overflow-wrap:anywhere}h4,.label{margin:1.25rem 0 .25rem;font-size:.875rem;font-weight:600;color:var(--muted)}
p{margin:.5rem 0;max-width:48rem}code,pre{font:.84rem/1.5 ui-monospace,"SF Mono",Menlo,monospace}code{overflow-wrap:anywhere}
pre{margin:.5rem 0;padding:.75rem 1rem;overflow:auto;border-radius:.5rem;background:var(--raised)}
.operation,.schema{margin:1.5rem 0;padding:1.25rem;border:1px solid var(--line);border-radius:.75rem;background:var(--surface)}
.operation:target,.schema:target{border-color:var(--glow)}tr:target{background:var(--mark)}
.method{display:inline-block;min-width:3.6rem;margin-right:.5rem;padding:0 .4rem;border-radius:.3rem;background:var(--raised);font:600 .75rem/1.6 ui-monospace,monospace;text-align:center}
dl{margin:.25rem 0}dl>div{display:grid;grid-template-columns:minmax(9rem,16rem) minmax(0,1fr);gap:.15rem 1.25rem;padding:.45rem 0;border-top:1px solid var(--line)}dt{overflow-wrap:anywhere}dt small{display:block;color:var(--muted)}dd{margin:0;overflow-wrap:anywhere}
.samples{display:grid;gap:0 1rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr))}.sample{position:relative;min-width:0}
.sample button{position:absolute;top:-.2rem;right:0;padding:.15rem .6rem;border:1px solid var(--line);border-radius:.35rem;background:var(--surface);color:inherit;font:inherit;font-size:.75rem;cursor:pointer}
details>summary{width:fit-content;cursor:pointer;font-size:.875rem}.problems{font-size:.875rem;color:var(--muted)}
table{border-collapse:collapse;width:100%;table-layout:fixed}th,td{text-align:left;vertical-align:top;padding:.4rem .75rem .4rem 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}th:first-child{width:15rem}th:nth-child(2){width:4.5rem}
@media(max-width:60rem){.page{display:block}nav{position:static;max-height:none;border-bottom:1px solid var(--line)}main{padding:1.25rem 1rem 4rem}dl>div{grid-template-columns:minmax(0,1fr)}th:first-child{width:9rem}}
@media print{nav,button{display:none}.page{display:block}}
`;

/** Copies a sample to the clipboard. Without the script the page lacks only the buttons, which it shows. */
const SCRIPT = `
for(const button of document.querySelectorAll(".sample button")){button.hidden=false;button.addEventListener("click",async()=>{const said=button.textContent;try{await navigator.clipboard.writeText(button.parentElement.querySelector("pre").textContent);button.textContent="Copied"}catch{button.textContent="Select and copy"}setTimeout(()=>{button.textContent=said},2000)})}
`;

const hashOf = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** The page's own policy: only its own script and style, and nothing from any host. */
export const DOCS_POLICY = `default-src 'none'; script-src ${hashOf(SCRIPT)}; style-src ${hashOf(STYLE)}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

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

/** One named entry of a list: its name, kind and meaning. */
function item(name: string, kind: string, meaning: string): string {
  return `<div><dt><code>${escaped(name)}</code><small>${kind}</small></dt><dd>${meaning}</dd></div>`;
}

function properties(schema: Node): string {
  const required = Array.isArray(schema.required) ? schema.required : [];
  const rows = nodesOf(schema.properties).map(([name, property]) => {
    const kind = `${typeText(property)}${required.includes(name) ? "" : ", optional"}`;
    return item(name, kind, prose(textOf(property.description)));
  });
  return rows.length === 0 ? `<p>${typeText(schema)}</p>` : `<dl>${rows.join("")}</dl>`;
}

function schemaSection([name, schema]: [string, Node]): string {
  const choices = listOf(schema.oneOf ?? schema.anyOf);
  const body = choices.length > 0 ? choices.map(properties).join("<p>or</p>") : properties(schema);
  return `<section class="schema" id="schema-${escaped(name)}"><h3>${escaped(name)}</h3><p>${prose(textOf(schema.description))}</p>${body}</section>`;
}

/** What a `$ref` of the document refers to; any other node is returned as it is. */
type Resolve = (node: Node) => Node;

function example(content: unknown, resolve: Resolve): string {
  for (const [type, media] of nodesOf(content)) {
    if (type === "application/problem+json") continue;
    const [first] = nodesOf(media.examples);
    const value = media.example ?? (first === undefined ? undefined : resolve(first[1]).value);
    if (value === undefined) continue;
    return `<details><summary>Example</summary><pre tabindex="0">${escaped(JSON.stringify(value, null, 2))}</pre></details>`;
  }
  return "";
}

/** The same call by the typed client, where there is one. */
const TYPESCRIPT: Readonly<Record<string, string>> = {
  submitImageFromText: 'const job = await darkroom.submit("image-from-text", { prompt: "a red bicycle in the rain" });',
  submitImageFromReference:
    'const job = await darkroom.submitFiles({ prompt: "make it night" }, [file]);\n// or by address\nawait darkroom.submit("image-from-reference", { prompt: "make it night", images: [url] });',
  listJobs: 'const { jobs, nextCursor } = await darkroom.list({ status: ["succeeded"], q: "bicycle" });',
  countJobs: 'const { status, models } = await darkroom.counts({ q: "bicycle" });',
  getJob: "const job = await darkroom.get(id);\n// or until it is done\nconst done = await darkroom.wait(id);",
  cancelJob: "await darkroom.cancel(id);",
  retryJob: "await darkroom.retry(id);",
  deleteJob: "await darkroom.remove(id);",
  shareJob: "const { url, expiresAt } = await darkroom.share(id, 72);",
  watchJob: "for await (const { job, event } of darkroom.watch(id)) console.log(job.status, event?.type);",
  watchJobs: 'for await (const frame of darkroom.watchAll()) if (frame.type === "job") console.log(frame.job.status);',
  getLimits: "const { lanes, models } = await darkroom.limits();",
  getHealth: "const { status } = await darkroom.health();",
  getIdentity: "const { client, role } = await darkroom.identity();",
};

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/** The call as a line for a shell. Ids and numbers of the path become variables. */
function curlOf(path: string, method: string, operation: Node, body: unknown): string {
  const address = path.replace("{id}", "$JOB").replace("{index}", "0");
  const isPublic = Array.isArray(operation.security) && operation.security.length === 0;
  const lines = [
    `curl -sS${method === "get" ? "" : ` -X ${method.toUpperCase()}`} "$DARKROOM${address}"`,
    ...(isPublic ? [] : ['-H "Authorization: Bearer $DARKROOM_TOKEN"']),
    ...(body === undefined ? [] : ["-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(body))}`]),
    ...(path.includes("{index}") ? ["-o image.png"] : []),
  ];
  return lines.join(" \\\n  ");
}

function sample(title: string, code: string): string {
  return `<div class="sample"><p class="label">${title}</p><button type="button" hidden>Copy</button><pre tabindex="0">${escaped(code)}</pre></div>`;
}

/** The first example of a JSON body; undefined when there is none. */
function bodyExample(content: unknown, resolve: Resolve): unknown {
  for (const [type, media] of nodesOf(content)) {
    if (type !== "application/json") continue;
    const [first] = nodesOf(media.examples);
    return media.example ?? (first === undefined ? undefined : resolve(first[1]).value);
  }
  return undefined;
}

const PROBLEM_TYPE = "application/problem+json";

/** The codes of a problem answer, as its examples name them. */
function codesOf(answer: Node): string[] {
  const media = isNode(answer.content) ? answer.content[PROBLEM_TYPE] : undefined;
  return isNode(media) ? nodesOf(media.examples).map(([code]) => code) : [];
}

function answerItem(status: string, answer: Node, resolve: Resolve): string {
  const types = nodesOf(answer.content).map(
    ([type, media]) => `<code>${escaped(type)}</code>${isNode(media.schema) ? ` ${typeText(media.schema)}` : ""}`,
  );
  return item(status, types.join("<br>"), `${prose(textOf(answer.description))}${example(answer.content, resolve)}`);
}

function operationSection(path: string, method: string, operation: Node, resolve: Resolve): string {
  const parameters = listOf(operation.parameters).map((given) => {
    const parameter = resolve(given);
    const schema = isNode(parameter.schema) ? parameter.schema : {};
    const kind = `${typeText(schema)}, in ${escaped(textOf(parameter.in))}`;
    return item(textOf(parameter.name), kind, prose(textOf(parameter.description) || textOf(schema.description)));
  });
  const requestBody = isNode(operation.requestBody) ? operation.requestBody : {};
  const bodies = nodesOf(requestBody.content).map(
    ([type, media]) =>
      `<p>Body, <code>${escaped(type)}</code>: ${isNode(media.schema) ? typeText(media.schema) : ""}</p>`,
  );
  const answers = nodesOf(operation.responses).map(([status, given]) => ({ status, answer: resolve(given) }));
  const own = answers.filter(({ answer }) => codesOf(answer).length === 0);
  const problems = answers
    .flatMap(({ answer }) => codesOf(answer))
    .map((code) => `<a href="#problem-${escaped(code)}"><code>${escaped(code)}</code></a>`);
  const id = textOf(operation.operationId);
  const code = TYPESCRIPT[id];
  const parts = [
    `<section class="operation" id="${escaped(id)}"><h3><span class="method">${method.toUpperCase()}</span><code>${escaped(path)}</code></h3>`,
    `<p><strong>${prose(textOf(operation.summary))}.</strong> ${prose(textOf(operation.description))}</p>`,
    `<div class="samples">${sample("curl", curlOf(path, method, operation, bodyExample(requestBody.content, resolve)))}${code === undefined ? "" : sample("TypeScript", code)}</div>`,
    parameters.length === 0 ? "" : `<h4>Parameters</h4><dl>${parameters.join("")}</dl>`,
    bodies.join(""),
    `<h4>Answers</h4><dl>${own.map(({ status, answer }) => answerItem(status, answer, resolve)).join("")}</dl>`,
    problems.length === 0 ? "" : `<p class="problems">Problems: ${problems.join(" ")}</p>`,
    "</section>",
  ];
  return parts.join("");
}

const AUTHENTICATION = `<section id="authentication"><h2>Authentication</h2>
<p>Send a client's token as <code>Authorization: Bearer</code>; the operator makes one with <code>npm run token -- NAME</code>. The samples take it, and the
service's address, from your shell:</p>${sample("Shell", 'export DARKROOM="https://darkroom.example"\nexport DARKROOM_TOKEN="dk_…"')}
<p>A browser swaps its token for a cookie by <a href="#openSession"><code>POST /api/session</code></a>. Image and event links in answers are signed: they open that
one thing, without a token, until their end. In open mode, as with <code>npm start</code>, no token is needed.</p>
${sample("TypeScript", 'import { createDarkroomClient } from "@darkroom/client";\n\nconst darkroom = createDarkroomClient({ baseUrl: process.env.DARKROOM, token: process.env.DARKROOM_TOKEN });')}</section>`;

const PROBLEM_ROWS = ProblemCode.options
  .map((code) => {
    const [status, title] = PROBLEMS[code];
    return `<tr id="problem-${code}"><td><code>${code}</code></td><td>${status}</td><td>${prose(title)}. ${prose(PROBLEM_CASES[code])}</td></tr>`;
  })
  .join("");

const IDEMPOTENCY = `<section id="idempotency"><h2>Idempotency-Key</h2><p>Give every submission a key of its own, and the same key again when you repeat it:
the same job answers, with <code>Idempotency-Replayed: true</code>. The key belongs to your client and is kept as long as the job. With another request it is a
<a href="#problem-idempotency_key_reused">422</a> that names the fields that differ. After the job was deleted, its key makes a new one.</p>
<p>A retry takes a key too. The job remembers that of its last retry: with the same key nothing is run or paid again, and the job answers as it is now.</p></section>`;

/** The document as a page for people, made here and with nothing from another host. */
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
  const tags = (document.tags ?? []).map((tag) => ({
    ...tag,
    operations: operations.filter(({ operation }) => Array.isArray(operation.tags) && operation.tags[0] === tag.name),
  }));
  const groups = tags.map(({ name, description, operations: own }) => {
    const sections = own.map(({ path, method, operation }) => operationSection(path, method, operation, resolve));
    return `<h2 id="tag-${escaped(name)}">${escaped(name)}</h2><p>${prose(description)}</p>${sections.join("")}`;
  });
  const index = tags.map(({ name, operations: own }) => {
    const links = own.map(
      ({ operation }) =>
        `<li><a href="#${escaped(textOf(operation.operationId))}">${prose(textOf(operation.summary))}</a></li>`,
    );
    return `<h2>${escaped(name)}</h2><ul>${links.join("")}</ul>`;
  });
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Darkroom API</title><style>${STYLE}</style></head><body><div class="page">
<nav aria-label="Contents"><h2>Start</h2><ul><li><a href="/">The page</a></li><li><a href="#authentication">Authentication</a></li><li><a href="#idempotency">Idempotency-Key</a></li><li><a href="#problems">Problems</a></li><li><a href="#schemas">Schemas</a></li><li><a href="/api/openapi.json">openapi.json</a></li></ul>${index.join("")}</nav>
<main><h1>Darkroom API ${escaped(document.info.version)}</h1><p>${prose(document.info.description).replaceAll("\n\n", "</p><p>")}</p>
${AUTHENTICATION}${IDEMPOTENCY}${groups.join("")}<h2 id="problems">Problems</h2><p>Every error is one of these. Decide on <code>code</code>; <code>detail</code> is for people.</p>
<table><thead><tr><th scope="col">Code</th><th scope="col">Status</th><th scope="col">When</th></tr></thead><tbody>${PROBLEM_ROWS}</tbody></table>
<h2 id="schemas">Schemas</h2>${nodesOf(document.components?.schemas).map(schemaSection).join("")}</main></div><script>${SCRIPT}</script></body></html>`;
}
