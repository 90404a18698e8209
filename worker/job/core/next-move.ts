import type { JobError } from "../../../schemas/job.ts";
import type { Failure } from "../../dashscope/contract.ts";
import { backoffMs } from "./backoff.ts";
import { type Change, iso } from "./change.ts";
import { type AttemptRecord, attemptOf, countedAttempts, type JobRecord } from "./job-record.ts";

/** Calls past their budget whose answer is still taken, and the upstream task that is still alive. */
export function somethingIsOpen(record: JobRecord): boolean {
  return record.task !== null || record.attempts.some((attempt) => attempt.stillOpen || attempt.outcome === null);
}

/** Attempts of this life that ended without an answer: whether they made an image is not known. */
function isUncertain(attempt: AttemptRecord): boolean {
  return attempt.mayBeBilled && attempt.outcome !== "canceled" && attempt.outcome !== null;
}

function lastCause(record: JobRecord): { attempt: AttemptRecord | null; error: Omit<JobError, "code"> } {
  const attempt = record.attempts.findLast((known) => known.cause !== null && known.number > record.attemptsBefore);
  if (attempt === undefined || attempt.cause === null) {
    return { attempt: null, error: { message: "no attempt got an answer", hint: "Retry the job.", upstream: null } };
  }
  return {
    attempt,
    error: {
      message: attempt.cause.message,
      hint: attempt.cause.hint,
      upstream: { code: attempt.report.code, requestId: attempt.report.requestId },
    },
  };
}

/**
 * Decides what follows when an attempt ended without images and something may be worth repeating: a retry after a
 * backoff, the wait for what is still open, or failure. The one place where `maxAttempts` and `onUncertain` count.
 */
export function decideNext(change: Change, options: { atLeastMs: number; spent: boolean; reason: string }): void {
  const { record, context } = change;
  const counted = countedAttempts(record);
  const ofThisLife = record.attempts.filter((attempt) => attempt.number > record.attemptsBefore);
  const uncertain = record.request.onUncertain === "fail" && record.task === null && ofThisLife.some(isUncertain);
  const spent = record.task === null && (options.spent || counted >= record.request.maxAttempts);
  if (uncertain || spent) {
    if (somethingIsOpen(record)) waitForOpenCalls(change);
    else change.fail(uncertain ? uncertainError(record) : exhaustedError(record, counted, options.spent));
    return;
  }
  const failures = Math.max(1, ofThisLife.filter((attempt) => attempt.counted).length);
  const waitMs = backoffMs(failures, context.jitter, Math.max(options.atLeastMs, lateAnswerWaitMs(change)));
  const retryAtMs = change.nowMs + waitMs;
  change.goTo({ status: "retrying", retryAtMs, reason: options.reason });
  change.patchAttempt(record.lastAttempt, { retryAtMs });
  change.emit("job.retrying", { attempt: record.lastAttempt, retryAt: iso(retryAtMs), reason: options.reason });
}

/** At most so many calls of a job are open at once (spec section 8); the next attempt waits until one of them closes. */
const MOST_OPEN_CALLS = 4;

/** Attempts past their budget whose call is held open; a task is read by short calls instead. */
function heldOpen(record: JobRecord): AttemptRecord[] {
  return record.attempts.filter(({ stillOpen, number }) => stillOpen && number !== record.task?.attempt);
}

/**
 * What a call past its budget gets before another image is asked for, in ms. With 1.25 budgets more even a model that needs
 * two of them (90 s are seen where 45 s is the default) answers first, and one image is paid, not two. No longer than
 * the call may deliver, and a third of the budget at least (spec section 8).
 */
function lateAnswerWaitMs({ record, context, nowMs }: Change): number {
  if (record.task !== null) return 0;
  const { budgetMs } = context;
  const opensForMs = heldOpen(record).map(({ openUntilMs }) => openUntilMs - nowMs);
  if (opensForMs.length === 0) return 0;
  const untilOneClosesMs = opensForMs.length < MOST_OPEN_CALLS ? 0 : Math.min(...opensForMs);
  return Math.max(budgetMs / 3, untilOneClosesMs, Math.min(1.25 * budgetMs, Math.max(...opensForMs)));
}

/** Whether the backoff is only there for the call of this attempt, which has just closed. */
export function backedOffForCall(record: JobRecord, attempt: AttemptRecord): boolean {
  if (record.state.status !== "retrying") return false;
  if (heldOpen(record).length === MOST_OPEN_CALLS - 1) return true;
  return attempt.number === record.lastAttempt && !somethingIsOpen(record);
}

/** Some failures are worth only one or two repetitions, whatever `maxAttempts` allows. */
export function isSpent(record: JobRecord, failure: Failure): boolean {
  if (failure.maxRepeats === null) return false;
  const same = record.attempts.filter(
    (attempt) =>
      attempt.number > record.attemptsBefore &&
      (attempt.outcome === "failed" || (attempt.outcome === "timed_out" && !attempt.stillOpen)) &&
      attempt.report.code === failure.report.code &&
      // Failures without upstream's code are of many kinds, and a kind has one message.
      (attempt.report.code !== null || attempt.cause?.message === failure.message),
  );
  return same.length > failure.maxRepeats;
}

/** No attempt is left to start, but a call is open that may still deliver: the job stays running until it closes. */
function waitForOpenCalls(change: Change): void {
  const { state, lastAttempt } = change.record;
  if (state.status === "running" && state.phase === "generating") return;
  change.goTo({ status: "running", phase: "generating", attempt: lastAttempt });
}

/** Whether the job runs nothing itself and only waits for open calls to close. */
export function waitsForOpenCalls(record: JobRecord): boolean {
  const { state } = record;
  if (state.status !== "running" || state.phase !== "generating") return false;
  return attemptOf(record, state.attempt)?.outcome !== null;
}

function uncertainError(record: JobRecord): JobError {
  const { error } = lastCause(record);
  return {
    code: "outcome_uncertain",
    message: `An attempt ended without an answer and may have been billed: ${error.message}`,
    hint: "The job was submitted with onUncertain: fail. Look for the image in the upstream console before you retry it.",
    upstream: error.upstream,
  };
}

function exhaustedError(record: JobRecord, counted: number, byItsKind: boolean): JobError {
  const { attempt, error } = lastCause(record);
  // Given up for what it was, with attempts left: then what it was is the reason.
  const isGivenUp = byItsKind && counted < record.request.maxAttempts;
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
