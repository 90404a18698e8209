import { type Config, isLoopback } from "../env.ts";
import { readSession } from "./session.ts";
import { ownerOf } from "./tokens.ts";

/** The one client of open mode. */
export const OPEN_CLIENT = "local";

/** The asker. A session or open mode proves nothing about the page that sends the request, so they need the `Origin` check too. */
export type Asker =
  | { readonly role: "client"; readonly client: string; readonly via: "token" | "session" | "open" }
  /**
   * The call comes from inside the Worker or over a service binding. `byOperator`: the operator acts for this client, which
   * is logged.
   */
  | { readonly role: "client"; readonly client: string; readonly via: "binding"; readonly byOperator: boolean }
  | { readonly role: "operator"; readonly via: "token" | "session" };

export type AuthRefusal =
  | { readonly ok: false; readonly code: "unauthorized"; readonly given: "nothing" | "bad_token" | "bad_scheme" }
  | { readonly ok: false; readonly code: "forbidden_origin" }
  | { readonly ok: false; readonly code: "open_mode_refused" };

/** The parts of a request that authenticate it. */
export interface AskerRequest {
  readonly authorization: string | undefined;
  readonly cookie: string | undefined;
  /** The `Origin` header; browsers send it with every write and every upgrade. */
  readonly browserOrigin: string | undefined;
  /** Scheme and host that the request came to. */
  readonly ownOrigin: string;
  /** The request changes something or opens a socket, which a page of another site must not make a browser do. */
  readonly needsOrigin: boolean;
}

type OriginSettings = Pick<Config, "allowedOrigins" | "publicOrigin" | "authMode">;

/**
 * Trusted are this service's own pages and those of `ALLOWED_ORIGINS`; in open mode also every page that this machine serves.
 */
export function isTrustedOrigin(config: OriginSettings, ownOrigin: string, origin: string): boolean {
  if (origin === ownOrigin || origin === config.publicOrigin || config.allowedOrigins.includes(origin)) return true;
  const hostname = config.authMode === "open" ? URL.parse(origin)?.hostname : undefined;
  return hostname !== undefined && isLoopback(hostname);
}

/** Whether pages of other origins than our own may read answers. */
export function sharesWithOrigins(config: OriginSettings): boolean {
  return config.allowedOrigins.length > 0 || config.authMode === "open";
}

/** Open mode serves this machine; a public host name only when `ALLOW_PUBLIC_OPEN_MODE` permits it as well. */
export function isOpenModeAllowed(config: Pick<Config, "publicOpenModeAllowed">, ownOrigin: string): boolean {
  return config.publicOpenModeAllowed || isLoopback(new URL(ownOrigin).hostname);
}

/** The asker, or why there is none. A bearer token goes before a cookie. Pure except for hashing. */
export function authenticate(
  config: Config,
  request: AskerRequest,
  nowMs: number,
): { readonly ok: true; readonly asker: Asker } | AuthRefusal {
  const { browserOrigin, ownOrigin, needsOrigin } = request;
  if (config.authMode === "open") {
    if (!isOpenModeAllowed(config, ownOrigin)) return { ok: false, code: "open_mode_refused" };
    // curl sends no Origin and may write; a page of another site always sends its own.
    if (needsOrigin && browserOrigin !== undefined && !isTrustedOrigin(config, ownOrigin, browserOrigin)) {
      return { ok: false, code: "forbidden_origin" };
    }
    return { ok: true, asker: { role: "client", client: OPEN_CLIENT, via: "open" } };
  }
  if (request.authorization !== undefined) {
    const token = /^bearer +(\S+)$/i.exec(request.authorization)?.[1];
    if (token === undefined) return { ok: false, code: "unauthorized", given: "bad_scheme" };
    const owner = ownerOf(config, token);
    if (owner === null) return { ok: false, code: "unauthorized", given: "bad_token" };
    return owner.role === "operator"
      ? { ok: true, asker: { role: "operator", via: "token" } }
      : { ok: true, asker: { role: "client", client: owner.client, via: "token" } };
  }
  const session = readSession(config, request.cookie, ownOrigin, nowMs);
  if (session === null) return { ok: false, code: "unauthorized", given: "nothing" };
  if (needsOrigin && (browserOrigin === undefined || !isTrustedOrigin(config, ownOrigin, browserOrigin))) {
    return { ok: false, code: "forbidden_origin" };
  }
  return session.client === null
    ? { ok: true, asker: { role: "operator", via: "session" } }
    : { ok: true, asker: { role: "client", client: session.client, via: "session" } };
}
