import { describe, expect, it } from "vitest";
import { type BilledAttempt, daysOf, runningBills, totalOf } from "./position.ts";

const DAY = Date.UTC(2026, 10, 28, 9);
const UNIT = 75_000;

function attempt(number: number, patch: Partial<BilledAttempt> = {}): BilledAttempt {
  return { number, startedAtMs: DAY, outcome: "failed", mayBeBilled: false, images: 0, taskId: null, ...patch };
}

describe("daysOf", () => {
  it.each<[string, readonly BilledAttempt[], number, { chargedMicros: number; atRiskMicros: number } | null]>([
    ["charges nothing for a failure that upstream does not bill", [attempt(1)], 1, null],
    ["charges nothing for an attempt that runs", [attempt(1, { outcome: null, mayBeBilled: true })], 1, null],
    [
      "charges the images that upstream delivered, not those that were asked for",
      [attempt(1, { outcome: "succeeded", mayBeBilled: true, images: 3 })],
      4,
      { chargedMicros: 3 * UNIT, atRiskMicros: 0 },
    ],
    [
      "puts an attempt without an answer at risk, in full",
      [attempt(1, { outcome: "timed_out", mayBeBilled: true })],
      4,
      { chargedMicros: 0, atRiskMicros: 4 * UNIT },
    ],
    [
      "charges a late answer, and puts the attempt that it called off at risk",
      [
        attempt(1, { outcome: "succeeded_late", mayBeBilled: true, images: 1 }),
        attempt(2, { outcome: "canceled", mayBeBilled: true }),
      ],
      1,
      { chargedMicros: UNIT, atRiskMicros: UNIT },
    ],
    [
      "counts attempts that waited for one task once",
      [
        attempt(1, { outcome: "timed_out", mayBeBilled: true, taskId: "t" }),
        attempt(2, { outcome: "timed_out", mayBeBilled: true, taskId: "t" }),
        attempt(3, { outcome: "succeeded", mayBeBilled: true, images: 1, taskId: "t" }),
      ],
      1,
      { chargedMicros: UNIT, atRiskMicros: 0 },
    ],
    [
      "takes a task off risk while it is resumed",
      [
        attempt(1, { outcome: "timed_out", mayBeBilled: true, taskId: "t" }),
        attempt(2, { outcome: null, mayBeBilled: true, taskId: "t" }),
      ],
      1,
      null,
    ],
  ])("%s", (_, attempts, n, expected) => {
    const days = daysOf(attempts, n, UNIT);
    if (expected === null) expect(days).toEqual([]);
    else expect(totalOf(days)).toMatchObject(expected);
  });

  it("books each bill on the day on which its first attempt started", () => {
    const nextDay = DAY + 86_400_000;
    const attempts = [
      attempt(1, { outcome: "timed_out", mayBeBilled: true }),
      attempt(2, { outcome: "timed_out", mayBeBilled: true, taskId: "t" }),
      attempt(3, { outcome: "succeeded", mayBeBilled: true, images: 1, taskId: "t", startedAtMs: nextDay }),
      attempt(4, { outcome: "timed_out", mayBeBilled: true, startedAtMs: nextDay }),
    ];
    expect(daysOf(attempts, 1, UNIT)).toEqual([
      { day: "2026-11-28", images: 1, chargedMicros: UNIT, atRiskMicros: UNIT },
      { day: "2026-11-29", images: 0, chargedMicros: 0, atRiskMicros: UNIT },
    ]);
  });
});

describe("runningBills", () => {
  it("counts attempts that run, those of one task once, and none with delivered images", () => {
    const attempts = [
      attempt(1, { outcome: "timed_out", mayBeBilled: true, taskId: "t" }),
      attempt(2, { outcome: null, mayBeBilled: true, taskId: "t" }),
      attempt(3, { outcome: null, mayBeBilled: true }),
      attempt(4, { outcome: null, mayBeBilled: true, images: 1 }),
    ];
    expect(runningBills(attempts)).toBe(2);
  });
});
