import type { UpstreamReport } from "../../../schemas/job.ts";
import type { Failure } from "../../dashscope/contract.ts";
import type { Change } from "./change.ts";
import type { FactOf, FactRefusal } from "./facts.ts";
import { messageOf } from "./outbox.ts";
import {
  type AttemptRecord,
  attemptOf,
  countedAttempts,
  type DeliveryRecord,
  iso,
  isStoring,
  openAttempt,
} from "./record.ts";
import {
  backoffMs,
  decideAfterClosing,
  decideNext,
  errorOf,
  failedOutcome,
  isPutBack,
  isSpent,
  putBackOutcome,
} from "./retry-decision.ts";
import { unusedGrants } from "./spend.ts";
import { lastLinkEndMs } from "./view.ts";

/*
 * One attempt, in the order in which things happen to it: it begins, is answered, runs out of time, is answered late. Then what it
 * delivered is stored.
 */

/** The attempt and its lease are recorded; only then may upstream be called. */
export function attemptBegan(change: Change, { lease }: FactOf<"attempt_began">): FactRefusal | null {
  const { ticketNumber, task, spend } = change.job;
  // A task that upstream holds is resumed; another call would be paid for too.
  if ((lease.ticketNumber ?? lease.round) !== ticketNumber || task !== null) return "stale";
  // The money of its attempt is being asked for. After the answer, or after a crash that loses it, the job asks for a place
  // again.
  if (change.job.outbox.some(({ kind }) => kind === "reserve")) return "stale";
  const { leaseId, lane } = lease;
  // Since the job asked, the settings name another lane: the call would not count in the lane that gave this lease.
  if (lane !== change.context.lane) return "stale";
  change.drop(({ kind }) => kind === "enqueue");
  // Without a limit, or queued before there was one: no grant was asked for.
  if (spend !== undefined && unusedGrants(spend, change.job.attempts) === 0) change.granted(spend.grants + 1);
  const { number } = change.startAttempt({ ticketNumber, lane, leaseId, lease: { leaseId, lane } });
  change.emit("attempt.started", { attempt: number });
  return null;
}

/** The least wait between two tries to open a job's uploads, in ms, so that a bucket that fails at once is not asked in a loop. */
const LEAST_UPLOAD_WAIT_MS = 500;

/** The bucket failed before upstream was called. That uses up no attempt and no start: the lease goes back, and the job asks again. */
export function uploadsUnreadable(change: Change, fact: FactOf<"uploads_unreadable">): FactRefusal | null {
  const { ticketNumber, outbox } = change.job;
  if (fact.ticketNumber !== ticketNumber) return "stale";
  const asked = outbox.find(({ kind }) => kind === "enqueue");
  const tries = (asked?.kind === "enqueue" ? asked.payload.tries : 0) + 1;
  const { lane } = change.context;
  if (fact.leased && lane !== null) change.send(messageOf("leave", { lane, ticketNumber }));
  const notBeforeMs = change.nowMs + backoffMs(tries, change.context.jitter, LEAST_UPLOAD_WAIT_MS);
  change.goTo({ status: "queued", lane: null });
  change.send(messageOf("enqueue", { ticketNumber, tries, reason: fact.reason }, notBeforeMs));
  return null;
}

/** An upload that is gone for good fails the job; upstream is not called. */
export function uploadMissing(change: Change, fact: FactOf<"upload_missing">): FactRefusal | null {
  if (fact.ticketNumber !== change.job.ticketNumber) return "stale";
  change.fail({
    code: "invalid_image",
    message: `the uploaded image ${fact.sha256.slice(0, 12)}… is no longer stored`,
    hint: "Submit the job again with its image.",
    upstream: null,
  });
  return null;
}

/** The images exist and are paid for: their links are stored, and everything else under way is called off. */
export function delivered(change: Change, fact: FactOf<"delivered">): FactRefusal | null {
  const { attempt: number, links, report } = fact;
  const attempt = openAttempt(change.job, number);
  if (attempt === null || change.job.delivery !== null) return "stale";
  const durationMs = Math.max(0, change.nowMs - attempt.startedAtMs);
  const images = links.length;
  const full = { ...report, taskId: report.taskId ?? attempt.report.taskId };
  if (attempt.outcome === null) {
    change.finishAttempt(
      attempt,
      { outcome: "succeeded", counted: attempt.counted, mayBeBilled: true, stillOpen: false, report: full, images },
      { kind: "succeeded", durationMs },
    );
  } else {
    const late = { outcome: "succeeded_late", mayBeBilled: true } as const;
    change.patchAttempt(number, {
      ...late,
      images,
      stillOpen: false,
      report: full,
      finishedAtMs: change.nowMs,
      retryAtMs: null,
    });
    if (attempt.lease === null) change.observe(attempt, { kind: "succeeded", durationMs });
    else change.release(attempt, { kind: "succeeded", durationMs }, null);
    change.emit("attempt.late", { attempt: number, ...late, durationMs, upstream: full });
  }
  change.callOff(number);
  billTaskOnce(change, number, full.taskId);
  change.set(change.job.spareTask === undefined ? { task: null } : { task: null, spareTask: null });
  change.returnGrants();
  warnOfFewer(change, links.length, full);
  beginStoring(change, number, links);
  return null;
}

/** Some of several images may have been refused, for example by moderation; only the others are paid for. */
function warnOfFewer(change: Change, images: number, report: UpstreamReport): void {
  const { n } = change.job.request;
  if (images >= n) return;
  const why = [report.code, report.message].filter((word) => word !== null).join(", ");
  const message = `upstream delivered ${images} of ${n} images${why === "" ? "" : `: ${why}`}`;
  change.warn({ code: "fewer_images", message });
}

/** A task is billed once: only the attempt that saw it end keeps `mayBeBilled`. */
function billTaskOnce(change: Change, number: number, taskId: string | null): void {
  if (taskId === null) return;
  for (const { number: other, report, mayBeBilled } of change.job.attempts) {
    if (other !== number && report.taskId === taskId && mayBeBilled) {
      change.patchAttempt(other, { mayBeBilled: false });
    }
  }
}

/** Upstream refused, or the call broke. */
export function callFailed(change: Change, fact: FactOf<"call_failed">): FactRefusal | null {
  const { attempt: number, failure } = fact;
  const attempt = openAttempt(change.job, number);
  if (attempt === null) return "stale";
  const report = { ...failure.report, taskId: failure.report.taskId ?? attempt.report.taskId };
  const cause = { code: failure.jobCode, message: failure.message, hint: failure.hint };
  const wasTask = change.job.task?.attempt === number;
  if (wasTask) {
    if (failure.disposition === "give_up") change.set({ task: null });
    else change.endTask();
    billTaskOnce(change, number, report.taskId);
  }
  const learned = { report, cause, mayBeBilled: failure.mayBeBilled };
  // A task from before a retry by hand may fail when all attempts since then are counted already.
  const mayCount = attempt.counted || countedAttempts(change.job) < change.job.request.maxAttempts;
  if (attempt.outcome !== null) {
    // Attempts whose budget ended while their task continued do not count, but the task's failure does.
    failedLate(change, attempt, failure, { ...learned, wasTask, counted: attempt.counted || (wasTask && mayCount) });
    return null;
  }
  if (isPutBack(failure)) {
    putBack(change, attempt, failure, learned);
    return null;
  }
  const durationMs = Math.max(0, change.nowMs - attempt.startedAtMs);
  const ended = { outcome: "failed", counted: mayCount && (failure.counted ?? true), ...learned } as const;
  change.finishAttempt(attempt, ended, failedOutcome(failure, durationMs));
  if (failure.disposition === "give_up") change.fail(errorOf(failure, report));
  else decideNext(change, lastFailure(change, failure));
  return null;
}

function lastFailure(change: Change, failure: Failure) {
  const isSpentByKind = !isPutBack(failure) && isSpent(change.job, failure);
  return { atLeastMs: failure.retryAfterMs ?? 0, isSpent: isSpentByKind, reason: failure.message };
}

type Learned = Pick<AttemptRecord, "report" | "cause" | "mayBeBilled">;

/** Throttled or blocked: not counted, and the job waits in its old place. */
function putBack(change: Change, attempt: AttemptRecord, failure: Failure, learned: Learned): void {
  const blocked = failure.disposition === "block";
  const ended = { outcome: blocked ? "blocked" : "throttled", counted: false, ...learned } as const;
  const outcome = putBackOutcome(failure, learned.report);
  if (change.job.task !== null) {
    // An earlier attempt's task was accepted meanwhile: it is resumed, and nothing new is asked for.
    change.finishAttempt(attempt, ended, outcome, { reason: failure.hint });
    decideNext(change, { atLeastMs: 0, isSpent: false, reason: failure.message });
    return;
  }
  const reason = blocked ? "the lane is blocked; waits in its old place" : "upstream throttled; waits in its old place";
  change.patchAttempt(attempt.number, ended);
  if (change.needsGrant) {
    // It may be billed, so the next attempt's money is asked for before its place.
    change.finishAttempt(attempt, ended, outcome, { reason: failure.hint });
    change.queue(reason);
    return;
  }
  const requeue = change.job.ticketNumber + 1;
  change.finishAttempt(attempt, ended, outcome, { requeue, reason: failure.hint });
  change.queue(reason, attempt.lease !== null);
}

/** Formats a budget of 45 000 ms as `45 s`. */
const seconds = (ms: number): string => `${Math.round(ms / 100) / 10} s`;

/** The attempt's time is up. Its call stays open while a late answer may still come. */
export function budgetEnded(change: Change, { attempt: number }: FactOf<"budget_ended">): FactRefusal | null {
  const attempt = attemptOf(change.job, number);
  if (attempt === undefined || attempt.outcome !== null) return "stale";
  const late = `no answer within ${seconds(attempt.budgetEndsAtMs - attempt.startedAtMs)}`;
  // The reason why the task could not be read explains more than that upstream was slow.
  const message = attempt.cause === null ? late : `${late}: ${attempt.cause.message}`;
  const hint = attempt.cause?.hint ?? "Upstream was slow; retry later, or ask for a smaller size.";
  const cause = { code: "attempts_exhausted", message, hint } as const;
  const ended = { outcome: "timed_out", mayBeBilled: true, cause } as const;
  if (change.job.task?.attempt === number) {
    // The task continues upstream and costs nothing new: the attempt does not count, and the lease is kept.
    change.finishAttempt(attempt, { ...ended, counted: false, stillOpen: true }, null);
  } else {
    const stillOpen = attempt.openUntilMs > change.nowMs;
    change.finishAttempt(
      attempt,
      { ...ended, counted: true, stillOpen },
      { kind: "failed", fault: "none", durationMs: change.nowMs - attempt.startedAtMs },
      stillOpen ? { reason: "the call is not hung up: a late answer is still taken" } : {},
    );
  }
  decideNext(change, { atLeastMs: 0, isSpent: false, reason: message });
  return null;
}

/**
 * A call past its budget has failed, so it is known now whether it may be billed. A final refusal ends the job. After a failure
 * that is not the job's fault the attempt does not count; when upstream throttled or blocked it, its lane is notified.
 */
function failedLate(
  change: Change,
  attempt: AttemptRecord,
  failure: Failure,
  { wasTask, ...learned }: Learned & Pick<AttemptRecord, "counted"> & { readonly wasTask: boolean },
): void {
  const { report } = learned;
  const counted = learned.counted && !isPutBack(failure) && (failure.counted ?? true);
  // The next attempt was to resume the task, or one attempt fewer is left.
  const isLess = wasTask || (counted && !attempt.counted);
  change.patchAttempt(attempt.number, { ...learned, counted, stillOpen: false });
  if (isPutBack(failure)) {
    if (attempt.lease === null) change.observe(attempt, putBackOutcome(failure, report));
    else change.release(attempt, putBackOutcome(failure, report), null);
  } else {
    const durationMs = change.nowMs - attempt.startedAtMs;
    change.release(attempt, { kind: "failed", fault: "none", durationMs }, null);
  }
  change.emit("attempt.late", {
    attempt: attempt.number,
    outcome: failure.disposition === "block" ? "blocked" : failure.disposition === "put_back" ? "throttled" : "failed",
    counted,
    mayBeBilled: failure.mayBeBilled,
    upstream: report,
    reason: failure.message,
  });
  if (failure.disposition === "give_up") change.fail(errorOf(failure, report));
  else if (isLess && change.job.state.status === "retrying") decideNext(change, lastFailure(change, failure));
  else decideAfterClosing(change, attempt, lastFailure(change, failure));
}

/** The process that held the call has ended. */
export function callLost(change: Change, { attempt: number }: FactOf<"call_lost">): FactRefusal | null {
  const attempt = attemptOf(change.job, number);
  if (attempt === undefined || change.job.task?.attempt === number) return "stale";
  if (attempt.outcome !== null) return closeCall(change, attempt, "the open call was lost with its process");
  const message = "the process that held the call ended before upstream answered";
  const cause = { code: "attempts_exhausted", message, hint: "Retry the job." } as const;
  change.finishAttempt(
    attempt,
    { outcome: "interrupted", counted: true, mayBeBilled: true, stillOpen: false, cause },
    { kind: "abandoned" },
  );
  decideNext(change, { atLeastMs: 0, isSpent: false, reason: message });
  return null;
}

/** The time for a late answer is over: the call is hung up. */
export function lateWindowEnded(change: Change, { attempt: number }: FactOf<"late_window_ended">): FactRefusal | null {
  const attempt = attemptOf(change.job, number);
  if (attempt === undefined || attempt.outcome === null || change.job.task?.attempt === number) return "stale";
  return closeCall(change, attempt, "no late answer came");
}

function closeCall(change: Change, attempt: AttemptRecord, reason: string): FactRefusal | null {
  if (!attempt.stillOpen) return "stale";
  change.patchAttempt(attempt.number, { stillOpen: false });
  change.emit("attempt.late", { attempt: attempt.number, outcome: "timed_out", mayBeBilled: true, reason });
  decideAfterClosing(change, attempt, { atLeastMs: 0, isSpent: false, reason: "no late answer came" });
  return null;
}

/** The least wait between two tries to copy, in ms, so that a host that fails at once is not asked in a loop. */
const LEAST_COPY_WAIT_MS = 250;

/** Stores the links: from here on a crash, a full disk or a dead network costs another copy, never another image. */
export function beginStoring(change: Change, attempt: number, links: readonly string[]): void {
  const images = links.map(() => null);
  change.set({ delivery: { attempt, links, deliveredAtMs: change.nowMs, images, tries: 0, lastReason: null } });
  change.goTo({ status: "running", phase: "storing", storeAtMs: change.nowMs });
  change.emit("job.storing", { attempt, images: links.length });
}

/** Whether a delivery can still be stored without asking upstream again. */
export function canStillStore(delivery: DeliveryRecord | null, nowMs: number): delivery is DeliveryRecord {
  if (delivery === null || delivery.images.every((image) => image === "dead")) return false;
  return nowMs < (lastLinkEndMs(delivery) ?? Number.POSITIVE_INFINITY);
}

/** Stores what was delivered before the last retry by hand. */
export function resumeStoring(change: Change): void {
  const { delivery } = change.job;
  if (delivery === null) throw new Error("nothing to store");
  change.set({ delivery: { ...delivery, tries: 0 } });
  change.goTo({ status: "running", phase: "storing", storeAtMs: change.nowMs });
  change.emit("job.storing", {
    attempt: delivery.attempt,
    images: delivery.links.length,
    reason: "upstream had delivered already: the images are copied, not made again",
  });
  finishOnceStored(change);
}

export function imageStored(change: Change, fact: FactOf<"image_stored">): FactRefusal | null {
  const delivery = missingImage(change, fact);
  if (delivery === null) return "stale";
  change.set({ delivery: { ...delivery, images: delivery.images.with(fact.index, fact.image) } });
  finishOnceStored(change);
  return null;
}

export function storeFailed(change: Change, fact: FactOf<"store_failed">): FactRefusal | null {
  const { attempt, index, dead, reason } = fact;
  const delivery = missingImage(change, fact);
  if (delivery === null) return "stale";
  const tries = delivery.tries + 1;
  const images = dead ? delivery.images.with(index, "dead") : delivery.images;
  change.set({ delivery: { ...delivery, images, tries, lastReason: reason } });
  if (!dead) {
    const storeAtMs = change.nowMs + backoffMs(tries, change.context.jitter, LEAST_COPY_WAIT_MS);
    change.goTo({ status: "running", phase: "storing", storeAtMs });
    const missing = images.filter((image) => image === null).length;
    change.emit("job.storing", { attempt, images: missing, retryAt: iso(storeAtMs), reason });
  }
  finishOnceStored(change);
  return null;
}

/** The delivery that is being stored, while this image of it is missing. */
function missingImage({ job }: Change, fact: { readonly attempt: number; readonly index: number }) {
  const { delivery } = job;
  if (!isStoring(job) || delivery === null || delivery.attempt !== fact.attempt) return null;
  return delivery.images[fact.index] === null ? delivery : null;
}

/** Ends the job once every image is stored or lost for good. Some stored and some lost is a success with a warning. */
function finishOnceStored(change: Change): void {
  const { delivery } = change.job;
  if (delivery === null || delivery.images.some((image) => image === null)) return;
  const stored = delivery.images.filter((image) => image !== null && image !== "dead");
  const lost = delivery.images.length - stored.length;
  const why = delivery.lastReason ?? "no reason known";
  if (stored.length === 0) {
    const attempt = attemptOf(change.job, delivery.attempt);
    change.fail({
      code: "result_lost",
      message: `upstream delivered, but the images could not be copied before their links ended: ${why}`,
      hint: "The images were billed. A retry makes, and pays for, new ones.",
      upstream: attempt === undefined ? null : { code: attempt.report.code, requestId: attempt.report.requestId },
    });
    change.set({ delivery: null });
    return;
  }
  if (lost > 0) {
    const message = `${lost} of ${delivery.images.length} images could not be copied: ${why}`;
    change.warn({ code: "result_partly_lost", message });
  }
  change.finish({ status: "succeeded", finishedAtMs: change.nowMs, images: stored });
  change.emit("job.succeeded", { attempt: delivery.attempt, images: stored.length });
}
