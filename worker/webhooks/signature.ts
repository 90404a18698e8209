import { createHmac } from "node:crypto";
import { derivedKey } from "../auth/signing-keys.ts";
import type { Config } from "../env.ts";

const PREFIX = "whsec_";

/**
 * Signs in open mode when no SIGNING_SECRET is set. It protects nothing, as nothing is protected there: anyone who reaches the
 * service may ask for the secret of any client.
 */
const OPEN_MODE_SECRET = "darkroom in open mode";

/** The client's secrets, `whsec_…`, newest first: one of SIGNING_SECRET, and one of SIGNING_SECRET_OLD while it is set. */
export function webhookSecrets({ signingSecrets }: Pick<Config, "signingSecrets">, client: string): readonly string[] {
  const from = signingSecrets.length === 0 ? [OPEN_MODE_SECRET] : signingSecrets;
  return from.map((secret) => `${PREFIX}${derivedKey(secret, "webhook", client).toString("base64")}`);
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
    const key = Buffer.from(secret.slice(PREFIX.length), "base64");
    return `v1,${createHmac("sha256", key).update(signed, "utf8").digest("base64")}`;
  });
  return signatures.join(" ");
}
