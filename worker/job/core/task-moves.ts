import type { UpstreamReport } from "../../../schemas/job.ts";
import { callFailed } from "./attempt-moves.ts";
import type { Change } from "./change.ts";
import type { FactOf, FactRefusal } from "./facts.ts";
import { messageOf } from "./outbox.ts";
import { type AttemptRecord, attemptOf, EMPTY_REPORT, isFinal, isOpen, openAttempt } from "./record.ts";
import { awaitsOpenCalls, decideNext, putBackOutcome } from "./retry-decision.ts";

/** How long after its attempt's budget a renewed lease ends, in ms. The backoff and the next renewal come before that. */
const RENEWED_LEASE_SLACK_MS = 180_000;

/** Until when the lane keeps the lease of a resumed attempt. */
export function leaseEndMs({ budgetEndsAtMs }: Pick<AttemptRecord, "budgetEndsAtMs">): number {
  return budgetEndsAtMs + RENEWED_LEASE_SLACK_MS;
}

/** Resumes a task that upstream already holds: nothing new is asked for, so no lease is needed and the attempt does not count. */
export function resumeTask(change: Change): void {
  const { task } = change.job;
  if (task === null) throw new Error("no task to resume");
  const earlier = attemptOf(change.job, task.attempt);
  const lease = earlier?.lease ?? null;
  if (earlier !== undefined) {
    // Both attempts show the task, so they share its bill.
    const report = { ...earlier.report, taskId: task.taskId };
    change.patchAttempt(earlier.number, { lease: null, stillOpen: false, report });
  }
  const attempt = change.startAttempt({
    ticketNumber: null,
    lane: earlier?.lane ?? null,
    lease,
    counted: false,
    report: { ...EMPTY_REPORT, taskId: task.taskId },
  });
  // Without a renewal the lane would expire the lease, and start one attempt too many.
  if (lease !== null) change.send(messageOf("renew", { ...lease, endsAtMs: leaseEndMs(attempt) }));
  const { number } = attempt;
  change.set({ task: { ...task, attempt: number } });
  change.emit("attempt.started", { attempt: number, reason: "resumes the upstream task of an earlier attempt" });
}

/**
 * From now on this task is read, and no other is submitted, until its end is known. A task that is accepted late, when the job
 * already waits for another attempt, takes the place of that attempt, also when the call that submitted it was hung up meanwhile.
 */
export function taskAccepted(change: Change, fact: FactOf<"task_accepted">): FactRefusal | null {
  const { attempt: number, taskId } = fact;
  const cancelTask = messageOf("cancel_task", { taskId });
  if (change.record.kind === "tombstone") {
    change.send(cancelTask);
    return null;
  }
  const { task, delivery, state } = change.job;
  if (task?.taskId === taskId) return "stale";
  const attempt = attemptOf(change.job, number);
  // No task is to come for an attempt that upstream has answered, or whose task is canceled.
  const mayCome = attempt?.mayBeBilled === true && attempt.unpaid !== true;
  const isAwaited = attempt !== undefined && (isOpen(attempt) || mayCome);
  const isFirst = isAwaited && task === null && delivery === null && state.status !== "succeeded";
  const report = { ...fact.report, taskId };
  if (!isFirst) {
    // The task is not wanted: its job is over, or an earlier attempt's task was accepted first.
    change.send(cancelTask);
    // Upstream does not cancel a task that already runs. Such a task is billed, so its images are used if the first task fails.
    // A call makes one task: a second one of the same attempt, or one of an attempt that upstream has answered, has no bill.
    const isKnown = task?.attempt === number || attempt?.report.taskId != null;
    const isOther = isAwaited && task !== null && !isKnown;
    if (isOther && delivery === null && state.status !== "succeeded") {
      change.set({ spareTask: { taskId, attempt: number, acceptedAtMs: change.nowMs, cancelAsked: true } });
    }
    if (isOther && isOpen(attempt)) giveWay(change, attempt, report);
    return null;
  }
  change.set({ task: { taskId, attempt: number, acceptedAtMs: change.nowMs, cancelAsked: isFinal(state) } });
  if (isFinal(state)) {
    // Upstream may refuse to cancel it. A retry by hand then resumes it rather than pay for another.
    change.send(cancelTask);
    return null;
  }
  change.patchAttempt(number, { report, stillOpen: attempt.outcome !== null });
  if (state.status === "queued") {
    change.leaveLine();
    resumeTask(change);
  }
  return null;
}

/** The attempt's task is one too many: the job keeps the earlier one. */
function giveWay(change: Change, attempt: AttemptRecord, report: UpstreamReport): void {
  const reason = "an earlier attempt's task was accepted meanwhile and goes on; this one's is canceled upstream";
  if (attempt.outcome === null) {
    const ended = { outcome: "canceled", counted: false, mayBeBilled: true, stillOpen: false, report } as const;
    change.finishAttempt(attempt, ended, { kind: "abandoned" }, { reason });
    resumeTask(change);
    return;
  }
  change.patchAttempt(attempt.number, { stillOpen: false, report });
  change.release(attempt, { kind: "abandoned" }, null);
  change.emit("attempt.late", { attempt: attempt.number, outcome: "canceled", mayBeBilled: true, reason });
}

/**
 * Once no late answer is awaited any more, a task is given up after this many answers in a row that upstream does not know it. Reads
 * may hang until then, and the first answer that comes says as little as one soon after the task was accepted.
 */
export const UNKNOWN_READS = 3;

/**
 * Upstream does not know the task. Soon after it was accepted that may be a delay of upstream's own, and another submission
 * would be paid for too: the task is read again for as long as a late answer is awaited, and until `UNKNOWN_READS` answers after
 * that said so. Then what it made is out of reach.
 */
export function taskLost(change: Change, fact: FactOf<"task_lost">): FactRefusal | null {
  const { attempt, failure } = fact;
  if (openAttempt(change.job, attempt) === null) return "stale";
  const { task } = change.job;
  if (task?.attempt === attempt) {
    const isNew = change.nowMs < task.acceptedAtMs + change.context.lateAnswerMs;
    const unknownReads = isNew ? 0 : (task.unknownReads ?? 0) + 1;
    if (unknownReads < UNKNOWN_READS) {
      if (unknownReads > 0) change.set({ task: { ...task, unknownReads } });
      return taskRead(change, { type: "task_read", attempt, failure });
    }
  }
  const lost = { ...failure, disposition: "retry", mayBeBilled: true } as const;
  return callFailed(change, { type: "call_failed", attempt, failure: lost });
}

/**
 * The task has not ended, or could not be read: it stays as it is. The attempt shows why it cannot be read; when the account is
 * at fault (a key that was revoked), the lane is notified.
 */
export function taskRead(change: Change, fact: FactOf<"task_read">): FactRefusal | null {
  const { attempt: number, failure } = fact;
  const attempt = openAttempt(change.job, number);
  const { task } = change.job;
  if (attempt === null || task?.attempt !== number) return "stale";
  if (failure === null && task.unknownReads !== undefined) {
    const { unknownReads: _known, ...readable } = task;
    change.set({ task: readable });
  }
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

/** Upstream says that the task was canceled. If we asked for that, it is no failure: a retry by hand has resumed the task since. */
export function taskFoundCanceled(change: Change, fact: FactOf<"task_found_canceled">): FactRefusal | null {
  const { task } = change.job;
  if (openAttempt(change.job, fact.attempt) === null || task?.attempt !== fact.attempt) return "stale";
  if (!task.cancelAsked) return callFailed(change, { ...fact, type: "call_failed" });
  forgetCancellation(change, task.taskId);
  taskCanceled(change, task.taskId);
  return null;
}

/** Upstream is not asked any more to cancel this task, because it is wanted again or known to be canceled. */
export function forgetCancellation(change: Change, taskId: string): void {
  change.drop(({ kind, payload }) => kind === "cancel_task" && payload.taskId === taskId);
}

/**
 * Upstream has canceled a task that we asked it to cancel, which it does only before the task begins: nothing is paid. If a retry
 * has resumed the task meanwhile, the job asks for another attempt; the canceled one does not count, since nothing was made and
 * only our own timing was at fault.
 */
export function taskCanceled(change: Change, taskId: string): void {
  const { task, spareTask, state } = change.job;
  const known = [task, spareTask].find((each) => each?.taskId === taskId);
  if (known) change.taskUnpaid(taskId, known.attempt);
  if (spareTask?.taskId === taskId) change.set({ spareTask: null });
  if (task?.taskId !== taskId) return;
  change.set({ task: null });
  const attempt = attemptOf(change.job, task.attempt);
  if (isFinal(state) || attempt === undefined) return;
  const reason = "upstream canceled the task before the retry could resume it";
  if (attempt.outcome === null) {
    const ended = { outcome: "canceled", counted: false, mayBeBilled: false, stillOpen: false } as const;
    change.finishAttempt(attempt, ended, { kind: "abandoned" }, { reason });
    change.queue(reason);
    return;
  }
  change.patchAttempt(attempt.number, { stillOpen: false, mayBeBilled: false });
  change.release(attempt, { kind: "abandoned" }, null);
  change.emit("attempt.late", { attempt: attempt.number, outcome: "canceled", mayBeBilled: false, reason });
  if (awaitsOpenCalls(change.job)) decideNext(change, { atLeastMs: 0, isSpent: false, reason });
}
