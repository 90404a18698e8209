import { z } from "zod";
import { Job, Timestamp } from "./job.ts";

/** The events that can be sent to a webhook. */
export const WEBHOOK_TYPES = ["job.succeeded", "job.failed", "job.canceled", "budget.alert"] as const;
export const WebhookType = z.enum(WEBHOOK_TYPES);
export type WebhookType = z.infer<typeof WebhookType>;

const delivery = { timestamp: Timestamp.meta({ description: "When the event happened; the same over all tries." }) };

/** The body of a webhook delivery (Standard Webhooks). A job is sent as it was when the event happened. */
export const WebhookEvent = z
  .discriminatedUnion("type", [
    z.object({ type: z.literal("job.succeeded"), ...delivery, data: z.object({ job: Job }) }),
    z.object({ type: z.literal("job.failed"), ...delivery, data: z.object({ job: Job }) }),
    z.object({ type: z.literal("job.canceled"), ...delivery, data: z.object({ job: Job }) }),
    z.object({ type: z.literal("budget.alert"), ...delivery, data: z.record(z.string(), z.unknown()) }),
  ])
  .meta({ id: "WebhookEvent" });
export type WebhookEvent = z.infer<typeof WebhookEvent>;
