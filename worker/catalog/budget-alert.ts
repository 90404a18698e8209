import type { BudgetReport } from "../../schemas/usage.ts";
import type { WebhookEvent } from "../../schemas/webhook.ts";
import { configOf } from "../env.ts";
import { monthOf } from "../spend/core/money.ts";
import {
  beginTry,
  type CountedResult,
  countedResult,
  endTry,
  type StoredDelivery,
  targetFault,
  webhookUrlOf,
} from "../webhooks/core/delivery.ts";
import { notSent, sendWebhook, webhookSecrets } from "../webhooks/send.ts";

const KEY = "budget-alert";
/** A try whose end was not stored, because its process died, is repeated after this, in ms. Longer than a try takes. */
const AFTER_A_CRASH_MS = 30_000;
const MISCONFIGURED_CHECK_MS = 30_000;

/** The alert of one month. */
interface Alert {
  /** As `2026-11`. */
  readonly month: string;
  /** Null once the event was delivered or given up, and for a client without an address. */
  readonly delivery: StoredDelivery | null;
  /** When the next try is due; null without a delivery. */
  readonly nextAtMs: number | null;
}

/** The alert of the newest month that had one, and those of earlier months that are still to be delivered. */
interface StoredAlerts extends Alert {
  readonly earlier?: readonly Alert[];
}

/** What the object of a client's catalog offers. */
interface AlertHost {
  readonly client: string;
  /** Makes the object's alarm fire then, or sooner. */
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
  /** Newest month first. */
  #known: readonly Alert[] | null = null;
  #isSending = false;

  constructor(env: Env, storage: DurableObjectStorage, host: AlertHost) {
    this.#env = env;
    this.#storage = storage;
    this.#client = host.client;
    this.#host = host;
  }

  #stored(): readonly Alert[] {
    if (this.#known === null) {
      const stored = this.#storage.kv.get<StoredAlerts>(KEY);
      this.#known = stored === undefined ? [] : [stored, ...(stored.earlier ?? [])];
    }
    return this.#known;
  }

  /** Stores the alert in place of the one of its month, or as the newest. */
  #put({ month, delivery, nextAtMs }: Alert): void {
    const alert = { month, delivery, nextAtMs };
    const known = this.#stored();
    const isKnown = known.some((other) => other.month === month);
    const all = isKnown ? known.map((other) => (other.month === month ? alert : other)) : [alert, ...known];
    const [newest = alert, ...others] = all;
    const earlier = others.filter((other) => other.nextAtMs !== null);
    this.#storage.kv.put<StoredAlerts>(KEY, { ...newest, earlier });
    this.#known = [newest, ...earlier];
    this.#armAll();
  }

  #armAll(): void {
    for (const { nextAtMs } of this.#stored()) if (nextAtMs !== null) this.#host.arm(nextAtMs);
  }

  /** The client's money is used to `alertAt`. Only the first call of a month counts. */
  raise(report: BudgetReport, currency: string, nowMs: number): void {
    const month = monthOf(nowMs);
    if (this.#stored()[0]?.month === month) {
      // If the alarm was lost, or set later for something else after a restart, the next submission sets it again.
      this.#armAll();
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
    const isWanted = !config.ok || webhookUrlOf(config.config, this.#client) !== undefined;
    this.#put(isWanted ? { month, delivery, nextAtMs: nowMs } : { month, delivery: null, nextAtMs: null });
  }

  /** Makes the try that is due, if one is, and arms the next one. Never throws. */
  async pump(nowMs: number): Promise<void> {
    if (this.#isSending) return;
    const stored = this.#stored().findLast(({ nextAtMs }) => nextAtMs !== null && nextAtMs <= nowMs);
    if (stored === undefined || stored.delivery === null) {
      this.#armAll();
      return;
    }
    const read = configOf(this.#env);
    if (!read.ok) {
      this.#put({ ...stored, nextAtMs: nowMs + MISCONFIGURED_CHECK_MS });
      return;
    }
    const { publicOrigin, authMode } = read.config;
    const url = webhookUrlOf(read.config, this.#client);
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
    this.#put({ ...stored, delivery: nextAtMs === null ? null : delivery, nextAtMs });
  }
}
