import type { Delivery, DeliveryList, WebhookType } from "../../schemas/webhook.ts";
import { createLinks } from "../auth/links.ts";
import { linkSettingsOf } from "../env.ts";
import { catalogStub } from "../stubs.ts";
import {
  beginTry,
  type CountedResult,
  countedResult,
  endTry,
  isRunning,
  presentDelivery,
  type StoredDelivery,
  type TryResult,
  targetFault,
  webhookId,
  withGoneReceiver,
} from "../webhooks/core/delivery.ts";
import { notSent, sendWebhook, webhookSecrets } from "../webhooks/send.ts";
import type { Moment } from "./core/change.ts";
import { type MessageTo, MOST_DELIVERIES } from "./core/outbox.ts";
import { presentJob } from "./core/present.ts";
import { type JobRecord, type StoredRecord, traceIdOf } from "./core/record.ts";
import { isHeld } from "./core/schedule.ts";
import { toJobView } from "./core/view.ts";
import type { JobHost } from "./job-host.ts";
import type { JobStore } from "./job-store.ts";

/**
 * The job's webhooks. Each event is stored once, in a row of its own, with the change that caused it; the outbox holds a message
 * until it is delivered or given up. A try is stored before it is made and after it, so that its log is true after any crash.
 */
export class Deliveries {
  readonly #env: Env;
  readonly #host: JobHost;
  readonly #store: JobStore;

  constructor(env: Env, host: JobHost, store: JobStore) {
    this.#env = env;
    this.#host = host;
    this.#store = store;
  }

  /** Stores the events that the webhook asks for. Called in the turn in which the record is stored: both are one write. */
  add(moments: readonly Moment[]): void {
    for (const { event, record } of moments) {
      const { webhook } = record;
      const type = webhook?.events.find((wanted) => wanted === event.type);
      if (webhook === undefined || type === undefined) continue;
      const delivery: StoredDelivery = {
        seq: event.seq,
        type,
        url: webhook.url,
        origin: webhook.origin,
        hops: webhook.hops,
        ...(record.traceparent === undefined ? {} : { traceparent: record.traceparent }),
        createdAtMs: Date.parse(event.at),
        body: this.#bodyOf(type, event.at, record, webhook.origin),
        state: "pending",
        reason: null,
        roundTries: 0,
        tries: [],
      };
      this.#store.putDelivery(webhook.goneAtMs === undefined ? delivery : withGoneReceiver(delivery));
      const tooMany = this.#store.deliveries().slice(0, -MOST_DELIVERIES);
      for (const { seq, state } of tooMany) {
        this.#store.deleteDelivery(seq);
        this.#host.log("delivery_dropped", { seq, state });
      }
    }
  }

  #bodyOf(type: WebhookType, timestamp: string, record: JobRecord, origin: string): string {
    const publicOrigin = this.#host.config()?.publicOrigin ?? origin;
    const links = createLinks(linkSettingsOf(this.#env), publicOrigin, Date.now());
    return JSON.stringify({ type, timestamp, data: { job: presentJob(toJobView(record, null), links) } });
  }

  /** Makes one try, and records its outcome. */
  async send(message: MessageTo<"notify">, { id, client }: StoredRecord): Promise<null> {
    const config = this.#host.config();
    if (config === null) throw new Error("the Worker is misconfigured: see GET /api/health");
    const { seq } = message.payload;
    const stored = this.#store.delivery(seq);
    if (stored === null) return this.#answered(message, client, null);
    const { url, origin, hops, traceparent = null, body } = stored;
    this.#store.putDelivery(beginTry(stored, Date.now()));
    const ownOrigins = [origin, config.publicOrigin ?? ""];
    const fault = targetFault(url, { ownOrigins, allowLoopback: config.authMode === "open" });
    const outgoing = {
      url,
      id: webhookId(id, seq),
      body,
      secrets: webhookSecrets(config, client),
      hops,
      traceparent,
    };
    const result = fault === null ? await sendWebhook(outgoing) : notSent(fault);
    return this.#answered(message, client, result);
  }

  /** `result` is null for an event that is not kept any more. */
  #answered(message: MessageTo<"notify">, client: string, result: TryResult | null): null {
    const { seq } = message.payload;
    // Read anew: a resend may have begun another round during the try.
    const stored = this.#store.delivery(seq);
    if (stored === null || result === null) {
      this.#host.apply({ type: "message_answered", message, answer: { state: "failed", nextAtMs: null } });
      return null;
    }
    const { delivery, nextAtMs } = endTry(stored, result, Date.now(), Math.random());
    this.#store.putDelivery(delivery);
    if (delivery.state === "gone") this.#giveUpOthers(seq);
    this.#host.apply({ type: "message_answered", message, answer: { state: delivery.state, nextAtMs } });
    const { type, state, tries } = delivery;
    this.#host.keepRunning(this.#count(client, countedResult(delivery)));
    // Taken from the delivery, because the record of a removed job has none.
    const traceId = traceIdOf(delivery);
    this.#host.log("webhook_tried", { traceId, seq, type, state, status: result.status, try: tries.at(-1)?.number });
    return null;
  }

  /** A count that does not arrive is lost: a message of the outbox would cost more than it is worth. Never rejects. */
  async #count(client: string, result: CountedResult): Promise<void> {
    try {
      await catalogStub(this.#env, client).countDelivery(result);
    } catch (error) {
      this.#host.log("delivery_not_counted", { result, reason: String(error) });
    }
  }

  #giveUpOthers(goneSeq: number): void {
    for (const { kind, payload } of this.#host.record()?.outbox ?? []) {
      const waiting = kind === "notify" && payload.seq !== goneSeq ? this.#store.delivery(payload.seq) : null;
      if (waiting !== null) this.#store.putDelivery(withGoneReceiver(waiting));
    }
  }

  list(record: JobRecord): DeliveryList {
    const { webhook } = record;
    return {
      webhook: webhook === undefined ? null : { url: webhook.url, events: [...webhook.events] },
      deliveries: this.#store.deliveries().map((delivery) => this.#present(delivery, record)),
    };
  }

  /** Null when there is no such delivery. */
  resend(seq: number): Delivery | null {
    const stored = this.#store.delivery(seq);
    if (stored === null) return null;
    this.#store.putDelivery({ ...stored, state: "pending", reason: null, roundTries: 0 });
    this.#host.apply({ type: "resend", seq });
    this.#host.pump();
    const job = this.#host.job();
    const delivery = this.#store.delivery(seq);
    return job === null || delivery === null ? null : this.#present(delivery, job);
  }

  #present(delivery: StoredDelivery, { id, outbox }: JobRecord): Delivery {
    const message = outbox.find(({ kind, payload }) => kind === "notify" && payload.seq === delivery.seq);
    const last = delivery.tries.at(-1);
    const isBeingTried = last !== undefined && isRunning(last);
    const waits = message !== undefined && !isBeingTried && !isHeld(message, outbox);
    return presentDelivery(id, delivery, waits ? (message.notBeforeMs ?? Date.now()) : null);
  }
}
