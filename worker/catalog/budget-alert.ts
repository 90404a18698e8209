import type { BudgetReport } from "../../schemas/usage.ts";
import type { WebhookEvent } from "../../schemas/webhook.ts";
import { configOf } from "../env.ts";
import { monthOf } from "../spend/money.ts";
import { beginTry, type CountedResult, countedResult, endTry, type StoredDelivery } from "../webhooks/core/delivery.ts";
import { targetFault } from "../webhooks/core/target.ts";
import { notSent, sendWebhook } from "../webhooks/send.ts";
import { webhookSecrets } from "../webhooks/signature.ts";

const KEY = "budget-alert";
/** A try whose end was not stored, because its process died, is repeated after this, in ms. Longer than a try takes. */
const AFTER_A_CRASH_MS = 30_000;
const MISCONFIGURED_CHECK_MS = 30_000;

interface StoredAlert {
  /** `2026-11`: the newest month that had an alert. */
  readonly month: string;
  /** Null once the event was delivered or given up, and for a client without an address. */
  readonly delivery: StoredDelivery | null;
  /** When the next try is due; null without a delivery. */
  readonly nextAtMs: number | null;
}

/** What the object of a client's catalog offers. */
interface AlertHost {
  readonly client: string;
  /** The object's alarm goes off then, or sooner. */
  arm(atMs: number): void;
  /** Counts a try for the metrics. */
  count(result: CountedResult): void;
}

/**
 * A client's alert: one a calendar month, when its money is used to `alertAt`. It is logged, and sent as the webhook
 * `budget.alert` to the client's address in CLIENT_WEBHOOKS: stored before the first try, and sent at least once.
 */
export class BudgetAlert {
  readonly #env: Env;
  readonly #storage: DurableObjectStorage;
  readonly #client: string;
  readonly #host: AlertHost;
  #known: StoredAlert | null = null;
  #isSending = false;

  constructor(env: Env, storage: DurableObjectStorage, host: AlertHost) {
    this.#env = env;
    this.#storage = storage;
    this.#client = host.client;
    this.#host = host;
  }

  #stored(): StoredAlert | null {
    this.#known ??= this.#storage.kv.get<StoredAlert>(KEY) ?? null;
    return this.#known;
  }

  #put(alert: StoredAlert): void {
    this.#known = alert;
    this.#storage.kv.put(KEY, alert);
    if (alert.nextAtMs !== null) this.#host.arm(alert.nextAtMs);
  }

  /** The client's money is used to `alertAt`. Only the first call of a month counts. */
  raise(report: BudgetReport, currency: string, nowMs: number): void {
    const month = monthOf(nowMs);
    const known = this.#stored();
    if (known?.month === month) {
      // Should the alarm be lost, or set later for something else after a restart, the next submission mends it.
      if (known.nextAtMs !== null) this.#host.arm(known.nextAtMs);
      return;
    }
    console.log(JSON.stringify({ event: "budget_alert", currency, ...report }));
    const timestamp = new Date(nowMs).toISOString();
    const body = { type: "budget.alert", timestamp, data: { currency, budget: report } } satisfies WebhookEvent;
    const delivery: StoredDelivery = {
      seq: 0,
      type: "budget.alert",
      url: "",
      origin: "",
      hops: 0,
      createdAtMs: nowMs,
      body: JSON.stringify(body),
      state: "pending",
      reason: null,
      roundTries: 0,
      tries: [],
    };
    const config = configOf(this.#env);
    const isWanted = !config.ok || Object.hasOwn(config.config.clientWebhooks, this.#client);
    this.#put(isWanted ? { month, delivery, nextAtMs: nowMs } : { month, delivery: null, nextAtMs: null });
  }

  /** Makes the try that is due, if one is, and arms the next one. Never throws. */
  async pump(nowMs: number): Promise<void> {
    const stored = this.#stored();
    if (stored === null || stored.delivery === null || stored.nextAtMs === null || this.#isSending) return;
    if (stored.nextAtMs > nowMs) {
      this.#host.arm(stored.nextAtMs);
      return;
    }
    const read = configOf(this.#env);
    if (!read.ok) {
      this.#put({ ...stored, nextAtMs: nowMs + MISCONFIGURED_CHECK_MS });
      return;
    }
    const { clientWebhooks, publicOrigin, authMode } = read.config;
    const url = Object.hasOwn(clientWebhooks, this.#client) ? clientWebhooks[this.#client] : undefined;
    if (url === undefined) {
      this.#put({ ...stored, delivery: null, nextAtMs: null });
      return;
    }
    const begun = beginTry({ ...stored.delivery, url }, nowMs);
    this.#put({ ...stored, delivery: begun, nextAtMs: nowMs + AFTER_A_CRASH_MS });
    this.#isSending = true;
    const id = `budget_${this.#client}.${stored.month}`;
    const secrets = webhookSecrets(read.config, this.#client);
    const ownOrigins = publicOrigin === null ? [] : [publicOrigin];
    const fault = targetFault(url, { ownOrigins, allowLoopback: authMode === "open" });
    const sent = { url, id, body: begun.body, secrets, hops: begun.hops, traceparent: null };
    const result = fault === null ? await sendWebhook(sent) : notSent(fault);
    this.#isSending = false;
    const { delivery, nextAtMs } = endTry(begun, result, Date.now(), Math.random());
    const { type, state, tries } = delivery;
    console.log(
      JSON.stringify({
        event: "webhook_tried",
        client: this.#client,
        type,
        state,
        status: result.status,
        try: tries.at(-1)?.number,
      }),
    );
    this.#host.count(countedResult(delivery));
    // Another month may have begun during the try.
    if (this.#stored()?.month !== stored.month) return;
    this.#put({ ...stored, delivery: nextAtMs === null ? null : delivery, nextAtMs });
  }
}
