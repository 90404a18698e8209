import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cases } from "../../../test/support/properties.ts";
import { totalOf } from "../../spend/core/position.ts";
import type { Moment } from "./change.ts";
import type { FactType, JobContext, JobFact } from "./facts.ts";
import {
  context,
  FRESH,
  failure,
  image,
  LANE,
  lease,
  messages,
  pricedJob,
  queued,
  report,
  SPENT,
  T0,
} from "./jobs.fixture.ts";
import { statusEdges, transition } from "./machine.ts";
import { type Message, messageOf } from "./outbox.ts";
import { countedAttempts, isFinal, type JobRecord, type StoredRecord } from "./record.ts";
import { BACKOFF_CAP_MS, backoffMs } from "./retry-decision.ts";
import { dueFact, isForgettable, type Live, nextAlarmAtMs } from "./schedule.ts";
import { spendPosition } from "./spend.ts";

const attempt = fc.integer({ min: 1, max: 6 });
const disposition = fc.constantFrom("retry", "give_up", "put_back", "block");
const ofAttempt = (type: "call_lost" | "budget_ended" | "late_window_ended") =>
  attempt.map((number) => (): JobFact => ({ type, attempt: number }));
const plain = (
  type: "ticket_check_due" | "backoff_ended" | "deadline_passed" | "cancel" | "retry" | "tombstone_ended",
) => fc.constant((): JobFact => ({ type }));

/** A fact made for the record it meets, where it must name a ticket or a message. */
type MakeFact = (job: JobRecord, outbox: readonly Message[]) => JobFact;

/** Facts of every type, about any attempt. A type that is missing here does not compile. */
const FACTS: Readonly<Record<FactType, fc.Arbitrary<MakeFact>>> = {
  attempt_began: fc.constant((job) => ({ type: "attempt_began", lease: lease(job) })),
  uploads_unreadable: fc.boolean().map(
    (leased) =>
      ({ ticketNumber }): JobFact => ({ type: "uploads_unreadable", ticketNumber, leased, reason: "R2" }),
  ),
  upload_missing: fc.constant(({ ticketNumber }) => ({ type: "upload_missing", ticketNumber, sha256: "ab" })),
  ticket_missing: fc.constant(({ ticketNumber }) => ({ type: "ticket_missing", ticketNumber })),
  ticket_check_due: plain("ticket_check_due"),
  task_accepted: fc.record({ attempt, id: fc.integer({ min: 1, max: 3 }) }).map(
    ({ attempt: number, id }) =>
      (): JobFact => ({ type: "task_accepted", attempt: number, taskId: `task-${id}`, report }),
  ),
  delivered: fc.record({ attempt, n: fc.integer({ min: 1, max: 3 }) }).map(({ attempt: number, n }) => {
    const links = Array.from({ length: n }, (_, index) => `https://r.test/${index}`);
    return (): JobFact => ({ type: "delivered", attempt: number, links, report });
  }),
  call_failed: fc
    .record({
      attempt,
      disposition,
      mayBeBilled: fc.boolean(),
      retryAfterMs: fc.option(fc.integer({ min: 0, max: 10_000 })),
      maxRepeats: fc.constantFrom(null, 1),
    })
    .map(
      ({ attempt: number, ...rest }) =>
        (): JobFact => ({ type: "call_failed", attempt: number, failure: failure(rest) }),
    ),
  task_lost: attempt.map((number) => (): JobFact => ({ type: "task_lost", attempt: number, failure: failure() })),
  task_read: fc.record({ attempt, isRead: fc.boolean() }).map(
    ({ attempt: number, isRead }) =>
      (): JobFact => ({ type: "task_read", attempt: number, failure: isRead ? null : failure() }),
  ),
  task_found_canceled: attempt.map(
    (number) => (): JobFact => ({ type: "task_found_canceled", attempt: number, failure: failure() }),
  ),
  call_lost: ofAttempt("call_lost"),
  budget_ended: ofAttempt("budget_ended"),
  late_window_ended: ofAttempt("late_window_ended"),
  backoff_ended: plain("backoff_ended"),
  deadline_passed: plain("deadline_passed"),
  image_stored: fc.record({ attempt, index: fc.integer({ min: 0, max: 2 }) }).map(
    ({ attempt: number, index }) =>
      (): JobFact => ({ type: "image_stored", attempt: number, index, image: image(index) }),
  ),
  store_failed: fc.record({ attempt, index: fc.integer({ min: 0, max: 2 }), dead: fc.boolean() }).map(
    ({ attempt: number, index, dead }) =>
      (): JobFact => ({ type: "store_failed", attempt: number, index, dead, reason: "503" }),
  ),
  cancel: plain("cancel"),
  retry: plain("retry"),
  resend: fc.integer({ min: 1, max: 9 }).map((seq) => (): JobFact => ({ type: "resend", seq })),
  remove: fc.constant(() => ({ type: "remove", why: "deleted" })),
  key_reused: fc
    .constantFrom(null, "job_b")
    .map((successorId) => (): JobFact => ({ type: "key_reused", successorId, deadlineSeconds: 60 })),
  tombstone_ended: plain("tombstone_ended"),
  message_answered: fc.record({ index: fc.nat(9), isGood: fc.boolean() }).map(({ index, isGood }) => (job, outbox) => {
    const none = messageOf("record", { seq: job.seq });
    return answerTo(outbox[index % Math.max(1, outbox.length)] ?? none, isGood);
  }),
  annotate: fc.boolean().map((pinned) => (): JobFact => ({ type: "annotate", pinned })),
  budget_exceeded: fc.constant(({ ticketNumber }) => ({ type: "budget_exceeded", ticketNumber, spend: SPENT })),
  catalog_missed: fc.constant(({ seq }) => ({ type: "catalog_missed", seq })),
};

/** What a receiver may answer. */
function answerTo(message: Message, isGood: boolean): JobFact {
  const type = "message_answered";
  switch (message.kind) {
    case "enqueue":
      return { type, message, answer: { lane: LANE } };
    case "release":
      return { type, message, answer: { lane: message.payload.requeue === null ? null : LANE } };
    case "cancel_task":
      return { type, message, answer: { canceled: isGood } };
    case "ask_successor":
      return { type, message, answer: { keptUntilMs: isGood ? T0 + 90 * 86_400_000 : null } };
    case "notify":
      return { type, message, answer: { state: isGood ? "delivered" : "failed", nextAtMs: null } };
    default:
      return { type, message, answer: null } as JobFact;
  }
}

const { remove, key_reused, tombstone_ended, ...OF_JOBS } = FACTS;
/** Facts about a job that is not removed, and all of them. */
const anyFact = fc.oneof(...Object.values(OF_JOBS));
const reallyAnyFact = fc.oneof({ arbitrary: anyFact, weight: 20 }, remove, key_reused, tombstone_ended);

const scriptOf = (fact: fc.Arbitrary<MakeFact>) =>
  fc.array(
    fc.record({
      fact,
      waitMs: fc.integer({ min: 0, max: 3_000 }),
      jitter: fc.double({ min: 0, max: 0.999, noNaN: true }),
    }),
    { maxLength: 60, size: "max" },
  );
const script = scriptOf(anyFact);
const settings = fc.record({
  maxAttempts: fc.integer({ min: 1, max: 5 }),
  onUncertain: fc.constantFrom("retry" as const, "fail" as const),
});

type Steps = readonly { readonly fact: MakeFact; readonly waitMs: number; readonly jitter: number }[];
type Look = (
  before: JobRecord,
  fact: JobFact,
  after: JobRecord | null,
  at: JobContext,
  moments: readonly Moment[],
) => void;

/** The job after a script that does not remove it; `look` sees each fact, with null when it was refused. */
function play(start: JobRecord, steps: Steps, look: Look, patch: Partial<JobContext> = {}): JobRecord {
  let record = start;
  let nowMs = T0;
  for (const { fact, waitMs, jitter } of steps) {
    nowMs += waitMs;
    const made = fact(record, record.outbox);
    const at = context({ nowMs, jitter, ...patch });
    const result = transition(record, made, at);
    const after = result.ok && result.record.kind === "job" ? result.record : null;
    look(record, made, after, at, result.ok ? result.moments : []);
    record = after ?? record;
  }
  return record;
}

const legalEdges = new Set(statusEdges().map(({ from, to }) => `${from} > ${to}`));

describe("any sequence of facts", () => {
  it("only retry leaves a final status, edges are legal, seq and log only grow", () => {
    fc.assert(
      fc.property(settings, script, (request, steps) => {
        play(queued(request), steps, (before, fact, after, _at, moments) => {
          if (after === null) return;
          if (isFinal(before.state) && fact.type !== "retry") expect(after.state).toBe(before.state);
          const statuses = [before, ...moments.map((moment) => moment.record), after].map(
            (known) => known.state.status,
          );
          for (const [index, status] of statuses.entries()) {
            const before = statuses[index - 1] ?? status;
            if (before !== status) expect(legalEdges).toContain(`${before} > ${status}`);
          }
          expect(after.seq).toBeGreaterThanOrEqual(before.seq);
          expect(after.seq).toBe(after.log.at(-1)?.seq);
          expect(after.log.slice(0, before.log.length)).toEqual(before.log);
          expect(after.log.map((event) => event.seq)).toEqual(after.log.map((_, index) => index + 1));
        });
      }),
      cases(3_000),
    );
  });

  it("spends no more than was granted, and asks for a grant for each attempt that may be billed beside another", () => {
    const micros = 3 * 75_000;
    const moneyOf = (job: JobRecord) => {
      const position = spendPosition(job);
      if (position === null) throw new Error("the job has a price");
      const { chargedMicros, atRiskMicros } = totalOf(position.days);
      return { grants: position.grants, total: chargedMicros + atRiskMicros + position.reservedMicros };
    };
    fc.assert(
      fc.property(settings, script, (request, steps) => {
        const look: Look = (before, fact, after) => {
          if (after === null) return;
          const [was, is] = [moneyOf(before), moneyOf(after)];
          expect(is.total - was.total).toBeLessThanOrEqual((is.grants - was.grants) * micros);
          const isGranted = fact.type === "message_answered" && fact.message.kind === "reserve";
          expect(is.grants - was.grants).toBeLessThanOrEqual(isGranted ? 1 : 0);
        };
        const end = play(pricedJob({ ...request, n: 3 }), steps, look, { isLimited: true });
        expect(moneyOf(end).total).toBeLessThanOrEqual(moneyOf(end).grants * micros);
      }),
      cases(3_000),
    );
  });

  it("never counts more attempts than maxAttempts, and runs one at a time", () => {
    fc.assert(
      fc.property(settings, script, (request, steps) => {
        play(queued(request), steps, (_before, _fact, after) => {
          if (after === null) return;
          expect(countedAttempts(after)).toBeLessThanOrEqual(request.maxAttempts);
          expect(after.attempts.filter((known) => known.outcome === null).length).toBeLessThanOrEqual(1);
          const held = after.attempts.filter(({ number, outcome, stillOpen }) => {
            return (outcome === null || stillOpen) && number !== after.task?.attempt;
          });
          expect(held.length).toBeLessThanOrEqual(4);
          if (isFinal(after.state))
            expect(after.attempts.some((known) => known.stillOpen || known.outcome === null)).toBe(false);
        });
      }),
      cases(3_000),
    );
  });

  it("starts nothing new while upstream holds a task of the job", () => {
    fc.assert(
      fc.property(script, settings, (steps, patch) => {
        play(queued(patch), steps, (before, fact, after) => {
          if (fact.type === "attempt_began" && before.task !== null) expect(after).toBeNull();
          if (after?.task != null) expect(after.state.status).not.toBe("queued");
        });
      }),
      cases(),
    );
  });

  it("sets no alarm for now while what is due is under way", () => {
    const BUSY: Live = { ...FRESH, storing: true, reading: true, isSending: () => true };
    fc.assert(
      fc.property(script, settings, (steps, patch) => {
        play(queued(patch), steps, (_before, _fact, after, { nowMs }) => {
          if (after === null) return;
          const openCalls = new Set(after.attempts.map(({ number }) => number));
          const live = { ...BUSY, openCalls, ticketCheckAtMs: nowMs + 1 };
          if (dueFact(after, nowMs, live) !== null) return;
          const alarmAtMs = nextAlarmAtMs(after, nowMs, live);
          if (alarmAtMs !== null) expect(alarmAtMs).toBeGreaterThan(nowMs);
        });
      }),
      cases(),
    );
  });

  it("generates nothing again after a delivery is stored, as long as its links are valid", () => {
    fc.assert(
      fc.property(settings, script, (request, steps) => {
        play(queued(request), steps, (before, fact, after, { nowMs }) => {
          const { delivery } = before;
          const alive = delivery?.images.some((known) => known === null) && nowMs < delivery.deliveredAtMs + 86_400_000;
          if (alive && after !== null) expect(fact.type).not.toBe("attempt_began");
        });
      }),
      cases(3_000),
    );
  });

  it("sets an alarm whenever something is left to do, and ends when all that is due is applied", () => {
    fc.assert(
      fc.property(settings, script, (request, steps) => {
        let record = play(queued(request), steps, () => {});
        // A pinned job that is over and has nothing to send waits only for its client.
        const isAtRest = record.pinned === true && isFinal(record.state) && record.outbox.length === 0;
        expect(nextAlarmAtMs(record, T0, FRESH) === null).toBe(isAtRest);
        // Time alone, with every call lost, must end the job: nothing waits for ever.
        let nowMs = T0 + 3_600_000;
        for (let turn = 0; turn < 200; turn += 1) {
          const fact = dueFact(record, nowMs, FRESH);
          if (fact === null) {
            if (isFinal(record.state)) break;
            nowMs += 3_600_000;
            continue;
          }
          const result = transition(record, fact, context({ nowMs }));
          if (!result.ok || result.record.kind !== "job") throw new Error(`a due ${fact.type} was refused`);
          expect(result.record).not.toBe(record);
          record = result.record;
        }
        const storing = record.state.status === "running" && record.state.phase === "storing";
        expect(isFinal(record.state) || storing).toBe(true);
      }),
      cases(2_000),
    );
  });

  it("releases every open lease exactly once", () => {
    fc.assert(
      fc.property(settings, script, (request, steps) => {
        const last = play(
          queued(request),
          [...steps, { fact: () => ({ type: "cancel" }), waitMs: 1, jitter: 0 }],
          () => {},
        );
        if (last.task !== null && last.state.status !== "canceled") return;
        const leases = messages(last, "release").map(({ payload }) => payload.leaseId);
        expect(new Set(leases).size).toBe(leases.length);
        if (isFinal(last.state)) expect(last.attempts.filter((known) => known.lease !== null)).toEqual([]);
      }),
      cases(2_000),
    );
  });

  it("forgets a removed job once all its messages are answered and its time is over", () => {
    fc.assert(
      fc.property(settings, scriptOf(reallyAnyFact), fc.boolean(), (request, steps, isGood) => {
        let record: StoredRecord = queued(request);
        let nowMs = T0;
        const put = (fact: JobFact) => {
          const result = transition(record, fact, context({ nowMs }));
          if (result.ok) record = result.record;
          return result.ok;
        };
        let job: JobRecord = queued(request);
        for (const { fact, waitMs } of steps) {
          nowMs += waitMs;
          put(fact(job, record.outbox));
          if ((record as StoredRecord).kind === "job") job = record as JobRecord;
        }
        put({ type: "remove", why: "expired" });
        expect(record.kind).toBe("tombstone");
        for (let turn = 0; turn < 500 && !isForgettable(record); turn += 1) {
          const [message] = record.outbox;
          const due = dueFact(record, nowMs, FRESH);
          if (message !== undefined) put(answerTo(message, isGood && nowMs < T0 + 60 * 86_400_000));
          else if (due !== null) expect(put(due)).toBe(true);
          else nowMs = nextAlarmAtMs(record, nowMs, FRESH) ?? Number.POSITIVE_INFINITY;
        }
        expect(isForgettable(record)).toBe(true);
      }),
      cases(2_000),
    );
  });
});

describe("backoffMs", () => {
  it("stays within [0, cap], and never below what upstream asked for", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.double({ min: 0, max: 0.999999, noNaN: true }),
        fc.integer({ min: 0, max: 600_000 }),
        (failures, jitter, atLeastMs) => {
          expect(backoffMs(failures, jitter)).toBeGreaterThanOrEqual(0);
          expect(backoffMs(failures, jitter)).toBeLessThanOrEqual(BACKOFF_CAP_MS);
          expect(backoffMs(failures, jitter, atLeastMs)).toBeGreaterThanOrEqual(atLeastMs);
        },
      ),
      cases(),
    );
  });

  it.each([
    [1, 2_000],
    [2, 4_000],
    [6, 64_000],
    [7, 120_000],
    [50, 120_000],
  ])("after failure %i is at most %i ms", (failures, ceilingMs) => {
    expect(backoffMs(failures, 0.999_999_999)).toBe(ceilingMs - 1);
    expect(backoffMs(failures, 0)).toBe(0);
  });
});
