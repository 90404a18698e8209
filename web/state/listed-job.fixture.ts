import type { Attempt } from "../../schemas/job.ts";
import type { ListedJob } from "./listed-job.ts";

const AT = "2026-11-23T12:00:00.000Z";

/** For tests: a finished job in the form of the lists. */
export const LISTED: ListedJob = {
  id: "job_000000000000000000001",
  client: "studio",
  workflow: "image-from-text",
  model: "m",
  status: "succeeded",
  done: true,
  seq: 1,
  createdAt: AT,
  updatedAt: AT,
  startedAt: null,
  finishedAt: null,
  deadlineAt: AT,
  expiresAt: null,
  pinned: false,
  queue: null,
  phase: null,
  output: null,
  error: null,
  links: { self: "", events: "", cancel: "", retry: "", page: "" },
  prompt: "a prompt",
  size: null,
  n: 1,
  attempts: 0,
  retryAt: null,
  metadata: {},
};

/** For tests: a running attempt. */
export function sampleAttempt(number: number, change: Partial<Attempt> = {}): Attempt {
  return {
    number,
    startedAt: AT,
    finishedAt: null,
    durationMs: null,
    outcome: null,
    counted: true,
    mayBeBilled: false,
    stillOpen: false,
    upstream: { httpStatus: null, code: null, message: null, requestId: null, taskId: null },
    retryAt: null,
    ...change,
  };
}
