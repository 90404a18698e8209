import { createHash, randomBytes } from "node:crypto";
import type { Secret } from "./marks.ts";

const random = (bytes: number) => randomBytes(bytes).toString("base64url");
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

export type MarkedSecrets = ReturnType<typeof markedSecrets>;

/** Every secret of the Worker, each with a unique random value. */
export function markedSecrets() {
  const tokens = { app: `dr_${random(32)}`, appRotated: `dr_${random(32)}`, other: `dr_${random(32)}` };
  const admin = `dr_${random(32)}`;
  // With characters that addresses, JSON, HTML and base64 each encode differently.
  const apiKey = `sk-${random(12)}+/=&<>"%${random(12)}`;
  const signing = `${random(12)}/"+<&'>=\\${random(15)}`.replaceAll("'", "~");
  const signingOld = random(36);
  const clientTokens = JSON.stringify({
    app: [sha256(tokens.app), sha256(tokens.appRotated)],
    other: sha256(tokens.other),
  });
  const secrets: Secret[] = [
    { name: "QWEN_API_KEY", text: apiKey },
    { name: "SIGNING_SECRET", text: signing },
    { name: "SIGNING_SECRET_OLD", text: signingOld },
    { name: "the operator's token", text: admin },
    { name: "ADMIN_TOKEN_SHA256", text: sha256(admin) },
    ...Object.entries(tokens).flatMap(([name, text]) => [
      { name: `the token of ${name}`, text },
      { name: `CLIENT_TOKENS, ${name}`, text: sha256(text) },
    ]),
  ];
  const vars: Readonly<Record<string, string>> = {
    AUTH_MODE: "token",
    QWEN_API_KEY: apiKey,
    CLIENT_TOKENS: clientTokens,
    ADMIN_TOKEN_SHA256: sha256(admin),
    SIGNING_SECRET: signing,
    SIGNING_SECRET_OLD: signingOld,
  };
  return { apiKey, tokens, admin, signing, signingOld, secrets, vars };
}

/** The same secrets, each set in a wrong way that people use and the Worker refuses. */
export function misplaced({
  apiKey,
  tokens,
  admin,
  signing,
  signingOld,
}: MarkedSecrets): Readonly<Record<string, string>> {
  return {
    AUTH_MODE: "token",
    QWEN_API_KEY: `${apiKey} `.repeat(2),
    QWEN_BASE_URL: `https://user:${encodeURIComponent(signing)}@example.com`,
    CLIENT_TOKENS: JSON.stringify({ [tokens.app]: "app", other: tokens.other, third: [tokens.appRotated] }),
    ADMIN_TOKEN_SHA256: admin,
    SIGNING_SECRET: signing.slice(0, 15),
    SIGNING_SECRET_OLD: signingOld.slice(0, 15),
    LANE_LIMITS: `{"${tokens.app}": 1}`,
    ALLOWED_ORIGINS: tokens.other,
    QWEN_IMAGE_MODEL: tokens.other,
  };
}

/** Models by the use of their lanes: shared by jobs that do not block them, with tasks, and one for each job that blocks its lane. */
export const LANES = {
  shared: ["qwen-image-max", "qwen-image-2.0", "qwen-image-2.0-pro", "qwen-image-2.1-pro", "z-image-turbo"],
  tasks: "qwen-image-plus",
  blocked: ["qwen-image", "qwen-image-3.0", "qwen-image-3.0-pro", "wan2.6-t2i", "wan2.5-t2i-preview", "wan2.7-image"],
  edits: "qwen-image-edit-max",
} as const;

/** A Worker that fails fast, and lanes that never make a job wait. */
export const QUICK_VARS: Readonly<Record<string, string>> = {
  QWEN_TIMEOUT_MS: "2500",
  LATE_ANSWER_MS: "4000",
  MAX_ATTEMPTS: "2",
  ALLOWED_ORIGINS: "https://app.example",
  LANE_LIMITS: JSON.stringify(
    Object.fromEntries(
      [...LANES.shared, ...LANES.blocked, LANES.tasks, LANES.edits].map((model) => [
        model,
        { starts: 1000, periodMs: 1000, inProgress: null },
      ]),
    ),
  ),
};
