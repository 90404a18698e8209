import { parse, serialize } from "hono/utils/cookie";
import { z } from "zod";
import { type Config, isLoopback } from "../env.ts";
import { sign, verify } from "./signing-keys.ts";
import { markOf, stillOwns, type TokenOwner } from "./tokens.ts";

/** A week: long enough for a browser at work. A session ends earlier when its token or the signing secret is removed. */
export const SESSION_MS = 7 * 86_400_000;

/** The session's cookie. `__Host-` binds it to this host alone, and needs https. */
export const SESSION_COOKIE = "__Host-darkroom";
/** The name on localhost, where there is no https. */
const LOCAL_NAME = "darkroom";

/** `c`: the client, null for the operator; `t`: the mark of its token; `e`: the end, in epoch seconds. */
const Payload = z.object({ c: z.string().nullable(), t: z.string(), e: z.int() });

/** A session's owner, as read from the cookie. */
export interface SessionOwner {
  /** Null for the operator. */
  readonly client: string | null;
  readonly endsAtMs: number;
}

/** True for every host but localhost: a browser that came without https then drops the cookie, and never sends it in the clear. */
function isSecure(origin: string): boolean {
  const { protocol, hostname } = new URL(origin);
  return protocol === "https:" || !isLoopback(hostname);
}

const cookieName = (origin: string): string => (isSecure(origin) ? SESSION_COOKIE : LOCAL_NAME);

function cookie(origin: string, value: string, maxAge: number): string {
  const secure = isSecure(origin);
  return serialize(cookieName(origin), value, { path: "/", httpOnly: true, sameSite: "Strict", maxAge, secure });
}

/** A `Set-Cookie` value that replaces the token until its end; null without a signing secret. The first signing secret signs it. */
export function openSession(
  config: Pick<Config, "signingSecrets">,
  owner: TokenOwner,
  origin: string,
  nowMs: number,
): { readonly setCookie: string; readonly endsAtMs: number } | null {
  const [secret] = config.signingSecrets;
  if (secret === undefined) return null;
  const end = Math.floor((nowMs + SESSION_MS) / 1000);
  const payload = { c: owner.role === "operator" ? null : owner.client, t: markOf(owner.tokenHash), e: end };
  const text = Buffer.from(JSON.stringify(payload)).toString("base64url");
  const value = `${text}.${sign(secret, "session", text)}`;
  return { setCookie: cookie(origin, value, SESSION_MS / 1000), endsAtMs: end * 1000 };
}

/** A `Set-Cookie` value that ends the session in this browser. */
export function closeSession(origin: string): string {
  return cookie(origin, "", 0);
}

/** Whose session the `Cookie` header carries; null when there is none, or it is forged or expired, or its token was removed. */
export function readSession(
  config: Pick<Config, "signingSecrets" | "clientTokens" | "adminTokenSha256">,
  cookieHeader: string | undefined,
  origin: string,
  nowMs: number,
): SessionOwner | null {
  const name = cookieName(origin);
  const [text, signature] = parse(cookieHeader ?? "", name)[name]?.split(".") ?? [];
  if (text === undefined || signature === undefined) return null;
  if (!verify(config.signingSecrets, "session", text, signature)) return null;
  const payload = Payload.parse(JSON.parse(Buffer.from(text, "base64url").toString()));
  if (nowMs >= payload.e * 1000 || !stillOwns(config, payload.c, payload.t)) return null;
  return { client: payload.c, endsAtMs: payload.e * 1000 };
}
