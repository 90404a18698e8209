import type { JobEvent, JobFrame } from "../schemas/event.ts";
import { FINAL_STATUSES, type Job, type JobSummary } from "../schemas/job.ts";
import { paths } from "../schemas/paths.ts";
import type { ProblemCode } from "../schemas/problem.ts";

/** For tests. */
export const JOB_ID = "job_V1StGXR8_Z5jdHi6B-myT";

const AT = "2026-11-23T12:00:00.000Z";

export function job(given: Partial<Job> = {}): Job {
  const id = given.id ?? JOB_ID;
  const status = given.status ?? "queued";
  return {
    id,
    workflow: "image-from-text",
    model: "qwen-image-max",
    status,
    done: FINAL_STATUSES.includes(status),
    seq: 1,
    createdAt: AT,
    updatedAt: AT,
    startedAt: null,
    finishedAt: null,
    deadlineAt: AT,
    expiresAt: null,
    pinned: false,
    request: {
      prompt: "a red bicycle",
      negativePrompt: null,
      size: null,
      n: 1,
      seed: null,
      promptExtend: null,
      watermark: null,
      images: [],
      priority: "normal",
      maxAttempts: 4,
      deadlineSeconds: 86_400,
      onUncertain: "retry",
    },
    queue: null,
    phase: null,
    attempts: [],
    output: null,
    cost: null,
    error: null,
    warnings: [],
    metadata: {},
    links: {
      self: paths.job(id),
      events: `${paths.jobEvents(id)}?signature=s`,
      cancel: paths.jobCancel(id),
      retry: paths.jobRetry(id),
      page: paths.jobPage(id),
    },
    ...given,
  };
}

export function summary(given: Partial<JobSummary> = {}): JobSummary {
  const { request: _request, warnings: _warnings, attempts: _attempts, cost: _cost, ...rest } = job();
  return { ...rest, client: "app", prompt: "a red bicycle", size: null, n: 1, attempts: 0, retryAt: null, ...given };
}

/** The nth of a job's events; `last` is the one with which it succeeds. */
export function jobEvent(seq: number, last: number): JobEvent {
  const type = seq === 1 ? "job.queued" : seq === last ? "job.succeeded" : "attempt.started";
  return { seq, at: AT, type, data: {} };
}

/** The frame of an event as a server sends it to a connected watcher. `now` is the seq of the job in the frame. */
export function eventFrame(seq: number, last: number, now = seq): JobFrame {
  return { type: "job", seq, event: jobEvent(seq, last), job: jobAt(now, last) };
}

export function stateFrame(seq: number, last: number): JobFrame {
  return { type: "job", seq, event: null, job: jobAt(seq, last) };
}

export function jobAt(seq: number, last: number): Job {
  return job({ seq, status: seq >= last ? "succeeded" : seq === 1 ? "queued" : "running" });
}

export function problem(
  status: number,
  code: ProblemCode | (string & {}),
  detail = "because",
): Record<string, unknown> {
  return { type: "about:blank", title: code, status, detail, code, requestId: "r1" };
}
