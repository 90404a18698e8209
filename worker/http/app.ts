import { Hono } from "hono";
import { commonAnswers, errorAnswer, problemAnswer } from "./answers.ts";
import { BULK_ROUTES } from "./bulk.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import { docsRoutes } from "./docs.ts";
import { DOCTOR_ROUTES } from "./doctor.ts";
import { EVENT_ROUTES } from "./events.ts";
import { allowedMethods, configured, crossOrigin, requestBounds } from "./frame.ts";
import { IMAGE_ROUTES } from "./images.ts";
import { JOB_ROUTES } from "./jobs.ts";
import { HEALTH_ROUTES, LIMITS_ROUTES } from "./lanes.ts";
import { LIST_ROUTES } from "./list.ts";
import { OPERATE_ROUTES } from "./operate.ts";
import type { Route } from "./route.ts";
import { SESSION_ROUTES } from "./session.ts";
import { SUBMIT_ROUTES } from "./submit.ts";
import { USAGE_ROUTES } from "./usage.ts";
import { WEBHOOK_ROUTES } from "./webhooks.ts";

/** These answer without settings. */
const ALWAYS: readonly Route[] = [...HEALTH_ROUTES, ...DOCTOR_ROUTES];

const CONFIGURED: readonly Route[] = [
  ...SUBMIT_ROUTES,
  ...LIST_ROUTES,
  ...BULK_ROUTES,
  ...JOB_ROUTES,
  ...WEBHOOK_ROUTES,
  ...EVENT_ROUTES,
  ...IMAGE_ROUTES,
  ...LIMITS_ROUTES,
  ...USAGE_ROUTES,
  ...SESSION_ROUTES,
  ...OPERATE_ROUTES,
  ...docsRoutes(() => ROUTES),
];

/** Every route of the API. Where two match, the first is taken. */
export const ROUTES: readonly Route[] = [...ALWAYS, ...CONFIGURED];

const allowed = allowedMethods(ROUTES);

/** The answer where no route matches: 204 or 405 with `Allow` for a known path, 308 for one with trailing slashes, else 404. */
function unmatched(c: HttpContext): Response {
  const { path, method } = c.req;
  const methods = allowed(path);
  if (methods !== null) {
    const headers = { Allow: methods.join(", ") };
    if (method === "OPTIONS") return new Response(null, { status: 204, headers });
    return problemAnswer(c, "method_not_allowed", `${method} is not for ${path}; ${headers.Allow} are.`, { headers });
  }
  const trimmed = path.replace(/\/+$/, "");
  if (trimmed !== path && allowed(trimmed) !== null) {
    // The raw path: `path` is decoded, and may hold characters that no header can.
    const { pathname, search } = new URL(c.req.url);
    return new Response(null, { status: 308, headers: { Location: `${pathname.replace(/\/+$/, "")}${search}` } });
  }
  return problemAnswer(c, "not_found", `There is nothing at ${path}. Every route is listed at /api/docs.`);
}

/** The API, built once for each isolate. A request passes the `use` handlers in their order. */
export const app = new Hono<HttpEnv>();

app.onError((error, c) => errorAnswer(c, error));
app.notFound(unmatched);
app.use(commonAnswers);
app.use(requestBounds);
app.use(crossOrigin(allowed));
for (const { method, path, handle } of ALWAYS) app.on(method, path, handle);
app.use(configured);
for (const { method, path, handle } of CONFIGURED) app.on(method, path, handle);
