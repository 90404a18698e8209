import type { JobError, JobStatus } from "../../../schemas/job.ts";
import type { ClientSpend } from "../../catalog/contract.ts";
import { fromMicros } from "../../spend/core/money.ts";
import type { JobRefusal } from "../contract.ts";
import { canStillStore, resumeStoring } from "./attempt-moves.ts";
import type { Change } from "./change.ts";
import type { FactOf, FactRefusal } from "./facts.ts";
import { type Answers, asksForPlace, type MessageKind, type MessageTo, messageOf } from "./outbox.ts";
import { currentAttempts, iso, type JobRecord, type StoredRecord } from "./record.ts";
import { awaitOpenCalls, somethingIsOpen } from "./retry-decision.ts";
import { costOf, spendPosition } from "./spend.ts";
import { forgetCancellation, resumeTask, taskCanceled } from "./task-moves.ts";

/* Moves caused by requests of clients, by the clock, and by answers to messages. */

/** Works at once in every unfinished place. Links and task are kept: a retry resumes them and pays nothing again. */
export function cancel(change: Change): FactRefusal | null {
  // A repeated cancel gets the same answer.
  if (change.job.state.status === "canceled") return null;
  change.finish({ status: "canceled", finishedAtMs: change.nowMs });
  change.emit("job.canceled");
  return null;
}

/** Warnings about images of a delivery that a retry does not use. */
const OF_A_DELIVERY: ReadonlySet<string> = new Set(["fewer_images", "result_partly_lost"]);

/** Why a job of this status cannot be retried by hand; null when it can. */
export function retryRefusal(status: JobStatus): Extract<JobRefusal, { readonly status: string }> | null {
  if (status === "failed" || status === "canceled") return null;
  return { ok: false, code: status === "succeeded" ? "job_finished" : "job_not_finished", status };
}

/** A failed or canceled job is run again: attempts and deadline start again, the log continues. */
export function retry(change: Change, { grant, key = null }: FactOf<"retry">): FactRefusal | null {
  const { ticketNumber, lastAttempt, request, delivery, task, warnings } = change.job;
  change.goTo({ status: "queued", lane: null });
  change.set({
    ticketNumber: ticketNumber + 1,
    attemptsBefore: lastAttempt,
    deadlineAtMs: change.nowMs + request.deadlineSeconds * 1000,
    expiresAtMs: null,
    // Also without a key: one of an earlier retry does not name this one.
    ...(key === null && change.job.retryKey == null ? {} : { retryKey: key }),
  });
  if (grant !== undefined) change.granted(grant);
  change.emit("job.retried");
  if (canStillStore(delivery, change.nowMs)) {
    resumeStoring(change);
    return null;
  }
  change.set({ delivery: null, warnings: warnings.filter(({ code }) => !OF_A_DELIVERY.has(code)) });
  if (task === null) change.askForPlace();
  else {
    forgetCancellation(change, task.taskId);
    resumeTask(change);
  }
  return null;
}

/** Sends an event to the webhook again, as soon as no earlier event waits. */
export function resend(change: Change, { seq }: FactOf<"resend">): FactRefusal | null {
  change.send(messageOf("notify", { seq }));
  return null;
}

/** The wait after a failure is over: the job asks for another attempt, or resumes the task that upstream still holds. */
export function backoffEnded(change: Change): FactRefusal | null {
  if (change.job.task === null) change.queue("the wait after the last failure is over");
  else resumeTask(change);
  return null;
}

/** The job fails at its deadline. */
export function deadlinePassed(change: Change): FactRefusal | null {
  const last = currentAttempts(change.job).at(-1);
  const putOff = change.job.outbox.find(({ kind }) => kind === "enqueue");
  const reason = putOff?.kind === "enqueue" ? putOff.payload.reason : null;
  const why = reason ?? (last?.cause ? `the last attempt: ${last.cause.message}` : null);
  change.fail({
    code: "deadline_exceeded",
    message: why === null ? "not done by its deadline" : `not done by its deadline; ${why}`,
    hint: "Retry the job, or submit it with a larger deadlineSeconds.",
    upstream: last === undefined ? null : { code: last.report.code, requestId: last.report.requestId },
  });
  return null;
}

/** Pins or unpins the job, or replaces its metadata. The catalog gets the new entry although there is no event. */
export function annotate(change: Change, { pinned, metadata }: FactOf<"annotate">): FactRefusal | null {
  const { job } = change;
  const isPinned = pinned ?? job.pinned ?? false;
  const noted = metadata ?? job.metadata;
  if (isPinned === (job.pinned ?? false) && JSON.stringify(noted) === JSON.stringify(job.metadata)) return null;
  change.set({ pinned: isPinned, metadata: noted });
  change.send(messageOf("record", { seq: job.seq, revision: job.revision + 1 }));
  return null;
}

/** Deleted, or its retention is over: a tombstone takes its place. */
export function remove(change: Change): FactRefusal | null {
  change.remove();
  return null;
}

/** How long after its deadline a job may end and its retention begin, in ms: copying has no deadline, and links last 24 h. */
const PAST_DEADLINE_MS = 86_400_000;

/**
 * The tombstone stays as long as the job that its key names from now on: without it, the same key would make, and pay for,
 * another job beside that one. With `successorId` that job is asked before the tombstone ends. Without it, the tombstone stays
 * for the longest time that the job may take and be kept.
 */
export function keyReused(change: Change, fact: FactOf<"key_reused">): FactRefusal | null {
  const { record, nowMs, context } = change;
  if (record.kind !== "tombstone") return "stale";
  if (fact.successorId !== null) {
    change.setTombstone({ successorId: fact.successorId, isSwept: false });
    return null;
  }
  const neededUntilMs = nowMs + fact.deadlineSeconds * 1000 + context.retentionMs;
  if (record.untilMs < neededUntilMs)
    change.setTombstone({ untilMs: neededUntilMs + PAST_DEADLINE_MS, isSwept: false });
  return null;
}

/**
 * Before a tombstone is forgotten, the job that took over its key is asked until when it is kept, and files are removed once
 * more: a copy that a dead process began may have been stored after the first removal.
 */
export function tombstoneEnded(change: Change): FactRefusal | null {
  const { record } = change;
  if (record.kind !== "tombstone" || record.isSwept) return "stale";
  if (record.successorId !== null) change.send(messageOf("ask_successor", { jobId: record.successorId }));
  else {
    change.setTombstone({ isSwept: true });
    change.send(messageOf("remove_files", null));
  }
  return null;
}

/** The lane does not know the ticket: the job asks for a place again. */
export function ticketMissing(change: Change, fact: FactOf<"ticket_missing">): FactRefusal | null {
  const { ticketNumber, outbox } = change.job;
  if (fact.ticketNumber !== ticketNumber || asksForPlace(outbox, ticketNumber)) return "stale";
  change.goTo({ status: "queued", lane: null });
  askAgain(change);
  return null;
}

/** Asks again for the place, in case the lane has lost the ticket, or the settings name another lane by now. */
export function ticketCheckDue(change: Change): FactRefusal | null {
  const { state, ticketNumber, outbox } = change.job;
  if (state.status !== "queued" || asksForPlace(outbox, ticketNumber)) return "stale";
  const isElsewhere = state.lane !== null && change.context.lane !== null && state.lane !== change.context.lane;
  if (isElsewhere) {
    change.send(messageOf("leave", { lane: state.lane, ticketNumber }));
    change.goTo({ status: "queued", lane: null });
  }
  askAgain(change);
  return null;
}

/**
 * Asks again for a place that was asked for before. A job without a grant was accepted before its client had a limit, so its first
 * attempt needs none. A retry is not exempt: while it is queued its grant is in the record, or its `reserve` is in the outbox.
 */
function askAgain(change: Change): void {
  const { spend, lastAttempt } = change.job;
  if (spend?.grants === 0 && lastAttempt === 0) change.enqueue();
  else change.askForPlace();
}

/** The submitter has not notified the catalog, so the job does, unless it has changed since: each change sends the entry. */
export function catalogMissed(change: Change, { seq }: FactOf<"catalog_missed">): FactRefusal | null {
  // Its money is in the `forget` that is still in the outbox; otherwise it is booked already.
  if (change.record.kind === "tombstone") change.send(messageOf("forget", null));
  else if (change.job.seq === seq) change.send(messageOf("record", { seq }));
  return null;
}

type OnAnswer<Kind extends MessageKind> = (change: Change, message: MessageTo<Kind>, answer: Answers[Kind]) => void;

const nothing = () => undefined;

/** What an answer changes, besides removing its message. */
const ON_ANSWER: { readonly [Kind in MessageKind]: OnAnswer<Kind> } = {
  enqueue: (change, { payload }, { lane }) => queuedIn(change, lane, payload.ticketNumber),
  release: (change, { payload }, { lane }) => queuedIn(change, lane, payload.requeue),
  renew: nothing,
  leave: nothing,
  observe: nothing,
  record: nothing,
  reserve: reserved,
  forget: nothing,
  cancel_task: (change, { payload }, { canceled }) => {
    if (canceled && change.record.kind === "job") taskCanceled(change, payload.taskId);
  },
  remove_files: nothing,
  ask_successor: (change, _message, { keptUntilMs }) => {
    const { record, nowMs } = change;
    if (record.kind !== "tombstone") return;
    if (keptUntilMs === null) change.setTombstone({ successorId: null });
    else change.setTombstone({ untilMs: Math.max(keptUntilMs, nowMs + PAST_DEADLINE_MS) });
  },
  notify: (change, { payload }, { state, nextAtMs }) => {
    if (nextAtMs !== null) change.send(messageOf("notify", payload, nextAtMs));
    if (state === "gone") change.drop(({ kind }) => kind === "notify");
    if (state === "gone" || state === "delivered") change.receiverAnswered(state);
  },
};

export function messageAnswered(change: Change, fact: FactOf<"message_answered">): FactRefusal | null {
  const { message, answer } = fact;
  change.drop(({ id }) => id === message.id);
  // The table pairs each kind with the types of its message and answer; TypeScript cannot follow that through a union.
  const onAnswer = ON_ANSWER[message.kind] as (change: Change, message: unknown, answer: unknown) => void;
  // This includes an answer to a message that was dropped while it was being sent, because the receiver has acted on it.
  onAnswer(change, message, answer);
  return null;
}

/** Whether the job still waits for the money of the attempt of that ticket. */
function waitsForMoney(record: StoredRecord, ticketNumber: number): record is JobRecord {
  return record.kind === "job" && record.state.status === "queued" && record.ticketNumber === ticketNumber;
}

/** The money of the next attempt is reserved, so the job asks for a place. */
function reserved(change: Change, { payload }: MessageTo<"reserve">): void {
  if (!waitsForMoney(change.record, payload.ticketNumber)) return;
  change.granted(payload.number);
  change.enqueue();
}

/** There is no money for another attempt: the job fails once none of its calls is open any more. */
export function budgetExceeded(change: Change, fact: FactOf<"budget_exceeded">): FactRefusal | null {
  const { record } = change;
  const isAsked = record.outbox.some(({ kind }) => kind === "reserve");
  if (!isAsked || !waitsForMoney(record, fact.ticketNumber)) return "stale";
  change.drop(({ kind }) => kind === "reserve");
  if (somethingIsOpen(record)) awaitOpenCalls(change);
  else change.fail(budgetError(record, fact.spend));
  return null;
}

function budgetError(record: JobRecord, { currency, limitMicros, resetsAtMs }: ClientSpend): JobError {
  const cost = costOf(record, spendPosition(record));
  const money = (amount: number) => `${amount} ${currency}`;
  const paid = (cost?.charged ?? 0) + (cost?.atRisk ?? 0);
  const soFar = paid === 0 ? "" : ` Earlier attempts may have been paid for, up to ${money(paid)}.`;
  const limit = `the client's spend limit of ${money(fromMicros(limitMicros))} a month`;
  const unpriced = `what ${record.model} costs is not known, so ${limit} allows no other attempt; the operator can say the price in PRICES.`;
  // Without a price, `paid` says nothing.
  const look = cost !== null && paid === 0 ? "" : "Look for the image in the upstream console before you retry. ";
  return {
    code: "budget_exceeded",
    message: cost === null ? unpriced : `${limit} has no room for another attempt.${soFar}`,
    hint: `${look}The limit starts again at ${iso(resetsAtMs)}; the operator can raise it in CLIENT_BUDGETS.`,
    upstream: null,
  };
}

/** The lane has queued the ticket. A job that was called off meanwhile ignores this: its own `leave` message follows. */
function queuedIn(change: Change, lane: string | null, ticketNumber: number | null): void {
  const { record } = change;
  if (lane === null || record.kind !== "job" || record.state.status !== "queued") return;
  if (record.ticketNumber === ticketNumber) change.goTo({ status: "queued", lane });
}
