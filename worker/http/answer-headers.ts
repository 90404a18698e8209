import type { MiddlewareHandler } from "hono";
import type { HttpContext, HttpEnv } from "./http-env.ts";

/** A client's own id is taken when it is harmless in a log and a header. */
const SANE_REQUEST_ID = /^[A-Za-z0-9][A-Za-z0-9._=+/@:-]{0,127}$/;

const SECURITY_HEADERS = {
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "X-Frame-Options": "DENY",
  "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Cache-Control": "no-store",
} as const;

/** What no handler sets, nor what answers through one. */
const OURS_ALONE: ReadonlySet<string> = new Set(["X-Request-Id", "Date"]);

let dated = { second: 0, text: "" };

/** Now, as a Date header says it: written once a second, not for each answer. */
function httpDate(): string {
  const second = Math.floor(Date.now() / 1000);
  if (dated.second !== second) dated = { second, text: new Date(second * 1000).toUTCString() };
  return dated.text;
}

/** What every answer carries, for one to be made with: setting each on an answer that is made is a call into the runtime. */
export function headersOfEveryAnswer(c: HttpContext): Record<string, string> {
  return { "X-Request-Id": c.get("requestId"), Date: httpDate(), ...SECURITY_HEADERS };
}

/** RFC 9110 9.3.2: a HEAD tells the length that a GET would have; what the GET's handler made is measured and not sent. */
async function tellLength({ headers, body }: Response): Promise<void> {
  if (body === null || headers.has("Content-Length")) return;
  headers.set("Content-Length", String((await new Response(body).arrayBuffer()).byteLength));
}

/** Outermost: what every answer carries. A handler that set one of these itself has its own reason. */
export const answerHeaders: MiddlewareHandler<HttpEnv> = async (c, next) => {
  const given = c.req.header("x-request-id");
  const requestId = given !== undefined && SANE_REQUEST_ID.test(given) ? given : crypto.randomUUID();
  c.set("requestId", requestId);
  await next();
  const { headers } = c.res;
  // Only one that was made with all of them has its id by now.
  if (headers.get("X-Request-Id") !== requestId) {
    const made = Object.entries(headersOfEveryAnswer(c));
    for (const [name, value] of made) if (OURS_ALONE.has(name) || !headers.has(name)) headers.set(name, value);
  }
  if (c.req.method === "HEAD") await tellLength(c.res);
};
