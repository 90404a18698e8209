import type { JobRequest } from "../../../schemas/job.ts";
import type { ClientSpend } from "../../catalog/contract.ts";
import type { Failure } from "../../dashscope/contract.ts";
import type { Lease } from "../../lane/contract.ts";
import type { StoredImage } from "../../results/contract.ts";
import type { Submission } from "../contract.ts";
import type { JobContext, JobFact } from "./facts.ts";
import { type Place, transition } from "./machine.ts";
import { type Message, type MessageTo, messageOf } from "./outbox.ts";
import { EMPTY_REPORT, type JobRecord, newJobRecord, type StoredRecord } from "./record.ts";
import type { Live } from "./schedule.ts";

/** Test support: jobs in any state, made by the machine itself from facts. */

export const T0 = Date.parse("2026-11-23T12:00:00.000Z");
export const LANE = "upstream.test|qwen-image-max";
export const BUDGET_MS = 45_000;
export const LATE_MS = 300_000;

export function context(patch: Partial<JobContext> = {}): JobContext {
  const settings = {
    budgetMs: BUDGET_MS,
    lateAnswerMs: LATE_MS,
    retentionMs: 30 * 86_400_000,
    lane: LANE,
    isLimited: false,
  };
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
    leaseId: `lease-${record.ticketNumber}`,
    lane: LANE,
    jobId: record.id,
    round: record.ticketNumber,
    ticketNumber: record.ticketNumber,
    notBeforeMs: T0,
    beginByMs: T0 + 5_000,
    endsAtMs: T0 + 60_000,
    ...patch,
  };
}

export const report = { ...EMPTY_REPORT, httpStatus: 200, requestId: "req-ok" };

type Step = JobFact | { readonly at: number } | ((record: JobRecord) => JobFact);

/** As `jobAfter`, for a client with a spend limit. */
export function limitedAfter(start: JobRecord, ...steps: readonly Step[]): JobRecord {
  const record = played(start, steps, { isLimited: true });
  if (record.kind !== "job") throw new Error("the job is removed");
  return record;
}

/** The record after facts, each of which must be taken. A function makes a fact from the record that it is applied to. */
export function recordAfter(start: StoredRecord, ...steps: readonly Step[]): StoredRecord {
  return played(start, steps, {});
}

function played(start: StoredRecord, steps: readonly Step[], patch: Partial<JobContext>): StoredRecord {
  let record = start;
  let nowMs = T0;
  for (const step of steps) {
    if (typeof step !== "function" && "at" in step) {
      nowMs = step.at;
      continue;
    }
    if (typeof step === "function" && record.kind !== "job") throw new Error("the job is removed");
    const fact = typeof step === "function" ? step(record as JobRecord) : step;
    const result = transition(record, fact, context({ nowMs, ...patch }));
    if (!result.ok) throw new Error(`${fact.type} was refused: ${result.refusal}`);
    record = result.record;
  }
  return record;
}

/** As `recordAfter`, for a job that is not removed. */
export function jobAfter(start: JobRecord, ...steps: readonly Step[]): JobRecord {
  const record = recordAfter(start, ...steps);
  if (record.kind !== "job") throw new Error("the job is removed");
  return record;
}

/** Facts that a receiver has answered a message. */
export const answered = {
  enqueue: (ticketNumber: number): JobFact => {
    const message = messageOf("enqueue", { ticketNumber, tries: 0, reason: null });
    return { type: "message_answered", message, answer: { lane: LANE } };
  },
  record: (seq: number): JobFact => {
    return { type: "message_answered", message: messageOf("record", { seq }), answer: null };
  },
  cancelTask: (taskId: string, canceled: boolean): JobFact => {
    return { type: "message_answered", message: messageOf("cancel_task", { taskId }), answer: { canceled } };
  },
};

/** The messages of one kind in the record's outbox. */
export function messages<Kind extends Message["kind"]>(record: StoredRecord, kind: Kind): MessageTo<Kind>[] {
  // The kind distinguishes the members of the union.
  return record.outbox.filter((message) => message.kind === kind) as MessageTo<Kind>[];
}

export const began = (record: JobRecord): JobFact => ({ type: "attempt_began", lease: lease(record) });
export const delivered = (attempt: number, links = ["https://r.test/1.png"]): JobFact => ({
  type: "delivered",
  attempt,
  links,
  report,
});

/** A job of a client with a spend limit, whose catalog has reserved the first attempt. 75 000 millionths an image. */
export function pricedJob(request: Partial<JobRequest> = {}): JobRecord {
  const price = { currency: "USD", unitMicros: 75_000 };
  return newJobRecord(submission(request, { price, grantUntilMs: T0 + 60_000 }), T0);
}

/** What a catalog answers when its client's limit is used up. */
export const SPENT: ClientSpend = {
  currency: "USD",
  limitMicros: 150_000,
  chargedMicros: 150_000,
  reservedMicros: 0,
  atRiskMicros: 0,
  resetsAtMs: T0 + 7 * 86_400_000,
};

export function queued(request: Partial<JobRequest> = {}): JobRecord {
  return newJobRecord(submission(request), T0);
}

type Life = (request?: Partial<JobRequest>) => JobRecord;

const readingTask: Life = (request) =>
  jobAfter(queued(request), began, { type: "task_accepted", attempt: 1, taskId: "task-1", report });
const pastBudget: Life = (request) =>
  jobAfter(queued(request), began, { at: T0 + BUDGET_MS }, { type: "budget_ended", attempt: 1 });
const queuedAgain: Life = (request) => jobAfter(pastBudget(request), { at: T0 + 65_000 }, { type: "backoff_ended" });

/** A job in each place, and in places with more under way beside it. */
export const LIVES = {
  queued: (request) => queued(request),
  "queued in its lane": (request) => jobAfter(queued(request), answered.enqueue(1)),
  "queued beside an open call": queuedAgain,
  generating: (request) => jobAfter(queued(request), began),
  "generating beside an open call": (request) => jobAfter(queuedAgain(request), { at: T0 + 65_000 }, began),
  reading_task: readingTask,
  awaiting_answer: (request) => pastBudget({ ...request, maxAttempts: 1 }),
  storing: (request) => jobAfter(queued(request), began, delivered(1)),
  retrying: (request) => jobAfter(queued(request), began, { type: "call_failed", attempt: 1, failure: failure() }),
  "retrying with an open call": pastBudget,
  "retrying with a task": (request) =>
    jobAfter(readingTask(request), { at: T0 + BUDGET_MS }, { type: "budget_ended", attempt: 1 }),
  succeeded: (request) =>
    jobAfter(queued(request), began, delivered(1), { type: "image_stored", attempt: 1, index: 0, image: image() }),
  failed: (request) =>
    jobAfter(queued(request), began, { type: "call_failed", attempt: 1, failure: failure({ disposition: "give_up" }) }),
  canceled: (request) => jobAfter(queued(request), began, { type: "cancel" }),
} satisfies Record<Exclude<Place, "removed">, Life> & Record<string, Life>;

/** What is left of a removed job. */
export const removed = (): StoredRecord => recordAfter(LIVES.succeeded({}), { type: "remove", why: "deleted" });

/** What an object knows just after a restart: every call is lost, everything is due now. */
export const FRESH: Live = {
  openCalls: new Set(),
  storing: false,
  storeAgainAtMs: null,
  reading: false,
  pollAtMs: null,
  ticketCheckAtMs: null,
  isSending: () => false,
  sendAgainAtMs: () => null,
};
