import type { UpstreamReport } from "../../../schemas/job.ts";
import type { Failure } from "../../dashscope/contract.ts";
import type { Lease, LeaseOutcome } from "../../lane/contract.ts";
import type { Change } from "./change.ts";
import type { FactRefusal } from "./job-fact.ts";
import { type AttemptRecord, attemptOf, EMPTY_REPORT, type JobRecord } from "./job-record.ts";
import { backedOffForCall, decideNext, waitsForOpenCalls } from "./next-move.ts";
import { beginStoring } from "./storing-transitions.ts";

/** The attempt, if its call can still matter: running, or past its budget and open. */
function openAttempt(record: JobRecord, number: number): AttemptRecord | null {
  const attempt = attemptOf(record, number);
  return attempt !== undefined && (attempt.outcome === null || attempt.stillOpen) ? attempt : null;
}

function newAttempt(
  change: Change,
  from: Pick<AttemptRecord, "round" | "lane" | "lease">,
  report: UpstreamReport,
): AttemptRecord {
  const { nowMs, budgetMs, lateAnswerMs } = change.context;
  return {
    number: change.record.lastAttempt + 1,
    startedAtMs: nowMs,
    finishedAtMs: null,
    outcome: null,
    counted: true,
    mayBeBilled: false,
    stillOpen: false,
    budgetEndsAtMs: nowMs + budgetMs,
    openUntilMs: nowMs + Math.max(budgetMs, lateAnswerMs),
    ...from,
    report,
    retryAtMs: null,
    cause: null,
  };
}

/** The attempt and its lease are recorded; only then may upstream be called. */
export function attemptBegan(change: Change, lane: string, lease: Lease): FactRefusal | null {
  const { state, round } = change.record;
  if (state.status !== "queued" || lease.round !== round) return "stale";
  const attempt = newAttempt(change, { round, lane, lease: { leaseId: lease.leaseId, lane } }, EMPTY_REPORT);
  change.addAttempt(attempt);
  change.goTo({ status: "running", phase: "generating", attempt: attempt.number });
  change.emit("attempt.started", { attempt: attempt.number });
  return null;
}

/** Goes on with a task that upstream already holds: nothing new is asked for, so no lease is needed and none is counted. */
export function resumeTask(change: Change): void {
  const { task } = change.record;
  if (task === null) throw new Error("no task to resume");
  const earlier = attemptOf(change.record, task.attempt);
  const attempt: AttemptRecord = {
    ...newAttempt(
      change,
      { round: null, lane: earlier?.lane ?? null, lease: earlier?.lease ?? null },
      { ...EMPTY_REPORT, taskId: task.taskId },
    ),
    counted: false,
  };
  if (earlier !== undefined) change.patchAttempt(earlier.number, { lease: null, stillOpen: false });
  change.addAttempt(attempt);
  change.set({ task: { ...task, attempt: attempt.number } });
  change.goTo({ status: "running", phase: "generating", attempt: attempt.number });
  change.emit("attempt.started", {
    attempt: attempt.number,
    reason: "resumes the upstream task of an earlier attempt",
  });
}

/** From now on this task is read, never a new one submitted, until its outcome is known. */
export function taskAccepted(
  change: Change,
  number: number,
  taskId: string,
  report: UpstreamReport,
): FactRefusal | null {
  if (change.record.task?.taskId === taskId) return "stale";
  const attempt = openAttempt(change.record, number);
  if (attempt === null || change.record.task !== null || change.record.delivery !== null) {
    // Called off while the submission was under way: the task exists, and nobody wants it.
    change.outbox({ cancelTasks: [...change.record.outbox.cancelTasks, taskId] });
    return null;
  }
  change.patchAttempt(number, { report: { ...report, taskId } });
  change.set({ task: { taskId, attempt: number, acceptedAtMs: change.nowMs } });
  return null;
}

/** The images exist and are paid for: their links are kept, and everything else under way is called off. */
export function delivered(
  change: Change,
  number: number,
  links: readonly string[],
  report: UpstreamReport,
): FactRefusal | null {
  const attempt = openAttempt(change.record, number);
  if (attempt === null || change.record.delivery !== null) return "stale";
  const durationMs = Math.max(0, change.nowMs - attempt.startedAtMs);
  const full = { ...report, taskId: report.taskId ?? attempt.report.taskId };
  const late = attempt.outcome !== null;
  if (late) {
    change.patchAttempt(number, {
      outcome: "succeeded_late",
      stillOpen: false,
      mayBeBilled: true,
      report: full,
      finishedAtMs: change.nowMs,
      retryAtMs: null,
    });
    change.release(attempt, { kind: "succeeded", durationMs }, null);
    observe(change, attempt, { kind: "succeeded", durationMs });
    change.emit("attempt.late", {
      attempt: number,
      outcome: "succeeded_late",
      mayBeBilled: true,
      durationMs,
      upstream: full,
    });
  } else {
    change.finishAttempt(
      attempt,
      { outcome: "succeeded", counted: attempt.counted, mayBeBilled: true, stillOpen: false, report: full },
      { kind: "succeeded", durationMs },
    );
  }
  change.callOff(number);
  change.set({ task: null });
  warnOfFewer(change, links.length, full);
  beginStoring(change, number, links);
  return null;
}

/** Some of several images may have been refused, by moderation say; what is paid for is the rest. */
function warnOfFewer(change: Change, delivered: number, report: UpstreamReport): void {
  const { warnings, request } = change.record;
  if (delivered >= request.n) return;
  const why = [report.code, report.message].filter((word) => word !== null).join(", ");
  const message = `upstream delivered ${delivered} of ${request.n} images${why === "" ? "" : `: ${why}`}`;
  change.set({ warnings: [...warnings, { code: "fewer_images", message }] });
}

/** The lane learns what became of a call whose lease it has back already. */
function observe(change: Change, attempt: AttemptRecord, outcome: LeaseOutcome): void {
  const { outbox } = change.record;
  if (attempt.lease !== null || attempt.lane === null) return;
  change.outbox({ observations: [...outbox.observations, { lane: attempt.lane, outcome }] });
}

export function callFailed(change: Change, number: number, failure: Failure): FactRefusal | null {
  const attempt = openAttempt(change.record, number);
  if (attempt === null) return "stale";
  const report = { ...failure.report, taskId: failure.report.taskId ?? attempt.report.taskId };
  const cause = { code: failure.jobCode, message: failure.message, hint: failure.hint };
  const durationMs = Math.max(0, change.nowMs - attempt.startedAtMs);
  const wasTask = change.record.task?.attempt === number;
  if (wasTask) change.set({ task: null });
  if (attempt.outcome !== null) {
    // The budgets of a task's attempts do not count, but its end does.
    return lateFailure(change, attempt, failure, { report, cause, counted: attempt.counted || wasTask });
  }
  const round = change.record.round + 1;
  switch (failure.disposition) {
    case "put_back":
    case "block": {
      const blocked = failure.disposition === "block";
      change.finishAttempt(
        attempt,
        { outcome: blocked ? "blocked" : "throttled", counted: false, mayBeBilled: failure.mayBeBilled, report, cause },
        blocked
          ? { kind: "blocked", code: report.code ?? `HTTP ${report.httpStatus}`, hint: failure.hint }
          : { kind: "throttled", retryAfterMs: failure.retryAfterMs },
        { requeueRound: round, reason: failure.hint },
      );
      change.set({ round });
      change.goTo({ status: "queued", lane: null });
      change.emit("job.queued", {
        reason: blocked ? "the lane is blocked; waits in its old place" : "upstream throttled; waits in its old place",
      });
      return null;
    }
    case "give_up":
      change.finishAttempt(
        attempt,
        { outcome: "failed", counted: true, mayBeBilled: failure.mayBeBilled, report, cause },
        { kind: "failed", fault: faultOf(failure), durationMs },
      );
      change.fail(errorOf(failure, report));
      return null;
    case "retry": {
      change.finishAttempt(
        attempt,
        { outcome: "failed", counted: true, mayBeBilled: failure.mayBeBilled, report, cause },
        { kind: "failed", fault: faultOf(failure), durationMs },
      );
      decideNext(change, {
        atLeastMs: failure.retryAfterMs ?? 0,
        spent: isSpent(change.record, failure),
        reason: failure.message,
      });
      return null;
    }
    default:
      failure.disposition satisfies never;
      return null;
  }
}

function faultOf(failure: Failure): "upstream" | "request" | "none" {
  return failure.fault === "account" ? "none" : failure.fault;
}

function errorOf(failure: Failure, report: UpstreamReport) {
  return {
    code: failure.jobCode,
    message: failure.message,
    hint: failure.hint,
    upstream: { code: report.code, requestId: report.requestId },
  };
}

/** Some failures are worth only one or two repetitions, whatever `maxAttempts` allows. */
function isSpent(record: JobRecord, failure: Failure): boolean {
  if (failure.maxRepeats === null) return false;
  const same = record.attempts.filter(
    (attempt) =>
      attempt.number > record.attemptsBefore &&
      attempt.outcome === "failed" &&
      attempt.report.code === failure.report.code &&
      // Failures without upstream's code are of many kinds, and a kind has one message.
      (attempt.report.code !== null || attempt.cause?.message === failure.message),
  );
  return same.length > failure.maxRepeats;
}

/** A call past its budget was refused after all: what is not billed is known now, and a refusal for good ends the job. */
function lateFailure(
  change: Change,
  attempt: AttemptRecord,
  failure: Failure,
  learned: Pick<AttemptRecord, "report" | "cause" | "counted">,
): null {
  const isNowCounted = learned.counted && !attempt.counted;
  change.patchAttempt(attempt.number, { ...learned, stillOpen: false, mayBeBilled: failure.mayBeBilled });
  change.release(attempt, { kind: "failed", fault: "none", durationMs: change.nowMs - attempt.startedAtMs }, null);
  change.emit("attempt.late", {
    attempt: attempt.number,
    outcome: "failed",
    counted: learned.counted,
    mayBeBilled: failure.mayBeBilled,
    upstream: learned.report,
    reason: failure.message,
  });
  const retrying = change.record.state.status === "retrying";
  const waitsForThis =
    waitsForOpenCalls(change.record) || backedOffForCall(change.record, attempt) || (isNowCounted && retrying);
  if (failure.disposition === "give_up") change.fail(errorOf(failure, learned.report));
  else if (waitsForThis) {
    const spent = isNowCounted && isSpent(change.record, failure);
    decideNext(change, { atLeastMs: failure.retryAfterMs ?? 0, spent, reason: failure.message });
  }
  return null;
}

/** The task vanished upstream: what it made, if anything, is out of reach. */
export function taskLost(change: Change, number: number, failure: Failure): FactRefusal | null {
  if (openAttempt(change.record, number) === null) return "stale";
  return callFailed(change, number, { ...failure, disposition: "retry", mayBeBilled: true });
}
