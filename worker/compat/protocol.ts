import { Hono } from "hono";
import { PROBLEMS } from "../../schemas/problem.ts";
import type { ModelFacts } from "../dashscope/models.ts";
import { commonAnswers, ProblemError, problemOf } from "../http/answers.ts";
import type { HttpContext, HttpEnv } from "../http/context.ts";
import { DEFAULT_MODEL_ALIASES } from "../http/core/submit-fields.ts";
import { allowedMethods, configured, crossOrigin, requestBounds } from "../http/frame.ts";

/** A compatible API: its routes, and the form of its errors. */
interface Protocol {
  readonly routes: Hono<HttpEnv>;
  refuse(c: HttpContext, problem: ProblemError): Response;
}

/** An unknown model. Both protocols have their own status and code for it. */
export class ModelNotFound extends ProblemError {
  constructor(name: string, known: readonly string[]) {
    super("invalid_request", `The model ${name.slice(0, 100)} does not exist. Known are ${known.join(", ")}.`, {
      errors: [{ path: "/model", message: "does not exist" }],
    });
  }
}

/** Turns whatever was thrown into a problem whose answer also has these headers. */
export function withHeaders(c: HttpContext, error: unknown, headers: Readonly<Record<string, string>>): ProblemError {
  const problem = problemOf(c, error instanceof Error ? error : new Error(String(error)));
  if (problem instanceof ModelNotFound || Object.keys(headers).length === 0) return problem;
  return new ProblemError(problem.code, problem.message, {
    ...problem.extras,
    headers: { ...problem.extras.headers, ...headers },
  });
}

/** The HTTP status of a problem. */
export function statusOf(problem: ProblemError): number {
  return problem instanceof ModelNotFound ? 404 : PROBLEMS[problem.code][0];
}

/** The facts of a model that a client names; null for a name that means the default model. */
export function modelNamed(c: HttpContext, name: string): ModelFacts | null {
  if (DEFAULT_MODEL_ALIASES.has(name)) return null;
  const { modelTable } = c.get("config");
  const facts = modelTable.facts(name) ?? modelTable.facts(name.replace(/-latest$/, ""));
  if (facts === null) throw new ModelNotFound(name, modelTable.names);
  return facts;
}

/** A compatible API as its own app. Every answer has its protocol's shape, even where no route matches. */
export function protocolApp({ routes, refuse }: Protocol): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>({ strict: false });
  const allowed = (path: string) => knownPaths(path.replace(/(?<=.)\/+$/, ""));
  app.onError((error, c) => refuse(c, problemOf(c, error)));
  app.notFound((c) => {
    const { method, path } = c.req;
    const methods = allowed(path);
    if (methods === null) return refuse(c, new ProblemError("not_found", `There is nothing at ${method} ${path}.`));
    const headers = { Allow: methods.join(", ") };
    if (method === "OPTIONS") return new Response(null, { status: 204, headers });
    const detail = `${method} is not for ${path}; ${headers.Allow} are.`;
    return refuse(c, new ProblemError("method_not_allowed", detail, { headers }));
  });
  app.use(commonAnswers);
  app.use(requestBounds);
  app.use(crossOrigin(allowed));
  app.use(configured);
  app.route("/", routes);
  const knownPaths = allowedMethods(app.routes);
  return app;
}
