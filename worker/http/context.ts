import type { Context } from "hono";
import { type Config, configOf } from "../env.ts";
import { HOPS_HEADER } from "../webhooks/send.ts";

/** What middleware leaves for handlers. */
export interface HttpEnv {
  Bindings: Env;
  Variables: {
    /** On every answer as `X-Request-Id`, and in every problem. */
    requestId: string;
    /** Set for every route but health. */
    config: Config;
    /** True when the operator submits for a client: the operator's log then has each job. */
    isOperatorsSubmission?: boolean;
  };
}

export type HttpContext = Context<HttpEnv>;

/** Scheme and host that the request came to: what a page's origin and a cookie are judged by. */
export function requestOrigin(c: HttpContext): string {
  const { url } = c.req;
  return url.slice(0, url.indexOf("/", url.indexOf("//") + 2));
}

/** What links and problem types start with: `PUBLIC_ORIGIN`, or the origin that the request came to. */
export function originOf(c: HttpContext): string {
  const read = configOf(c.env);
  return (read.ok ? read.config.publicOrigin : null) ?? requestOrigin(c);
}

/** Far above what is refused; a larger count is taken for this one. */
const MOST_COUNTED_HOPS = 9999;

/** How many Darkrooms' webhooks led to the request: of several headers the largest count. What is no such number counts for none. */
export function hopsOf(c: Context<HttpEnv>): number {
  const given = c.req.header(HOPS_HEADER) ?? "";
  const counts = given.split(",").map((part) => part.trim());
  return Math.max(0, ...counts.map((count) => (/^\d+$/.test(count) ? Math.min(Number(count), MOST_COUNTED_HOPS) : 0)));
}

/** Whether the request asks for a WebSocket. */
export function isUpgrade(c: HttpContext): boolean {
  return c.req.method === "GET" && c.req.header("upgrade")?.toLowerCase() === "websocket";
}
