import type { JobFact } from "./facts.ts";
import { asksForPlace, type Message, type Receiver } from "./outbox.ts";
import { isFinal, isOpen, isStoring, type JobRecord, type StoredRecord } from "./record.ts";

/**
 * How long after now the alarm checks work that is under way, in ms: after a crash nothing else does. As long as an attempt's
 * default budget, so that one alarm usually covers a job from its submission to its images.
 */
export const SAFETY_NET_MS = 45_000;

/**
 * How long after now the alarm checks that the catalog was notified of a retry, in ms. Until then the catalog counts the job as ended,
 * and the reservation for the retry counts for at least 20 s (`RECORD_DELAY_MS`).
 */
const RETRY_CHECK_MS = 8_000;

/** What the running object knows besides the record. All of it is lost when the object stops, and nothing depends on it. */
export interface Live {
  /** Attempts whose call is held open in this process. */
  readonly openCalls: ReadonlySet<number>;
  /** Images are being copied in this process. */
  readonly storing: boolean;
  /** When copying may be tried again after it failed unexpectedly; null: as the record says. */
  readonly storeAgainAtMs: number | null;
  /** The upstream task is being read in this process. */
  readonly reading: boolean;
  /** When the upstream task is read again; null: now. */
  readonly pollAtMs: number | null;
  /** When a queued job asks whether its lane still has its ticket; null: now. */
  readonly ticketCheckAtMs: number | null;
  /** A message to this receiver is on its way. */
  isSending(to: Receiver): boolean;
  /** When a receiver that failed is tried again; null: now. */
  sendAgainAtMs(to: Receiver): number | null;
}

/** The next fact that time or a crash has brought about, or null. Taking it changes the record. */
export function dueFact(record: StoredRecord, nowMs: number, live: Live): JobFact | null {
  if (record.kind === "tombstone") {
    const isDue = nowMs >= record.untilMs && record.outbox.length === 0 && !record.isSwept;
    return isDue ? { type: "tombstone_ended" } : null;
  }
  const { state, task, expiresAtMs, pinned, ticketNumber, outbox } = record;
  if (expiresAtMs !== null && nowMs >= expiresAtMs && pinned !== true) return { type: "remove", why: "expired" };
  if (isFinal(state)) return null;
  for (const attempt of record.attempts) {
    const { number } = attempt;
    const isCall = isOpen(attempt) && task?.attempt !== number;
    if (isCall && !live.openCalls.has(number)) return { type: "call_lost", attempt: number };
  }
  if (!isStoring(record) && nowMs >= record.deadlineAtMs) return { type: "deadline_passed" };
  for (const { number, outcome, stillOpen, budgetEndsAtMs, openUntilMs } of record.attempts) {
    if (outcome === null && nowMs >= budgetEndsAtMs) return { type: "budget_ended", attempt: number };
    const isLateCall = stillOpen && task?.attempt !== number;
    if (isLateCall && nowMs >= openUntilMs) return { type: "late_window_ended", attempt: number };
  }
  if (state.status === "retrying" && nowMs >= state.retryAtMs) return { type: "backoff_ended" };
  if (state.status === "queued" && !asksForPlace(outbox, ticketNumber) && nowMs >= (live.ticketCheckAtMs ?? nowMs)) {
    return { type: "ticket_check_due" };
  }
  return null;
}

/** Storing usually takes less than this, in ms, and the catalog is then notified once, of the end. */
export const QUICK_STORING_MS = 3_000;

/** The oldest message to this receiver that may be sent now; null when there is none. */
export function nextMessage(record: StoredRecord, to: Receiver, nowMs: number): Message | null {
  const { outbox } = record;
  const isDue = (message: Message) => sendableAtMs(message, record) <= nowMs && !isHeld(message, outbox);
  return outbox.find((message) => message.to === to && isDue(message)) ?? null;
}

/** A webhook gets a job's events in their order: while one waits for its next try, the later ones wait too. */
export function isHeld(message: Message, outbox: readonly Message[]): boolean {
  if (message.kind !== "notify") return false;
  const { seq } = message.payload;
  return outbox.some(({ kind, payload }) => kind === "notify" && payload.seq < seq);
}

/** Whether the message notifies the catalog of a retry. A retry writes at most one event after `job.retried`. */
function notifiesOfRetry(message: Message, record: StoredRecord): boolean {
  return (
    message.kind === "record" &&
    record.kind === "job" &&
    record.log.slice(-2).some(({ type }) => type === "job.retried")
  );
}

/** When the message may be sent at the earliest. */
function sendableAtMs(message: Message, record: StoredRecord): number {
  const { notBeforeMs = 0 } = message;
  if (!waitsForEnd(message, record)) return notBeforeMs;
  return Math.max(notBeforeMs, (record.delivery?.deliveredAtMs ?? 0) + QUICK_STORING_MS);
}

function waitsForEnd(message: Message, record: StoredRecord): record is JobRecord {
  return message.kind === "record" && record.kind === "job" && isStoring(record);
}

/** Whether the time of the tombstone is over and nothing is left to send, so that everything can be deleted. */
export function isForgettable(record: StoredRecord): boolean {
  if (record.kind !== "tombstone") return false;
  return record.isSwept && record.outbox.length === 0;
}

/** The earliest time at which anything is to be done; null when nothing ever is. */
export function nextAlarmAtMs(record: StoredRecord, nowMs: number, live: Live): number | null {
  const sendable = record.outbox.filter((message) => !isHeld(message, record.outbox));
  const times = sendable.map((message) => {
    const checkAtMs = nowMs + (notifiesOfRetry(message, record) ? RETRY_CHECK_MS : SAFETY_NET_MS);
    if (live.isSending(message.to)) return checkAtMs;
    const atMs = Math.max(sendableAtMs(message, record), live.sendAgainAtMs(message.to) ?? 0);
    // A message that is due now is sent before an alarm could fire. The image copier sends the entry once storing is no longer
    // quick.
    const isLookedAt = atMs <= nowMs || (waitsForEnd(message, record) && isCopying(record, nowMs, live));
    return isLookedAt ? checkAtMs : atMs;
  });
  if (record.kind === "tombstone") {
    if (record.outbox.length === 0) times.push(record.untilMs);
  } else times.push(...jobTimes(record, nowMs, live));
  return times.length === 0 ? null : Math.min(...times);
}

function jobTimes(record: JobRecord, nowMs: number, live: Live): number[] {
  const { state, task, expiresAtMs, pinned } = record;
  if (expiresAtMs !== null) return pinned === true ? [] : [expiresAtMs];
  const times: number[] = [];
  if (!isStoring(record)) times.push(record.deadlineAtMs);
  for (const { number, outcome, stillOpen, budgetEndsAtMs, openUntilMs } of record.attempts) {
    if (outcome === null) times.push(budgetEndsAtMs);
    if (stillOpen && task?.attempt !== number) times.push(openUntilMs);
  }
  if (task !== null) times.push(live.reading ? nowMs + SAFETY_NET_MS : (live.pollAtMs ?? nowMs));
  if (state.status === "retrying") times.push(state.retryAtMs);
  if (state.status === "queued" && !asksForPlace(record.outbox, record.ticketNumber)) {
    times.push(live.ticketCheckAtMs ?? nowMs);
  }
  if (state.status === "running" && state.phase === "storing") {
    times.push(isCopying(record, nowMs, live) ? nowMs + SAFETY_NET_MS : storeAtMs(record, live));
  }
  return times;
}

/** Whether images are being copied, or will be before an alarm could fire: copying that is due now begins with the next `pump`. */
function isCopying(record: JobRecord, nowMs: number, live: Live): boolean {
  return live.storing || storeAtMs(record, live) <= nowMs;
}

/** When the missing images are copied; never while the job is not storing. */
function storeAtMs({ state }: JobRecord, live: Live): number {
  if (state.status !== "running" || state.phase !== "storing") return Number.POSITIVE_INFINITY;
  return Math.max(state.storeAtMs, live.storeAgainAtMs ?? 0);
}
