import type { MiddlewareHandler } from "hono";
import { isTrustedOrigin, sharesWithOrigins } from "../auth/authenticate.ts";
import { configOf } from "../env.ts";
import { type HttpEnv, requestOrigin } from "./context.ts";

/** The request headers that a browser's script may send, beside the always allowed ones. */
const ALLOW_HEADERS =
  "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, If-Range, Last-Event-ID, Prefer, Range, Traceparent, Tracestate, X-Request-Id";
/** Headers that clients of the compatible APIs and of MCP add on their own, by the start of their names. */
const ALLOW_PREFIXED = /^(x-stainless|x-dashscope|openai|mcp)-[a-z0-9-]{1,40}$/i;
/** The answer headers that a script may read, beside the always allowed ones. */
const EXPOSE_HEADERS =
  "Accept-Ranges, Allow, Content-Disposition, Content-Length, Content-Range, ETag, Idempotency-Replayed, Link, Location, Preference-Applied, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Darkroom-Ignored, X-Darkroom-Job, X-Request-Id, X-Should-Retry";
const MAX_PREFIXED = 30;
/** How long a browser may cache a preflight's answer; browsers cap it at 2 h or less. */
const PREFLIGHT_SECONDS = "7200";

/**
 * CORS for trusted origins only (`isTrustedOrigin`); for no origin while a setting is missing or wrong. A preflight is
 * answered before authentication, because it carries no credentials.
 */
export function crossOrigin(allowed: (path: string) => readonly string[] | null): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    const read = configOf(c.env);
    if (!read.ok) return next();
    const { config } = read;
    const origin = c.req.header("origin");
    const isTrusted = origin !== undefined && isTrustedOrigin(config, requestOrigin(c), origin);
    const isPreflight = c.req.method === "OPTIONS" && c.req.header("access-control-request-method") !== undefined;
    const methods = isPreflight ? allowed(c.req.path) : null;
    if (methods !== null) {
      c.res = new Response(null, { status: 204, headers: { Allow: methods.join(", ") } });
      if (isTrusted) {
        c.res.headers.set("Access-Control-Allow-Methods", methods.filter((method) => method !== "OPTIONS").join(", "));
        const asked = (c.req.header("access-control-request-headers") ?? "").split(",").map((name) => name.trim());
        const prefixed = asked.filter((name) => ALLOW_PREFIXED.test(name)).slice(0, MAX_PREFIXED);
        c.res.headers.set("Access-Control-Allow-Headers", [ALLOW_HEADERS, ...prefixed].join(", "));
        c.res.headers.set("Access-Control-Max-Age", PREFLIGHT_SECONDS);
      }
    } else await next();
    if (sharesWithOrigins(config)) c.res.headers.append("Vary", "Origin");
    if (!isTrusted) return;
    c.res.headers.set("Access-Control-Allow-Origin", origin);
    c.res.headers.set("Access-Control-Allow-Credentials", "true");
    c.res.headers.set("Access-Control-Expose-Headers", EXPOSE_HEADERS);
  };
}
