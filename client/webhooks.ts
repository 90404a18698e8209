/** The package's entry `./webhooks`: verifies the webhooks that Darkroom sends (Standard Webhooks). */
import { z } from "zod";
import { WebhookEvent, WebhookType } from "../schemas/webhook.ts";

export { WEBHOOK_TYPES, WebhookEvent, WebhookType } from "../schemas/webhook.ts";

/** A webhook as it arrived. `body` must hold the bytes as they were sent: parsing and printing JSON again changes them. */
export interface ReceivedWebhook {
  readonly headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string | Uint8Array;
}

export interface VerifyOptions {
  /** How far the delivery's timestamp may be from the receiver's clock, in seconds. A shorter time bounds replays. */
  readonly toleranceSeconds?: number | undefined;
  /** The receiver's clock, in ms since 1970; `Date.now()` when left out. */
  readonly nowMs?: number | undefined;
}

/** A verified event. `id` is the same for every try and resend of one event: use it to handle an event once. */
export type VerifiedWebhook = WebhookEvent & { readonly id: string };

/**
 * Why a delivery is refused. `missing_header`, `invalid_header`: it is not a signed webhook. `outside_tolerance`: it was signed
 * too long ago, or a clock is wrong. `no_matching_signature`: another secret, or a changed body. `invalid_body`: the signature is
 * right, but the body is not an event.
 */
export type WebhookRefusal =
  | "missing_header"
  | "invalid_header"
  | "outside_tolerance"
  | "no_matching_signature"
  | "invalid_body";

/** The delivery is not from Darkroom, or not intact. Answer 400 or 401; Darkroom then tries again later. */
export class WebhookVerificationError extends Error {
  override readonly name = "WebhookVerificationError";
  readonly code: WebhookRefusal;

  constructor(code: WebhookRefusal, message: string) {
    super(message);
    this.code = code;
  }
}

/** Five minutes, as Standard Webhooks recommends. */
const DEFAULT_TOLERANCE_SECONDS = 300;
const SECRET_PREFIX = "whsec_";

/**
 * Verifies a webhook and resolves to its event; `null` for an event type newer than this package, which a receiver acknowledges
 * and ignores. `secret` is `whsec_…` as `GET /api/webhooks/secret` shows it, or a list of several while one is rotated: one match
 * is enough. Signatures are compared in constant time. Rejects with `WebhookVerificationError`, and with a `TypeError` for a
 * secret that cannot be one. Reads the body of a `Request`: pass a clone if it is needed again.
 */
export async function verifyWebhook(
  webhook: Request | ReceivedWebhook,
  secret: string | readonly string[],
  options: VerifyOptions = {},
): Promise<VerifiedWebhook | null> {
  const secrets = typeof secret === "string" ? [secret] : secret;
  if (secrets.length === 0) throw new TypeError("verifyWebhook needs a secret");
  const keys = await Promise.all(secrets.map(importSecret));

  const id = header(webhook.headers, "webhook-id");
  const timestamp = header(webhook.headers, "webhook-timestamp");
  const signatures = signaturesOf(header(webhook.headers, "webhook-signature"));
  checkTimestamp(timestamp, options);

  const body = await bytesOf(webhook);
  const signed = concat(new TextEncoder().encode(`${id}.${timestamp}.`), body);
  if (!(await anyMatches(keys, signatures, signed))) {
    const reason = "no signature matches: the secret is another one, or the body was changed on its way";
    throw new WebhookVerificationError("no_matching_signature", reason);
  }
  return eventOf(id, body);
}

function header(headers: ReceivedWebhook["headers"], name: string): string {
  const value = headers instanceof Headers ? headers.get(name) : plainHeader(headers, name);
  if (value === null || value === "") throw new WebhookVerificationError("missing_header", `${name} is missing`);
  return value;
}

function plainHeader(headers: Readonly<Record<string, string | readonly string[] | undefined>>, name: string) {
  const found = Object.entries(headers).find(([given]) => given.toLowerCase() === name)?.[1];
  return typeof found === "string" ? found : (found?.[0] ?? null);
}

function checkTimestamp(text: string, options: VerifyOptions): void {
  if (!/^\d{1,12}$/.test(text)) {
    throw new WebhookVerificationError("invalid_header", "webhook-timestamp must be seconds since 1970");
  }
  const { toleranceSeconds = DEFAULT_TOLERANCE_SECONDS, nowMs = Date.now() } = options;
  const ageSeconds = Math.round(nowMs / 1000 - Number(text));
  if (Math.abs(ageSeconds) <= toleranceSeconds) return;
  const when = ageSeconds > 0 ? `${ageSeconds} s ago` : `${-ageSeconds} s in the future`;
  throw new WebhookVerificationError("outside_tolerance", `signed ${when}, more than ${toleranceSeconds} s away`);
}

/** The `v1` signatures of the header. It may list several, and others of versions that this package does not know. */
function signaturesOf(value: string): Uint8Array<ArrayBuffer>[] {
  return value.split(" ").flatMap((entry) => {
    const [version, encoded = ""] = entry.split(",");
    const bytes = version === "v1" ? base64Bytes(encoded) : null;
    return bytes === null ? [] : [bytes];
  });
}

function importSecret(secret: string): Promise<CryptoKey> {
  const bytes = secret.startsWith(SECRET_PREFIX) ? base64Bytes(secret.slice(SECRET_PREFIX.length)) : null;
  if (bytes === null || bytes.length === 0) {
    throw new TypeError("a webhook secret is whsec_ and base64, as GET /api/webhooks/secret shows it");
  }
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
}

async function anyMatches(
  keys: readonly CryptoKey[],
  signatures: readonly Uint8Array<ArrayBuffer>[],
  signed: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  const pairs = keys.flatMap((key) => signatures.map((signature) => [key, signature] as const));
  const matches = await Promise.all(
    pairs.map(([key, signature]) => crypto.subtle.verify("HMAC", key, signature, signed)),
  );
  return matches.includes(true);
}

const AnyEvent = z.object({ type: z.string() });

function eventOf(id: string, body: Uint8Array): VerifiedWebhook | null {
  const value = jsonOrNull(new TextDecoder().decode(body));
  const any = AnyEvent.safeParse(value);
  if (any.success && !WebhookType.safeParse(any.data.type).success) return null;
  const parsed = WebhookEvent.safeParse(value);
  if (parsed.success) return { ...parsed.data, id };
  const [issue] = parsed.error.issues;
  const where = `${issue?.path.join(".") || "body"}: ${issue?.message}`;
  throw new WebhookVerificationError("invalid_body", `the body is signed but is not an event: ${where}`);
}

async function bytesOf(webhook: Request | ReceivedWebhook): Promise<Uint8Array> {
  if (webhook instanceof Request) return new Uint8Array(await webhook.arrayBuffer());
  return typeof webhook.body === "string" ? new TextEncoder().encode(webhook.body) : webhook.body;
}

function concat(head: Uint8Array, tail: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(head.length + tail.length);
  both.set(head);
  both.set(tail, head.length);
  return both;
}

function base64Bytes(text: string): Uint8Array<ArrayBuffer> | null {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return null;
  }
}

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
