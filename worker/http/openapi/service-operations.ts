import { z } from "zod";
import type { ZodOpenApiPathsObject } from "zod-openapi";
import { Diagnosis } from "../../../schemas/doctor.ts";
import { Health, Identity, Limits, Session } from "../../../schemas/limits.ts";
import { paths } from "../../../schemas/paths.ts";
import { AUTH, json, PUBLIC } from "./answers.ts";
import * as examples from "./examples.ts";
import { headers } from "./headers.ts";
import * as parameters from "./parameters.ts";
import { problemAnswers } from "./problem-answers.ts";

/** What is about the service and not about a job. */
export const SERVICE_OPERATIONS: ZodOpenApiPathsObject = {
  [paths.limits]: {
    get: {
      tags: ["Service"],
      operationId: "getLimits",
      summary: "The lanes now, and what every model takes",
      requestParams: { query: parameters.clientQuery },
      responses: { "200": json("The limits.", Limits, examples.limits), ...problemAnswers(...AUTH, "not_acceptable") },
    },
  },
  [paths.health]: {
    get: {
      tags: ["Service"],
      operationId: "getHealth",
      summary: "Whether all is well",
      ...PUBLIC,
      responses: {
        ...problemAnswers("invalid_query", "not_acceptable"),
        "200": json("`ok`, or `degraded` while a lane is blocked.", Health, examples.health),
        "503": json(
          "`misconfigured`: `problems` names the variable and what is wrong.",
          Health,
          examples.misconfiguredHealth,
        ),
      },
    },
  },
  [paths.doctor]: {
    get: {
      tags: ["Operate"],
      operationId: "getDiagnosis",
      summary: "What is wrong with the deployment, and how to mend it",
      description:
        "For the operator; as JSON or text/plain. Writes, reads and deletes an object in R2, calls an object of each kind, and asks upstream for a task that does not exist, which costs nothing. A key that is refused is shown to the other regions, to name the one it belongs to. While settings are wrong it answers anyone, with what health says.",
      responses: {
        "200": {
          ...json("Every check.", Diagnosis, examples.diagnosis),
          content: {
            "application/json": { schema: Diagnosis, example: examples.diagnosis },
            "text/plain": { schema: z.string() },
          },
        },
        ...problemAnswers(...AUTH, "operator_only", "not_acceptable"),
      },
    },
  },
  [paths.session]: {
    get: {
      tags: ["Service"],
      operationId: "getIdentity",
      summary: "Who asks",
      responses: {
        "200": json("The asker, by token or by session.", Identity, examples.identity),
        ...problemAnswers(...AUTH, "not_acceptable"),
      },
    },
    post: {
      tags: ["Service"],
      operationId: "openSession",
      summary: "Swaps a token for a cookie",
      description:
        "Send the token as `Authorization: Bearer`, or in the body. The session ends with its token, or with the signing secret.",
      security: [{ bearer: [] }, {}],
      requestBody: {
        required: false,
        content: { "application/json": { schema: z.strictObject({ token: z.string() }), example: { token: "dk_…" } } },
      },
      responses: {
        "200": json("The session.", Session, examples.session, ["Set-Cookie"]),
        ...problemAnswers(
          "unauthorized",
          "open_mode_refused",
          "forbidden_origin",
          "not_acceptable",
          "invalid_query",
          "invalid_request",
          "malformed_json",
          "unsupported_media_type",
          "body_too_large",
        ),
      },
    },
    delete: {
      tags: ["Service"],
      operationId: "closeSession",
      summary: "Ends the session in this browser",
      responses: {
        "204": { description: "Ended.", headers: headers("Set-Cookie") },
        ...problemAnswers("invalid_query", "forbidden_origin"),
      },
    },
  },
  [paths.openapi]: {
    get: {
      tags: ["Service"],
      operationId: "getOpenApi",
      summary: "This document",
      ...PUBLIC,
      responses: {
        "200": {
          description: "OpenAPI 3.1.",
          headers: headers(),
          content: { "application/json": { schema: z.looseObject({ openapi: z.string() }) } },
        },
        ...problemAnswers("invalid_query", "not_acceptable"),
      },
    },
  },
  [paths.docs]: {
    get: {
      tags: ["Service"],
      operationId: "getDocs",
      summary: "This document, for people",
      ...PUBLIC,
      responses: {
        "200": {
          description: "A page without scripts.",
          headers: headers(),
          content: { "text/html": { schema: z.string() } },
        },
        ...problemAnswers("invalid_query", "not_acceptable"),
      },
    },
  },
};
