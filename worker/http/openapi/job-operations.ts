import { z } from "zod";
import type { ZodOpenApiPathsObject } from "zod-openapi";
import { Job, JobCounts, JobList } from "../../../schemas/job.ts";
import { paths } from "../../../schemas/paths.ts";
import { AUTH, BY_LINK, ID, JOB_HEADERS, json, ONE_JOB, WRITE } from "./answers.ts";
import * as examples from "./examples.ts";
import { headers } from "./headers.ts";
import * as parameters from "./parameters.ts";
import { problemAnswers } from "./problem-answers.ts";

const changed = (description: string, example: Job) => json(description, Job, example, JOB_HEADERS);

/** Lists, jobs and their images. */
export const JOB_OPERATIONS: ZodOpenApiPathsObject = {
  [paths.jobs]: {
    get: {
      tags: ["Jobs"],
      operationId: "listJobs",
      summary: "The client's jobs, newest first",
      description:
        "Pages neither repeat nor leave out jobs while these move. The operator's list is everyone's, or that of `?client=`.",
      requestParams: { query: parameters.listQuery },
      responses: { "200": json("One page.", JobList, examples.jobList), ...problemAnswers(...AUTH, "not_acceptable") },
    },
  },
  [paths.jobCounts]: {
    get: {
      tags: ["Jobs"],
      operationId: "countJobs",
      summary: "How many jobs there are of each kind",
      description:
        "By status, model and metadata, for a form that shows filters with counts; each kind under all filters but its own. Takes the list's filters.",
      requestParams: { query: parameters.filterQuery },
      responses: {
        "200": json("The counts.", JobCounts, examples.jobCounts),
        ...problemAnswers(...AUTH, "not_acceptable"),
      },
    },
  },
  [paths.job(ID)]: {
    get: {
      tags: ["Jobs"],
      operationId: "getJob",
      summary: "One job, now or once it changes",
      description: "As JSON; as text/plain, a timeline for people; text/html leads to the page.",
      requestParams: { path: parameters.jobPath, query: parameters.clientQuery, header: parameters.readHeaders },
      responses: {
        "200": {
          ...json("The job.", Job, examples.succeededJob, JOB_HEADERS),
          content: {
            "application/json": { schema: Job, example: examples.succeededJob },
            "text/plain": { schema: z.string() },
          },
        },
        "303": { description: "To the page, for `Accept: text/html`.", headers: headers("Location") },
        "304": { description: "Unchanged since the version in `If-None-Match`.", headers: headers(...JOB_HEADERS) },
        ...problemAnswers(...AUTH, ...ONE_JOB, "precondition_failed", "not_acceptable"),
      },
    },
    delete: {
      tags: ["Jobs"],
      operationId: "deleteJob",
      summary: "Removes the job and its images",
      description: "Cancels it if needed. From then on everything about it is 410.",
      requestParams: { path: parameters.jobPath, query: parameters.clientQuery },
      responses: {
        "204": { description: "Removed.", headers: headers() },
        ...problemAnswers(...WRITE, ...ONE_JOB, "precondition_failed"),
      },
    },
  },
  [paths.jobCancel(ID)]: {
    post: {
      tags: ["Jobs"],
      operationId: "cancelJob",
      summary: "Calls the job off",
      description: "Works at once in every unfinished state; again, it gives the same answer.",
      requestParams: { path: parameters.jobPath, query: parameters.clientQuery },
      responses: {
        "200": changed("The job as it now is.", examples.canceledJob),
        ...problemAnswers(...WRITE, ...ONE_JOB, "precondition_failed", "job_finished", "not_acceptable"),
      },
    },
  },
  [paths.jobRetry(ID)]: {
    post: {
      tags: ["Jobs"],
      operationId: "retryJob",
      summary: "Queues a failed or canceled job again",
      requestParams: { path: parameters.jobPath, query: parameters.clientQuery },
      responses: {
        "200": changed("The job as it now is.", examples.queuedJob),
        ...problemAnswers(
          ...WRITE,
          ...ONE_JOB,
          "precondition_failed",
          "job_finished",
          "job_not_finished",
          "not_acceptable",
          "too_many_pending_jobs",
        ),
      },
    },
  },
  "/api/jobs/{id}/images/{index}": {
    get: {
      tags: ["Jobs"],
      operationId: "getImage",
      summary: "One stored image, or a smaller variant of it",
      description:
        "With ETag and ranges. The bytes never change. With `w`, `format` or `q` it is a variant: made of a PNG, JPEG or WebP when first asked for, kept beside the image and removed with it. A variant is upright whatever the original's Exif orientation, keeps its RGB colour profile and no other metadata; a JPEG's transparent parts are white. A signed link opens the variants too.",
      ...BY_LINK,
      requestParams: { path: parameters.imagePath, query: parameters.imageQuery },
      responses: {
        "200": {
          description: "The image.",
          headers: headers("ETag", "Content-Disposition", "Accept-Ranges"),
          content: { "image/*": {} },
        },
        "206": {
          description: "A part of it.",
          headers: headers("ETag", "Content-Disposition", "Accept-Ranges", "Content-Range"),
          content: { "image/*": {} },
        },
        "304": { description: "Unchanged.", headers: headers("ETag") },
        ...problemAnswers(
          ...AUTH,
          "invalid_link",
          ...ONE_JOB,
          "image_not_found",
          "precondition_failed",
          "range_not_satisfiable",
          "no_variant",
        ),
      },
    },
  },
};
