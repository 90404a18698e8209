import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";

/** What a key may sign; a signature for one purpose is worth nothing for another. */
export type SigningPurpose = "image link" | "events link" | "session";

const derived = new Map<string, Uint8Array>();

/** One key per secret and purpose (HKDF-SHA256). Kept: a Worker has two secrets at most. */
function keyOf(secret: string, purpose: SigningPurpose): Uint8Array {
  const name = `${purpose}:${secret}`;
  const known = derived.get(name);
  if (known !== undefined) return known;
  const key = new Uint8Array(hkdfSync("sha256", secret, "darkroom", `darkroom v1 ${purpose}`, 32));
  derived.set(name, key);
  return key;
}

/** HMAC-SHA256 in base64url. Synchronous, so that a frame is built and sent with nothing in between. */
export function sign(secret: string, purpose: SigningPurpose, text: string): string {
  return createHmac("sha256", keyOf(secret, purpose)).update(text).digest("base64url");
}

/** Whether any of the secrets signed `text` for this purpose; in the same time wherever the signature differs. */
export function verify(secrets: readonly string[], purpose: SigningPurpose, text: string, signature: string): boolean {
  const given = Buffer.from(signature, "base64url");
  let valid = false;
  for (const secret of secrets) {
    const expected = Buffer.from(sign(secret, purpose, text), "base64url");
    if (given.length === expected.length && timingSafeEqual(given, expected)) valid = true;
  }
  // base64url has several spellings of the same bytes; only the one we wrote is taken.
  return valid && given.toString("base64url") === signature;
}
