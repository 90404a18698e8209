/** A delivery as its job stores it, which addresses it may be sent to, and when it is tried again. Pure. */
import {
  type Delivery,
  type DeliveryState,
  type DeliveryTry,
  MAX_WEBHOOK_URL_CHARS,
  type WebhookType,
} from "../../../schemas/webhook.ts";
import { hostKind, isAddress } from "../../public-host.ts";

/** The wait before each try of a round, in ms: the schedule that Standard Webhooks proposes, about 76 hours in all. */
export const WAITS_MS = [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400].map((s) => s * 1000);

/** A wait is longer by up to this share, so that receivers that were down do not get all events at one moment. */
const JITTER_SHARE = 0.2;
/** A receiver's Retry-After is followed up to this, in ms. */
const LONGEST_RETRY_AFTER_MS = 86_400_000;
/** Three rounds: resends must not let a row grow without end. */
const MOST_KEPT_TRIES = 30;

export interface StoredTry {
  readonly number: number;
  readonly startedAtMs: number;
  readonly finishedAtMs: number | null;
  readonly status: number | null;
  readonly error: string | null;
  readonly answer: string | null;
}

/** One event on its way to a webhook. `body` is what every try sends, byte for byte. */
export interface StoredDelivery {
  /** Of the event. */
  readonly seq: number;
  readonly type: WebhookType;
  readonly url: string;
  /** The service's own origin, to which nothing is sent. */
  readonly origin: string;
  /** As in `JobWebhook`. */
  readonly hops: number;
  /** As in the job's submission. */
  readonly traceparent?: string;
  readonly createdAtMs: number;
  readonly body: string;
  readonly state: DeliveryState;
  readonly reason: string | null;
  /** Tries of this round, without those that were cut by the end of our own process: a resend begins another round. */
  readonly roundTries: number;
  /** The newest, oldest first. The last one has neither status nor error while it runs. */
  readonly tries: readonly StoredTry[];
}

/** The outcome of a try. `error` is null exactly when the receiver took the event. */
export interface TryResult {
  readonly status: number | null;
  readonly error: string | null;
  readonly answer: string | null;
  readonly retryAfterMs: number | null;
}

/** The outcomes of tries, as metrics count them. `retried`: it failed and another one follows; `failed`: none does. */
export const TRY_RESULTS = ["delivered", "retried", "failed", "gone"] as const;
export type CountedResult = (typeof TRY_RESULTS)[number];

/** The outcome of the try that has just ended. */
export function countedResult({ state }: StoredDelivery): CountedResult {
  return state === "pending" ? "retried" : state;
}

export const webhookId = (jobId: string, seq: number): string => `${jobId}.${seq}`;

const INTERRUPTED = "this service stopped before the receiver's answer came; the event is sent again with the same id";

/** Whether the try has neither ended nor been marked as cut. */
export function isRunning({ finishedAtMs, error }: StoredTry): boolean {
  return finishedAtMs === null && error === null;
}

/**
 * A try begins. One that was still running was cut by the end of its process: the new try takes its place in the schedule, since
 * the receiver did not fail.
 */
export function beginTry(delivery: StoredDelivery, nowMs: number): StoredDelivery {
  const known = delivery.tries.map((last) => (isRunning(last) ? { ...last, error: INTERRUPTED } : last));
  const isRepeated = delivery.roundTries > 0 && delivery.tries.some(isRunning);
  const begun: StoredTry = {
    number: (known.at(-1)?.number ?? 0) + 1,
    startedAtMs: nowMs,
    finishedAtMs: null,
    status: null,
    error: null,
    answer: null,
  };
  const tries = [...known, begun].slice(-MOST_KEPT_TRIES);
  return { ...delivery, state: "pending", reason: null, roundTries: delivery.roundTries + (isRepeated ? 0 : 1), tries };
}

/** The running try ends. `nextAtMs`: when the next one is due; null when none follows. */
export function endTry(
  delivery: StoredDelivery,
  result: TryResult,
  nowMs: number,
  jitter: number,
): { readonly delivery: StoredDelivery; readonly nextAtMs: number | null } {
  const { status, error, answer } = result;
  const ended = delivery.tries.with(-1, { ...lastTry(delivery), finishedAtMs: nowMs, status, error, answer });
  const settled = (state: DeliveryState, reason: string | null) => ({
    delivery: { ...delivery, tries: ended, state, reason },
    nextAtMs: null,
  });
  if (error === null) return settled("delivered", null);
  if (status === 410) return settled("gone", "the receiver answered 410: it wants no more");
  const waitMs = WAITS_MS[delivery.roundTries];
  if (waitMs === undefined)
    return settled("failed", `not delivered in ${delivery.roundTries} tries; the last: ${error}`);
  const retryAfterMs = Math.min(result.retryAfterMs ?? 0, LONGEST_RETRY_AFTER_MS);
  const nextAtMs = nowMs + Math.max(Math.ceil(waitMs * (1 + JITTER_SHARE * jitter)), retryAfterMs);
  return { delivery: { ...delivery, tries: ended }, nextAtMs };
}

function lastTry({ tries }: StoredDelivery): StoredTry {
  const last = tries.at(-1);
  if (last === undefined) throw new Error("no try has begun");
  return last;
}

/** The delivery is not sent any more: the receiver answered 410 to another event of the job. */
export function withGoneReceiver(delivery: StoredDelivery): StoredDelivery {
  return { ...delivery, state: "gone", reason: "the receiver answered 410 to another event of this job" };
}

const iso = (ms: number): string => new Date(ms).toISOString();

function presentTry({ number, startedAtMs, finishedAtMs, status, error, answer }: StoredTry): DeliveryTry {
  return {
    number,
    startedAt: iso(startedAtMs),
    finishedAt: finishedAtMs === null ? null : iso(finishedAtMs),
    durationMs: finishedAtMs === null ? null : Math.max(0, finishedAtMs - startedAtMs),
    status,
    error,
    answer,
  };
}

/** The delivery as the API shows it. */
export function presentDelivery(jobId: string, delivery: StoredDelivery, nextAtMs: number | null): Delivery {
  const { seq, type, url, createdAtMs, state, reason, tries } = delivery;
  return {
    number: seq,
    id: webhookId(jobId, seq),
    type,
    url,
    state,
    reason,
    createdAt: iso(createdAtMs),
    nextTryAt: nextAtMs === null ? null : iso(nextAtMs),
    tries: tries.map(presentTry),
  };
}

/** The client's address in CLIENT_WEBHOOKS; undefined without one. A client may have the name of a property that every object has. */
export function webhookUrlOf(
  { clientWebhooks }: { readonly clientWebhooks: Readonly<Record<string, string>> },
  client: string,
): string | undefined {
  return Object.hasOwn(clientWebhooks, client) ? clientWebhooks[client] : undefined;
}

export interface TargetRules {
  /** Origins of this service, which receives no webhooks. */
  readonly ownOrigins: readonly string[];
  /** Open mode: http addresses of this machine are allowed, on any port. */
  readonly allowLoopback: boolean;
}

/**
 * What is wrong with the address, in words that complete "url …"; null for one that may be sent to. Checked at submit and again
 * before each try.
 */
export function targetFault(text: string, { ownOrigins, allowLoopback }: TargetRules): string | null {
  const url = text.length > MAX_WEBHOOK_URL_CHARS ? null : URL.parse(text);
  if (url === null) return `must be an https address of ${MAX_WEBHOOK_URL_CHARS} characters at most`;
  if (url.username !== "" || url.password !== "") return "must not hold a user name or password";
  if (ownOrigins.some((own) => isSameHost(url, own))) return "must not be an address of this service";
  const kind = hostKind(url.hostname);
  if (kind === "loopback" && allowLoopback && url.protocol === "http:") return null;
  if (url.protocol !== "https:") return "must begin with https://";
  if (url.port !== "") return "must use port 443";
  if (isAddress(url.hostname)) return "must name its host, not give an IP address";
  if (kind !== "public") return "must have a public host name: it is reached over the Internet";
  return null;
}

/** On a public name any port is the same service; on this machine each port is another one. */
function isSameHost(url: URL, origin: string): boolean {
  const own = URL.parse(origin);
  if (own === null) return false;
  const plain = (hostname: string) => hostname.replace(/\.$/, "");
  if (hostKind(own.hostname) === "loopback") return hostKind(url.hostname) === "loopback" && url.port === own.port;
  return plain(url.hostname) === plain(own.hostname);
}
