import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Priority } from "../../../schemas/job.ts";
import type { Quota } from "../../../schemas/limits.ts";
import { EventQueue, VirtualLane, type World } from "../../../simulation/lane/virtual-lane.ts";
import { cases } from "../../../test/support/properties.ts";
import type { LeaseOutcome, Ticket } from "../contract.ts";

const START_MS = Date.UTC(2026, 10, 23, 12);
const twoAMinute: Quota = { starts: 2, periodMs: 60_000, inProgress: null };
const succeeded: LeaseOutcome = { kind: "succeeded", durationMs: 20_000 };

interface Start {
  readonly ticket: Ticket;
  readonly atMs: number;
  readonly endMs: number;
}

/** A lane with a world whose every choice may be overridden; remembers each start as upstream saw it. */
function stage(quota: Quota, world: Partial<World> = {}) {
  const events = new EventQueue(START_MS);
  const starts: Start[] = [];
  const whole: World = {
    beginLagMs: () => 0,
    call: () => ({ outcome: succeeded, afterMs: 20_000 }),
    ended: (ticket, outcome) =>
      outcome.kind === "throttled" || outcome.kind === "blocked"
        ? { ticket: { ...ticket, round: ticket.round + 1 }, afterMs: 0 }
        : null,
    ...world,
  };
  const settings = { lane: "upstream.test|model", quota, attemptBudgetMs: 45_000, misconfigured: null };
  const lane = new VirtualLane(
    settings,
    {
      ...whole,
      call: (ticket, now) => {
        const answer = whole.call(ticket, now);
        starts.push({ ticket, atMs: now, endMs: now + answer.afterMs });
        return answer;
      },
    },
    events,
  );
  let jobs = 0;
  function ticket(client = "ann", priority: Priority = "normal"): Ticket {
    jobs += 1;
    return { jobId: `job-${jobs}`, client, priority, round: 1 };
  }
  return { events, starts, lane, ticket, settings };
}

/** The most starts in any window of `periodMs`, its ends included. */
function mostInAnyWindow(atMs: readonly number[], periodMs: number): number {
  const sorted = atMs.toSorted((a, b) => a - b);
  let most = 0;
  let from = 0;
  sorted.forEach((at, index) => {
    while (at - (sorted[from] ?? at) > periodMs) from += 1;
    most = Math.max(most, index - from + 1);
  });
  return most;
}

function mostAtOnce(starts: readonly Start[]): number {
  const edges = starts.flatMap(({ atMs, endMs }) => [
    { atMs, step: 1 },
    { atMs: endMs, step: -1 },
  ]);
  edges.sort((a, b) => a.atMs - b.atMs || a.step - b.step);
  let now = 0;
  let most = 0;
  for (const { step } of edges) {
    now += step;
    most = Math.max(most, now);
  }
  return most;
}

const quotas = fc.record({
  starts: fc.integer({ min: 1, max: 8 }),
  periodMs: fc.constantFrom(1_000, 10_000, 60_000),
  inProgress: fc.option(fc.integer({ min: 1, max: 5 })),
});
const outcomes: fc.Arbitrary<{ outcome: LeaseOutcome; afterMs: number }> = fc
  .tuple(fc.integer({ min: 50, max: 44_000 }), fc.integer({ min: 0, max: 9 }))
  .map(([durationMs, kind]) => {
    if (kind === 0) return { outcome: { kind: "throttled", retryAfterMs: null }, afterMs: 100 };
    if (kind === 1) return { outcome: { kind: "failed", fault: "upstream", durationMs: 80 }, afterMs: 80 };
    if (kind === 2) return { outcome: { kind: "blocked", code: "Arrearage", hint: "Pay." }, afterMs: 80 };
    if (kind === 3) return { outcome: { kind: "abandoned" }, afterMs: durationMs };
    if (kind === 4) return { outcome: { kind: "failed", fault: "none", durationMs }, afterMs: durationMs };
    return { outcome: { kind: "succeeded", durationMs }, afterMs: durationMs };
  });
const steps = fc.array(
  fc.record({
    afterMs: fc.integer({ min: 0, max: 20_000 }),
    kind: fc.constantFrom("join", "join", "join", "join", "leave", "evict"),
    client: fc.constantFrom("ann", "bob", "cy"),
    priority: fc.constantFrom<Priority>("high", "normal", "low"),
    // Some values are beyond the last moment to begin. A job that is offered a lease again answers at once.
    lagMs: fc.oneof(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 7_000 })),
    isSilent: fc.integer({ min: 0, max: 15 }).map((value) => value === 0),
    // How many of the job's first answers to offers are lost; and after how long each of its messages is executed again.
    lostAnswers: fc.constantFrom(0, 0, 0, 0, 1, 2),
    repeatedAfterMs: fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, fc.integer({ min: 0, max: 90_000 })),
    end: outcomes,
  }),
  { minLength: 1, maxLength: 60, size: "max" },
);

describe("a job of low priority", () => {
  it("waits for two normal ones before it, and starts before the other normal ones", () => {
    const { lane, ticket, starts, events } = stage(twoAMinute);
    for (let i = 0; i < 2; i += 1) lane.enqueue(ticket());
    const waiting = [ticket(), ticket(), ticket("bob", "low"), ...Array.from({ length: 6 }, () => ticket())];
    for (const each of waiting) lane.enqueue(each);
    events.runUntil(START_MS + 10 * 60_000);
    const order = starts.slice(2).map((start) => start.ticket.priority);
    expect(order.indexOf("low")).toBe(4);
    expect(order).toHaveLength(9);
  });
});

describe("a lane under any sequence of messages", () => {
  it("starts no more than its quota in any window and at once, and starts every job that answers", () => {
    fc.assert(
      fc.property(quotas, steps, (quota, story) => {
        const behaviours = new Map<string, (typeof story)[number]>();
        const gone = new Set<string>();
        const offered = new Set<string>();
        const lostAnswers = new Map<string, number>();
        const { events, starts, lane, ticket } = stage(quota, {
          beginLagMs: ({ jobId }) => {
            const behaviour = behaviours.get(jobId);
            if (behaviour === undefined || behaviour.isSilent) return null;
            const isFirst = !offered.has(jobId);
            offered.add(jobId);
            return isFirst ? behaviour.lagMs : 20;
          },
          answerIsLost: ({ jobId }) => {
            const lost = lostAnswers.get(jobId) ?? 0;
            lostAnswers.set(jobId, lost + 1);
            return lost < (behaviours.get(jobId)?.lostAnswers ?? 0);
          },
          repeatedAfterMs: (jobId) => behaviours.get(jobId)?.repeatedAfterMs ?? null,
          call: ({ jobId, round }) => {
            const end = behaviours.get(jobId)?.end ?? { outcome: succeeded, afterMs: 10 };
            return round > 2 ? { outcome: { kind: "succeeded", durationMs: 500 }, afterMs: 500 } : end;
          },
        });
        let atMs = START_MS;
        for (const each of story) {
          atMs += each.afterMs;
          events.at(atMs, () => {
            if (each.kind === "evict") lane.evict();
            if (each.kind === "join") {
              const joined = ticket(each.client, each.priority);
              behaviours.set(joined.jobId, each);
              lane.enqueue(joined);
            }
            if (each.kind === "leave") {
              const jobId = [...behaviours.keys()].find((known) => lane.place(known) !== null);
              if (jobId === undefined) return;
              gone.add(jobId);
              lane.leave(jobId);
            }
          });
        }
        events.runUntil(atMs + 4 * 3_600_000);
        const made = starts.map((start) => start.atMs);
        expect(mostInAnyWindow(made, quota.periodMs)).toBeLessThanOrEqual(quota.starts);
        if (quota.inProgress !== null) expect(mostAtOnce(starts)).toBeLessThanOrEqual(quota.inProgress);
        const started = new Set(starts.map((start) => start.ticket.jobId));
        for (const [jobId, behaviour] of behaviours) {
          // A job that left may have started before (and been put back); a job that never answers cannot have started.
          if (!gone.has(jobId)) expect(started.has(jobId), jobId).toBe(!behaviour.isSilent);
        }
      }),
      cases(1_000),
    );
  });

  it("starts a job that first answers too late, when others have used the window since", () => {
    const answers: Record<string, { readonly lagMs: number | null; readonly outcome: LeaseOutcome }> = {
      "job-1": { lagMs: 1_001, outcome: { kind: "abandoned" } },
      "job-2": { lagMs: 1_721, outcome: { kind: "abandoned" } },
      "job-4": { lagMs: 5_251, outcome: { kind: "throttled", retryAfterMs: null } },
    };
    const heard = new Set<string>();
    const { events, starts, lane, ticket } = stage(twoAMinute, {
      beginLagMs: ({ jobId }) => {
        const lagMs = answers[jobId]?.lagMs ?? null;
        if (lagMs === null || heard.has(jobId)) return lagMs === null ? null : 20;
        heard.add(jobId);
        return lagMs;
      },
      call: ({ jobId, round }) => {
        const outcome = answers[jobId]?.outcome;
        return outcome === undefined || round > 2
          ? { outcome: succeeded, afterMs: 500 }
          : { outcome, afterMs: outcome.kind === "throttled" ? 100 : 50 };
      },
    });
    lane.enqueue(ticket("ann", "high"));
    events.at(START_MS + 4_281, () => {
      for (let i = 0; i < 3; i += 1) lane.enqueue(ticket("ann", "high"));
      lane.leave("job-3");
      lane.enqueue(ticket("ann", "high"));
    });
    events.runUntil(START_MS + 4 * 3_600_000);
    expect(starts.map((start) => start.ticket.jobId)).toEqual(["job-1", "job-2", "job-4", "job-4", "job-4"]);
  });

  it("serves each client's jobs within a priority in their order", () => {
    fc.assert(
      fc.property(quotas, steps, (quota, story) => {
        const { events, starts, lane, ticket } = stage(quota, {
          call: () => ({ outcome: succeeded, afterMs: 1_000 }),
        });
        let atMs = START_MS;
        for (const each of story) {
          atMs += each.afterMs / 10;
          events.at(atMs, () => lane.enqueue(ticket(each.client, each.priority)));
        }
        events.runUntil(Number.POSITIVE_INFINITY);
        expect(starts).toHaveLength(story.length);
        const lines = Map.groupBy(starts, ({ ticket: { client, priority } }) => `${client} ${priority}`);
        for (const line of lines.values()) {
          const numbers = line.map((start) => Number(start.ticket.jobId.slice("job-".length)));
          expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
        }
      }),
      cases(),
    );
  });
});

describe("a backlog", () => {
  it.each([
    { starts: 2, periodMs: 60_000 },
    { starts: 2, periodMs: 1_000 },
    { starts: 1, periodMs: 60_000 },
    { starts: 100, periodMs: 60_000 },
    { starts: 600, periodMs: 60_000 },
  ])("uses at least 98 % of $starts starts in $periodMs ms", ({ starts: quotaStarts, periodMs }) => {
    const quota = { starts: quotaStarts, periodMs, inProgress: null };
    const periods = Math.max(5, 100 / quotaStarts);
    const { events, starts, lane, ticket } = stage(quota, { beginLagMs: () => 3 });
    for (let i = 0; i < quotaStarts * (periods + 3); i += 1) lane.enqueue(ticket());
    events.runUntil(Number.POSITIVE_INFINITY);
    const atMs = starts.map((start) => start.atMs);
    // Between starts of the same phase; the first burst was counted a little late.
    const [from = 0, to = 0] = [atMs[quotaStarts], atMs[quotaStarts * (periods + 1)]];
    expect(periods / ((to - from) / periodMs)).toBeGreaterThanOrEqual(0.98);
    expect(mostInAnyWindow(atMs, periodMs)).toBe(quotaStarts);
  });
});

describe("clients", () => {
  it("with a single job wait for at most one of another client's thousand", () => {
    const { events, starts, lane, ticket } = stage({ starts: 2, periodMs: 1_000, inProgress: null });
    for (let i = 0; i < 1_000; i += 1) lane.enqueue(ticket("ann"));
    events.runUntil(START_MS + 100_000);
    const before = starts.length;
    lane.enqueue(ticket("bob"));
    events.runUntil(START_MS + 200_000);
    const turn = starts.slice(before).findIndex((start) => start.ticket.client === "bob");
    expect(turn).toBeLessThanOrEqual(1);
  });

  it("that keep arriving do not hold back one that waits", () => {
    const { events, starts, lane, ticket } = stage({ starts: 1, periodMs: 1_000, inProgress: null });
    for (let i = 0; i < 10; i += 1) lane.enqueue(ticket("ann"));
    const joinedAtMs = new Map<string, number>();
    for (let i = 0; i < 400; i += 1) {
      joinedAtMs.set(`guest-${i}`, START_MS + i * 500);
      events.at(START_MS + i * 500, () => lane.enqueue(ticket(`guest-${i}`)));
    }
    events.runUntil(Number.POSITIVE_INFINITY);
    expect(starts).toHaveLength(410);
    let lastTurnMs = Number.POSITIVE_INFINITY;
    const passedBy: Start[] = [];
    for (const start of starts) {
      if (start.ticket.client !== "ann") passedBy.push(start);
      if (start.ticket.client !== "ann") continue;
      // Each guest that started between two of Ann's turns had joined before the first of the two.
      for (const guest of passedBy.splice(0)) {
        expect(joinedAtMs.get(guest.ticket.client)).toBeLessThanOrEqual(lastTurnMs);
      }
      lastTurnMs = start.atMs;
    }
  });

  it("with equal demand get equal shares, in any order of arrival", () => {
    const { events, starts, lane, ticket } = stage(twoAMinute);
    for (const client of ["ann", "bob", "cy"]) for (let i = 0; i < 10; i += 1) lane.enqueue(ticket(client));
    events.runUntil(Number.POSITIVE_INFINITY);
    // Ann's first two found the lane empty.
    const later = starts.slice(2).map((start) => start.ticket.client);
    for (let i = 0; i + 3 <= 24; i += 3) expect(new Set(later.slice(i, i + 3)).size).toBe(3);
  });
});

describe("estimates", () => {
  const stories = fc.record({
    quota: fc.record({
      starts: fc.integer({ min: 1, max: 6 }),
      periodMs: fc.constantFrom(1_000, 10_000, 60_000),
      inProgress: fc.option(fc.integer({ min: 1, max: 4 })),
    }),
    joins: fc.array(
      fc.record({
        afterMs: fc.integer({ min: 0, max: 3_000 }),
        client: fc.constantFrom("ann", "bob", "cy"),
        priority: fc.constantFrom<Priority>("high", "normal", "low"),
      }),
      { minLength: 3, maxLength: 40, size: "max" },
    ),
    throttledCall: fc.option(fc.integer({ min: 2, max: 10 })),
    failedCalls: fc.integer({ min: 0, max: 7 }),
  });

  it("are what happens if no job joins or leaves: with a quota, places, a lowered pace, or one at a time", () => {
    fc.assert(
      fc.property(stories, ({ quota, joins, throttledCall, failedCalls }) => {
        let calls = 0;
        const { events, starts, lane, ticket } = stage(quota, {
          call: () => {
            calls += 1;
            if (calls === throttledCall) return { outcome: { kind: "throttled", retryAfterMs: null }, afterMs: 50 };
            const isFailed = calls > 1 && calls <= 1 + failedCalls;
            if (isFailed) return { outcome: { kind: "failed", fault: "upstream", durationMs: 50 }, afterMs: 50 };
            return { outcome: succeeded, afterMs: 20_000 };
          },
        });
        // Estimates are read once the lane has seen a duration and the planned failures are over.
        lane.enqueue(ticket());
        let atMs = START_MS + 30_000;
        for (const join of joins) {
          atMs += join.afterMs;
          events.at(atMs, () => lane.enqueue(ticket(join.client, join.priority)));
        }
        events.runUntil(atMs);
        while (calls < Math.max(1 + failedCalls, throttledCall ?? 0) && events.runUntil(events.now + 1_000));
        events.runUntil(events.now + 5_000);
        const seen = starts.length;
        const foreseen = new Map<string, { startMs: number | null; position: number }>();
        for (let i = 1; i <= joins.length + 1; i += 1) {
          const place = lane.place(`job-${i}`);
          if (place !== null) foreseen.set(`job-${i}`, { startMs: place.estimatedStartAtMs, position: place.position });
        }
        events.runUntil(Number.POSITIVE_INFINITY);
        // A job may have its lease already and start soon: it has no place any more.
        const later = starts.slice(seen).filter((start) => foreseen.has(start.ticket.jobId));
        const happened = new Map(
          later.map(({ ticket: { jobId }, atMs: startMs }, index) => [jobId, { startMs, position: index + 1 }]),
        );
        expect(foreseen).toEqual(happened);
      }),
      cases(300),
    );
  });
});

describe("an idle lane", () => {
  it("starts as many at once as the quota allows", () => {
    const { events, starts, lane, ticket } = stage({ starts: 3, periodMs: 60_000, inProgress: null });
    const places = [1, 2, 3, 4, 5].map(() => lane.enqueue(ticket()));
    events.runUntil(START_MS);
    expect(starts).toHaveLength(3);
    expect(places.map((place) => place?.position)).toEqual([undefined, undefined, undefined, 1, 2]);
  });
});

describe("a deploy with other settings", () => {
  it("raises the quota, and keeps the queue", () => {
    const { events, starts, lane, ticket, settings } = stage(twoAMinute);
    for (let i = 0; i < 10; i += 1) lane.enqueue(ticket());
    events.runUntil(START_MS + 10_000);
    expect(starts).toHaveLength(2);
    lane.evict({ ...settings, quota: { starts: 5, periodMs: 60_000, inProgress: null } });
    // The alarm that was set under the old quota, or any call before it, brings the new one into effect.
    lane.leave("job-10");
    events.runUntil(START_MS + 11_000);
    expect(starts.map((start) => start.ticket.jobId)).toEqual(["job-1", "job-2", "job-3", "job-4", "job-5"]);
    events.runUntil(Number.POSITIVE_INFINITY);
    expect(starts).toHaveLength(9);
  });

  it("ends the time of wrong settings, in which nothing starts and nothing is lost", () => {
    const { events, starts, lane, ticket, settings } = stage(twoAMinute);
    for (let i = 0; i < 4; i += 1) lane.enqueue(ticket());
    lane.evict({ ...settings, misconfigured: { code: "misconfigured", hint: "QWEN_API_KEY is not set" } });
    expect(lane.enqueue(ticket())).toMatchObject({ position: 3, waitingOn: "blocked", estimatedStartAtMs: null });
    events.runUntil(START_MS + 600_000);
    expect(starts).toHaveLength(2);
    lane.evict(settings);
    events.runUntil(START_MS + 1_200_000);
    expect(starts).toHaveLength(5);
  });
});

describe("a blocked lane", () => {
  it("probes once a minute, loses no job, and starts all others at the first success", () => {
    const mendedAtMs = START_MS + 10 * 60_000;
    const { events, starts, lane, ticket } = stage(twoAMinute, {
      call: (_ticket, now) =>
        now < mendedAtMs
          ? { outcome: { kind: "blocked", code: "InvalidApiKey", hint: "Mend the key." }, afterMs: 50 }
          : { outcome: succeeded, afterMs: 20_000 },
    });
    for (let i = 0; i < 12; i += 1) lane.enqueue(ticket());
    events.runUntil(START_MS + 1_000);
    expect(starts).toHaveLength(2);
    expect(lane.place("job-12")).toMatchObject({ position: 12, estimatedStartAtMs: null, waitingOn: "blocked" });
    events.runUntil(mendedAtMs);
    const probes = starts.slice(2).map((start) => start.atMs);
    expect(probes).toHaveLength(9);
    expect(mostInAnyWindow(probes, 59_000)).toBe(1);
    // The first in the queue probes: it gets its old place back each time.
    expect(new Set(starts.slice(2).map((start) => start.ticket.jobId))).toEqual(new Set(["job-1"]));
    events.runUntil(Number.POSITIVE_INFINITY);
    const served = starts.filter((start) => start.atMs >= mendedAtMs).map((start) => start.ticket.jobId);
    expect(served).toEqual(Array.from({ length: 12 }, (_, index) => `job-${index + 1}`));
  });
});

describe("a blocked lane whose first jobs never answer", () => {
  it("probes with a job that does, and starts the others", () => {
    const { events, starts, lane, ticket } = stage(twoAMinute, {
      beginLagMs: ({ client }) => (client === "silent" ? null : 20),
      call: (_ticket, now) =>
        now < START_MS + 60_000
          ? { outcome: { kind: "blocked", code: "Arrearage", hint: "Pay." }, afterMs: 50 }
          : { outcome: succeeded, afterMs: 20_000 },
    });
    lane.enqueue(ticket("ann"));
    for (let i = 0; i < 3; i += 1) lane.enqueue(ticket("silent"));
    lane.enqueue(ticket("bob"));
    events.runUntil(START_MS + 30 * 60_000);
    const served = starts.filter(({ atMs }) => atMs > START_MS + 60_000).map((start) => start.ticket.client);
    expect(served.toSorted()).toEqual(["ann", "bob"]);
  });
});

describe("a throttled lane", () => {
  it("puts the job back in its old place, and starts it after a full window", () => {
    let calls = 0;
    const { events, starts, lane, ticket } = stage(twoAMinute, {
      call: () => {
        calls += 1;
        const isFirst = calls === 1;
        return isFirst
          ? { outcome: { kind: "throttled", retryAfterMs: null }, afterMs: 100 }
          : { outcome: succeeded, afterMs: 20_000 };
      },
    });
    for (let i = 0; i < 4; i += 1) lane.enqueue(ticket());
    events.runUntil(Number.POSITIVE_INFINITY);
    expect(starts.map((start) => start.ticket.jobId)).toEqual(["job-1", "job-2", "job-1", "job-3", "job-4"]);
    const again = starts[2]?.atMs ?? 0;
    expect(again - START_MS).toBeGreaterThanOrEqual(60_000);
    expect(again - START_MS).toBeLessThan(63_000);
  });
});

describe("upstream that keeps failing", () => {
  it("is tried with one job at a time until one works, then with all that the quota allows", () => {
    let calls = 0;
    const { events, starts, lane, ticket } = stage(
      { starts: 10, periodMs: 1_000, inProgress: null },
      {
        call: () => {
          calls += 1;
          return calls <= 8
            ? { outcome: { kind: "failed", fault: "upstream", durationMs: 100 }, afterMs: 100 }
            : { outcome: succeeded, afterMs: 20_000 };
        },
      },
    );
    for (let i = 0; i < 30; i += 1) events.at(START_MS + i * 150, () => lane.enqueue(ticket()));
    events.runUntil(Number.POSITIVE_INFINITY);
    const gaps = starts.slice(1).map((start, index) => start.atMs - (starts[index]?.atMs ?? 0));
    // Five at their own times, then trials one, two and four seconds after the previous failure.
    expect(gaps.slice(4, 7).map((gap) => Math.round(gap / 1_000))).toEqual([1, 2, 4]);
    expect(mostAtOnce(starts.slice(5, 9))).toBe(1);
    expect(starts).toHaveLength(30);
    expect(mostAtOnce(starts.slice(9))).toBeGreaterThan(10);
  });
});
