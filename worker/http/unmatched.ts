import type { HttpContext } from "./http-env.ts";
import { problemAnswer } from "./problem.ts";

/**
 * What no handler took: OPTIONS and 405 with `Allow` for a known path, 308 for a known path with a slash too many, else 404.
 */
export function unmatchedAnswer(c: HttpContext, allowed: (path: string) => readonly string[] | null): Response {
  const { path, method } = c.req;
  const methods = allowed(path);
  if (methods !== null) {
    const headers = { Allow: methods.join(", ") };
    if (method === "OPTIONS") return new Response(null, { status: 204, headers });
    return problemAnswer(c, "method_not_allowed", `${method} is not for ${path}; ${headers.Allow} are.`, { headers });
  }
  const trimmed = path.replace(/\/+$/, "");
  if (trimmed !== path && allowed(trimmed) !== null) {
    // As it came: `path` is decoded, and may hold what no header can.
    const { pathname, search } = new URL(c.req.url);
    return new Response(null, { status: 308, headers: { Location: `${pathname.replace(/\/+$/, "")}${search}` } });
  }
  return problemAnswer(c, "not_found", `There is nothing at ${path}. Every route is listed at /api/docs.`);
}
