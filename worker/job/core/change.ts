import type { EventData, EventType, JobEvent } from "../../../schemas/event.ts";
import type { JobError, Warning } from "../../../schemas/job.ts";
import type { LeaseOutcome } from "../../lane/contract.ts";
import type { JobContext } from "./facts.ts";
import { type Message, type MessageTo, messageOf, withMessage, withNewestNotices } from "./outbox.ts";
import {
  type AttemptRecord,
  EMPTY_REPORT,
  isFinal,
  isOpen,
  iso,
  type JobRecord,
  type JobState,
  RECORD_VERSION,
  type StoredRecord,
  type Tombstone,
} from "./record.ts";
import { attemptMicros, spendPosition, unusedGrants, withoutAttempts } from "./spend.ts";
import { visible } from "./view.ts";

/**
 * How many uncounted attempts (throttled, blocked) are kept, and how many from before the last retry by hand: a lane may be
 * blocked for days with a probe a minute, a job may be retried without limit, and a stored value takes 2 MB at most.
 */
const MOST_KEPT = 20;

/** An event, and the job as it was when it happened. */
export interface Moment {
  readonly event: JobEvent;
  readonly record: JobRecord;
}

/** One change of a record, put together step by step. The only writer of records. */
export class Change {
  readonly context: JobContext;
  readonly moments: Moment[] = [];
  #record: StoredRecord;
  #isSettled = false;

  constructor(record: StoredRecord, context: JobContext) {
    this.#record = record;
    this.context = context;
  }

  get nowMs(): number {
    return this.context.nowMs;
  }

  get record(): StoredRecord {
    return this.#record;
  }

  /** The job; throws in the place `removed`, where no handler may ask for it. */
  get job(): JobRecord {
    if (this.#record.kind !== "job") throw new Error("the job is removed");
    return this.#record;
  }

  set(patch: Partial<JobRecord>): void {
    this.#record = { ...this.job, ...patch };
  }

  goTo(state: JobState): void {
    this.set({ state });
  }

  /** Adds an event to the log; the catalog gets the job's new entry, and the webhook the event when it asks for it. */
  emit(type: EventType, data: EventData = {}): void {
    const seq = this.job.seq + 1;
    const event: JobEvent = { seq, at: iso(this.nowMs), type, data };
    this.set({ seq, updatedAtMs: this.nowMs, log: [...this.job.log, event] });
    this.send(messageOf("record", { seq }));
    const { webhook } = this.job;
    const isWanted = webhook?.goneAtMs === undefined && webhook?.events.some((wanted) => wanted === type);
    if (isWanted === true) {
      this.send(messageOf("notify", { seq }));
      this.#setOutbox(withNewestNotices(this.job.outbox));
    }
    this.moments.push({ event, record: this.job });
  }

  warn(warning: Warning): void {
    this.set({ warnings: [...this.job.warnings, warning] });
  }

  send(message: Message): void {
    this.#setOutbox(withMessage(this.#record.outbox, message));
  }

  /** Takes messages out of the outbox. */
  drop(isDropped: (message: Message) => boolean): void {
    this.#setOutbox(this.#record.outbox.filter((message) => !isDropped(message)));
  }

  #setOutbox(outbox: readonly Message[]): void {
    if (outbox !== this.#record.outbox) this.#record = { ...this.#record, outbox };
  }

  /** An attempt that starts now, counted unless `patch` says otherwise. */
  startAttempt(patch: Partial<AttemptRecord> & Pick<AttemptRecord, "ticketNumber" | "lane" | "lease">): AttemptRecord {
    const { nowMs, budgetMs, lateAnswerMs } = this.context;
    const { attempts, attemptsBefore, lastAttempt, startedAtMs } = this.job;
    const attempt: AttemptRecord = {
      number: lastAttempt + 1,
      startedAtMs: nowMs,
      finishedAtMs: null,
      outcome: null,
      counted: true,
      mayBeBilled: false,
      stillOpen: false,
      budgetEndsAtMs: nowMs + budgetMs,
      openUntilMs: nowMs + Math.max(budgetMs, lateAnswerMs),
      report: EMPTY_REPORT,
      retryAtMs: null,
      cause: null,
      ...patch,
    };
    const over = attempts.filter((known) => !isOpen(known));
    const uncounted = over.filter(({ counted }) => !counted);
    const earlier = over.filter(({ number }) => number <= attemptsBefore);
    const tooOld = new Set([...uncounted.slice(0, 1 - MOST_KEPT), ...earlier.slice(0, -MOST_KEPT)]);
    this.set(withoutAttempts(this.job, tooOld));
    this.set({
      attempts: [...this.job.attempts, attempt],
      lastAttempt: attempt.number,
      startedAtMs: startedAtMs ?? nowMs,
    });
    this.goTo({ status: "running", phase: "generating", attempt: attempt.number });
    return attempt;
  }

  patchAttempt(number: number, patch: Partial<AttemptRecord>): void {
    this.set({
      attempts: this.job.attempts.map((attempt) => (attempt.number === number ? { ...attempt, ...patch } : attempt)),
    });
  }

  /** Ends the running attempt, logs it, and releases its lease with `lease` (null keeps the lease). */
  finishAttempt(
    attempt: AttemptRecord,
    patch: Partial<AttemptRecord> & Pick<AttemptRecord, "outcome" | "counted" | "mayBeBilled">,
    lease: LeaseOutcome | null,
    extra: { readonly requeue?: number; readonly reason?: string } = {},
  ): void {
    const finished: AttemptRecord = { ...attempt, finishedAtMs: this.nowMs, ...patch };
    this.patchAttempt(attempt.number, finished);
    if (lease !== null) this.release(attempt, lease, extra.requeue ?? null);
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

  /** Releases the attempt's lease, once. */
  release({ number, lease, ticketNumber }: AttemptRecord, outcome: LeaseOutcome, requeue: number | null): void {
    if (lease === null) return;
    this.patchAttempt(number, { lease: null });
    const ticket = ticketNumber === null ? {} : { ticketNumber };
    this.send(messageOf("release", { ...lease, ...ticket, outcome, requeue }));
  }

  /** Notifies the lane of the outcome of a call whose lease was released before. */
  observe({ number, lane }: AttemptRecord, outcome: LeaseOutcome): void {
    if (lane !== null) this.send(messageOf("observe", { lane, attempt: number, outcome }));
  }

  /** Waits for another attempt with a new ticket. `requeued`: a release puts the ticket into the queue. */
  queue(reason: string | null, requeued = false): void {
    const ticketNumber = this.job.ticketNumber + 1;
    this.set({ ticketNumber });
    this.goTo({ status: "queued", lane: null });
    if (!requeued) this.askForPlace();
    if (reason !== null) this.emit("job.queued", { reason });
  }

  /** Asks the lane for an attempt. If the client has a limit and no grant is unused, asks the catalog for the money first. */
  askForPlace(): void {
    const { spend, ticketNumber, seq } = this.job;
    if (spend !== undefined && this.needsGrant) {
      const micros = attemptMicros(this.job);
      this.send(messageOf("reserve", { ticketNumber, number: spend.grants + 1, seq, micros }));
    } else this.enqueue();
  }

  /** Whether the money of another attempt must be reserved before it may start. */
  get needsGrant(): boolean {
    const { spend, attempts } = this.job;
    return this.context.isLimited && spend !== undefined && unusedGrants(spend, attempts) === 0;
  }

  /** The catalog has reserved the money of another attempt. */
  granted(number: number): void {
    const { spend } = this.job;
    if (spend !== undefined && number > spend.grants) this.set({ spend: { ...spend, grants: number } });
  }

  /** No attempt follows: what is still reserved for one is free again. */
  returnGrants(): void {
    const { spend, attempts } = this.job;
    const unused = spend === undefined ? 0 : unusedGrants(spend, attempts);
    if (spend !== undefined && unused > 0) this.set({ spend: { ...spend, returned: spend.returned + unused } });
  }

  /**
   * Upstream has canceled the task before it began, and bills nothing for it. This may become known only after the job's end: the
   * job stays as it is, the amount at risk becomes free, and the catalog gets the amounts without an event.
   */
  taskUnpaid(taskId: string, attempt: number): void {
    const { attempts, seq, revision, state } = this.job;
    const isUnpaid = ({ number, report, mayBeBilled, unpaid }: AttemptRecord) =>
      mayBeBilled && unpaid !== true && (report.taskId ?? (number === attempt ? taskId : null)) === taskId;
    if (!attempts.some(isUnpaid)) return;
    this.set({ attempts: attempts.map((known) => (isUnpaid(known) ? { ...known, unpaid: true } : known)) });
    if (isFinal(state)) this.returnGrants();
    this.send(messageOf("record", { seq, revision: revision + 1 }));
    this.#isSettled = true;
  }

  enqueue(): void {
    this.send(messageOf("enqueue", { ticketNumber: this.job.ticketNumber, tries: 0, reason: null }));
  }

  /**
   * Gives up the place in the queue. The lane is notified even if it has not confirmed the ticket, because it may have it: a
   * ticket left behind would hold a place, and in a blocked lane a probe.
   */
  leaveLine(): void {
    const { state, ticketNumber, outbox } = this.job;
    if (outbox.some(isRequeue))
      this.#setOutbox(outbox.map((message) => (isRequeue(message) ? withoutRequeue(message) : message)));
    this.drop(({ kind }) => kind === "enqueue" || kind === "reserve");
    if (state.status !== "queued") return;
    const lane = state.lane ?? this.context.lane;
    if (lane !== null) this.send(messageOf("leave", { lane, ticketNumber }));
  }

  /** Calls off all that is under way except the attempt `except`: running and open calls, the place in the queue. */
  callOff(except: number | null): void {
    for (const attempt of this.job.attempts) {
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

  /** Asks upstream to cancel the task that is still alive. The task is kept, so that a retry can resume it. */
  cancelTask(): void {
    const { task } = this.job;
    if (task === null) return;
    this.send(messageOf("cancel_task", { taskId: task.taskId }));
    this.set({ task: { ...task, cancelAsked: true } });
  }

  /** The job's task has failed. The second one takes its place, if there is one that upstream did not cancel. */
  endTask(): void {
    const { spareTask = null } = this.job;
    this.set(spareTask === null ? { task: null } : { task: spareTask, spareTask: null });
    this.drop(({ kind, payload }) => kind === "cancel_task" && payload.taskId === spareTask?.taskId);
  }

  /** The job is over: nothing is under way any more, and its retention begins. */
  finish(state: Extract<JobState, { finishedAtMs: number }>): void {
    this.callOff(null);
    this.cancelTask();
    this.returnGrants();
    this.goTo(state);
    this.set({ expiresAtMs: this.nowMs + this.context.retentionMs });
  }

  fail(error: JobError): void {
    this.finish({ status: "failed", finishedAtMs: this.nowMs, error });
    this.emit("job.failed", { error });
  }

  /** Replaces the job with a tombstone: calls off everything, and sends the messages that remove its files and its catalog entry. */
  remove(): void {
    if (!isFinal(this.job.state)) {
      this.finish({ status: "canceled", finishedAtMs: this.nowMs });
      this.emit("job.canceled");
    }
    const { id, client, seq, model } = this.job;
    const spend = spendPosition(this.job);
    this.drop(({ kind }) => kind === "record");
    // Newer than any entry that the catalog has.
    this.send(messageOf("forget", spend === null ? null : { seq: seq + 1, model, spend }));
    this.send(messageOf("remove_files", null));
    this.#record = {
      kind: "tombstone",
      version: RECORD_VERSION,
      id,
      client,
      removedAtMs: this.nowMs,
      untilMs: this.nowMs + this.context.retentionMs,
      successorId: null,
      isSwept: false,
      outbox: this.#record.outbox,
    };
  }

  /** A receiver that answered 410 gets nothing more of this job, until a resend reaches it. A tombstone has no more events. */
  receiverAnswered(state: "gone" | "delivered"): void {
    const { webhook } = this.#record.kind === "job" ? this.#record : {};
    if (webhook === undefined || (state === "delivered" && webhook.goneAtMs === undefined)) return;
    const { goneAtMs: _known, ...reached } = webhook;
    this.set({ webhook: state === "gone" ? { ...webhook, goneAtMs: this.nowMs } : reached });
  }

  /** Changes the tombstone. */
  setTombstone(patch: Partial<Pick<Tombstone, "untilMs" | "successorId" | "isSwept">>): void {
    if (this.#record.kind !== "tombstone") throw new Error("the job is not removed");
    this.#record = { ...this.#record, ...patch };
  }

  /** The changed record. If a reader can see the change, `revision` is one more and `updatedAtMs` is now. */
  done(before: StoredRecord): StoredRecord {
    const after = this.#record;
    if (before.kind !== "job" || after.kind !== "job") return after;
    const isMoved = after.seq !== before.seq || visible(after) !== visible(before);
    const isAnnotated = after.pinned !== before.pinned || after.metadata !== before.metadata || this.#isSettled;
    if (!isMoved && !isAnnotated) return after;
    if (isMoved && isFinal(before.state) && isFinal(after.state))
      throw new Error(`a ${before.state.status} job changed`);
    return { ...after, revision: before.revision + 1, updatedAtMs: this.nowMs };
  }
}

type Release = MessageTo<"release">;

function isRequeue(message: Message): message is Release {
  return message.kind === "release" && message.payload.requeue !== null;
}

const withoutRequeue = (message: Release): Release => ({ ...message, payload: { ...message.payload, requeue: null } });
