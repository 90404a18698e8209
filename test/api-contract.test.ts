import { createHash } from "node:crypto";
import { type IncomingMessage, request } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";
import { Job } from "../schemas/job.ts";
import { DeliveryList } from "../schemas/webhook.ts";
import { type AnswerEntry, contentSchema, documentedAnswer, documentedHeaders } from "./support/documented-answer.ts";
import { type Product, startProduct } from "./support/product.ts";
import { until } from "./support/until.ts";

/** The parts of the running service's OpenAPI document that this test reads. */
interface Operation {
  readonly operationId: string;
  readonly responses: Record<string, AnswerEntry>;
}
interface Document {
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly responses?: Record<string, Exclude<AnswerEntry, { $ref: string }>> };
}

const TOKEN = "token-of-alice";
const OPERATOR = "token-of-the-operator";
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const AUTH = { authorization: `Bearer ${TOKEN}` };
const JSON_BODY = { ...AUTH, "content-type": "application/json" };

let product: Product;
let document: Document;
const ajv = new Ajv2020({ strict: false });
addFormats(ajv);
/** Headers of HTTP itself and of every answer; every other header of an answer must be documented. */
const ON_EVERY_ANSWER = new Set([
  "cache-control",
  "connection",
  "content-encoding",
  "content-length",
  "content-security-policy",
  "content-type",
  "cross-origin-resource-policy",
  "date",
  "keep-alive",
  "referrer-policy",
  "transfer-encoding",
  "vary",
  "x-content-type-options",
  "x-frame-options",
]);
/** `operationId status media type` of every answer that was compared with the document. */
const seen = new Set<string>();

beforeAll(async () => {
  product = await startProduct({
    env: {
      AUTH_MODE: "token",
      SIGNING_SECRET: "a secret of many characters",
      CLIENT_TOKENS: JSON.stringify({ alice: sha256(TOKEN) }),
      ADMIN_TOKEN_SHA256: sha256(OPERATOR),
      MAX_PENDING_JOBS: "12",
    },
  });
  document = (await (await fetch(`${product.baseUrl}/api/openapi.json`)).json()) as Document;
  ajv.addSchema(document, "api");
});
afterAll(async () => await product?.stop());

function operationOf(operationId: string) {
  for (const [path, item] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      if (operation.operationId === operationId) return { path, method };
    }
  }
  throw new Error(`${operationId} is not documented`);
}

/** Compares an answer with the document's entry for this operation: status, headers and body. */
async function holds(operationId: string, answer: Response): Promise<Response> {
  const { path, method } = operationOf(operationId);
  const status = String(answer.status);
  const found = documentedAnswer(document, path, method, status);
  if (found === null) throw new Error(`${operationId} is not documented to answer ${status}: ${await answer.text()}`);
  const { answer: documented, pointer } = found;
  for (const [name, header] of documentedHeaders(document, documented)) {
    if (header.required === true) expect(answer.headers.has(name), `${operationId} ${status}: ${name}`).toBe(true);
  }
  const named = new Set(Object.keys(documented.headers ?? {}).map((name) => name.toLowerCase()));
  const unnamed = [...answer.headers.keys()].filter((name) => !named.has(name) && !ON_EVERY_ANSWER.has(name));
  expect(unnamed, `${operationId} ${status}`).toEqual([]);
  const type = (answer.headers.get("content-type") ?? "").split(";")[0] ?? "";
  seen.add(`${operationId} ${status} ${type}`);
  if (documented.content === undefined) return answer;
  const documentedType = type in documented.content ? type : `${type.split("/")[0]}/*`;
  expect(Object.keys(documented.content), `${operationId} ${status}`).toContain(documentedType);
  if (type.endsWith("json")) {
    const valid = ajv.validate({ $ref: `api${contentSchema(pointer, type)}` }, await answer.clone().json());
    expect(valid, `${operationId} ${status}: ${ajv.errorsText()}`).toBe(true);
  }
  return answer;
}

async function ask(operationId: string, address: string, init: RequestInit = {}): Promise<Response> {
  const url = address.startsWith("http") ? address : `${product.baseUrl}${address}`;
  const answer = await fetch(url, { redirect: "manual", headers: AUTH, ...init });
  return await holds(operationId, answer);
}

function submit(body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return ask("submitImageFromText", "/api/workflows/image-from-text", {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    headers: { ...JSON_BODY, ...headers },
  });
}

it("answers as documented from a job's submission to its end", async () => {
  const done = Job.parse(
    await (await submit({ prompt: "a red bicycle" }, { prefer: "wait=30", "idempotency-key": "one" })).json(),
  );
  expect(done.status).toBe("succeeded");
  const [image] = done.output?.images ?? [];
  if (image === undefined) throw new Error("no image");
  const etag = (await ask("getImage", image.url, { headers: {} })).headers.get("etag") ?? "";
  await ask("getImage", image.url, { headers: { "if-none-match": etag } });
  await ask("getImage", image.url, { headers: { range: "bytes=0-99" } });
  await ask("getImage", image.url, { headers: { range: "bytes=99999999-" } });
  await ask("getImage", image.url.replace(/signature=../, "signature=xx"), { headers: {} });
  await ask("getImage", `/api/jobs/${done.id}/images/7`);
  const self = await ask("getJob", done.links.self);
  await ask("getJob", done.links.self, { headers: { ...AUTH, "if-none-match": self.headers.get("etag") ?? "" } });
  await ask("getJob", done.links.self, { headers: { ...AUTH, accept: "text/plain" } });
  await ask("getJob", done.links.self, { headers: { ...AUTH, accept: "text/html" } });
  await ask("getJob", done.links.self, { headers: { ...AUTH, accept: "image/png" } });
  await ask("getJob", done.links.self, { headers: {} });
  await ask("getJob", "/api/jobs/job_000000000000000000000");
  await ask("watchJob", done.links.events, { headers: {} });
  const stream = await ask("watchJob", done.links.events, { headers: { accept: "text/event-stream" } });
  expect(await stream.text()).toContain("event: job");
  await ask("watchJob", `${done.links.events}&after=${done.seq}`, { headers: { accept: "text/event-stream" } });
  const pinned = { method: "PATCH", headers: JSON_BODY, body: '{"pinned": true, "metadata": {"kept": "yes"}}' };
  expect((await ask("patchJob", done.links.self, pinned)).status).toBe(200);
  await ask("patchJob", done.links.self, { ...pinned, body: '{"pinned": "perhaps"}' });
  await ask("patchJob", "/api/jobs/job_000000000000000000000", pinned);
  await ask("cancelJob", done.links.cancel, { method: "POST" });
  await ask("retryJob", done.links.retry, { method: "POST" });
  await ask("listJobs", "/api/jobs?limit=1");
  await ask("listJobs", "/api/jobs?limit=0");
  await ask(
    "listJobs",
    "/api/jobs?q=bicycle&model=qwen-image-max&metadata.campaign=autumn&before=2099-01-01T00:00:00Z&pinned=false",
  );
  await ask("listJobs", "/api/jobs?before=yesterday");
  await ask("listJobs", "/api/jobs?pinned=perhaps");
  await ask("countJobs", "/api/jobs/counts?q=bicycle");
  await ask("countJobs", "/api/jobs/counts?limit=1");
  const bulk = { method: "POST", headers: JSON_BODY };
  const filter = { status: ["succeeded"], q: "bicycle" };
  await ask("actOnJobs", "/api/jobs/bulk", { ...bulk, body: JSON.stringify({ action: "retry", filter }) });
  await ask("actOnJobs", "/api/jobs/bulk", { ...bulk, body: JSON.stringify({ action: "retry", filter: {} }) });
  await ask("deleteJob", done.links.self, { method: "DELETE" });
  await ask("deleteJob", done.links.self, { method: "DELETE" });
  await ask("getJob", done.links.self);
  await ask("getImage", image.url, { headers: {} });
});

it("answers a request that it refuses without reading its body, also to a client that is still sending", async () => {
  const refused: [path: string, headers: Record<string, string>, status: number][] = [
    ["/api/workflows/image-from-reference", { ...JSON_BODY, authorization: "Bearer wrong" }, 401],
    ["/api/workflows/image-from-text", { ...JSON_BODY, authorization: "Bearer wrong" }, 401],
    ["/api/v1/services/aigc/text2image/image-synthesis", { ...JSON_BODY, authorization: "Bearer wrong" }, 401],
    ["/v1/images/generations", { ...JSON_BODY, authorization: "Bearer wrong" }, 401],
    ["/mcp", { ...JSON_BODY, authorization: "Bearer wrong" }, 401],
    ["/api/nowhere", JSON_BODY, 404],
  ];
  const requests = [50_000, 250_000, 2_000_000].flatMap((bytes) =>
    refused.map(async ([path, headers, status]) => {
      const answer = await fetch(`${product.baseUrl}${path}`, { method: "POST", headers, body: "9".repeat(bytes) });
      const text = await answer.text();
      expect([answer.status, answer.headers.has("x-request-id")], `${path} ${bytes}: ${text}`).toEqual([status, true]);
    }),
  );
  await Promise.all(requests);
});

it("reads a refused body to its end when it comes slowly, and answers then", async () => {
  const chunk = Buffer.alloc(100_000, "9");
  const headers = {
    authorization: "Bearer wrong",
    "content-type": "application/json",
    "content-length": 12 * chunk.length,
  };
  const sent = request(`${product.baseUrl}/v1/images/generations`, { method: "POST", headers });
  const answered = new Promise<IncomingMessage>((resolve, reject) => sent.on("response", resolve).on("error", reject));
  // In all this takes longer than a client may be silent.
  for (let i = 1; i < 12; i++) {
    sent.write(chunk);
    expect(await Promise.race([answered, pause(1000)])).toBeUndefined();
  }
  sent.end(chunk);
  const answer = await answered;
  answer.resume();
  expect([answer.statusCode, "x-request-id" in answer.headers]).toEqual([401, true]);
});

it("answers as documented about webhooks", async () => {
  // Nobody has this name, so nothing leaves this machine, and each try fails.
  const webhook = { url: "https://receiver.example.com/darkroom" };
  const job = Job.parse(await (await submit({ prompt: "sent", webhook }, { prefer: "wait=30" })).json());
  const first = await until("a delivery", async () => {
    const list = DeliveryList.parse(await (await ask("listDeliveries", `${job.links.self}/deliveries`)).json());
    return list.deliveries[0];
  });
  const post = { method: "POST", headers: JSON_BODY };
  await ask("resendDelivery", `${job.links.self}/deliveries/${first.number}/resend`, post);
  await ask("resendDelivery", `${job.links.self}/deliveries/99/resend`, post);
  await ask("listDeliveries", "/api/jobs/job_000000000000000000000/deliveries");
  await ask("testWebhook", "/api/webhooks/test", { ...post, body: JSON.stringify(webhook) });
  await ask("testWebhook", "/api/webhooks/test", { ...post, body: JSON.stringify({ url: "http://localhost/" }) });
  await ask("testWebhook", "/api/webhooks/test", { ...post, body: "{" });
  await ask("getWebhookSecret", "/api/webhooks/secret");
  await ask("getWebhookSecret", "/api/webhooks/secret", { headers: {} });
  await submit({ prompt: "a" }, { "darkroom-hops": "3" });
});

it("answers wrong submissions as documented", async () => {
  await submit({ prompt: "a", size: "1*1", colour: "red" });
  await submit("{");
  await submit({ prompt: "a" }, { "idempotency-key": "" });
  await submit({ prompt: "a" }, { "content-type": "text/plain" });
  await submit({ prompt: "a" }, { "content-encoding": "gzip" });
  await submit({ prompt: "a" }, { accept: "image/png" });
  await submit({ prompt: "a" }, { authorization: "Bearer wrong" });
  await submit({ prompt: "a".repeat(2_000_000) });
  await submit({ prompt: "a", seed: 1 }, { "idempotency-key": "two" });
  expect((await submit({ prompt: "b", seed: 1 }, { "idempotency-key": "two" })).status).toBe(422);
  const big = { prompt: "a", images: [`data:image/png;base64,${"A".repeat(15_000_000)}`] };
  await ask("submitImageFromReference", "/api/workflows/image-from-reference", {
    method: "POST",
    body: JSON.stringify(big),
    headers: JSON_BODY,
  });
});

it("answers each client whose large body it refuses before its end", async () => {
  const body = JSON.stringify({ prompt: { text: "a".repeat(20_000_000) } });
  const refuse = (address: string) =>
    fetch(`${product.baseUrl}${address}`, { method: "POST", body, headers: JSON_BODY }).then(({ status }) => status);
  const addresses = Array.from({ length: 4 }, () => ["/api/workflows/image-from-reference", "/v1/images/generations"]);
  const statuses = await Promise.all(addresses.flat().map(refuse));
  expect(statuses).toEqual(statuses.map(() => 413));
});

it("answers as documented while jobs wait, and at the limit on them", async () => {
  await product.emulator.patchSettings({ latencyMs: 20_000 });
  const job = Job.parse(await (await submit({ prompt: "slow" })).json());
  await ask("retryJob", job.links.retry, { method: "POST" });
  let status = 202;
  for (let n = 0; n < 13 && status === 202; n++) ({ status } = await submit({ prompt: "slow" }));
  expect(status).toBe(429);
  await ask("shareJob", `${job.links.self}/share`, { method: "POST", headers: JSON_BODY, body: '{"hours": 1}' });
  await ask("shareJob", `${job.links.self}/share`, { method: "POST", headers: JSON_BODY, body: '{"hours": 0}' });
  await ask("getInput", `${job.links.self}/inputs/0`);
  await ask("cancelJob", job.links.cancel, { method: "POST" });
  await until("its place is taken by another", async () => {
    const another = await submit({ prompt: "slow" });
    return another.status === 202 || undefined;
  });
  expect((await ask("retryJob", job.links.retry, { method: "POST" })).status).toBe(429);
});

it("answers as documented about the service", async () => {
  await ask("getHealth", "/api/health");
  await ask("getLimits", "/api/limits");
  await ask("getLimits", "/api/limits", { headers: {} });
  await ask("getUsage", "/api/usage?bucket=month");
  await ask("getUsage", "/api/usage", { headers: { ...AUTH, accept: "text/csv" } });
  await ask("getUsage", "/api/usage?from=never");
  await ask("getOpenApi", "/api/openapi.json");
  await ask("getDocs", "/api/docs");
  await ask("getDiagnosis", "/api/doctor", { headers: { authorization: `Bearer ${OPERATOR}` } });
  await ask("getDiagnosis", "/api/doctor");
  const operator = { authorization: `Bearer ${OPERATOR}`, "content-type": "application/json" };
  const asOperator = { method: "POST", headers: operator, body: JSON.stringify({ reason: "a test" }) };
  await ask("pauseLane", "/api/lanes/wan2.7-image/pause", asOperator);
  await ask("pauseLane", "/api/lanes/wan2.7-image/pause", { ...asOperator, body: "{}" });
  await ask("pauseLane", "/api/lanes/no-such-model/pause", asOperator);
  await ask("pauseLane", "/api/lanes/wan2.7-image/pause", { method: "POST" });
  await ask("resumeLane", "/api/lanes/wan2.7-image/resume", asOperator);
  await ask("limitLane", "/api/lanes/wan2.7-image", { ...asOperator, method: "PATCH" });
  await ask("pauseClient", "/api/clients/alice/pause", asOperator);
  await ask("pauseClient", "/api/clients/nobody/pause", asOperator);
  expect((await submit({ prompt: "while paused" })).status).toBe(403);
  await ask("resumeClient", "/api/clients/alice/resume", { method: "POST", headers: operator });
  await ask("getMetrics", "/api/metrics", { headers: operator });
  await ask("getMetrics", "/api/metrics");
  await ask("getOperatorLog", "/api/operator/log?limit=1", { headers: operator });
  await ask("getIdentity", "/api/session");
  await ask("getIdentity", "/api/session", { headers: {} });
  const opened = await ask("openSession", "/api/session", { method: "POST" });
  expect(opened.headers.get("set-cookie")).toContain("HttpOnly");
  await ask("openSession", "/api/session", { method: "POST", headers: {} });
  await ask("openSession", "/api/session", { method: "POST", headers: { ...AUTH, origin: "https://evil.example" } });
  await ask("closeSession", "/api/session", { method: "DELETE" });
  const feed = await ask("watchJobs", "/api/events", { headers: { ...AUTH, accept: "text/event-stream" } });
  await feed.body?.cancel();
  await ask("watchJobs", "/api/events", { headers: { ...AUTH, accept: "application/json" } });
  await ask("watchJobs", "/api/events", {
    headers: { authorization: `Bearer ${OPERATOR}`, accept: "text/event-stream" },
  });
});

it("refuses an upgrade by HTTP, as documented", async () => {
  const socket = new WebSocket(`${product.baseUrl.replace("http", "ws")}/api/events`, {
    origin: "https://evil.example",
  });
  const status = await new Promise((resolve) =>
    socket.once("unexpected-response", (_request, response) => resolve(response.statusCode)),
  );
  expect(status).toBe(401);
});

it("answers as documented while a variable is wrong", async () => {
  await product.kill("worker");
  await product.restart({ QWEN_REGION: "mars" });
  await until(
    "the Worker is up",
    async () => (await fetch(`${product.baseUrl}/api/health`)).status === 503 || undefined,
  );
  await ask("getHealth", "/api/health");
  await ask("listJobs", "/api/jobs");
});

it("has answered every operation, and most of the documented answers", () => {
  const operations = Object.values(document.paths).flatMap((item) =>
    Object.values(item).map((operation) => operation.operationId),
  );
  const asked = new Set([...seen].map((entry) => entry.split(" ")[0]));
  expect(operations.filter((operation) => !asked.has(operation))).toEqual([]);
  expect(seen.size).toBeGreaterThanOrEqual(50);
});
