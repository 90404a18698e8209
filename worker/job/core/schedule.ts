import type { JobFact } from "./job-fact.ts";
import { isFinal, type JobRecord, type Tombstone } from "./job-record.ts";

/**
 * How soon an alarm looks again at something that is being told or copied right now: only needed when the process died
 * meanwhile and nobody asks for the job, so it may be longer than any such call should take. As long as an attempt, since
 * then one alarm covers a job from submit to its images, mostly, and each one less is a row less to write.
 */
export const EFFECT_CHECK_MS = 45_000;

/** What the living object knows beside the record; all of it is lost with the object, and nothing depends on it. */
export interface Live {
  /** Attempts whose call is held open in this process. */
  readonly openCalls: ReadonlySet<number>;
  /** Images are being copied in this process. */
  readonly storing: boolean;
  /** When copying may be tried again after it broke; null: as the record says. */
  readonly storeAgainAtMs: number | null;
  /** Lane or catalog are being told something in this process. */
  readonly telling: boolean;
  /** The upstream task is being read in this process. */
  readonly reading: boolean;
  /** When the upstream task is read again; null: now. */
  readonly pollAtMs: number | null;
  /** When a queued job asks its lane again, in case the lane lost it; null: now. */
  readonly laneCheckAtMs: number | null;
  /** When what could not be told to another room is tried again; null: now. */
  readonly outboxAtMs: number | null;
}

/** The next fact that time or a crash has brought about, or null. Applying it must change the record. */
export function dueFact(record: JobRecord, nowMs: number, live: Live): JobFact | null {
  const { state, task } = record;
  if (isFinal(state)) return null;
  for (const attempt of record.attempts) {
    const { number, outcome, stillOpen } = attempt;
    const readsTask = task?.attempt === number;
    const open = outcome === null || stillOpen;
    if (open && !readsTask && !live.openCalls.has(number)) return { type: "call_lost", attempt: number };
  }
  const storing = state.status === "running" && state.phase === "storing";
  if (!storing && nowMs >= record.deadlineAtMs) return { type: "deadline_passed" };
  for (const attempt of record.attempts) {
    const { number } = attempt;
    if (attempt.outcome === null && nowMs >= attempt.budgetEndsAtMs) return { type: "budget_ended", attempt: number };
    const late = attempt.stillOpen && task?.attempt !== number;
    if (late && nowMs >= attempt.openUntilMs) return { type: "late_window_ended", attempt: number };
  }
  if (state.status === "retrying" && nowMs >= state.retryAtMs) return { type: "backoff_ended" };
  return null;
}

/** Whether another room must still be told something. */
export function outboxIsFull(record: JobRecord): boolean {
  const { outbox } = record;
  return (
    outbox.releases.length > 0 ||
    outbox.observations.length > 0 ||
    outbox.leave !== null ||
    outbox.cancelTasks.length > 0 ||
    outbox.catalogSeq < record.seq
  );
}

/** Waits for a lane that has not taken its ticket yet. */
export function needsLane(record: JobRecord): boolean {
  const requeued = record.outbox.releases.some((release) => release.requeueRound === record.round);
  return record.state.status === "queued" && record.state.lane === null && !requeued;
}

/** When the object must look again: the earliest of everything that is left to do; null when nothing is, ever. */
export function nextAlarmAtMs(record: JobRecord, nowMs: number, live: Live): number | null {
  const { state, task } = record;
  const times: number[] = [];
  if (outboxIsFull(record) || needsLane(record)) times.push(live.outboxAtMs ?? nowMs + EFFECT_CHECK_MS);
  if (record.expiresAtMs !== null) times.push(record.expiresAtMs);
  if (!isFinal(state)) {
    const storing = state.status === "running" && state.phase === "storing";
    if (!storing) times.push(record.deadlineAtMs);
    for (const attempt of record.attempts) {
      if (attempt.outcome === null) times.push(attempt.budgetEndsAtMs);
      if (attempt.stillOpen && task?.attempt !== attempt.number) times.push(attempt.openUntilMs);
    }
    if (task !== null) times.push(live.reading ? nowMs + EFFECT_CHECK_MS : (live.pollAtMs ?? nowMs));
    if (state.status === "retrying") times.push(state.retryAtMs);
    if (state.status === "queued" && state.lane !== null) {
      const checkAtMs = Math.max(live.laneCheckAtMs ?? nowMs, live.outboxAtMs ?? 0);
      times.push(live.telling ? Math.max(checkAtMs, nowMs + EFFECT_CHECK_MS) : checkAtMs);
    }
    if (storing) {
      const storeAtMs = Math.max(state.storeAtMs, live.storeAgainAtMs ?? 0);
      // Due now, it begins before an alarm could.
      times.push(live.storing || storeAtMs <= nowMs ? nowMs + EFFECT_CHECK_MS : storeAtMs);
    }
  }
  return times.length === 0 ? null : Math.min(...times);
}

/** When a tombstone must be looked at again. It is forgotten at its end, once nothing is left to clean up. */
export function tombstoneAlarmAtMs(tombstone: Tombstone, nowMs: number, live: Live): number {
  const dirty =
    tombstone.filesRemain ||
    tombstone.catalogKnows ||
    tombstone.outbox.releases.length > 0 ||
    tombstone.outbox.leave !== null ||
    tombstone.outbox.cancelTasks.length > 0;
  return dirty ? (live.outboxAtMs ?? nowMs + EFFECT_CHECK_MS) : tombstone.untilMs;
}
