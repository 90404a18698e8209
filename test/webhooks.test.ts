import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { verifyWebhook } from "../client/webhooks.ts";
import type { Job } from "../schemas/job.ts";
import type { Delivery, DeliveryList, WebhookSecret, WebhookTestResult } from "../schemas/webhook.ts";
import { markedSecrets } from "./canary/marked-secrets.ts";
import { needlesOf } from "./canary/marks.ts";
import { searcherFor } from "./canary/search.ts";
import { freePort } from "./support/free-port.ts";
import { type Product, startProduct } from "./support/product.ts";
import { type ScriptedAnswer, type ScriptedRequest, startScriptedServer } from "./support/scripted-server.ts";
import { until } from "./support/until.ts";

/** The product runs in open mode, for a receiver on this machine, with the secrets of token mode; two of them sign. */
const marked = markedSecrets();
let product: Product;
let receiver: Awaited<ReturnType<typeof startScriptedServer>>;

/** Every delivery log that was read. */
const logs: string[] = [];

/** The receiver's answers to the deliveries to a path, by their number from 1; 204 for a path without an entry. */
const scripts = new Map<string, (number: number) => ScriptedAnswer | Promise<ScriptedAnswer>>();

beforeAll(async () => {
  receiver = await startScriptedServer({
    answer: ({ url }) => scripts.get(url.pathname)?.(arrived(url.pathname).length) ?? { status: 204 },
  });
  product = await startProduct({ env: { ...marked.vars, AUTH_MODE: "open" } });
});
afterAll(async () => {
  await product?.stop();
  await receiver?.close();
});

const arrived = (path: string): ScriptedRequest[] => receiver.requests.filter(({ url }) => url.pathname === path);

async function ask<Answer>(path: string, method = "GET", body?: unknown, headers: Record<string, string> = {}) {
  const json = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await fetch(`${product.baseUrl}${path}`, {
    method,
    ...json,
    headers: { "content-type": "application/json", accept: "application/json", ...headers },
  });
  const text = await response.text();
  if (path.endsWith("/deliveries")) logs.push(text);
  return { status: response.status, body: (text === "" ? null : JSON.parse(text)) as Answer };
}

let prompts = 0;

interface More {
  readonly prompt?: string;
  readonly events?: readonly string[];
  readonly headers?: Record<string, string>;
}

/** Submits a job whose ends are sent to a path of the receiver, or to another address. */
async function submit(path: string, more: More = {}): Promise<Job> {
  prompts += 1;
  const { prompt = `picture ${prompts}`, events, headers } = more;
  const url = new URL(path, receiver.baseUrl).href;
  const webhook = { url, ...(events === undefined ? {} : { events }) };
  const { status, body } = await ask<Job>("/api/workflows/image-from-text", "POST", { prompt, webhook }, headers);
  expect(status, JSON.stringify(body)).toBe(202);
  return body;
}

/** The job's first delivery, once `holds` is true of it. */
function delivery(id: string, what: string, holds: (delivery: Delivery) => boolean): Promise<Delivery> {
  return until(what, async () => {
    const { body } = await ask<DeliveryList>(`/api/jobs/${id}/deliveries`);
    const [first] = body.deliveries;
    return first !== undefined && holds(first) ? first : undefined;
  });
}

const delivered = (id: string) => delivery(id, "delivered", ({ state }) => state === "delivered");

/** Expects that all requests to the path are one event: the same id and the same bytes, signed again each time. */
async function expectOneEvent(path: string, times: number): Promise<void> {
  const { body: secret } = await ask<WebhookSecret>("/api/webhooks/secret?client=local");
  const requests = arrived(path);
  expect(requests).toHaveLength(times);
  expect(new Set(requests.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
  expect(new Set(requests.map(({ body }) => body.toString())).size).toBe(1);
  for (const { headers, body } of requests) {
    const text = body.toString();
    // Both secrets sign while SIGNING_SECRET_OLD is set.
    for (const key of [secret.secret, secret.previousSecret ?? ""]) {
      expect(new Webhook(key).verify(text, headers as Record<string, string>)).toEqual(JSON.parse(text));
    }
    expect(await verifyWebhook({ headers, body }, secret.secret)).toMatchObject({ id: headers["webhook-id"] });
  }
}

describe.concurrent("a webhook", () => {
  it("contains the ended job, signed, and is sent once", async () => {
    const { id } = await submit("/plain");
    const log = await delivered(id);
    await expectOneEvent("/plain", 1);
    const { body: job } = await ask<Job>(`/api/jobs/${id}`);
    const [sent] = arrived("/plain");
    const event = JSON.parse(sent?.body.toString() ?? "");
    expect(event).toEqual({ type: "job.succeeded", timestamp: expect.any(String), data: { job } });
    expect(sent?.headers).toMatchObject({
      "content-type": "application/json",
      "webhook-id": `${id}.${job.seq}`,
      "darkroom-hops": "1",
    });
    expect(log).toMatchObject({ number: job.seq, id: `${id}.${job.seq}`, type: "job.succeeded", reason: null });
    expect(log.tries).toMatchObject([{ number: 1, status: 204, error: null }]);
  });

  it("is sent only for the requested events", async () => {
    const { id } = await submit("/failed-only", { events: ["job.failed"] });
    await ask(`/api/jobs/${id}`, "GET", undefined, { prefer: "wait=30" });
    const { body } = await ask<DeliveryList>(`/api/jobs/${id}/deliveries`);
    expect(body).toEqual({
      webhook: { url: `${receiver.baseUrl}/failed-only`, events: ["job.failed"] },
      deliveries: [],
    });
  });

  it("is sent again after an error of the receiver, whose answer is in the log", async () => {
    scripts.set("/down", (number) => (number === 1 ? { status: 503, body: "x".repeat(5000) } : { status: 200 }));
    const log = await delivered((await submit("/down")).id);
    expect(log.tries).toMatchObject([
      { number: 1, status: 503, error: "answered 503", answer: "x".repeat(1024) },
      { number: 2, status: 200, error: null },
    ]);
    await expectOneEvent("/down", 2);
  });

  it("is sent again when the connection is cut after the event was read", async () => {
    scripts.set("/cut", (number) => (number === 1 ? "cut" : { status: 200 }));
    const log = await delivered((await submit("/cut")).id);
    expect(log.tries).toMatchObject([{ status: null, error: expect.stringContaining("no answer") }, { status: 200 }]);
    await expectOneEvent("/cut", 2);
  });

  it("is sent again when nothing listens at the address, and the log says that the connection failed", async () => {
    const nobody = `http://127.0.0.1:${await freePort()}/`;
    const { id } = await submit(nobody);
    const log = await delivery(id, "two tries", ({ tries }) => tries.filter(({ error }) => error !== null).length > 1);
    expect(log).toMatchObject({ state: "pending", url: nobody, nextTryAt: expect.any(String), reason: null });
    const refused = {
      status: null,
      answer: null,
      finishedAt: expect.any(String),
      error: expect.stringContaining("no answer: no connection could be made"),
    };
    expect(log.tries).toMatchObject([refused, refused]);
  });

  it("has the submission's traceparent unchanged, and none that is invalid", async () => {
    const traceId = crypto.randomUUID().replaceAll("-", "");
    const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;
    const { id } = await submit("/traced", { headers: { traceparent } });
    await delivered(id);
    const invalid = `00-${traceId}-0000000000000000-01`;
    await delivered((await submit("/untraced", { headers: { traceparent: invalid } })).id);
    expect(arrived("/traced").map(({ headers }) => headers.traceparent)).toEqual([traceparent]);
    expect(arrived("/untraced").map(({ headers }) => headers.traceparent)).toEqual([undefined]);
  });

  it("is sent again when the receiver does not answer in time, and delays nothing else", async () => {
    scripts.set("/slow", (number) => (number === 1 ? "hang" : { status: 200 }));
    const { id } = await submit("/slow");
    const { body: job } = await ask<Job>(`/api/jobs/${id}`, "GET", undefined, { prefer: "wait=30" });
    expect(job.status).toBe("succeeded");
    const log = await delivered(id);
    expect(log.tries).toMatchObject([{ status: null, error: "no answer within 10 s" }, { status: 200 }]);
    await expectOneEvent("/slow", 2);
  });

  it("does not follow a redirect, and the log says so", async () => {
    scripts.set("/moved", (number) =>
      number === 1 ? { status: 307, headers: { location: `${receiver.baseUrl}/elsewhere` } } : { status: 200 },
    );
    const log = await delivered((await submit("/moved")).id);
    expect(log.tries[0]).toMatchObject({ status: 307, error: expect.stringContaining("redirects are not followed") });
    expect(arrived("/elsewhere")).toEqual([]);
  });

  it("is sent again only after Retry-After", async () => {
    scripts.set("/busy", (number) =>
      number === 1 ? { status: 429, headers: { "retry-after": "8" } } : { status: 200 },
    );
    const { tries } = await delivered((await submit("/busy")).id);
    const [first, second] = tries;
    expect(first).toMatchObject({ status: 429, error: "answered 429" });
    expect(Date.parse(second?.startedAt ?? "") - Date.parse(first?.finishedAt ?? "")).toBeGreaterThanOrEqual(8_000);
  });

  it("stops after a 410: nothing more of the job is sent except a resend by hand", async () => {
    scripts.set("/gone", (number) => (number === 1 ? { status: 410 } : { status: 200 }));
    const prompt = `canceled ${crypto.randomUUID()}`;
    await product.emulator.addFault({ match: { prompt }, fault: { type: "hold", at: "answer" }, times: 1, skip: 0 });
    const { id } = await submit("/gone", { prompt });
    expect((await ask(`/api/jobs/${id}/cancel`, "POST")).status).toBe(200);
    const gone = await delivery(id, "gone", ({ state }) => state === "gone");
    expect(gone).toMatchObject({ type: "job.canceled", nextTryAt: null, reason: expect.stringContaining("410") });
    await ask(`/api/jobs/${id}/retry`, "POST");
    await ask(`/api/jobs/${id}`, "GET", undefined, { prefer: "wait=30" });
    const { body } = await ask<DeliveryList>(`/api/jobs/${id}/deliveries`);
    expect(body.deliveries).toMatchObject([
      { state: "gone", tries: [{ status: 410 }] },
      { state: "gone", tries: [], reason: expect.stringContaining("410 to another event") },
    ]);
    expect(arrived("/gone")).toHaveLength(1);
    const resent = await ask<Delivery>(`/api/jobs/${id}/deliveries/${gone.number}/resend`, "POST");
    expect(resent).toMatchObject({ status: 202, body: { state: "pending" } });
    await delivered(id);
    await expectOneEvent("/gone", 2);
  });

  it("is sent for a job that is deleted before its end; its deliveries answer 410 afterwards", async () => {
    const prompt = `deleted early ${crypto.randomUUID()}`;
    await product.emulator.addFault({ match: { prompt }, fault: { type: "hold", at: "answer" }, times: 1, skip: 0 });
    const { id } = await submit("/deleted", { prompt });
    expect((await ask(`/api/jobs/${id}`, "DELETE")).status).toBe(204);
    await until("the event", () => arrived("/deleted")[0]);
    await expectOneEvent("/deleted", 1);
    const event = JSON.parse(arrived("/deleted")[0]?.body.toString() ?? "");
    expect(event).toMatchObject({ type: "job.canceled", data: { job: { id, status: "canceled" } } });
    expect((await ask(`/api/jobs/${id}/deliveries`)).status).toBe(410);
  });
});

describe("the routes", () => {
  it("refuse addresses to which no webhook is sent, and name the field", async () => {
    const own = new URL(product.baseUrl).host;
    for (const url of [
      "http://example.com/",
      "https://10.0.0.1/",
      "https://a.internal/",
      `http://${own}/api`,
      "what",
    ]) {
      for (const [path, given] of [
        ["/api/workflows/image-from-text", { prompt: "a", webhook: { url } }],
        ["/api/webhooks/test", { url }],
      ] as const) {
        const { status, body } = await ask<{ errors: unknown }>(path, "POST", given);
        const pointer = path.endsWith("test") ? "/url" : "/webhook/url";
        expect(body, url).toMatchObject({ status: 400, errors: [{ path: pointer, message: expect.any(String) }] });
        expect(status).toBe(400);
      }
    }
    for (const webhook of [
      {},
      { url: "https://a.example/", event: ["job.failed"] },
      { url: "https://a.example/", events: ["x"] },
    ]) {
      const { body } = await ask("/api/workflows/image-from-text", "POST", { prompt: "a", webhook });
      expect(body, JSON.stringify(webhook)).toMatchObject({ status: 400, code: "invalid_request" });
    }
  });

  it("compare the webhook of a repeated submission", async () => {
    const of = (path: string) => ({ prompt: "the same", webhook: { url: `${receiver.baseUrl}${path}` } });
    const key = { "idempotency-key": crypto.randomUUID() };
    const send = (path: string) => ask("/api/workflows/image-from-text", "POST", of(path), key);
    expect((await send("/one")).status).toBe(202);
    expect([200, 202]).toContain((await send("/one")).status);
    expect((await send("/two")).body).toMatchObject({ status: 422, errors: [{ path: "/webhook" }] });
  });

  it("send a signed test and show what the receiver answered", async () => {
    scripts.set("/test", () => ({ status: 418, body: "teapot" }));
    const url = `${receiver.baseUrl}/test`;
    const { status, body } = await ask<WebhookTestResult>("/api/webhooks/test?client=local", "POST", { url });
    expect(status).toBe(200);
    expect(body).toMatchObject({ delivered: false, url, status: 418, error: "answered 418", answer: "teapot" });
    const { body: secret } = await ask<WebhookSecret>("/api/webhooks/secret?client=local");
    const [sent] = arrived("/test");
    const text = sent?.body.toString() ?? "";
    expect(new Webhook(secret.secret).verify(text, sent?.headers as Record<string, string>)).toMatchObject({
      type: "webhook.test",
    });
    // The client's package does not know this type, so it is to be acknowledged and ignored.
    expect(await verifyWebhook({ headers: sent?.headers ?? {}, body: text }, secret.secret)).toBeNull();
  });

  it("refuse requests to which too many webhooks led", async () => {
    const hops = (count: string) =>
      ask<Job>("/api/workflows/image-from-text", "POST", { prompt: "a" }, { "darkroom-hops": count });
    expect((await hops("2")).status).toBe(202);
    for (const count of ["3", "99999", "3, 1"]) {
      expect(await hops(count), count).toMatchObject({ status: 508, body: { code: "loop_detected" } });
    }
  });

  it("count the tries of all webhooks by their results, for metrics", async () => {
    const counted = async () => {
      const text = await (await fetch(`${product.baseUrl}/api/metrics`)).text();
      const lines = [...text.matchAll(/^darkroom_webhook_deliveries_total\{result="(\w+)"\} (\d+)$/gm)];
      return Object.fromEntries(lines.map(([, result, count]) => [result, Number(count)]));
    };
    const before = await until("the counts", async () => {
      const now = await counted();
      return now.delivered === undefined ? undefined : now;
    });
    scripts.set("/counted", (number) => (number === 1 ? { status: 503 } : { status: 200 }));
    await delivered((await submit("/counted")).id);
    // Jobs of earlier tests may still send webhooks.
    await until("two more tries", async () => {
      const { delivered: sent = 0, retried = 0 } = await counted();
      return sent > (before.delivered ?? 0) && retried > (before.retried ?? 0) ? true : undefined;
    });
    expect(before.gone).toBeGreaterThan(0);
  });

  it("answer 404 to a resend of a delivery that does not exist", async () => {
    const { id } = await submit("/known");
    await delivered(id);
    for (const number of ["1", "999", "0", "x"]) {
      const { body } = await ask(`/api/jobs/${id}/deliveries/${number}/resend`, "POST");
      expect(body, number).toMatchObject({ status: 404, code: "delivery_not_found" });
    }
  });
});

describe("our process", () => {
  it("may be killed between an event and its answer: the same event is sent again, and the log says why", async () => {
    scripts.set("/killed", (number) => (number === 1 ? "hang" : { status: 200 }));
    const { id } = await submit("/killed");
    await until("the first try", () => arrived("/killed")[0]);
    await product.kill("worker");
    await product.restart();
    const log = await delivery(id, "delivered after the kill", ({ state }) => state === "delivered");
    expect(log.tries).toMatchObject([
      { number: 1, finishedAt: null, status: null, error: expect.stringContaining("stopped before") },
      { number: 2, status: 200, error: null },
    ]);
    await expectOneEvent("/killed", 2);
  });
});

describe("no secret", () => {
  it("is in the body or a header of any delivery, or in any delivery log, in any form", async () => {
    const { body: own } = await ask<WebhookSecret>("/api/webhooks/secret?client=local");
    const whole = [own.secret, own.previousSecret ?? ""].map((text) => ({ name: "a webhook's secret", text }));
    const search = searcherFor(needlesOf([...marked.secrets, ...whole]));
    const sent = receiver.requests.map(
      ({ url, headers, body }) => `${url}\n${JSON.stringify(headers)}\n${body.toString()}`,
    );
    expect(sent.length).toBeGreaterThan(15);
    expect(logs.length).toBeGreaterThan(15);
    const places = [...sent, ...logs].map((text) => ({
      kind: "answer" as const,
      name: text.slice(0, 80),
      bytes: Buffer.from(text),
    }));
    expect(places.flatMap(search)).toEqual([]);
    // The search finds a planted secret.
    const [first] = places;
    const planted = Buffer.concat([first?.bytes ?? Buffer.alloc(0), Buffer.from(marked.signing)]);
    expect(search({ kind: "answer", name: "planted", bytes: planted })).not.toEqual([]);
  });
});
