/** Result links as OSS signs them (its v1 scheme): any change breaks them. Pure. */
import { createHmac, timingSafeEqual } from "node:crypto";

/** No secret: the emulator protects nothing. Fixed, so that links outlive a restart. */
const KEY_ID = "LTAI5tEmulatorEmulator00";
const KEY = "darkroom-emulator";
const BUCKET = "dashscope-result-emulator";
/** Below the server's root. */
export const RESULTS_PREFIX = "/results";

function signatureOf(path: string, expiresSeconds: number): string {
  return createHmac("sha1", KEY).update(`GET\n\n\n${expiresSeconds}\n/${BUCKET}${path}`).digest("base64");
}

/** The address of a result under `origin`; opens until `expiresAtMs`, rounded down to a second as OSS does. */
export function resultLink(origin: string, path: string, expiresAtMs: number): string {
  const expires = Math.floor(expiresAtMs / 1000);
  const query = new URLSearchParams({
    Expires: String(expires),
    OSSAccessKeyId: KEY_ID,
    Signature: signatureOf(path, expires),
  });
  return `${origin}${RESULTS_PREFIX}${path}?${query}`;
}

export type LinkVerdict = "open" | "expired" | "tampered" | "unsigned";

/** Whether a link opens now. */
export function judgeLink(path: string, query: URLSearchParams, nowMs: number): LinkVerdict {
  const [expires, keyId, signature] = ["Expires", "OSSAccessKeyId", "Signature"].map((name) => query.get(name));
  if (expires == null || keyId == null || signature == null) return "unsigned";
  const expected = Buffer.from(signatureOf(path, Number(expires)));
  const given = Buffer.from(signature);
  if (keyId !== KEY_ID || given.length !== expected.length || !timingSafeEqual(given, expected)) return "tampered";
  return Number(expires) * 1000 < nowMs ? "expired" : "open";
}

/** OSS's error document. */
export function ossError(code: string, message: string, requestId: string, extra: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error>\n  <Code>${code}</Code>\n  <Message>${message}</Message>\n  <RequestId>${requestId}</RequestId>\n  <HostId>${BUCKET}.localhost</HostId>\n${extra}</Error>\n`;
}
