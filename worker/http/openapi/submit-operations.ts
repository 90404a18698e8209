import type { ZodOpenApiOperationObject, ZodOpenApiPathsObject } from "zod-openapi";
import { Job } from "../../../schemas/job.ts";
import { paths } from "../../../schemas/paths.ts";
import type { ProblemCode } from "../../../schemas/problem.ts";
import { JOB_HEADERS, json, WRITE } from "./answers.ts";
import * as examples from "./examples.ts";
import * as parameters from "./parameters.ts";
import { problemAnswers } from "./problem-answers.ts";
import { ReferenceBody, ReferenceForm, TextBody } from "./submit-bodies.ts";

const SUBMIT_HEADERS = ["Location", "Idempotency-Replayed", ...JOB_HEADERS] as const;

/** From the 202 on: where its id leads. */
const LINKS = {
  status: { operationId: "getJob", parameters: { id: "$response.body#/id" } },
  cancel: { operationId: "cancelJob", parameters: { id: "$response.body#/id" } },
  watch: { operationId: "watchJob", parameters: { id: "$response.body#/id" } },
};

const SUBMIT_PROBLEMS: readonly ProblemCode[] = [
  ...WRITE,
  "invalid_request",
  "malformed_json",
  "malformed_body",
  "invalid_idempotency_key",
  "not_acceptable",
  "job_gone",
  "body_too_large",
  "unsupported_media_type",
  "idempotency_key_reused",
  "too_many_pending_jobs",
  "rate_limited",
];

function submit(
  operation: Pick<ZodOpenApiOperationObject, "operationId" | "summary" | "requestBody">,
  ...more: ProblemCode[]
) {
  return {
    post: {
      tags: ["Submit"],
      description: "The answer is sent only once the job is stored: what got a 202 is never lost.",
      ...operation,
      requestParams: { header: parameters.submitHeaders, query: parameters.clientQuery },
      responses: {
        "200": json("Done: within `Prefer: wait`, or replayed.", Job, examples.succeededJob, SUBMIT_HEADERS),
        "202": { ...json("The job is stored and waits.", Job, examples.queuedJob, SUBMIT_HEADERS), links: LINKS },
        ...problemAnswers(...SUBMIT_PROBLEMS, ...more),
      },
    },
  };
}

const textBodies = { flat: { value: examples.textSubmit }, vendor: { value: examples.vendorSubmit } };
const referenceBodies = { flat: { value: examples.referenceSubmit }, snake: { value: examples.snakeReferenceSubmit } };

/** Both workflows. */
export const SUBMIT_OPERATIONS: ZodOpenApiPathsObject = {
  [paths.workflow("image-from-text")]: submit({
    operationId: "submitImageFromText",
    summary: "An image from a text",
    requestBody: { required: true, content: { "application/json": { schema: TextBody, examples: textBodies } } },
  }),
  [paths.workflow("image-from-reference")]: submit(
    {
      operationId: "submitImageFromReference",
      summary: "An image from reference images and a text",
      requestBody: {
        required: true,
        content: {
          "application/json": { schema: ReferenceBody, examples: referenceBodies },
          "multipart/form-data": { schema: ReferenceForm },
        },
      },
    },
    "image_too_large",
    "upload_timed_out",
  ),
};
