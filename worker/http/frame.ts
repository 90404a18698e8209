/** The middleware that all APIs share, the native one and the compatible ones. */

import type { MiddlewareHandler } from "hono";
import { TrieRouter } from "hono/router/trie-router";
import { configOf } from "../env.ts";
import { ProblemError } from "./answers.ts";
import type { HttpEnv } from "./context.ts";

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
