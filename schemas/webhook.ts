import { z } from "zod";
import { Job, Timestamp } from "./job.ts";
import { BudgetReport } from "./usage.ts";

/** The events that can be sent to a webhook. */
export const WEBHOOK_TYPES = ["job.succeeded", "job.failed", "job.canceled", "budget.alert"] as const;
export const WebhookType = z.enum(WEBHOOK_TYPES).meta({ id: "WebhookType" });
export type WebhookType = z.infer<typeof WebhookType>;

const delivery = { timestamp: Timestamp.meta({ description: "When the event happened; the same over all tries." }) };

/** A client's spend of this month when it first reached `alertAt` of its limit. */
const BudgetAlert = z.object({ currency: z.string(), budget: BudgetReport });

/** The body of a webhook delivery (Standard Webhooks). It holds the job as it was when the event happened. */
export const WebhookEvent = z
  .discriminatedUnion("type", [
    z.object({ type: z.literal("job.succeeded"), ...delivery, data: z.object({ job: Job }) }),
    z.object({ type: z.literal("job.failed"), ...delivery, data: z.object({ job: Job }) }),
    z.object({ type: z.literal("job.canceled"), ...delivery, data: z.object({ job: Job }) }),
    z.object({ type: z.literal("budget.alert"), ...delivery, data: BudgetAlert }),
  ])
  .meta({ id: "WebhookEvent" });
export type WebhookEvent = z.infer<typeof WebhookEvent>;

export const MAX_WEBHOOK_URL_CHARS = 2048;

const WebhookUrl = z
  .string()
  .min(1)
  .max(MAX_WEBHOOK_URL_CHARS)
  .meta({ description: "A public https address on port 443, by name.", example: "https://example.com/darkroom" });

/** Where a job's webhook events are sent. */
export const WebhookTarget = z
  .strictObject({
    url: WebhookUrl,
    events: z
      .array(WebhookType)
      .min(1)
      .max(WEBHOOK_TYPES.length)
      .optional()
      .meta({ description: "The types to send; all of them when left out." }),
  })
  .meta({ id: "WebhookTarget" });
export type WebhookTarget = z.infer<typeof WebhookTarget>;

/** One try to deliver an event. */
export const DeliveryTry = z.object({
  number: z.int().min(1),
  startedAt: Timestamp,
  finishedAt: Timestamp.nullable().meta({
    description: "Null while it runs, and when this service stopped during it.",
  }),
  durationMs: z.int().min(0).nullable(),
  status: z.int().nullable().meta({ description: "The receiver's HTTP status; null when there was no answer." }),
  error: z.string().nullable().meta({ description: "Why the try failed, for people; null when it did not." }),
  answer: z.string().nullable().meta({ description: "The first 1 024 bytes of the receiver's answer." }),
});
export type DeliveryTry = z.infer<typeof DeliveryTry>;

/** `gone`: the receiver answered 410. `failed`: the last try of the schedule failed. In both states only a resend sends it again. */
export const DeliveryState = z.enum(["pending", "delivered", "gone", "failed"]);
export type DeliveryState = z.infer<typeof DeliveryState>;

/** One event of a job, with its tries to deliver it to the webhook. */
export const Delivery = z
  .object({
    number: z
      .int()
      .min(1)
      .meta({ description: "The number of the job's event (`seq`); names the delivery in its routes." }),
    id: z.string().meta({
      description: "The header `webhook-id`: the same over all tries and resends.",
      example: "job_V1StGXR8_Z5jdHi6B-myT.5",
    }),
    type: WebhookType,
    url: z.string(),
    state: DeliveryState,
    reason: z.string().nullable().meta({ description: "Why it is `gone` or `failed`, for people." }),
    createdAt: Timestamp,
    nextTryAt: Timestamp.nullable().meta({ description: "Null unless it is pending and no try runs." }),
    tries: z.array(DeliveryTry).meta({ description: "The newest 30, oldest first." }),
  })
  .meta({ id: "Delivery" });
export type Delivery = z.infer<typeof Delivery>;

export const DeliveryList = z
  .object({
    webhook: z.object({ url: z.string(), events: z.array(WebhookType) }).nullable(),
    deliveries: z
      .array(Delivery)
      .meta({ description: "In the order of the job's events, which is the order of sending." }),
  })
  .meta({ id: "DeliveryList" });
export type DeliveryList = z.infer<typeof DeliveryList>;

export const WebhookTest = z.strictObject({
  url: WebhookUrl.optional().meta({ description: "When left out: the client's address in CLIENT_WEBHOOKS." }),
});
export type WebhookTest = z.infer<typeof WebhookTest>;

/** The result of a test delivery of type `webhook.test`. */
export const WebhookTestResult = z
  .object({
    delivered: z.boolean(),
    id: z.string().meta({ description: "The header `webhook-id` that was sent." }),
    url: z.string(),
    status: z.int().nullable(),
    durationMs: z.int().min(0),
    error: z.string().nullable(),
    answer: z.string().nullable(),
  })
  .meta({ id: "WebhookTestResult" });
export type WebhookTestResult = z.infer<typeof WebhookTestResult>;

export const WebhookSecret = z
  .object({
    client: z.string(),
    secret: z
      .string()
      .meta({ description: "Verifies the client's webhooks.", example: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }),
    previousSecret: z.string().nullable().meta({
      description: "Signs too while SIGNING_SECRET_OLD is set, so that a receiver can change over in between.",
    }),
  })
  .meta({ id: "WebhookSecret" });
export type WebhookSecret = z.infer<typeof WebhookSecret>;
