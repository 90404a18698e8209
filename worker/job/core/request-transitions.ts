import type { Change } from "./change.ts";
import type { FactRefusal, JobContext } from "./job-fact.ts";
import { isFinal, type JobRecord, type Tombstone } from "./job-record.ts";
import { canStillStore, resumeStoring } from "./storing-transitions.ts";
import { forgetCancellation, resumeTask } from "./task-transitions.ts";

/** Works at once in every unfinished state. Links and task are kept: a retry goes on from there and pays nothing again. */
export function cancel(change: Change): FactRefusal | null {
  const { state } = change.record;
  if (state.status === "canceled") return null;
  if (isFinal(state)) return "finished";
  change.callOff(null);
  change.cancelTask();
  change.goTo({ status: "canceled", finishedAtMs: change.nowMs });
  change.set({ expiresAtMs: change.nowMs + change.context.retentionMs });
  change.emit("job.canceled", {});
  return null;
}

/** Warnings about images of a delivery that a retry does not use. */
const OF_A_DELIVERY: ReadonlySet<string> = new Set(["fewer_images", "result_partly_lost"]);

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
    change.set({ delivery: null, warnings: record.warnings.filter(({ code }) => !OF_A_DELIVERY.has(code)) });
    if (record.task !== null) {
      forgetCancellation(change, record.task.taskId);
      resumeTask(change);
    }
  }
  return null;
}

/** A job may end, and so its retention begin, some time after its deadline: an open call may still deliver. */
const PAST_DEADLINE_MS = 86_400_000;

/**
 * The tombstone when its key is used again: it outlasts the job that the key stands for from now on. Were it gone before, the
 * same key would make, and pay for, another job beside that one.
 */
export function outlasting(
  tombstone: Tombstone,
  deadlineSeconds: number,
  { nowMs, retentionMs }: Pick<JobContext, "nowMs" | "retentionMs">,
): Tombstone {
  const neededUntilMs = nowMs + deadlineSeconds * 1000 + retentionMs;
  if (tombstone.untilMs >= neededUntilMs) return tombstone;
  return { ...tombstone, untilMs: neededUntilMs + PAST_DEADLINE_MS };
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
