import type { Change } from "./change.ts";
import type { FactRefusal } from "./job-fact.ts";
import { attemptOf, isFinal } from "./job-record.ts";
import { backedOffForCall, decideNext, waitsForOpenCalls } from "./next-move.ts";
import { resumeTask } from "./task-transitions.ts";

const seconds = (ms: number): string => `${Math.round(ms / 100) / 10} s`;

/** The attempt's time is up. Its call stays open while a late answer may still come. */
export function budgetEnded(change: Change, number: number): FactRefusal | null {
  const attempt = attemptOf(change.record, number);
  if (attempt === undefined || attempt.outcome !== null) return "stale";
  const late = `no answer within ${seconds(attempt.budgetEndsAtMs - attempt.startedAtMs)}`;
  // Why a task could not be read is known, and explains more than that upstream was slow.
  const message = attempt.cause === null ? late : `${late}: ${attempt.cause.message}`;
  const hint = attempt.cause?.hint ?? "Upstream was slow; retry later, or ask for a smaller size.";
  const cause = { code: "attempts_exhausted", message, hint } as const;
  if (change.record.task?.attempt === number) {
    // The task is known and goes on upstream: nothing new will be paid for, so this does not count, and the lease is kept.
    change.finishAttempt(
      attempt,
      { outcome: "timed_out", counted: false, mayBeBilled: true, stillOpen: true, cause },
      null,
    );
  } else {
    const stillOpen = attempt.openUntilMs > change.nowMs;
    change.finishAttempt(
      attempt,
      { outcome: "timed_out", counted: true, mayBeBilled: true, stillOpen, cause },
      { kind: "failed", fault: "none", durationMs: change.nowMs - attempt.startedAtMs },
      stillOpen ? { reason: "the call is not hung up: a late answer is still taken" } : {},
    );
  }
  decideNext(change, { atLeastMs: 0, spent: false, reason: message });
  return null;
}

/** Nothing more will be heard of this call: its object is gone, or its time to deliver late is over. */
export function callClosed(change: Change, number: number, how: "lost" | "window_ended"): FactRefusal | null {
  const attempt = attemptOf(change.record, number);
  if (attempt === undefined) return "stale";
  if (attempt.outcome === null) {
    if (how !== "lost" || change.record.task?.attempt === number) return "stale";
    const message = "the process that held the call ended before upstream answered";
    change.finishAttempt(
      attempt,
      {
        outcome: "interrupted",
        counted: true,
        mayBeBilled: true,
        stillOpen: false,
        cause: { code: "attempts_exhausted", message, hint: "Retry the job." },
      },
      { kind: "abandoned" },
    );
    decideNext(change, { atLeastMs: 0, spent: false, reason: message });
    return null;
  }
  if (!attempt.stillOpen || change.record.task?.attempt === number) return "stale";
  change.patchAttempt(number, { stillOpen: false });
  change.emit("attempt.late", {
    attempt: number,
    outcome: "timed_out",
    mayBeBilled: true,
    reason: how === "lost" ? "the open call was lost with its process" : "no late answer came",
  });
  if (waitsForOpenCalls(change.record) || backedOffForCall(change.record, attempt)) {
    decideNext(change, { atLeastMs: 0, spent: false, reason: "no late answer came" });
  }
  return null;
}

/** The wait after a failure is over: in line again, or straight on with the task that upstream still holds. */
export function backoffEnded(change: Change): FactRefusal | null {
  if (change.record.state.status !== "retrying") return "stale";
  if (change.record.task !== null) {
    resumeTask(change);
    return null;
  }
  change.set({ round: change.record.round + 1 });
  change.goTo({ status: "queued", lane: null });
  change.emit("job.queued", { reason: "the wait after the last failure is over" });
  return null;
}

/** The job gives up. What upstream delivered is paid for, so storing goes on. */
export function deadlinePassed(change: Change): FactRefusal | null {
  const { state, attemptsBefore } = change.record;
  if (isFinal(state)) return "finished";
  if (state.status === "running" && state.phase === "storing") return "stale";
  const last = change.record.attempts.findLast(({ number }) => number > attemptsBefore);
  change.fail({
    code: "deadline_exceeded",
    message: `not done by its deadline${last?.cause ? `; the last attempt: ${last.cause.message}` : ""}`,
    hint: "Retry the job, or submit it with a larger deadlineSeconds.",
    upstream: last === undefined ? null : { code: last.report.code, requestId: last.report.requestId },
  });
  return null;
}
