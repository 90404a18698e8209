import type { UpstreamReport } from "../../../schemas/job.ts";
import type { Failure } from "../../dashscope/contract.ts";
import { callFailed, newAttempt } from "./attempt-transitions.ts";
import type { Change } from "./change.ts";
import { putBackOutcome } from "./failure-meaning.ts";
import type { FactRefusal } from "./job-fact.ts";
import { type AttemptRecord, attemptOf, EMPTY_REPORT, isFinal, openAttempt } from "./job-record.ts";
import { decideNext, waitsForOpenCalls } from "./next-move.ts";

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

/**
 * From now on this task is read, never a new one submitted, until its outcome is known. One that is accepted late, when the
 * job already waits in line or asks for another, takes the place of that.
 */
export function taskAccepted(
  change: Change,
  number: number,
  taskId: string,
  report: UpstreamReport,
): FactRefusal | null {
  const { task, delivery, outbox } = change.record;
  if (task?.taskId === taskId) return "stale";
  const attempt = openAttempt(change.record, number);
  if (attempt === null || task !== null || delivery !== null) {
    // The task exists, and nobody wants it: its attempt was called off meanwhile, or an earlier one's task was accepted first.
    change.outbox({ cancelTasks: [...outbox.cancelTasks, taskId] });
    if (attempt !== null && task !== null && task.attempt !== number) giveWay(change, attempt, { ...report, taskId });
    return null;
  }
  change.patchAttempt(number, { report: { ...report, taskId } });
  change.set({ task: { taskId, attempt: number, acceptedAtMs: change.nowMs, cancelAsked: false } });
  if (change.record.state.status === "queued") {
    change.leaveLine();
    resumeTask(change);
  }
  return null;
}

/** The attempt's task is one too many: the job goes on with the earlier one. */
function giveWay(change: Change, attempt: AttemptRecord, report: UpstreamReport): void {
  const reason = "an earlier attempt's task was accepted meanwhile and goes on; this one's is canceled upstream";
  const ended = { outcome: "canceled", counted: false, mayBeBilled: true, stillOpen: false, report } as const;
  if (attempt.outcome === null) {
    change.finishAttempt(attempt, ended, { kind: "abandoned" }, { reason });
    resumeTask(change);
    return;
  }
  change.patchAttempt(attempt.number, { stillOpen: false, report });
  change.release(attempt, { kind: "abandoned" }, null);
  change.emit("attempt.late", { attempt: attempt.number, outcome: "canceled", mayBeBilled: true, reason });
}

/**
 * Upstream does not know the task. Soon after it was accepted that may be a delay of upstream's own, and a new submission
 * would be paid for too: it is read again for as long as a late answer is awaited. Later, what it made is out of reach.
 */
export function taskLost(change: Change, number: number, failure: Failure): FactRefusal | null {
  if (openAttempt(change.record, number) === null) return "stale";
  const { task } = change.record;
  const isNew = task?.attempt === number && change.nowMs < task.acceptedAtMs + change.context.lateAnswerMs;
  if (isNew) return taskRead(change, number, failure) ?? null;
  return callFailed(change, number, { ...failure, disposition: "retry", mayBeBilled: true });
}

/**
 * The task was read, or could not be: it is as it was. Why it cannot be read is shown, and when it is the account's doing
 * (a key that was revoked), the lane learns of it.
 */
export function taskRead(change: Change, number: number, failure: Failure | null): FactRefusal | null {
  const attempt = openAttempt(change.record, number);
  const { task } = change.record;
  if (attempt === null || task?.attempt !== number) return "stale";
  const message = failure === null ? null : `its task cannot be read: ${failure.message}`;
  if ((attempt.cause?.message ?? null) === message) return null;
  const { taskId } = task;
  if (failure === null || message === null) {
    change.patchAttempt(number, { cause: null, report: { ...EMPTY_REPORT, taskId } });
    return null;
  }
  change.patchAttempt(number, {
    cause: { code: failure.jobCode, message, hint: failure.hint },
    report: { ...failure.report, taskId },
  });
  if (failure.disposition === "block") change.observe(attempt, putBackOutcome(failure, failure.report));
  return null;
}

/** Upstream says that the task was canceled. If we asked for that, it is no failure: a retry by hand came in between. */
export function taskFoundCanceled(change: Change, number: number, failure: Failure): FactRefusal | null {
  const { task } = change.record;
  if (openAttempt(change.record, number) === null || task?.attempt !== number) return "stale";
  if (!task.cancelAsked) return callFailed(change, number, failure);
  taskCanceled(change, task.taskId, true);
  return null;
}

/** Upstream is not asked any more to cancel this task: it answered, or the task is wanted again. */
export function forgetCancellation(change: Change, taskId: string): void {
  change.outbox({ cancelTasks: change.record.outbox.cancelTasks.filter((known) => known !== taskId) });
}

/**
 * Upstream was asked to cancel a task. A canceled one is not gone on with; when a retry did so already, while the request was
 * under way, the job waits for a new attempt, uncounted: nothing was made, and nothing went wrong but our own timing.
 */
export function taskCanceled(change: Change, taskId: string, canceled: boolean): void {
  const { task, state, round } = change.record;
  forgetCancellation(change, taskId);
  if (!canceled || task?.taskId !== taskId) return;
  change.set({ task: null });
  const attempt = attemptOf(change.record, task.attempt);
  if (isFinal(state) || attempt === undefined) return;
  const reason = "upstream canceled the task before the retry could go on with it";
  if (attempt.outcome === null) {
    const ended = { outcome: "canceled", counted: false, mayBeBilled: false, stillOpen: false } as const;
    change.finishAttempt(attempt, ended, { kind: "abandoned" }, { reason });
    change.set({ round: round + 1 });
    change.goTo({ status: "queued", lane: null });
    change.emit("job.queued", { reason });
    return;
  }
  change.patchAttempt(attempt.number, { stillOpen: false, mayBeBilled: false });
  change.release(attempt, { kind: "abandoned" }, null);
  change.emit("attempt.late", { attempt: attempt.number, outcome: "canceled", mayBeBilled: false, reason });
  if (waitsForOpenCalls(change.record)) decideNext(change, { atLeastMs: 0, spent: false, reason });
}
