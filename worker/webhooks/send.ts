import { createHmac } from "node:crypto";
import { derivedKey } from "../auth/signing-keys.ts";
import { withinSignal } from "../bounds.ts";
import { retryAfterMs } from "../dashscope/read-answer.ts";
import type { Config } from "../env.ts";
import type { TryResult } from "./core/delivery.ts";

/** A receiver answers within this, in ms, or the try has failed. */
export const SEND_BOUND_MS = 10_000;
/** The answer's status decides; its first bytes are waited for this long, in ms. */
const READ_BOUND_MS = 2_000;
/** How many bytes of a receiver's answer are read and kept. */
const KEPT_BYTES = 1024;

/** Counts how many Darkrooms' webhooks led to a request. See `MOST_HOPS`. */
export const HOPS_HEADER = "Darkroom-Hops";
/** A request after more hops than this is refused: a receiver that submits for each webhook would never end. */
export const MOST_HOPS = 3;

const SECRET_PREFIX = "whsec_";

/**
 * Signs in open mode when no SIGNING_SECRET is set. It protects nothing, as nothing is protected there: anyone who reaches the
 * service may ask for the secret of any client.
 */
const OPEN_MODE_SECRET = "darkroom in open mode";

/** The client's secrets, `whsec_…`, newest first: one of SIGNING_SECRET, and one of SIGNING_SECRET_OLD while it is set. */
export function webhookSecrets({ signingSecrets }: Pick<Config, "signingSecrets">, client: string): readonly string[] {
  const from = signingSecrets.length === 0 ? [OPEN_MODE_SECRET] : signingSecrets;
  return from.map((secret) => `${SECRET_PREFIX}${derivedKey(secret, "webhook", client).toString("base64")}`);
}

/** The header `webhook-signature` of Standard Webhooks: a signature by each secret, over exactly the bytes that are sent. */
export function webhookSignature(
  secrets: readonly string[],
  id: string,
  timestampSeconds: number,
  body: string,
): string {
  const signed = `${id}.${timestampSeconds}.${body}`;
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.slice(SECRET_PREFIX.length), "base64");
    return `v1,${createHmac("sha256", key).update(signed, "utf8").digest("base64")}`;
  });
  return signatures.join(" ");
}

export interface Outgoing {
  readonly url: string;
  readonly id: string;
  readonly body: string;
  readonly secrets: readonly string[];
  /** Of the request that made the job. */
  readonly hops: number;
  /** Of the request that made the job. It is sent as it came: Darkroom reports no spans of its own. */
  readonly traceparent: string | null;
}

const FAILED = { status: null, answer: null, retryAfterMs: null };

/** A try that was not made. `fault` as `targetFault` words it. */
export const notSent = (fault: string): TryResult => ({ ...FAILED, error: `not sent: the address ${fault}` });

/** Sends an event once. Never throws; settles within `SEND_BOUND_MS` and some seconds, whatever the receiver does. */
export async function sendWebhook({ url, id, body, secrets, hops, traceparent }: Outgoing): Promise<TryResult> {
  const timestamp = Math.floor(Date.now() / 1000);
  const headers = {
    "Content-Type": "application/json",
    "User-Agent": "Darkroom",
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": webhookSignature(secrets, id, timestamp, body),
    [HOPS_HEADER]: String(hops + 1),
    ...(traceparent === null ? {} : { traceparent }),
  };
  try {
    return await withinSignal(SEND_BOUND_MS, "the receiver", async (signal) => {
      const response = await fetch(url, { method: "POST", headers, body, redirect: "manual", signal });
      return await resultOf(response);
    });
  } catch (error) {
    return { ...FAILED, error: wordsOf(error) };
  }
}

async function resultOf(response: Response): Promise<TryResult> {
  const { status, headers } = response;
  const answer = await firstBytes(response);
  const waitMs = retryAfterMs(headers.get("retry-after"), Date.now());
  return { status, error: errorOf(status), answer, retryAfterMs: waitMs };
}

/** Why a status is no success; null for one that is. */
function errorOf(status: number): string | null {
  if (status >= 200 && status < 300) return null;
  if (status >= 300 && status < 400)
    return `answered ${status}, and redirects are not followed: give the final address`;
  return `answered ${status}`;
}

function wordsOf(error: unknown): string {
  const name = error instanceof Error ? error.name : "";
  if (name === "OutOfTime" || name === "AbortError" || name === "TimeoutError") {
    return `no answer within ${SEND_BOUND_MS / 1000} s`;
  }
  // The platform has the same words for a connection that is refused and one that is cut. They may repeat the address.
  const words = error instanceof Error ? error.message : String(error);
  return `no answer: no connection could be made, or it broke off (${words.slice(0, 200)})`;
}

/** The start of the answer as text; what comes too late, or breaks off, is left out. */
async function firstBytes({ body }: Response): Promise<string | null> {
  if (body === null) return null;
  const reader = body.getReader();
  const kept = new Uint8Array(KEPT_BYTES);
  let bytes = 0;
  // Ends a read that waits for a silent receiver.
  const timer = setTimeout(() => void reader.cancel().catch(() => undefined), READ_BOUND_MS);
  try {
    while (bytes < KEPT_BYTES) {
      const { done, value } = await reader.read();
      if (done) break;
      const part = value.subarray(0, KEPT_BYTES - bytes);
      kept.set(part, bytes);
      bytes += part.byteLength;
    }
  } catch {
    // The body broke off. The status is known.
  } finally {
    clearTimeout(timer);
    void reader.cancel().catch(() => undefined);
  }
  return new TextDecoder().decode(kept.subarray(0, bytes)).replaceAll("\0", "\u{fffd}");
}
