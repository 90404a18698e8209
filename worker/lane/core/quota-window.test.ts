import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cases } from "../../../test/support/properties.ts";
import {
  addStart,
  forgetOld,
  latestStartMs,
  paddedPeriodMs,
  type QuotaWindow,
  removeStart,
  slotAtMs,
} from "./quota-window.ts";

const twoAMinute = { starts: 2, periodMs: 60_000, inProgress: null };

function windowOf(...startsMs: number[]): QuotaWindow {
  return startsMs.reduce<QuotaWindow>((window, atMs) => addStart(window, atMs, twoAMinute), []);
}

describe("slotAtMs", () => {
  it.each([
    ["nothing started yet", windowOf(), [1_000, 1_000, 61_600]],
    ["one start", windowOf(500), [1_000, 61_100, 61_600]],
    ["the quota used up", windowOf(500, 900), [61_100, 61_500, 121_700]],
    ["more than the quota, because it was lowered", windowOf(100, 500, 900), [61_100, 61_500, 121_700]],
  ])("%s", (_name, window, slots) => {
    expect([0, 1, 2].map((index) => slotAtMs(window, twoAMinute, index, 1_000))).toEqual(slots);
  });

  it("equals making every start before it and asking for the next", () => {
    const quotas = fc.record({
      starts: fc.integer({ min: 1, max: 40 }),
      periodMs: fc.integer({ min: 100, max: 60_000 }),
    });
    fc.assert(
      fc.property(
        quotas,
        fc.array(fc.nat(60_000), { maxLength: 50, size: "max" }),
        fc.nat(150),
        (some, starts, index) => {
          const quota = { ...some, inProgress: null };
          const now = 60_000;
          let window = starts.reduce<QuotaWindow>((each, atMs) => addStart(each, atMs, quota), []);
          const foreseen = slotAtMs(window, quota, index, now);
          for (let i = 0; i < index; i += 1) window = addStart(window, slotAtMs(window, quota, 0, now), quota);
          expect(slotAtMs(window, quota, 0, now)).toBe(foreseen);
        },
      ),
      cases(),
    );
  });
});

describe("a large quota", () => {
  const large = { starts: 5_000, periodMs: 60_000, inProgress: null };

  it("is kept in few entries, each counted no earlier than its starts", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(60_000), { minLength: 1_000, maxLength: 2_000, size: "max" }), (starts) => {
        const window = starts.reduce<QuotaWindow>((each, atMs) => addStart(each, atMs, large), []);
        expect(window.length).toBeLessThanOrEqual(402);
        expect(window.reduce((sum, entry) => sum + entry.count, 0)).toBe(starts.length);
        const counted = window.flatMap((entry) => Array<number>(entry.count).fill(entry.atMs));
        starts.sort((a, b) => a - b);
        for (const [index, atMs] of counted.entries()) {
          expect(atMs).toBeGreaterThanOrEqual(starts[index] ?? 0);
          expect(atMs - (starts[index] ?? 0)).toBeLessThanOrEqual(large.periodMs / 100);
        }
      }),
      cases(30),
    );
  });
});

describe("the window", () => {
  it("forgets the starts that no longer count, and keeps the others", () => {
    const window = windowOf(1_000, 2_000);
    expect(forgetOld(window, twoAMinute, 1_000 + paddedPeriodMs(twoAMinute) * 1.1)).toEqual(windowOf(2_000));
    expect(forgetOld(window, twoAMinute, 61_600)).toBe(window);
    expect(latestStartMs(forgetOld(window, twoAMinute, 1_000_000))).toBeNull();
  });

  it("gives back the start that was not made, and no other", () => {
    expect(removeStart(windowOf(1_000, 1_000, 2_000), 1_000, twoAMinute)).toEqual(windowOf(1_000, 2_000));
    expect(removeStart(windowOf(2_000), 1_000, twoAMinute)).toEqual(windowOf(2_000));
  });
});
