/**
 * The object store (OSS, v1 signatures): signed links to results, signed policies for uploads, errors in XML. The key is no
 * secret, because the emulator protects nothing. It is fixed, so that links stay valid after a restart. Pure, except for the
 * ids of errors.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

const KEY_ID = "LTAI5tEmulatorEmulator00";
const KEY = "darkroom-emulator";
const BUCKET = "dashscope-result-emulator";
const UPLOAD_BUCKET = "dashscope-file-mgr";
/** Below the server's root. */
export const RESULTS_PREFIX = "/results";
export const UPLOADS_PREFIX = "/uploads-oss";

function hmac(text: string): string {
  return createHmac("sha1", KEY).update(text).digest("base64");
}

function isEqual(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function linkSignature(path: string, expiresSeconds: number): string {
  return hmac(`GET\n\n\n${expiresSeconds}\n/${BUCKET}${path}`);
}

/** The address of a result under `origin`, valid until `expiresAtMs`, rounded down to a second as OSS does. */
export function resultLink(origin: string, path: string, expiresAtMs: number): string {
  const expires = Math.floor(expiresAtMs / 1000);
  const query = new URLSearchParams({
    Expires: String(expires),
    OSSAccessKeyId: KEY_ID,
    Signature: linkSignature(path, expires),
  });
  return `${origin}${RESULTS_PREFIX}${path}?${query}`;
}

export type LinkVerdict = "open" | "expired" | "tampered" | "unsigned";

/** Whether a link is valid now. */
export function judgeLink(path: string, query: URLSearchParams, nowMs: number): LinkVerdict {
  const [expires, keyId, signature] = ["Expires", "OSSAccessKeyId", "Signature"].map((name) => query.get(name));
  if (expires == null || keyId == null || signature == null) return "unsigned";
  if (keyId !== KEY_ID || !isEqual(signature, linkSignature(path, Number(expires)))) return "tampered";
  return Number(expires) * 1000 < nowMs ? "expired" : "open";
}

/** OSS's request ids are 24 hex digits in capitals. */
export function ossRequestId(): string {
  return randomBytes(12).toString("hex").toUpperCase();
}

/** An error in OSS's form. `extra` is added to the document. */
export function ossError(status: number, code: string, message: string, extra = ""): Response {
  const requestId = ossRequestId();
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error>\n  <Code>${code}</Code>\n  <Message>${message}</Message>\n  <RequestId>${requestId}</RequestId>\n  <HostId>${BUCKET}.localhost</HostId>\n${extra}</Error>\n`;
  return new Response(body, {
    status,
    headers: { "content-type": "application/xml", server: "AliyunOSS", "x-oss-request-id": requestId },
  });
}

/** How long a policy is valid, and the largest file, as recorded. */
const POLICY_SECONDS = 300;
const MAX_FILE_MB = 1024;

/** The answer of `GET /uploads?action=getPolicy`: the permission to upload one file below `upload_dir`. */
export function uploadPolicy(origin: string, uploadDir: string, nowMs: number): object {
  const conditions = [
    ["content-length-range", 0, MAX_FILE_MB * 1024 * 1024],
    ["starts-with", "$key", uploadDir],
    { bucket: UPLOAD_BUCKET },
    { "x-oss-object-acl": "private" },
    { "x-oss-forbid-overwrite": "true" },
  ];
  const expiration = new Date(nowMs + POLICY_SECONDS * 1000).toISOString();
  const policy = Buffer.from(JSON.stringify({ expiration, conditions })).toString("base64");
  return {
    policy,
    signature: hmac(policy),
    upload_dir: uploadDir,
    upload_host: `${origin}${UPLOADS_PREFIX}`,
    expire_in_seconds: POLICY_SECONDS,
    max_file_size_mb: MAX_FILE_MB,
    capacity_limit_mb: 999_999_999,
    oss_access_key_id: KEY_ID,
    x_oss_object_acl: "private",
    x_oss_forbid_overwrite: "true",
  };
}

/** Why a form may not upload a file to `key`, as OSS's code and message; null when it may. */
export function uploadFault(
  form: Readonly<Record<string, string>>,
  nowMs: number,
): { readonly code: string; readonly message: string } | null {
  const { policy = "", Signature = "", OSSAccessKeyId = "", key = "" } = form;
  if (OSSAccessKeyId !== KEY_ID) {
    return { code: "InvalidAccessKeyId", message: "The OSS Access Key Id you provided does not exist in our records." };
  }
  if (!isEqual(Signature, hmac(policy))) {
    const message = "The request signature we calculated does not match the signature you provided.";
    return { code: "SignatureDoesNotMatch", message };
  }
  const { expiration, conditions } = JSON.parse(Buffer.from(policy, "base64").toString()) as {
    expiration: string;
    conditions: readonly unknown[][];
  };
  if (Date.parse(expiration) < nowMs) {
    return { code: "AccessDenied", message: "Invalid according to Policy: Policy expired." };
  }
  const dir = conditions.find((condition) => Array.isArray(condition) && condition[0] === "starts-with")?.[2];
  if (!key.startsWith(`${dir}/`)) {
    const message = 'Invalid according to Policy: Policy Condition failed: ["starts-with", "$key"]';
    return { code: "AccessDenied", message };
  }
  return null;
}
