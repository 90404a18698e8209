import type { ZodOpenApiPathsObject } from "zod-openapi";
import { EventPage, FeedFrame, JobFrame } from "../../../schemas/event.ts";
import { paths } from "../../../schemas/paths.ts";
import type { ProblemCode } from "../../../schemas/problem.ts";
import { AUTH, BY_LINK, ID, ONE_JOB } from "./answers.ts";
import * as examples from "./examples.ts";
import { headers } from "./headers.ts";
import * as parameters from "./parameters.ts";
import { problemAnswers } from "./problem-answers.ts";

const STREAM =
  "SSE: `event: job`, `id:` its number, `data:` the frame. WebSocket: the same frames as text; the text `ping` is answered `pong`.";
const switching = { description: "WebSocket: frames follow.", headers: headers() };
const STREAM_PROBLEMS: readonly ProblemCode[] = [
  "forbidden_origin",
  "not_acceptable",
  "upgrade_required",
  "too_many_watchers",
];

/** One job's log, and the feed of all. */
export const WATCH_OPERATIONS: ZodOpenApiPathsObject = {
  [paths.jobEvents(ID)]: {
    get: {
      tags: ["Watch"],
      operationId: "watchJob",
      summary: "A job's log: JSON, SSE or WebSocket",
      description: `The same numbered events three ways. ${STREAM} After the frame with \`job.done\` the server closes with 1000.`,
      ...BY_LINK,
      requestParams: {
        path: parameters.jobPath,
        query: parameters.eventsQuery,
      },
      responses: {
        "101": switching,
        "200": {
          description: "The events so far, or a stream of frames.",
          headers: headers(),
          content: {
            "application/json": { schema: EventPage, example: examples.eventPage },
            "text/event-stream": { schema: JobFrame, example: examples.jobFrame },
          },
        },
        "204": { description: "SSE: finished, and nothing came after `after`.", headers: headers() },
        ...problemAnswers(...AUTH, "invalid_link", ...ONE_JOB, ...STREAM_PROBLEMS),
      },
    },
  },
  [paths.feed]: {
    get: {
      tags: ["Watch"],
      operationId: "watchJobs",
      summary: "The live feed of all of the client's jobs: SSE or WebSocket",
      description: `${STREAM} \`?after=\` a frame's \`cursor\` gives every job that changed since, as it is now; \`ready\` ends the catching up.`,
      requestParams: { query: parameters.feedQuery },
      responses: {
        "101": switching,
        "200": {
          description: "A stream of frames.",
          headers: headers(),
          content: { "text/event-stream": { schema: FeedFrame, example: examples.feedFrame } },
        },
        ...problemAnswers(...AUTH, ...STREAM_PROBLEMS),
      },
    },
  },
};
