import type { JobRequest } from "../../../schemas/job.ts";
import type { Failure } from "../../dashscope/contract.ts";
import type { Lease } from "../../lane/contract.ts";
import type { StoredImage } from "../../results/contract.ts";
import type { Submission } from "../contract.ts";
import type { JobContext, JobFact } from "./job-fact.ts";
import { EMPTY_REPORT, type JobRecord, newJobRecord } from "./job-record.ts";
import { transition } from "./transition.ts";

/** Test support: jobs in any state, made by the machine itself from facts. */

export const T0 = Date.parse("2026-11-23T12:00:00.000Z");
export const LANE = "upstream.test|qwen-image-max";
export const BUDGET_MS = 45_000;
export const LATE_MS = 300_000;

export function context(patch: Partial<JobContext> = {}): JobContext {
  const settings = { budgetMs: BUDGET_MS, lateAnswerMs: LATE_MS, retentionMs: 30 * 86_400_000, lane: LANE };
  return { nowMs: T0, jitter: 0.5, ...settings, ...patch };
}

export function jobRequest(patch: Partial<JobRequest> = {}): JobRequest {
  return {
    prompt: "a red bicycle in the rain",
    negativePrompt: null,
    size: "1664*928",
    n: 1,
    seed: null,
    promptExtend: null,
    watermark: null,
    images: [],
    priority: "normal",
    maxAttempts: 4,
    deadlineSeconds: 86_400,
    onUncertain: "retry",
    ...patch,
  };
}

export function submission(request: Partial<JobRequest> = {}, patch: Partial<Submission> = {}): Submission {
  return {
    id: "job_000000000000000000001",
    client: "local",
    workflow: "image-from-text",
    model: "qwen-image-max",
    request: jobRequest(request),
    leftOut: [],
    metadata: {},
    warnings: [],
    idempotencyKey: null,
    ...patch,
  };
}

export function failure(patch: Partial<Failure> = {}): Failure {
  return {
    disposition: "retry",
    jobCode: "attempts_exhausted",
    message: "upstream had an internal error",
    hint: "Retry later.",
    mayBeBilled: false,
    fault: "upstream",
    maxRepeats: null,
    retryAfterMs: null,
    report: { ...EMPTY_REPORT, httpStatus: 500, code: "InternalError", requestId: "req-1" },
    ...patch,
  };
}

export function image(index = 0): StoredImage {
  return {
    index,
    key: `jobs/x/1/${index}`,
    contentType: "image/png",
    width: 1664,
    height: 928,
    bytes: 10,
    sha256: "ab",
  };
}

export function lease(record: JobRecord, patch: Partial<Lease> = {}): Lease {
  return {
    leaseId: `lease-${record.round}`,
    lane: LANE,
    jobId: record.id,
    round: record.round,
    notBeforeMs: T0,
    beginByMs: T0 + 5_000,
    endsAtMs: T0 + 60_000,
    ...patch,
  };
}

export const report = { ...EMPTY_REPORT, httpStatus: 200, requestId: "req-ok" };

/** The record after facts, each of which must be taken. A function makes a fact from the record it meets. */
export function jobAfter(
  start: JobRecord,
  ...facts: readonly (JobFact | { readonly at: number } | ((record: JobRecord) => JobFact))[]
): JobRecord {
  let record = start;
  let nowMs = T0;
  for (const item of facts) {
    if (typeof item !== "function" && "at" in item) {
      nowMs = item.at;
      continue;
    }
    const fact = typeof item === "function" ? item(record) : item;
    const result = transition(record, fact, context({ nowMs }));
    if (!result.ok) throw new Error(`${fact.type} was refused in ${record.state.status}: ${result.refusal}`);
    record = result.record;
  }
  return record;
}

export const began = (record: JobRecord): JobFact => ({ type: "attempt_began", lease: lease(record) });
export const delivered = (attempt: number, links = ["https://r.test/1.png"]): JobFact => ({
  type: "delivered",
  attempt,
  links,
  report,
});

export function queued(request: Partial<JobRequest> = {}): JobRecord {
  return newJobRecord(submission(request), T0);
}

/** A job in each place of its life, by name. */
export const LIVES: Readonly<Record<string, (request?: Partial<JobRequest>) => JobRecord>> = {
  queued: (request) => queued(request),
  "queued in lane": (request) => jobAfter(queued(request), { type: "enqueued", lane: LANE, round: 1 }),
  generating: (request) => jobAfter(queued(request), began),
  "generating a task": (request) =>
    jobAfter(queued(request), began, { type: "task_accepted", attempt: 1, taskId: "task-1", report }),
  storing: (request) => jobAfter(queued(request), began, delivered(1)),
  "retrying after a failure": (request) =>
    jobAfter(queued(request), began, { type: "call_failed", attempt: 1, failure: failure() }),
  "retrying with an open call": (request) =>
    jobAfter(queued(request), began, { at: T0 + BUDGET_MS }, { type: "budget_ended", attempt: 1 }),
  "running beside an open call": (request) =>
    jobAfter(
      queued(request),
      began,
      { at: T0 + BUDGET_MS },
      { type: "budget_ended", attempt: 1 },
      { at: T0 + 65_000 },
      { type: "backoff_ended" },
      began,
    ),
  "waiting for an open call": (request) =>
    jobAfter(
      queued({ ...request, maxAttempts: 1 }),
      began,
      { at: T0 + BUDGET_MS },
      { type: "budget_ended", attempt: 1 },
    ),
  succeeded: (request) =>
    jobAfter(queued(request), began, delivered(1), { type: "image_stored", attempt: 1, index: 0, image: image() }),
  failed: (request) =>
    jobAfter(queued(request), began, { type: "call_failed", attempt: 1, failure: failure({ disposition: "give_up" }) }),
  canceled: (request) => jobAfter(queued(request), began, { type: "cancel" }),
};
