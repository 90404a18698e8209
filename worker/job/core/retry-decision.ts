import type { JobError, UpstreamReport } from "../../../schemas/job.ts";
import type { Failure } from "../../dashscope/contract.ts";
import type { LeaseOutcome } from "../../lane/contract.ts";
import type { Change } from "./change.ts";
import {
  type AttemptRecord,
  attemptOf,
  countedAttempts,
  currentAttempts,
  isOpen,
  iso,
  type JobRecord,
} from "./record.ts";

/** Spec section 8: exponential from 2 s, full jitter, cap 120 s. */
export const BACKOFF_BASE_MS = 2_000;
export const BACKOFF_CAP_MS = 120_000;

/**
 * The wait before the next try, in ms: uniform in [0, min(cap, base · 2^(failures - 1))], never below `atLeastMs`.
 * `failures` counts from 1; `jitter` is in [0, 1).
 */
export function backoffMs(failures: number, jitter: number, atLeastMs = 0): number {
  const ceiling = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** Math.min(Math.max(failures, 1) - 1, 30));
  return Math.max(Math.ceil(atLeastMs), Math.floor(jitter * ceiling));
}

/** Whether a failure says nothing against the job: upstream throttled, or the account or the deployment is at fault. */
export function isPutBack({ disposition }: Failure): boolean {
  return disposition === "put_back" || disposition === "block";
}

/** What the lane learns from a failure that is not the job's. */
export function putBackOutcome(failure: Failure, report: UpstreamReport): LeaseOutcome {
  if (failure.disposition !== "block") return { kind: "throttled", retryAfterMs: failure.retryAfterMs };
  return { kind: "blocked", code: report.code ?? `HTTP ${report.httpStatus}`, hint: failure.hint };
}

/** What the lane learns from a failure of the job's own attempt. */
export function failedOutcome({ fault }: Failure, durationMs: number): LeaseOutcome {
  return { kind: "failed", fault: fault === "account" ? "none" : fault, durationMs };
}

/** The job's error when this failure alone ends it. */
export function errorOf(failure: Failure, report: UpstreamReport): JobError {
  return {
    code: failure.jobCode,
    message: failure.message,
    hint: failure.hint,
    upstream: { code: report.code, requestId: report.requestId },
  };
}

/** What `decideNext` needs to know of the failure that it follows. */
export interface LastFailure {
  /** The wait that upstream asked for, in ms. */
  readonly atLeastMs: number;
  /** This kind of failure was repeated as often as `maxRepeats` allows. */
  readonly isSpent: boolean;
  readonly reason: string;
}

/**
 * Decides what follows when an attempt ended without images and a repetition may help: a retry after a backoff, waiting for
 * calls that are still open, or failure. `maxAttempts` and `onUncertain` count here and nowhere else.
 */
export function decideNext(change: Change, { atLeastMs, isSpent, reason }: LastFailure): void {
  const { job, context } = change;
  const counted = countedAttempts(job);
  // An upstream task continues and costs nothing new, so it is resumed in any case.
  const isUncertain = job.task === null && job.request.onUncertain === "fail" && currentAttempts(job).some(isUnknown);
  const noneLeft = job.task === null && (isSpent || counted >= job.request.maxAttempts);
  if (isUncertain || noneLeft) {
    if (somethingIsOpen(job)) awaitOpenCalls(change);
    else change.fail(isUncertain ? uncertainError(job) : exhaustedError(job, counted, isSpent));
    return;
  }
  const failures = currentAttempts(job).filter((attempt) => attempt.counted || attempt.outcome === "failed").length;
  const waitMs = backoffMs(Math.max(1, failures), context.jitter, Math.max(atLeastMs, openCallsWaitMs(change)));
  const retryAtMs = change.nowMs + waitMs;
  change.goTo({ status: "retrying", retryAtMs, reason });
  change.patchAttempt(job.lastAttempt, { retryAtMs });
  change.emit("job.retrying", { attempt: job.lastAttempt, retryAt: iso(retryAtMs), reason });
}

/** Decides again after an open call has closed, if the job waits for nothing else. */
export function decideAfterClosing(change: Change, closed: AttemptRecord, failure: LastFailure): void {
  if (awaitsOpenCalls(change.job) || backsOffForCall(change.job, closed)) decideNext(change, failure);
}

/** Whether the failure was repeated as often as its kind is worth (once or twice), whatever `maxAttempts` allows. */
export function isSpent(job: JobRecord, failure: Failure): boolean {
  if (failure.maxRepeats === null) return false;
  const same = currentAttempts(job).filter(
    ({ outcome, stillOpen, report, cause }) =>
      (outcome === "failed" || (outcome === "timed_out" && !stillOpen)) &&
      report.code === failure.report.code &&
      // Failures without a code of upstream's are of many kinds; each kind has one message.
      (report.code !== null || cause?.message === failure.message),
  );
  return same.length > failure.maxRepeats;
}

/** Calls that may still deliver, and an upstream task that is still alive. */
export function somethingIsOpen(job: JobRecord): boolean {
  return job.task !== null || job.attempts.some(isOpen);
}

/** Whether the attempt ended without an answer, so that it may have made an image. */
function isUnknown({ mayBeBilled, outcome }: AttemptRecord): boolean {
  return mayBeBilled && outcome !== "canceled" && outcome !== null;
}

/** How many calls of a job may be open at once (spec section 8); the next attempt waits until one of them closes. */
const MOST_OPEN_CALLS = 4;

/** Attempts past their budget whose call is held open. A task is read by short calls instead. */
function heldOpen({ attempts, task }: JobRecord): AttemptRecord[] {
  return attempts.filter(({ stillOpen, number }) => stillOpen && number !== task?.attempt);
}

/**
 * How long the next attempt waits for open calls, in ms. In a wait of 1.25 budgets even a model that needs two budgets (90 s are
 * seen where 45 s is the default) answers first, and one image is paid for, not two. The wait ends when no open call can deliver
 * any more, and is at least a third of the budget (spec section 8).
 */
function openCallsWaitMs({ job, context, nowMs }: Change): number {
  if (job.task !== null) return 0;
  const { budgetMs } = context;
  const opensForMs = heldOpen(job).map(({ openUntilMs }) => openUntilMs - nowMs);
  if (opensForMs.length === 0) return 0;
  const untilOneClosesMs = opensForMs.length < MOST_OPEN_CALLS ? 0 : Math.min(...opensForMs);
  return Math.max(budgetMs / 3, untilOneClosesMs, Math.min(1.25 * budgetMs, Math.max(...opensForMs)));
}

/** Whether the backoff only waits for the call that has just closed. */
function backsOffForCall(job: JobRecord, closed: AttemptRecord): boolean {
  if (job.state.status !== "retrying") return false;
  if (heldOpen(job).length === MOST_OPEN_CALLS - 1) return true;
  return closed.number === job.lastAttempt && !somethingIsOpen(job);
}

/** No attempt may start any more, but an open call may still deliver: the job stays running until all are closed. */
export function awaitOpenCalls(change: Change): void {
  const { state, lastAttempt } = change.job;
  if (state.status === "running" && state.phase === "generating") return;
  change.goTo({ status: "running", phase: "generating", attempt: lastAttempt });
}

/** Whether the job runs nothing itself and only waits for open calls to close. */
export function awaitsOpenCalls(job: JobRecord): boolean {
  const { state } = job;
  if (state.status !== "running" || state.phase !== "generating") return false;
  return attemptOf(job, state.attempt)?.outcome !== null;
}

function lastCause(job: JobRecord): { attempt: AttemptRecord | null; error: Omit<JobError, "code"> } {
  const attempt = currentAttempts(job).findLast(({ cause }) => cause !== null);
  if (attempt === undefined || attempt.cause === null) {
    return { attempt: null, error: { message: "no attempt got an answer", hint: "Retry the job.", upstream: null } };
  }
  const { message, hint } = attempt.cause;
  const { code, requestId } = attempt.report;
  return { attempt, error: { message, hint, upstream: { code, requestId } } };
}

function uncertainError(job: JobRecord): JobError {
  const { error } = lastCause(job);
  return {
    code: "outcome_uncertain",
    message: `An attempt ended without an answer and may have been billed: ${error.message}`,
    hint: "The job was submitted with onUncertain: fail. Look for the image in the upstream console before you retry it.",
    upstream: error.upstream,
  };
}

function exhaustedError(job: JobRecord, counted: number, isSpentByKind: boolean): JobError {
  const { attempt, error } = lastCause(job);
  // When the job gives up with attempts left, the kind of the failure is the reason.
  const isGivenUp = isSpentByKind && counted < job.request.maxAttempts;
  const ownCode = isGivenUp ? attempt?.cause?.code : undefined;
  const all = counted === 1 ? "The only attempt failed" : `All ${counted} attempts failed`;
  const tries = isGivenUp ? `Given up after ${counted === 1 ? "one attempt" : `${counted} attempts`}` : all;
  return {
    code: ownCode ?? "attempts_exhausted",
    message: `${tries}; the last: ${error.message}`,
    hint: error.hint,
    upstream: error.upstream,
  };
}
