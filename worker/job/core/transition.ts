import { attemptBegan, callFailed, delivered } from "./attempt-transitions.ts";
import { Change, type Moment } from "./change.ts";
import type { FactRefusal, JobContext, JobFact } from "./job-fact.ts";
import { isFinal, type JobRecord, runningAttempt, type Tombstone } from "./job-record.ts";
import { cancel, retry, toTombstone } from "./request-transitions.ts";
import { imageStored, storeFailed } from "./storing-transitions.ts";
import { taskAccepted, taskCanceled, taskFoundCanceled, taskLost, taskRead } from "./task-transitions.ts";
import { backoffEnded, budgetEnded, callClosed, deadlinePassed } from "./time-transitions.ts";

export type TransitionResult =
  | { readonly ok: true; readonly record: JobRecord; readonly moments: readonly Moment[] }
  | { readonly ok: false; readonly refusal: FactRefusal };

/**
 * The job's state machine: the record after a fact, or why the fact changes nothing. Pure; every fact may come in any
 * status, twice, or late. Only `retry` leaves a final status.
 */
export function transition(record: JobRecord, fact: JobFact, context: JobContext): TransitionResult {
  const change = new Change(record, context);
  const refusal = apply(change, fact);
  return refusal === null ? { ok: true, record: change.done(record), moments: change.moments } : { ok: false, refusal };
}

/** The tombstone that takes the record's place: with everything under way called off first. */
export function remove(record: JobRecord, context: JobContext): Tombstone {
  if (isFinal(record.state)) return toTombstone(record, record, context);
  const canceled = transition(record, { type: "cancel" }, context);
  return toTombstone(record, canceled.ok ? canceled.record : record, context);
}

function apply(change: Change, fact: JobFact): FactRefusal | null {
  const { record } = change;
  switch (fact.type) {
    case "enqueued": {
      if (record.state.status === "queued" && record.round === fact.round) {
        change.set({ state: { status: "queued", lane: fact.lane } });
      } else if (runningAttempt(record)?.round !== fact.round) {
        // Taken off meanwhile: the lane must not keep a place, or an unused lease, for it.
        change.outbox({ leave: fact.lane });
      }
      return null;
    }
    case "ticket_missing": {
      const { state } = record;
      // With no lane recorded the job asks for a place anyway: a call to the lane may be under way.
      if (state.status !== "queued" || state.lane === null || record.round !== fact.round) return "stale";
      change.set({ state: { status: "queued", lane: null } });
      return null;
    }
    case "attempt_began":
      return attemptBegan(change, fact.lease);
    case "task_accepted":
      return taskAccepted(change, fact.attempt, fact.taskId, fact.report);
    case "delivered":
      return isFinal(record.state) ? "finished" : delivered(change, fact.attempt, fact.links, fact.report);
    case "call_failed":
      return isFinal(record.state) ? "finished" : callFailed(change, fact.attempt, fact.failure);
    case "task_lost":
      return isFinal(record.state) ? "finished" : taskLost(change, fact.attempt, fact.failure);
    case "task_read":
      return isFinal(record.state) ? "finished" : taskRead(change, fact.attempt, fact.failure);
    case "task_found_canceled":
      return isFinal(record.state) ? "finished" : taskFoundCanceled(change, fact.attempt, fact.failure);
    case "call_lost":
      return callClosed(change, fact.attempt, "lost");
    case "budget_ended":
      return budgetEnded(change, fact.attempt);
    case "late_window_ended":
      return callClosed(change, fact.attempt, "window_ended");
    case "image_stored":
      return imageStored(change, fact.attempt, fact.index, fact.image);
    case "store_failed":
      return storeFailed(change, fact.attempt, fact.index, fact.dead, fact.reason);
    case "backoff_ended":
      return backoffEnded(change);
    case "deadline_passed":
      return deadlinePassed(change);
    case "cancel":
      return cancel(change);
    case "retry":
      return retry(change);
    case "released": {
      const { releases } = record.outbox;
      change.outbox({ releases: releases.filter((release) => release.leaseId !== fact.leaseId) });
      return null;
    }
    case "observed":
      change.outbox({ observations: record.outbox.observations.slice(fact.count) });
      return null;
    case "left":
      if (record.outbox.leave === fact.lane) change.outbox({ leave: null });
      return null;
    case "task_canceled":
      taskCanceled(change, fact.taskId, fact.canceled);
      return null;
    case "cataloged":
      change.outbox({ catalogSeq: Math.max(record.outbox.catalogSeq, fact.seq) });
      return null;
    case "catalog_missed":
      if (record.outbox.catalogSeq === fact.seq) change.outbox({ catalogSeq: 0 });
      return null;
    default:
      return fact satisfies never;
  }
}
