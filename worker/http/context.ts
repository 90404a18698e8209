import type { Context } from "hono";
import { type Config, configOf } from "../env.ts";
import { HOPS_HEADER } from "../webhooks/send.ts";

/** What the middleware sets for handlers. */
export interface HttpEnv {
  Bindings: Env;
  Variables: {
    /** Sent with every answer as `X-Request-Id`, and in every problem. */
    requestId: string;
    /** Set for every route but health. */
    config: Config;
    /** True when the operator submits for a client: each such job is then written into the operator's log. */
    isOperatorsSubmission?: boolean;
  };
}

export type HttpContext = Context<HttpEnv>;

/** Scheme and host that the request came to. A page's origin is compared with it, and a cookie's attributes follow from it. */
export function requestOrigin(c: HttpContext): string {
  const { url } = c.req;
  return url.slice(0, url.indexOf("/", url.indexOf("//") + 2));
}

/** What links and problem types start with: `PUBLIC_ORIGIN`, or the origin that the request came to. */
export function originOf(c: HttpContext): string {
  const read = configOf(c.env);
  return (read.ok ? read.config.publicOrigin : null) ?? requestOrigin(c);
}

/** Far above the count that is refused. A larger count is read as this one. */
const MOST_COUNTED_HOPS = 9999;

/**
 * How many Darkrooms' webhooks led to the request: the largest count when there are several headers. A text that is no such
 * number counts as 0.
 */
export function hopsOf(c: Context<HttpEnv>): number {
  const given = c.req.header(HOPS_HEADER) ?? "";
  const counts = given.split(",").map((part) => part.trim());
  return Math.max(0, ...counts.map((count) => (/^\d+$/.test(count) ? Math.min(Number(count), MOST_COUNTED_HOPS) : 0)));
}

/** Whether the request asks for a WebSocket. */
export function isUpgrade(c: HttpContext): boolean {
  return c.req.method === "GET" && c.req.header("upgrade")?.toLowerCase() === "websocket";
}
