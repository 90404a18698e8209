import { createDocument } from "zod-openapi";
import { VERSION } from "../version.ts";
import { JOB_OPERATIONS } from "./job-operations.ts";
import { SERVICE_OPERATIONS } from "./service-operations.ts";
import { SUBMIT_OPERATIONS } from "./submit-operations.ts";
import { WATCH_OPERATIONS } from "./watch-operations.ts";

export type OpenApiDocument = ReturnType<typeof createDocument>;

const DESCRIPTION = [
  "A durable job queue for long image generations: submit in milliseconds, poll or watch, keep the image.",
  "JSON is camelCase, times are ISO 8601 in UTC. Answers are indented unless `Accept` asks for application/json.",
  "Errors are RFC 9457 problems; decide on `code`, never on `detail`. Every answer carries `X-Request-Id`.",
].join("\n\n");

let made: OpenApiDocument | null = null;

/** The OpenAPI 3.1 document, generated from the contract's schemas; made once for each isolate, when first asked for. */
export function openApiDocument(): OpenApiDocument {
  made ??= createDocument({
    openapi: "3.1.1",
    info: {
      title: "Darkroom",
      version: VERSION,
      description: DESCRIPTION,
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/", description: "The service that serves this document." }],
    tags: [
      { name: "Submit", description: "Ask for an image." },
      { name: "Jobs", description: "Look at what was asked for, call it off, ask again, remove it." },
      { name: "Watch", description: "Be told of every change." },
      { name: "Operate", description: "For the operator: what is wrong, and what to do about it." },
      { name: "Service", description: "Limits, health, sessions, this document." },
    ],
    security: [{ bearer: [] }, { session: [] }],
    components: {
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", description: "A client's token, or the operator's." },
        session: { type: "apiKey", in: "cookie", name: "__Host-darkroom", description: "See `POST /api/session`." },
        signedLink: {
          type: "apiKey",
          in: "query",
          name: "signature",
          description: "Part of `links.events` and `output.images[].url`.",
        },
      },
    },
    paths: { ...SUBMIT_OPERATIONS, ...JOB_OPERATIONS, ...WATCH_OPERATIONS, ...SERVICE_OPERATIONS },
  });
  return made;
}
