import { nanoid } from "nanoid";
import { paths } from "../../schemas/paths.ts";
import {
  Delivery,
  DeliveryList,
  WEBHOOK_TYPES,
  WebhookSecret,
  WebhookTest,
  WebhookTestResult,
} from "../../schemas/webhook.ts";
import type { JobWebhook } from "../job/contract.ts";
import { jobStub } from "../stubs.ts";
import { targetFault, webhookUrlOf } from "../webhooks/core/delivery.ts";
import { HOPS_HEADER, MOST_HOPS, sendWebhook, webhookSecrets } from "../webhooks/send.ts";
import { clientOf, loggedOfOperator } from "./access.ts";
import { faultsProblem, jsonAnswer, ProblemError } from "./answers.ts";
import type { CheckedSubmission } from "./checked-submission.ts";
import { type HttpContext, hopsOf, originOf, requestOrigin } from "./context.ts";
import { readTraceparent } from "./core/request-headers.ts";
import { jobIdOf, jobProblem } from "./job-answers.ts";
import { json, shown } from "./openapi/answers.ts";
import { clientRoute, type Route } from "./route.ts";
import { parseJson, smallBody } from "./submit-body.ts";
import { brakeSubmissions } from "./submit-limits.ts";

/** The body holds an address and nothing else. */
const MAX_TEST_BYTES = 16 * 1024;

/** Refuses an address that webhooks are not sent to; `path` is where the client gave it. */
function checkTarget(c: HttpContext, url: string, path: string): void {
  const ownOrigins = [requestOrigin(c), originOf(c)];
  const fault = targetFault(url, { ownOrigins, allowLoopback: c.get("config").authMode === "open" });
  if (fault !== null) throw faultsProblem("invalid_request", [{ path, message: fault }], (at) => at);
}

/** Where the webhook events of a submission's job are sent: its own address, else that of CLIENT_WEBHOOKS; null for none. */
export function webhookOf(
  c: HttpContext,
  client: string,
  { webhook, pointerOf }: CheckedSubmission,
): JobWebhook | null {
  const url = webhook?.url ?? webhookUrlOf(c.get("config"), client);
  if (url === undefined) return null;
  if (webhook !== null) checkTarget(c, url, pointerOf("/webhook/url"));
  const events = [...new Set(webhook?.events ?? WEBHOOK_TYPES)];
  return { url, events, origin: originOf(c), hops: hopsOf(c) };
}

/** Refuses a submission that came through the webhooks of too many services. */
export function refuseLoop(c: HttpContext): void {
  if (hopsOf(c) < MOST_HOPS) return;
  throw new ProblemError(
    "loop_detected",
    `Webhooks led to this submission over ${MOST_HOPS} services (${HOPS_HEADER}).`,
  );
}

async function testedUrl(c: HttpContext, client: string): Promise<string> {
  const text = new TextDecoder().decode(await smallBody(c, MAX_TEST_BYTES));
  const read = WebhookTest.safeParse(text.trim() === "" ? {} : parseJson(text));
  if (!read.success) {
    const { path, message } = read.error.issues[0] ?? { path: [], message: "is not valid" };
    const pointer = path.map((step) => `/${String(step)}`).join("");
    throw faultsProblem("invalid_request", [{ path: pointer, message }], (at) => (at === "" ? "The body" : at));
  }
  const { url } = read.data;
  if (url !== undefined) {
    checkTarget(c, url, "/url");
    return url;
  }
  const own = webhookUrlOf(c.get("config"), client);
  if (own !== undefined) {
    checkTarget(c, own, "/url");
    return own;
  }
  throw new ProblemError("invalid_request", "Give a url: CLIENT_WEBHOOKS has no address of this client.", {
    errors: [{ path: "/url", message: "is required: CLIENT_WEBHOOKS has no address of this client" }],
  });
}

async function test(c: HttpContext, client: string): Promise<Response> {
  const url = await testedUrl(c, client);
  const id = `test_${nanoid()}`;
  const startedAtMs = Date.now();
  const timestamp = new Date(startedAtMs).toISOString();
  const body = JSON.stringify({ type: "webhook.test", timestamp, data: { client } });
  const secrets = webhookSecrets(c.get("config"), client);
  const { status, error, answer } = await sendWebhook({
    ...{ url, id, body, secrets, hops: hopsOf(c) },
    traceparent: readTraceparent(c.req.header("traceparent")),
  });
  const durationMs = Math.max(0, Date.now() - startedAtMs);
  const result: WebhookTestResult = { delivered: error === null, id, url, status, durationMs, error, answer };
  return jsonAnswer(c, result);
}

function deliveryNumberOf(c: HttpContext): number {
  const given = c.req.param("number") ?? "";
  if (!/^[1-9]\d{0,8}$/.test(given)) throw jobProblem({ ok: false, code: "delivery_not_found" });
  return Number(given);
}

/** The deliveries of a job, and a receiver's secret and test. */
export const WEBHOOK_ROUTES: readonly Route[] = [
  clientRoute(
    {
      method: "GET",
      path: paths.jobDeliveries(":id"),
      id: "listDeliveries",
      tag: "Webhooks",
      summary: "The job's webhooks: every event with each try to deliver it",
      json: true,
      answers: { "200": json("The deliveries; none for a job without a webhook.", DeliveryList, "deliveryList") },
      problems: ["job_not_found", "job_gone"],
    },
    async (c, { viewer }) => {
      const answered = await jobStub(c.env, jobIdOf(c)).deliveries(viewer);
      if (!answered.ok) throw jobProblem(answered);
      return jsonAnswer(c, answered.list);
    },
  ),
  clientRoute(
    {
      method: "POST",
      path: paths.jobResend(":id", ":number"),
      id: "resendDelivery",
      tag: "Webhooks",
      summary: "Sends an event again",
      description:
        "With the same body and `webhook-id`, whatever became of it before: at once, or as soon as no earlier event of the job waits. A failed try is repeated after the waits of the schedule.",
      json: true,
      answers: { "202": json("It is sent, or waits for an earlier event.", Delivery, "delivery") },
      problems: ["job_not_found", "job_gone", "delivery_not_found"],
    },
    async (c, { asker, viewer }) => {
      const id = jobIdOf(c);
      const number = deliveryNumberOf(c);
      if (viewer !== null) brakeSubmissions(c, viewer);
      const action = { action: "job.resend", target: id, details: { number } } as const;
      return loggedOfOperator(c, asker, action, async () => {
        const answered = await jobStub(c.env, id).resend(viewer, number);
        if (!answered.ok) throw jobProblem(answered);
        return jsonAnswer(c, answered.delivery, 202);
      });
    },
  ),
  clientRoute(
    {
      method: "POST",
      path: paths.webhookTest,
      id: "testWebhook",
      tag: "Webhooks",
      summary: "Sends a signed event of type `webhook.test`, and shows what the receiver answered",
      description: "It is sent once. A receiver acknowledges types that it does not know.",
      json: true,
      body: { required: false, content: { "application/json": shown(WebhookTest, "webhookTest") } },
      answers: { "200": json("The result of the call.", WebhookTestResult, "webhookTestResult") },
      problems: ["invalid_request", "malformed_json", "malformed_body", "body_too_large", "rate_limited"],
    },
    async (c, { viewer }) => {
      const client = clientOf(viewer);
      brakeSubmissions(c, client);
      return await test(c, client);
    },
  ),
  clientRoute(
    {
      method: "GET",
      path: paths.webhookSecret,
      id: "getWebhookSecret",
      tag: "Webhooks",
      summary: "The secret that verifies the client's webhooks",
      json: true,
      answers: { "200": json("The secret.", WebhookSecret, "webhookSecret") },
    },
    (c, { viewer }) => {
      const client = clientOf(viewer);
      const [secret = "", previousSecret = null] = webhookSecrets(c.get("config"), client);
      return jsonAnswer(c, { client, secret, previousSecret } satisfies WebhookSecret);
    },
  ),
];
