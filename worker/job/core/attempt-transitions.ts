import type { UpstreamReport } from "../../../schemas/job.ts";
import type { Failure } from "../../dashscope/contract.ts";
import type { Lease } from "../../lane/contract.ts";
import type { Change } from "./change.ts";
import { errorOf, faultOf, putBackOutcome } from "./failure-meaning.ts";
import type { FactRefusal } from "./job-fact.ts";
import { type AttemptRecord, EMPTY_REPORT, openAttempt } from "./job-record.ts";
import { lateFailure } from "./late-failure.ts";
import { decideNext, isSpent } from "./next-move.ts";
import { beginStoring } from "./storing-transitions.ts";

/** An attempt that starts now; counted unless it is said otherwise. */
export function newAttempt(
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
export function attemptBegan(change: Change, lease: Lease): FactRefusal | null {
  const { state, round, task } = change.record;
  // A task that upstream holds is gone on with; a second one would be paid for too.
  if (state.status !== "queued" || lease.round !== round || task !== null) return "stale";
  // The settings were changed since the job asked: its call would not count in the lane that gave this lease.
  const { leaseId, lane } = lease;
  if (lane !== change.context.lane) return "stale";
  const attempt = newAttempt(change, { round, lane, lease: { leaseId, lane } }, EMPTY_REPORT);
  change.addAttempt(attempt);
  change.goTo({ status: "running", phase: "generating", attempt: attempt.number });
  change.emit("attempt.started", { attempt: attempt.number });
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
    if (attempt.lease === null) change.observe(attempt, { kind: "succeeded", durationMs });
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
  billOnce(change, number, full.taskId);
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

export function callFailed(change: Change, number: number, failure: Failure): FactRefusal | null {
  const attempt = openAttempt(change.record, number);
  if (attempt === null) return "stale";
  const report = { ...failure.report, taskId: failure.report.taskId ?? attempt.report.taskId };
  const cause = { code: failure.jobCode, message: failure.message, hint: failure.hint };
  const durationMs = Math.max(0, change.nowMs - attempt.startedAtMs);
  const wasTask = change.record.task?.attempt === number;
  if (wasTask) {
    change.set({ task: null });
    billOnce(change, number, report.taskId);
  }
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
        putBackOutcome(failure, report),
        { ...(change.record.task === null ? { requeueRound: round } : {}), reason: failure.hint },
      );
      if (change.record.task !== null) {
        // An earlier attempt's task was accepted meanwhile: it is gone on with, and nothing new is asked for.
        decideNext(change, { atLeastMs: 0, spent: false, reason: failure.message });
        return null;
      }
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

/** One task has one bill, told by the attempt that learned its end; the earlier ones that waited for it have none. */
function billOnce(change: Change, number: number, taskId: string | null): void {
  if (taskId === null) return;
  for (const attempt of change.record.attempts) {
    const waited = attempt.number !== number && attempt.report.taskId === taskId && attempt.mayBeBilled;
    if (waited) change.patchAttempt(attempt.number, { mayBeBilled: false });
  }
}
