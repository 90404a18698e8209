import { createHash } from "node:crypto";
import { request as httpRequest } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { verifyWebhook } from "../client/webhooks.ts";
import { Job } from "../schemas/job.ts";
import { Problem } from "../schemas/problem.ts";
import { Usage } from "../schemas/usage.ts";
import type { WebhookSecret } from "../schemas/webhook.ts";
import { type Product, startProduct } from "./support/product.ts";
import { type ScriptedAnswer, startScriptedServer } from "./support/scripted-server.ts";
import { until } from "./support/until.ts";

/** Enough for a busy machine; anything that takes longer has failed. */
const PATIENCE_MS = 240_000;
const SUBMISSIONS = 500;
/** The images that the limit of `burst` has room for. */
const ROOM = 100;
const PRICE = 0.075;

const tokenOf = (name: string) => `a-token-of-${name}-for-tests`;
const hashOf = (name: string) => createHash("sha256").update(tokenOf(name)).digest("hex");
const micros = (amount: number) => Math.round(amount * 1_000_000);

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** One request on a socket of its own, which is closed after it. */
function ask(url: URL, init: { method?: string; headers?: Record<string, string>; body?: string } = {}) {
  return new Promise<Answer>((resolve, reject) => {
    const { method = "GET", headers = {}, body } = init;
    const sent = httpRequest(url, { method, headers, agent: false, timeout: 60_000 }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        text += part;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      response.on("error", reject);
      // `close` comes also when the answer is cut.
      response.on("close", () => reject(new Error("the answer was cut")));
    });
    sent.on("timeout", () => sent.destroy(new Error("no answer within 60 s")));
    sent.on("error", reject);
    sent.end(body);
  });
}

describe("a spend limit of 100 images, and 500 submissions on sockets of their own while the Worker is killed", () => {
  let product: Product;
  beforeAll(async () => {
    product = await startProduct({
      env: {
        AUTH_MODE: "token",
        CLIENT_TOKENS: JSON.stringify({ burst: hashOf("burst"), quiet: hashOf("quiet") }),
        ADMIN_TOKEN_SHA256: hashOf("operator"),
        SIGNING_SECRET: "a signing secret of the spend test",
        MAX_PENDING_JOBS: "1000",
        PRICES: JSON.stringify({ "qwen-image-max": PRICE }),
        CLIENT_BUDGETS: JSON.stringify({ burst: { monthly: ROOM * PRICE } }),
      },
    });
  });
  afterAll(() => product?.stop());

  const call = (who: string, path: string, init: Parameters<typeof ask>[1] = {}) =>
    ask(new URL(path, product.baseUrl), {
      ...init,
      headers: { authorization: `Bearer ${tokenOf(who)}`, accept: "application/json", ...init.headers },
    });

  const submit = (who: string, name: string) =>
    call(who, "/api/workflows/image-from-text", {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": name },
      body: JSON.stringify({ prompt: `${name}, a picture` }),
    });

  /** Repeats a submission until it is accepted, or refused because of the limit. */
  async function decided(name: string, onTaken: () => void): Promise<Answer> {
    const endsAtMs = Date.now() + PATIENCE_MS;
    for (;;) {
      const answer = await submit("burst", name).catch((error: unknown) => ({ status: 0, text: String(error) }));
      if (answer.status === 200 || answer.status === 202) onTaken();
      if ([200, 202, 402].includes(answer.status)) return answer;
      // A call without an answer, with a 5xx, or refused by the rate limit is repeated.
      const isRepeated = answer.status === 0 || answer.status >= 500 || answer.status === 429;
      if (!isRepeated || Date.now() > endsAtMs) throw new Error(`${name}: ${answer.status} ${answer.text}`);
      await pause(250);
    }
  }

  const usage = async (who: string, query = "") =>
    Usage.parse(JSON.parse((await call(who, `/api/usage${query}`)).text));

  it(
    "takes exactly 100, and upstream never bills more than the limit",
    async () => {
      let taken = 0;
      let killed: Promise<void> | null = null;
      const kill = async () => {
        await product.kill("worker");
        await product.restart();
      };
      const all = await Promise.all(
        Array.from({ length: SUBMISSIONS }, (_none, n) =>
          decided(`burst ${n}`, () => {
            taken += 1;
            if (taken === ROOM / 2) killed ??= kill();
          }),
        ),
      );
      await killed;
      expect(killed).not.toBeNull();
      const ids = all.filter(({ status }) => status !== 402).map(({ text }) => Job.parse(JSON.parse(text)).id);
      expect(new Set(ids).size).toBe(ROOM);
      expect(ids).toHaveLength(ROOM);
      const refused = all.find(({ status }) => status === 402);
      expect(Problem.parse(JSON.parse(refused?.text ?? ""))).toMatchObject({
        code: "budget_exceeded",
        limit: ROOM * PRICE,
      });
      const { budget, buckets } = await until(
        "every reservation is settled",
        async () => {
          const seen = await usage("burst");
          return seen.budget?.reserved === 0 ? seen : undefined;
        },
        PATIENCE_MS,
      );
      const { images } = await product.emulator.ledger();
      const billed = images.length * micros(PRICE);
      const charged = micros(budget?.charged ?? 0);
      const atRisk = micros(budget?.atRisk ?? 0);
      console.log(
        `spend: ${images.length} images billed, ${charged} charged, ${atRisk} at risk, of ${ROOM * micros(PRICE)}`,
      );
      expect(charged + atRisk).toBeGreaterThan(0);
      expect(charged + atRisk).toBeLessThanOrEqual(ROOM * micros(PRICE));
      expect(billed).toBeLessThanOrEqual(ROOM * micros(PRICE));
      expect(billed).toBeGreaterThanOrEqual(charged);
      expect(billed).toBeLessThanOrEqual(charged + atRisk);
      const results = buckets.flatMap((bucket) => bucket.results);
      expect(results.reduce((sum, result) => sum + micros(result.charged), 0)).toBe(charged);
    },
    PATIENCE_MS * 2,
  );

  it(
    "shows the operator every client's spend, and each client its own",
    async () => {
      expect((await submit("quiet", "quiet 1")).status).toBe(202);
      const all = await until(
        "the quiet client's image",
        async () => {
          const seen = await usage("operator");
          const results = seen.buckets.flatMap((bucket) => bucket.results);
          return results.some(({ client, images }) => client === "quiet" && images === 1) ? seen : undefined;
        },
        PATIENCE_MS,
      );
      const results = all.buckets.flatMap((bucket) => bucket.results);
      expect(new Set(results.map(({ client }) => client))).toEqual(new Set(["burst", "quiet"]));
      expect(all.budget).toBeNull();
      expect(all.budgets).toMatchObject([{ client: "burst", limit: ROOM * PRICE }]);
      const burst = await usage("operator", "?client=burst");
      expect(burst.budget).toEqual(all.budgets[0]);
      expect(burst.buckets.flatMap((bucket) => bucket.results)).toEqual(
        results.filter(({ client }) => client === "burst"),
      );
      expect(await usage("burst")).toEqual(burst);
      const quiet = await usage("quiet");
      expect(quiet.budget).toBeNull();
      expect(quiet.buckets.flatMap((bucket) => bucket.results)).toMatchObject([{ client: "quiet", charged: PRICE }]);
      const csv = await call("operator", "/api/usage", { headers: { accept: "text/csv" } });
      expect(csv.text.trim().split("\r\n").slice(1)).toHaveLength(results.length);
      expect((await call("quiet", "/api/usage?client=burst")).status).toBe(400);
    },
    PATIENCE_MS,
  );
});

describe("the webhook of a client that reaches alertAt", () => {
  it(
    "comes once a month, signed, also when the Worker is killed during its first try",
    async () => {
      let answer: ScriptedAnswer = "hang";
      const receiver = await startScriptedServer({ answer: () => answer });
      const url = `${receiver.baseUrl}/alerts`;
      const budgets = { local: { monthly: 10 * PRICE, alertAt: 0.2 } };
      const product = await startProduct({
        env: {
          PRICES: JSON.stringify({ "qwen-image-max": PRICE }),
          CLIENT_BUDGETS: JSON.stringify(budgets),
          CLIENT_WEBHOOKS: JSON.stringify({ local: url }),
        },
      });
      try {
        const submit = async (n: number) => {
          const body = JSON.stringify({
            prompt: `alert ${n}`,
            webhook: { url: `${receiver.baseUrl}/jobs`, events: ["job.canceled"] },
          });
          const headers = { "content-type": "application/json", accept: "application/json" };
          const sent = await ask(new URL("/api/workflows/image-from-text", product.baseUrl), {
            method: "POST",
            headers,
            body,
          });
          expect(sent.status, sent.text).toBe(202);
          return Job.parse(JSON.parse(sent.text)).warnings.map(({ code }) => code);
        };
        const alerts = () => receiver.requests.filter(({ url: at }) => at.pathname === "/alerts");
        expect(await submit(1)).toEqual([]);
        expect(alerts()).toHaveLength(0);
        expect(await submit(2)).toEqual(["budget_alert"]);
        await until("the first try", () => (alerts().length > 0 ? true : undefined), PATIENCE_MS);
        await product.kill("worker");
        answer = { status: 204 };
        await product.restart();
        for (let n = 3; n <= 5; n++) expect(await submit(n)).toEqual(["budget_alert"]);
        await until("the second try", () => (alerts().length > 1 ? true : undefined), PATIENCE_MS);
        const secret: WebhookSecret = JSON.parse(
          (
            await ask(new URL("/api/webhooks/secret?client=local", product.baseUrl), {
              headers: { accept: "application/json" },
            })
          ).text,
        );
        const events = await Promise.all(
          alerts().map(({ headers, body }) => verifyWebhook({ headers, body }, secret.secret)),
        );
        const month = new Date().toISOString().slice(0, 7);
        expect(events[0]).toEqual({
          id: expect.stringMatching(/^budget_local\.\d{4}-\d{2}$/),
          type: "budget.alert",
          timestamp: expect.any(String),
          data: {
            currency: "USD",
            budget: {
              client: "local",
              limit: 10 * PRICE,
              alertAt: 0.2,
              charged: expect.any(Number),
              reserved: expect.any(Number),
              atRisk: 0,
              resetsAt: expect.any(String),
            },
          },
        });
        expect(events.every((event) => JSON.stringify(event) === JSON.stringify(events[0]))).toBe(true);
        // When the month ends during this test, there are two alerts.
        if (new Date().toISOString().slice(0, 7) === month)
          expect(new Set(events.map((event) => event?.id)).size).toBe(1);
      } finally {
        await product.stop();
        await receiver.close();
      }
    },
    PATIENCE_MS * 2,
  );
});
