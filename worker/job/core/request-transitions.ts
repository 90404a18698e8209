import { resumeTask } from "./attempt-transitions.ts";
import type { Change } from "./change.ts";
import type { FactRefusal, JobContext } from "./job-fact.ts";
import { attemptOf, isFinal, type JobRecord, type Tombstone } from "./job-record.ts";
import { decideNext, waitsForOpenCalls } from "./next-move.ts";
import { canStillStore, resumeStoring } from "./storing-transitions.ts";

/** Works at once in every unfinished state. Links and task are kept: a retry goes on from there and pays nothing again. */
export function cancel(change: Change): FactRefusal | null {
  const { state, task, outbox } = change.record;
  if (state.status === "canceled") return null;
  if (isFinal(state)) return "finished";
  change.callOff(null);
  if (task !== null) change.outbox({ cancelTasks: [...outbox.cancelTasks, task.taskId] });
  change.goTo({ status: "canceled", finishedAtMs: change.nowMs });
  change.set({ expiresAtMs: change.nowMs + change.context.retentionMs });
  change.emit("job.canceled", {});
  return null;
}

/** A new life for a failed or canceled job: attempts and deadline start anew, the log and the old attempts stay. */
export function retry(change: Change): FactRefusal | null {
  const { record, nowMs } = change;
  if (record.state.status === "succeeded") return "finished";
  if (record.state.status !== "failed" && record.state.status !== "canceled") return "not_finished";
  change.goTo({ status: "queued", lane: null });
  change.set({
    round: record.round + 1,
    attemptsBefore: record.lastAttempt,
    deadlineAtMs: nowMs + record.request.deadlineSeconds * 1000,
    expiresAtMs: null,
  });
  change.emit("job.retried", {});
  if (canStillStore(record.delivery, nowMs)) resumeStoring(change);
  else {
    change.set({ delivery: null });
    if (record.task !== null) {
      forgetCancellation(change, record.task.taskId);
      resumeTask(change);
    }
  }
  return null;
}

function forgetCancellation(change: Change, taskId: string): void {
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

/** What is left when a job is deleted or its time is over. Everything under way is called off, all its files go. */
export function toTombstone(record: JobRecord, called: JobRecord, context: JobContext): Tombstone {
  return {
    kind: "tombstone",
    id: record.id,
    client: record.client,
    removedAtMs: context.nowMs,
    untilMs: context.nowMs + context.retentionMs,
    filesRemain: true,
    catalogKnows: true,
    outbox: called.outbox,
  };
}
