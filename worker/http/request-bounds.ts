import type { MiddlewareHandler } from "hono";
import type { HttpEnv } from "./http-env.ts";
import { ProblemError } from "./problem.ts";

/** Our longest address (a list with every filter and a cursor) is below 1 KB. */
export const MAX_URL_CHARS = 8 * 1024;
/** Browsers with many cookies of a shared domain send some KB; nobody needs this much. */
export const MAX_HEADER_CHARS = 32 * 1024;

/** Refuses what is so long that somebody must have meant something else. */
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
