import type { EventData, EventType, JobEvent } from "../../../schemas/event.ts";
import type { JobError } from "../../../schemas/job.ts";
import type { LeaseOutcome } from "../../lane/contract.ts";
import { deliveryTrouble } from "./delivery-trouble.ts";
import { isLegalEdge } from "./edges.ts";
import type { JobContext } from "./job-fact.ts";
import { type AttemptRecord, isFinal, type JobRecord, type JobState, type Outbox } from "./job-record.ts";

/**
 * So many uncounted attempts (throttled, blocked), and so many of earlier lives, are kept: a lane may be blocked for days with a
 * probe a minute, a job may be retried by hand without end, and a record must stay far below the 2 MB that a stored value takes.
 */
const MOST_KEPT = 20;

export const iso = (ms: number): string => new Date(ms).toISOString();

/** An event, and the job as it was when it happened. */
export interface Moment {
  readonly event: JobEvent;
  readonly record: JobRecord;
}

/** One change of a job being put together: the record as it becomes, step by step. The only writer of records. */
export class Change {
  record: JobRecord;
  readonly context: JobContext;
  readonly moments: Moment[] = [];

  constructor(record: JobRecord, context: JobContext) {
    this.record = record;
    this.context = context;
  }

  get nowMs(): number {
    return this.context.nowMs;
  }

  set(patch: Partial<JobRecord>): void {
    this.record = { ...this.record, ...patch };
  }

  /** Moves the job; throws on an edge that is not in the table, since that is a bug and must not be stored. */
  goTo(state: JobState): void {
    const from = this.record.state.status;
    if (!isLegalEdge(from, state.status)) throw new Error(`illegal edge ${from} > ${state.status}`);
    this.set({ state });
  }

  emit(type: EventType, data: EventData = {}): void {
    const seq = this.record.seq + 1;
    const event: JobEvent = { seq, at: iso(this.nowMs), type, data };
    this.set({ seq, updatedAtMs: this.nowMs, log: [...this.record.log, event] });
    this.moments.push({ event, record: this.record });
  }

  outbox(patch: Partial<Outbox>): void {
    this.set({ outbox: { ...this.record.outbox, ...patch } });
  }

  addAttempt(attempt: AttemptRecord): void {
    const over = this.record.attempts.filter((known) => known.outcome !== null && !known.stillOpen);
    const uncounted = over.filter(({ counted }) => !counted);
    const earlier = over.filter(({ number }) => number <= this.record.attemptsBefore);
    const tooOld = new Set([...uncounted.slice(0, 1 - MOST_KEPT), ...earlier.slice(0, -MOST_KEPT)]);
    this.set({
      attempts: [...this.record.attempts.filter((known) => !tooOld.has(known)), attempt],
      lastAttempt: attempt.number,
      startedAtMs: this.record.startedAtMs ?? attempt.startedAtMs,
    });
  }

  patchAttempt(number: number, patch: Partial<AttemptRecord>): void {
    this.set({
      attempts: this.record.attempts.map((attempt) => (attempt.number === number ? { ...attempt, ...patch } : attempt)),
    });
  }

  /** Ends the running attempt, tells the log, and gives back its lease with `lease` (null keeps the lease). */
  finishAttempt(
    attempt: AttemptRecord,
    patch: Partial<AttemptRecord> & Pick<AttemptRecord, "outcome" | "counted" | "mayBeBilled">,
    lease: LeaseOutcome | null,
    extra: { readonly requeueRound?: number; readonly reason?: string } = {},
  ): void {
    const finished: AttemptRecord = { ...attempt, finishedAtMs: this.nowMs, ...patch };
    this.patchAttempt(attempt.number, finished);
    if (lease !== null) this.release(attempt, lease, extra.requeueRound ?? null);
    this.emit("attempt.finished", {
      attempt: attempt.number,
      ...(finished.outcome === null ? {} : { outcome: finished.outcome }),
      counted: finished.counted,
      mayBeBilled: finished.mayBeBilled,
      stillOpen: finished.stillOpen,
      durationMs: Math.max(0, this.nowMs - attempt.startedAtMs),
      upstream: finished.report,
      ...(extra.reason === undefined ? {} : { reason: extra.reason }),
    });
  }

  /** Gives back the attempt's lease, once. */
  release(attempt: AttemptRecord, outcome: LeaseOutcome, requeueRound: number | null): void {
    if (attempt.lease === null) return;
    const { lane, leaseId } = attempt.lease;
    this.patchAttempt(attempt.number, { lease: null });
    this.outbox({ releases: [...this.record.outbox.releases, { lane, leaseId, outcome, requeueRound }] });
  }

  /** Calls off all that is under way but attempt `except`: running and still open calls, the place in line. */
  callOff(except: number | null): void {
    for (const attempt of this.record.attempts) {
      if (attempt.number === except) continue;
      if (attempt.outcome === null) {
        this.finishAttempt(
          attempt,
          { outcome: "canceled", counted: attempt.counted, mayBeBilled: true, stillOpen: false },
          { kind: "abandoned" },
        );
      } else if (attempt.stillOpen) {
        this.patchAttempt(attempt.number, { stillOpen: false });
        this.release(attempt, { kind: "abandoned" }, null);
      }
    }
    this.leaveLine();
  }

  /**
   * Gives up the place in line. That the lane has the ticket is kept in memory only, so a lane that is not known to have it
   * is told all the same: a ticket left behind would hold a place, and in a blocked lane a probe.
   */
  leaveLine(): void {
    const { state, outbox } = this.record;
    if (outbox.releases.some((release) => release.requeueRound !== null)) {
      this.outbox({ releases: outbox.releases.map((release) => ({ ...release, requeueRound: null })) });
    }
    if (state.status !== "queued") return;
    const leave = state.lane ?? this.context.lane;
    if (leave !== null) this.outbox({ leave });
  }

  /** The lane learns what became of a call whose lease it has back already. */
  observe(attempt: AttemptRecord, outcome: LeaseOutcome): void {
    if (attempt.lane === null) return;
    this.outbox({ observations: [...this.record.outbox.observations, { lane: attempt.lane, outcome }] });
  }

  /** Asks upstream to cancel the task that is still alive; it is kept, so that a retry can go on with it. */
  cancelTask(): void {
    const { task, outbox } = this.record;
    if (task === null) return;
    this.outbox({ cancelTasks: [...outbox.cancelTasks, task.taskId] });
    this.set({ task: { ...task, cancelAsked: true } });
  }

  fail(error: JobError): void {
    this.callOff(null);
    this.cancelTask();
    this.goTo({ status: "failed", finishedAtMs: this.nowMs, error });
    this.set({ expiresAtMs: this.nowMs + this.context.retentionMs });
    this.emit("job.failed", { error });
  }

  /** The finished change, with its version and time moved on when a reader can see it. */
  done(before: JobRecord): JobRecord {
    if (this.record.seq === before.seq && seenAs(this.record) === seenAs(before)) return this.record;
    if (isFinal(before.state) && isFinal(this.record.state)) throw new Error(`a ${before.state.status} job changed`);
    return { ...this.record, revision: before.revision + 1, updatedAtMs: this.nowMs };
  }
}

/** What a reader sees of a change that writes no event. */
function seenAs(record: JobRecord): string {
  const attempts = record.attempts.map((attempt) => ({ ...attempt, lease: null }));
  return JSON.stringify([record.state.status, attempts, deliveryTrouble(record)?.message]);
}
