import { describe, expect, it } from "vitest";
import { NO_REASON } from "../../../schemas/job.ts";
import type { Quota } from "../../../schemas/limits.ts";
import { forecast } from "./forecast.ts";
import { type LaneState, newLaneState, withStart } from "./lane-state.ts";
import { afterOutcome } from "./outcome.ts";
import { clockTime, misconfiguredView, notifyAtMs, ordinal, placeOf, viewOf } from "./place.ts";

const NOW = Date.UTC(2026, 10, 23, 12, 2, 30);
const quota: Quota = { starts: 2, periodMs: 60_000, inProgress: null };

function place(state: LaneState, before: number, some: Quota = quota, runningSinceMs: number[] = []) {
  const input = { state, quota: some, runningSinceMs, now: NOW, attemptBudgetMs: 45_000 };
  return placeOf(viewOf(state, some, forecast(input), NOW), before);
}

/** The state after both starts of a quota of two a minute were made, `agoMs` ago. */
function usedUp(agoMs: number): LaneState {
  const atMs = NOW - agoMs;
  return withStart(withStart(newLaneState(quota), atMs, quota, NOW), atMs, quota, NOW);
}

describe("a place", () => {
  it("says when the next start is allowed, and how many starts are allowed", () => {
    expect(place(usedUp(600), 3)).toMatchObject({
      position: 4,
      estimatedStartAtMs: NOW - 600 + 2 * 60_600,
      waitingOn: "turn",
      reason: {
        ...NO_REASON,
        nextStartAt: "2026-11-23T12:03:30.000Z",
        starts: 2,
        periodMs: 60_000,
        pace: 1,
        inProgress: 0,
      },
      detail: "4th in line; the next start is allowed at 12:03:30 UTC (2 a minute)",
    });
  });

  it("of the next job waits on the quota", () => {
    expect(place(usedUp(600), 0)).toMatchObject({
      waitingOn: "quota",
      detail: "Next in line; the next start is allowed at 12:03:30 UTC (2 a minute)",
    });
  });

  it("waits on the turn when a start is allowed now", () => {
    expect(place(newLaneState(quota), 0)).toMatchObject({
      position: 1,
      estimatedStartAtMs: NOW,
      waitingOn: "turn",
      reason: { nextStartAt: null, pace: 1 },
      detail: "Next in line; a start is allowed now (2 a minute)",
    });
  });

  it("says that upstream throttled, and the pace since", () => {
    const state = afterOutcome(
      newLaneState(quota),
      { outcome: { kind: "throttled", retryAfterMs: null }, jobId: null, startedAtMs: NOW },
      quota,
      NOW,
    );
    expect(place(state, 1).reason?.pace).toBe(0.7);
    expect(place(state, 1).detail).toBe(
      "2nd in line; the next start is allowed at 12:03:31 UTC (70 % of 2 a minute, since upstream throttled)",
    );
  });

  it("in a blocked lane says why, what to do and when the next probe is, and estimates nothing", () => {
    const hint = "The key must belong to region sg.";
    const state = afterOutcome(
      newLaneState(quota),
      { outcome: { kind: "blocked", code: "InvalidApiKey", hint }, jobId: null, startedAtMs: NOW },
      quota,
      NOW,
    );
    expect(place(state, 2)).toMatchObject({
      position: 3,
      estimatedStartAtMs: null,
      waitingOn: "blocked",
      reason: {
        blockedBy: { code: "InvalidApiKey", hint },
        nextProbeAt: "2026-11-23T12:03:30.000Z",
        nextStartAt: null,
      },
      detail:
        "3rd in line; the lane is blocked by InvalidApiKey: The key must belong to region sg. One job a minute probes it, the next at 12:03:30 UTC",
    });
  });

  it("in a lane that tries one at a time says so", () => {
    const state = { ...newLaneState(quota), upstreamFailures: 5, inProgress: 1 };
    expect(place(state, 0, quota, [NOW - 10_000])).toMatchObject({
      position: 1,
      estimatedStartAtMs: NOW + 20_000,
      waitingOn: "turn",
      reason: { failuresInARow: 5, nextStartAt: "2026-11-23T12:02:50.000Z" },
      detail:
        "Next in line; upstream failed 5 times in a row, so one job is tried at a time until one works, the next at about 12:02:50 UTC",
    });
  });

  it("in a lane with all places taken says when one should be free, by the durations seen", () => {
    const few = { ...quota, starts: 100, inProgress: 2 };
    const state = { ...newLaneState(few), inProgress: 2, durationsMs: [10_000, 30_000, 50_000] };
    expect(place(state, 0, few, [NOW - 5_000, NOW - 1_000])).toMatchObject({
      position: 1,
      estimatedStartAtMs: NOW + 25_000,
      waitingOn: "quota",
      reason: { inProgress: 2, inProgressLimit: 2, nextStartAt: "2026-11-23T12:02:55.000Z" },
      detail: "Next in line; all 2 jobs that may run at once are running; the next start is expected at 12:02:55 UTC",
    });
    // The first attempt outlasts the median: then the longer durations decide, and beyond these steps of five seconds.
    expect(place(state, 0, few, [NOW - 40_000, NOW]).estimatedStartAtMs).toBe(NOW + 10_000);
    expect(place(state, 0, few, [NOW - 52_000, NOW]).estimatedStartAtMs).toBe(NOW + 3_000);
  });

  it("while the settings are wrong says which one is", () => {
    expect(placeOf(misconfiguredView({ code: "misconfigured", hint: "LANE_LIMITS must be JSON" }), 0)).toMatchObject({
      position: 1,
      estimatedStartAtMs: null,
      waitingOn: "blocked",
      reason: { ...NO_REASON, blockedBy: { code: "misconfigured", hint: "LANE_LIMITS must be JSON" } },
      detail: "Next in line; nothing starts (misconfigured): LANE_LIMITS must be JSON",
    });
  });

  it("is estimated for the hundred thousandth job by the last pattern of starts", () => {
    const slots = { starts: 100, periodMs: 60_000, inProgress: 3 };
    const state = { ...newLaneState(slots), durationsMs: [30_000] };
    const far = place(state, 99_999, slots).estimatedStartAtMs;
    expect(far).toBe(NOW + 33_333 * 30_000);
    const low = {
      ...newLaneState(quota),
      pace: { share: 0.1, setAtMs: NOW, slack: 0, throttledAtMs: NOW, heldUntilMs: NOW },
    };
    // After eighteen successes the pace is full again.
    const slow = place(low, 100_000).estimatedStartAtMs ?? 0;
    expect(slow - NOW).toBeGreaterThan((100_000 / 2) * 60_600);
    expect(slow - NOW).toBeLessThan((100_000 / 2) * 60_600 + 3_600_000);
  });
});

describe("when a watcher is notified", () => {
  const known = { ...place(usedUp(600), 3), estimatedStartAtMs: NOW + 30_000, atMs: NOW - 10_000 };
  const startMs = NOW + 600_000;
  const far = { ...place(usedUp(600), 40), estimatedStartAtMs: startMs, atMs: NOW - 10_000 };
  const later = far.atMs + 30_000;

  it.each([
    ["nothing", known, {}, null],
    ["a place among the first five", known, { position: 3 }, NOW],
    ["a place that is among the first five by now", { ...known, position: 6 }, { position: 5 }, NOW],
    ["what it waits for", known, { waitingOn: "blocked" as const }, NOW],
    ["the estimate of one of the first, by two seconds", known, movedBy(known, 2_000), null],
    ["the estimate of one of the first, by more", known, movedBy(known, -2_001), NOW],
    ["the estimate, to none", known, { estimatedStartAtMs: null }, NOW],
    ["a place further back", far, { position: 39 }, later],
    ["a place further back, known for 30 s", { ...far, atMs: NOW - 30_000 }, { position: 39 }, NOW],
    ["an estimate of ten minutes, by a twentieth", far, movedBy(far, 31_000), later],
    ["an estimate of ten minutes, by more", far, movedBy(far, 32_000), NOW],
    ["an estimate of ten minutes, by two seconds", far, movedBy(far, 2_000), null],
  ])("%s", (_name, before, change, atMs) => {
    expect(notifyAtMs(before, { ...before, ...change }, NOW)).toBe(atMs);
  });

  function movedBy({ estimatedStartAtMs }: { estimatedStartAtMs: number | null }, byMs: number) {
    return { estimatedStartAtMs: (estimatedStartAtMs ?? Number.NaN) + byMs };
  }

  it("is put off by a start that is near, but only once", () => {
    const near = { ...known, position: 2, estimatedStartAtMs: NOW + 1_000 };
    expect(notifyAtMs(known, near, NOW, NOW + 2_000)).toBe(NOW + 1_000);
    expect(notifyAtMs({ ...known, isLeftOut: true }, near, NOW, NOW + 2_000)).toBe(NOW);
    expect(notifyAtMs(known, near, NOW, NOW + 999)).toBe(NOW);
  });

  it("depends on the text where there is no estimate", () => {
    const blocked = { ...known, estimatedStartAtMs: null };
    expect(notifyAtMs(blocked, { ...blocked, detail: "something else" }, NOW)).toBe(NOW);
    expect(notifyAtMs({ ...blocked, position: 40 }, { ...blocked, position: 39 }, NOW)).toBe(blocked.atMs + 30_000);
    expect(notifyAtMs(undefined, blocked, NOW)).toBe(NOW);
  });
});

describe("words", () => {
  it("number positions", () => {
    const words = [1, 2, 3, 4, 11, 12, 13, 21, 22, 101, 111, 112, 1_003].map(ordinal);
    expect(words.join(" ")).toBe("1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 101st 111th 112th 1003rd");
  });

  it("name the day when it is not today", () => {
    expect(clockTime(NOW + 1, NOW)).toBe("12:02:31 UTC");
    expect(clockTime(NOW + 12 * 3_600_000, NOW)).toBe("00:02:30 UTC on 2026-11-24");
  });
});
