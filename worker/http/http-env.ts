import type { Context } from "hono";
import type { Config } from "../env.ts";

/** What middleware leaves for handlers. */
export interface HttpEnv {
  Bindings: Env;
  Variables: {
    /** On every answer as `X-Request-Id`, and in every problem. */
    requestId: string;
    /** Set before any handler but health's. */
    config: Config;
  };
}

export type HttpContext = Context<HttpEnv>;

/** Scheme and host as the client spoke to us; links and problem types start with it. */
export function originOf(c: HttpContext): string {
  const { url } = c.req;
  return url.slice(0, url.indexOf("/", url.indexOf("//") + 2));
}
