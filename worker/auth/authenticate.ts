import { type Config, isLoopback } from "../env.ts";
import { readSession } from "./session.ts";
import { ownerOf } from "./tokens.ts";

/** The one client of open mode. */
export const OPEN_CLIENT = "local";

/** Who asks. A session or open mode alone proves nothing about the page that asks, so the `Origin` is checked then. */
export type Asker =
  | { readonly role: "client"; readonly client: string; readonly via: "token" | "session" | "open" }
  /** From inside the Worker, or over a service binding. `byOperator`: the operator acts for this client, and it is logged. */
  | { readonly role: "client"; readonly client: string; readonly via: "binding"; readonly byOperator: boolean }
  | { readonly role: "operator"; readonly via: "token" | "session" };

export type AuthRefusal =
  | { readonly ok: false; readonly code: "unauthorized"; readonly given: "nothing" | "bad_token" | "bad_scheme" }
  | { readonly ok: false; readonly code: "forbidden_origin" }
  | { readonly ok: false; readonly code: "open_mode_refused" };

/** What of a request says who asks. */
export interface AskerRequest {
  readonly authorization: string | undefined;
  readonly cookie: string | undefined;
  /** The `Origin` header; browsers send it with every write and every upgrade. */
  readonly browserOrigin: string | undefined;
  /** Scheme and host that the request came to. */
  readonly ownOrigin: string;
  /** It changes something, or opens a socket: what another site's page must not make a browser do. */
  readonly needsOrigin: boolean;
}

type OriginSettings = Pick<Config, "allowedOrigins" | "publicOrigin" | "authMode">;

/** This service's own pages and those of `ALLOWED_ORIGINS`; in open mode every page that this machine serves, too. */
export function isTrustedOrigin(config: OriginSettings, ownOrigin: string, origin: string): boolean {
  if (origin === ownOrigin || origin === config.publicOrigin || config.allowedOrigins.includes(origin)) return true;
  const hostname = config.authMode === "open" ? URL.parse(origin)?.hostname : undefined;
  return hostname !== undefined && isLoopback(hostname);
}

/** Whether pages of other origins than our own may read answers. */
export function sharesWithOrigins(config: OriginSettings): boolean {
  return config.allowedOrigins.length > 0 || config.authMode === "open";
}

/** Open mode serves this machine, and a public host name only when the settings say twice that it is meant. */
export function isOpenModeAllowed(config: Pick<Config, "publicOpenModeAllowed">, ownOrigin: string): boolean {
  return config.publicOpenModeAllowed || isLoopback(new URL(ownOrigin).hostname);
}

/** Who asks, or why that is nobody. A bearer token goes before a cookie. Pure but for hashing. */
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
