import type { Failure } from "../../dashscope/contract.ts";
import type { Change } from "./change.ts";
import { errorOf, isPutBack, putBackOutcome } from "./failure-meaning.ts";
import type { AttemptRecord } from "./job-record.ts";
import { backedOffForCall, decideNext, isSpent, waitsForOpenCalls } from "./next-move.ts";

/**
 * A call past its budget was refused after all: what is not billed is known now. A refusal for good ends the job; one that is
 * not the job's fault (throttled, blocked) is taken off its count, and its lane learns of it.
 */
export function lateFailure(
  change: Change,
  attempt: AttemptRecord,
  failure: Failure,
  learned: Pick<AttemptRecord, "report" | "cause" | "counted">,
): null {
  const putBack = isPutBack(failure);
  const counted = learned.counted && !putBack;
  const isNowCounted = counted && !attempt.counted;
  change.patchAttempt(attempt.number, { ...learned, counted, stillOpen: false, mayBeBilled: failure.mayBeBilled });
  const durationMs = change.nowMs - attempt.startedAtMs;
  if (putBack && attempt.lease === null) change.observe(attempt, putBackOutcome(failure, learned.report));
  const ended = putBack
    ? putBackOutcome(failure, learned.report)
    : ({ kind: "failed", fault: "none", durationMs } as const);
  change.release(attempt, ended, null);
  change.emit("attempt.late", {
    attempt: attempt.number,
    outcome: outcomeOf(failure),
    counted,
    mayBeBilled: failure.mayBeBilled,
    upstream: learned.report,
    reason: failure.message,
  });
  const retrying = change.record.state.status === "retrying";
  const waitsForThis =
    waitsForOpenCalls(change.record) || backedOffForCall(change.record, attempt) || (isNowCounted && retrying);
  if (failure.disposition === "give_up") change.fail(errorOf(failure, learned.report));
  else if (waitsForThis) {
    const spent = !putBack && isSpent(change.record, failure);
    decideNext(change, { atLeastMs: failure.retryAfterMs ?? 0, spent, reason: failure.message });
  }
  return null;
}

function outcomeOf({ disposition }: Failure): "failed" | "throttled" | "blocked" {
  if (disposition === "block") return "blocked";
  return disposition === "put_back" ? "throttled" : "failed";
}
