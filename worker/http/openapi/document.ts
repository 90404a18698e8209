import { z } from "zod";
import type { ZodOpenApiPathsObject } from "zod-openapi";
import { createDocument } from "zod-openapi";
import { JobId } from "../../../schemas/job.ts";
import { type Route, SECURITY_SCHEMES, type Tag } from "../route.ts";
import { exampleComponents, problemAnswers } from "./answers.ts";

export type OpenApiDocument = ReturnType<typeof createDocument>;

const DESCRIPTION = [
  "A durable job queue for long image generations: submit in milliseconds, poll or watch, keep the image.",
  "JSON is camelCase, times are ISO 8601 in UTC. Answers are indented unless `Accept` asks for application/json.",
  "Errors are RFC 9457 problems; decide on `code`, never on `detail`. Every answer carries `X-Request-Id`.",
].join("\n\n");

/** The version in health and in the document. A test compares it with package.json. */
export const VERSION = "0.1.0";

const TAGS: readonly { readonly name: Tag; readonly description: string }[] = [
  { name: "Submit", description: "Ask for an image." },
  { name: "Jobs", description: "Read, cancel, retry and remove what was submitted." },
  { name: "Watch", description: "Get every change as it happens." },
  { name: "Webhooks", description: "Be notified when a job ends." },
  { name: "Operate", description: "For the operator: what is wrong, and what to do about it." },
  { name: "Service", description: "Limits, health, sessions, this document." },
];

/** The parameters of paths. */
const PATH_PARAMETERS: Readonly<Record<string, z.ZodType>> = {
  id: JobId,
  index: z.int().min(0).meta({ description: "From 0." }),
  client: z.string().meta({ description: "A client's name in `CLIENT_TOKENS`." }),
  model: z.string().meta({ description: "Whose lane: a name that `GET /api/limits` has." }),
  number: z.int().min(1).meta({ description: "The `number` of a delivery." }),
};

/** Hono's `:id` is OpenAPI's `{id}`. */
const documentedPath = (path: string) => path.replace(/:(\w+)/g, "{$1}");

function pathParameters(path: string): z.ZodObject {
  const names = [...path.matchAll(/:(\w+)/g)].map(([, name]) => name ?? "");
  return z.object(Object.fromEntries(names.map((name) => [name, PATH_PARAMETERS[name] ?? z.string()])));
}

function pathsOf(routes: readonly Route[]): ZodOpenApiPathsObject {
  const paths: ZodOpenApiPathsObject = {};
  for (const { method, path, operation, query, headers, answers, problems } of routes) {
    const key = documentedPath(path);
    paths[key] = {
      ...paths[key],
      [method.toLowerCase()]: {
        ...operation,
        requestParams: {
          path: pathParameters(path),
          query: z.object(Object.fromEntries(Object.entries(query).map(([name, { schema }]) => [name, schema]))),
          ...(headers === null ? {} : { header: headers }),
        },
        // An answer that a route declares replaces the problem of the same status.
        responses: { ...problemAnswers(problems), ...answers },
      },
    };
  }
  return paths;
}

/** The OpenAPI 3.1 document of the routes, made from their declarations and the contract's schemas. */
export function openApiDocument(routes: readonly Route[]): OpenApiDocument {
  return createDocument({
    openapi: "3.1.1",
    info: {
      title: "Darkroom",
      version: VERSION,
      description: DESCRIPTION,
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/", description: "The service that serves this document." }],
    tags: [...TAGS],
    security: [{ bearer: [] }, { session: [] }],
    components: { securitySchemes: SECURITY_SCHEMES, examples: exampleComponents() },
    paths: pathsOf(routes),
  });
}
