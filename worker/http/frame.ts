/** The middleware that all APIs share, the native one and the compatible ones. */

import type { MiddlewareHandler } from "hono";
import { TrieRouter } from "hono/router/trie-router";
import { isTrustedOrigin, sharesWithOrigins } from "../auth/authenticate.ts";
import { configOf } from "../env.ts";
import { ProblemError } from "./answers.ts";
import { type HttpEnv, requestOrigin } from "./context.ts";

/** Our longest address (a list with every filter and a cursor) is below 2 KB. */
const MAX_URL_CHARS = 8 * 1024;
/** Browsers with many cookies of a shared domain send some KB. */
const MAX_HEADER_CHARS = 32 * 1024;

/** Refuses addresses and headers that are longer than any real client sends. */
export const requestBounds: MiddlewareHandler<HttpEnv> = async (c, next) => {
  if (c.req.url.length > MAX_URL_CHARS) {
    throw new ProblemError("uri_too_long", `An address may have ${MAX_URL_CHARS} characters at most.`);
  }
  let chars = 0;
  c.req.raw.headers.forEach((value, name) => {
    chars += name.length + value.length;
  });
  if (chars > MAX_HEADER_CHARS) {
    throw new ProblemError("header_fields_too_large", `All headers together may have ${MAX_HEADER_CHARS} characters.`);
  }
  return next();
};

/** Sets the settings for handlers. While a variable is missing or wrong, every route after it answers 503. */
export const configured: MiddlewareHandler<HttpEnv> = async (c, next) => {
  const read = configOf(c.env);
  if (!read.ok) {
    const detail = read.errors.map((error) => `${error.path} ${error.message}`).join("; ");
    throw new ProblemError("misconfigured", detail, { errors: read.errors });
  }
  c.set("config", read.config);
  await next();
};

/**
 * The methods that a path takes, for 405, OPTIONS and a preflight; null for a path that no route has. A route for every
 * method (`ALL`) is middleware, and is not counted.
 */
export function allowedMethods(
  routes: readonly { readonly method: string; readonly path: string }[],
): (path: string) => readonly string[] | null {
  const methodsOf = new TrieRouter<string[]>();
  const own = routes.filter(({ method }) => method !== "ALL");
  for (const path of new Set(own.map((route) => route.path))) {
    const methods = own.filter((route) => route.path === path).map(({ method }) => method);
    methodsOf.add("ALL", path, [...methods, ...(methods.includes("GET") ? ["HEAD"] : []), "OPTIONS"]);
  }
  return (path) => {
    const [matched] = methodsOf.match("ALL", path);
    return matched.length === 0 ? null : [...new Set(matched.flatMap(([methods]) => methods))];
  };
}

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
