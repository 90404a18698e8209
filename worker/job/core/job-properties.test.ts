import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cases } from "../../../test/support/properties.ts";
import { BACKOFF_CAP_MS, backoffMs } from "./backoff.ts";
import type { Moment } from "./change.ts";
import { isLegalEdge, LEGAL_EDGES } from "./edges.ts";
import type { JobContext, JobFact } from "./job-fact.ts";
import { countedAttempts, isFinal, type JobRecord } from "./job-record.ts";
import { dueFact, type Live, nextAlarmAtMs } from "./schedule.ts";
import { context, failure, image, LANE, lease, queued, report, T0 } from "./test-jobs.ts";
import { transition } from "./transition.ts";

const attempt = fc.integer({ min: 1, max: 6 });
const disposition = fc.constantFrom("retry", "give_up", "put_back", "block");

/** A fact of any kind, about any attempt, made for the record it meets where it must name a round. */
const anyFact = fc.oneof(
  fc.constant((record: JobRecord): JobFact => ({ type: "enqueued", lane: LANE, round: record.round })),
  fc.constant((record: JobRecord): JobFact => ({ type: "attempt_began", lease: lease(record) })),
  fc.record({ attempt, id: fc.integer({ min: 1, max: 3 }) }).map(
    ({ attempt: number, id }) =>
      (): JobFact => ({ type: "task_accepted", attempt: number, taskId: `task-${id}`, report }),
  ),
  fc.record({ attempt, n: fc.integer({ min: 1, max: 3 }) }).map(
    ({ attempt: number, n }) =>
      (): JobFact => ({
        type: "delivered",
        attempt: number,
        links: Array.from({ length: n }, (_, i) => `https://r.test/${i}`),
        report,
      }),
  ),
  fc
    .record({
      attempt,
      disposition,
      mayBeBilled: fc.boolean(),
      retryAfterMs: fc.option(fc.integer({ min: 0, max: 10_000 })),
    })
    .map(
      ({ attempt: number, ...rest }) =>
        (): JobFact => ({ type: "call_failed", attempt: number, failure: failure(rest) }),
    ),
  attempt.map((number) => (): JobFact => ({ type: "task_lost", attempt: number, failure: failure() })),
  attempt.map((number) => (): JobFact => ({ type: "call_lost", attempt: number })),
  attempt.map((number) => (): JobFact => ({ type: "budget_ended", attempt: number })),
  attempt.map((number) => (): JobFact => ({ type: "late_window_ended", attempt: number })),
  fc.record({ attempt, index: fc.integer({ min: 0, max: 2 }) }).map(
    ({ attempt: number, index }) =>
      (): JobFact => ({ type: "image_stored", attempt: number, index, image: image(index) }),
  ),
  fc.record({ attempt, index: fc.integer({ min: 0, max: 2 }), dead: fc.boolean() }).map(
    ({ attempt: number, index, dead }) =>
      (): JobFact => ({ type: "store_failed", attempt: number, index, dead, reason: "503" }),
  ),
  fc.record({ id: fc.integer({ min: 1, max: 3 }), canceled: fc.boolean() }).map(
    ({ id, canceled }) =>
      (): JobFact => ({ type: "task_canceled", taskId: `task-${id}`, canceled }),
  ),
  fc.constantFrom<JobFact["type"]>("backoff_ended", "cancel", "retry", "deadline_passed").map(
    // The four that carry nothing else.
    (type) => (): JobFact => ({ type }) as JobFact,
  ),
);

const script = fc.array(
  fc.record({
    fact: anyFact,
    waitMs: fc.integer({ min: 0, max: 3_000 }),
    jitter: fc.double({ min: 0, max: 0.999, noNaN: true }),
  }),
  { maxLength: 60, size: "max" },
);
const settings = fc.record({
  maxAttempts: fc.integer({ min: 1, max: 5 }),
  onUncertain: fc.constantFrom("retry" as const, "fail" as const),
});

/** A live object that remembers nothing: every call is lost, everything is due now. */
const FRESH: Live = {
  openCalls: new Set(),
  storing: false,
  storeAgainAtMs: null,
  telling: false,
  reading: false,
  pollAtMs: null,
  laneCheckAtMs: null,
  outboxAtMs: null,
};

function play(
  start: JobRecord,
  steps: readonly { fact: (record: JobRecord) => JobFact; waitMs: number; jitter: number }[],
  look: (before: JobRecord, fact: JobFact, after: JobRecord | null, at: JobContext, moments: readonly Moment[]) => void,
): JobRecord {
  let record = start;
  let nowMs = T0;
  for (const { fact, waitMs, jitter } of steps) {
    nowMs += waitMs;
    const made = fact(record);
    const at = context({ nowMs, jitter });
    const result = transition(record, made, at);
    look(record, made, result.ok ? result.record : null, at, result.ok ? result.moments : []);
    if (result.ok) record = result.record;
  }
  return record;
}

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
            expect(isLegalEdge(statuses[index - 1] ?? status, status)).toBe(true);
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

  it("is not looked at in a loop while what is due is under way", () => {
    const BUSY: Live = { ...FRESH, storing: true, telling: true, reading: true };
    fc.assert(
      fc.property(script, settings, (steps, patch) => {
        play(queued(patch), steps, (_before, _fact, after, { nowMs }) => {
          if (after === null) return;
          const live = { ...BUSY, openCalls: new Set(after.attempts.map(({ number }) => number)) };
          if (dueFact(after, nowMs, live) !== null) return;
          const alarmAtMs = nextAlarmAtMs(after, nowMs, live);
          if (alarmAtMs !== null) expect(alarmAtMs).toBeGreaterThan(nowMs);
        });
      }),
      cases(),
    );
  });

  it("after a delivery is stored nothing is generated again while its links live", () => {
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

  it("an alarm is due whenever something is left to do, and applying what is due comes to rest", () => {
    fc.assert(
      fc.property(settings, script, (request, steps) => {
        let record = play(queued(request), steps, () => {});
        expect(nextAlarmAtMs(record, T0, FRESH)).not.toBeNull();
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
          if (!result.ok) throw new Error(`a due ${fact.type} was refused: ${result.refusal}`);
          expect(result.record).not.toBe(record);
          record = result.record;
        }
        const storing = record.state.status === "running" && record.state.phase === "storing";
        expect(isFinal(record.state) || storing).toBe(true);
      }),
      cases(2_000),
    );
  });

  it("every open lease is released exactly once", () => {
    fc.assert(
      fc.property(settings, script, (request, steps) => {
        const last = play(
          queued(request),
          [...steps, { fact: () => ({ type: "cancel" }), waitMs: 1, jitter: 0 }],
          () => {},
        );
        if (last.task !== null && last.state.status !== "canceled") return;
        const leases = last.outbox.releases.map((release) => release.leaseId);
        expect(new Set(leases).size).toBe(leases.length);
        if (isFinal(last.state)) expect(last.attempts.filter((known) => known.lease !== null)).toEqual([]);
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

it("no edge is named twice", () => {
  expect(new Set(LEGAL_EDGES.map(([from, to]) => `${from}>${to}`)).size).toBe(LEGAL_EDGES.length);
});
