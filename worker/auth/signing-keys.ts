import { createHmac, createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from "node:crypto";

/** What a key may sign. A signature for one purpose is not valid for another. */
export type SigningPurpose = "image link" | "events link" | "share link" | "session" | "upload policy";

interface SigningKey {
  readonly key: KeyObject;
  /** Text → signature, so that a job that is polled is signed once and not at every poll. */
  readonly recent: Map<string, string>;
}

/** The most entries of `recent`: some hundred KB. */
const MAX_RECENT = 2048;

const keys = new Map<string, SigningKey>();

/** 32 bytes from a secret (HKDF-SHA256), different for each purpose and holder. For a key that its holder may see. */
export function derivedKey(secret: string, purpose: "webhook", holder: string): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, "darkroom", `darkroom v1 ${purpose} ${holder}`, 32));
}

/** The key of a secret and purpose (HKDF-SHA256). Keys are kept: a Worker has at most two secrets. */
function keyOf(secret: string, purpose: SigningPurpose): SigningKey {
  const name = `${purpose}:${secret}`;
  const known = keys.get(name);
  if (known !== undefined) return known;
  const bytes = new Uint8Array(hkdfSync("sha256", secret, "darkroom", `darkroom v1 ${purpose}`, 32));
  const made = { key: createSecretKey(bytes), recent: new Map<string, string>() };
  keys.set(name, made);
  return made;
}

function hmac(key: KeyObject, text: string): string {
  return createHmac("sha256", key).update(text).digest("base64url");
}

/** HMAC-SHA256 in base64url. Synchronous, so that a frame is built and sent without a pause. */
export function sign(secret: string, purpose: SigningPurpose, text: string): string {
  const { key, recent } = keyOf(secret, purpose);
  const known = recent.get(text);
  if (known !== undefined) return known;
  const signature = hmac(key, text);
  if (recent.size >= MAX_RECENT) recent.clear();
  recent.set(text, signature);
  return signature;
}

/** Whether any of the secrets signed `text` for this purpose. The time does not depend on where the signature differs. */
export function verify(secrets: readonly string[], purpose: SigningPurpose, text: string, signature: string): boolean {
  const given = Buffer.from(signature, "base64url");
  let valid = false;
  for (const secret of secrets) {
    const expected = Buffer.from(hmac(keyOf(secret, purpose).key, text), "base64url");
    if (given.length === expected.length && timingSafeEqual(given, expected)) valid = true;
  }
  // base64url has several spellings of the same bytes; only the one that `sign` writes is valid.
  return valid && given.toString("base64url") === signature;
}
