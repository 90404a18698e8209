import { describe, expect, it } from "vitest";
import type { LeaseOutcome } from "../contract.ts";
import { type LaneState, modeOf, newLaneState, nextGrantAtMs, underQuota, withStart } from "./lane-state.ts";
import { afterOutcome, typicalDurationMs, withDuration } from "./outcome.ts";
import { afterThrottling, learnedQuota, shareAt } from "./pace.ts";

const quota = { starts: 2, periodMs: 60_000, inProgress: null };
const NOW = 1_000_000;
const throttled: LeaseOutcome = { kind: "throttled", retryAfterMs: null };
const works: LeaseOutcome = { kind: "succeeded", durationMs: 20_000 };
const breaks: LeaseOutcome = { kind: "failed", fault: "upstream", durationMs: 90 };
const refuses: LeaseOutcome = { kind: "failed", fault: "request", durationMs: 90 };
const silent: LeaseOutcome = { kind: "failed", fault: "none", durationMs: 45_000 };
const blocked: LeaseOutcome = { kind: "blocked", code: "InvalidApiKey", hint: "Key and region must match." };

/** An attempt of a job that has no other outcome. */
let jobs = 0;
function ended(outcome: LeaseOutcome, startedAtMs: number | null) {
  jobs += 1;
  return { outcome, startedAtMs, jobId: `job-${jobs}` };
}

/** The state after outcomes of attempts that each started and ended at the given moment, one a minute from `NOW`. */
function stateAfter(outcomes: readonly LeaseOutcome[], from: LaneState = newLaneState(quota)): LaneState {
  return outcomes.reduce((state, outcome, index) => {
    const now = NOW + index * 60_000;
    return afterOutcome(state, ended(outcome, now), quota, now);
  }, from);
}

describe("a 429", () => {
  it("holds the lane for a full window and lowers the pace", () => {
    const state = stateAfter([throttled]);
    expect(nextGrantAtMs(state, quota, NOW)).toBe(NOW + 60_600);
    expect(state.pace.share).toBe(0.7);
  });

  it("holds it for a longer Retry-After, up to an hour", () => {
    const state = stateAfter([{ kind: "throttled", retryAfterMs: 300_000 }]);
    expect(nextGrantAtMs(state, quota, NOW)).toBe(NOW + 300_000);
    const absurd = stateAfter([{ kind: "throttled", retryAfterMs: 1e12 }]);
    expect(nextGrantAtMs(absurd, quota, NOW)).toBe(NOW + 3_600_000);
  });

  it("lowers the pace once for the starts of one burst", () => {
    const first = afterOutcome(newLaneState(quota), ended(throttled, NOW - 500), quota, NOW);
    const second = afterOutcome(first, ended(throttled, NOW - 400), quota, NOW + 50);
    expect(second.pace).toEqual(first.pace);
    const anew = afterOutcome(second, ended(throttled, NOW + 61_000), quota, NOW + 61_100);
    expect(anew.pace.share).toBe(0.49);
  });

  it("lowers the pace to a tenth at least", () => {
    expect(stateAfter(Array<LeaseOutcome>(30).fill(throttled)).pace.share).toBe(0.1);
  });

  it("spreads the starts evenly while the pace is lowered", () => {
    let state = stateAfter([throttled]);
    const heldUntilMs = NOW + 60_600;
    state = withStart(state, heldUntilMs, quota, heldUntilMs);
    expect(nextGrantAtMs(state, quota, heldUntilMs + 1)).toBe(heldUntilMs + Math.ceil(60_600 / 1.4));
  });

  it("at the full pace makes the window longer, twice as much each time and half as much after each hour", () => {
    const periods = [1, 2, 3, 4, 5].map((times) => {
      let { pace } = newLaneState(quota);
      for (let i = 0; i < times; i += 1) {
        pace = { ...afterThrottling(pace, quota, null, null, NOW + i * 1_000), share: 1 };
      }
      return learnedQuota(pace, quota, NOW + times * 1_000).periodMs;
    });
    expect(periods).toEqual([60_600, 61_200, 62_400, 64_800, 64_800]);
    const { pace } = stateAfter([throttled]);
    expect([1, 2, 3, 4].map((hours) => learnedQuota(pace, quota, NOW + hours * 3_600_000).periodMs)).toEqual([
      60_300, 60_150, 60_075, 60_000,
    ]);
    expect(afterThrottling({ ...pace, share: 0.7 }, quota, null, null, NOW + 1).slack).toBe(pace.slack);
  });

  it("is made up for in small steps, by successes of later starts", () => {
    const low = stateAfter([throttled]);
    const old = afterOutcome(low, ended(works, NOW - 1), quota, NOW + 10_000);
    expect(old.pace.share).toBe(0.7);
    let state = low;
    const shares: number[] = [];
    for (let i = 1; i <= 7; i += 1) {
      state = afterOutcome(state, ended(works, NOW + i * 60_000), quota, NOW + i * 60_000 + 20_000);
      shares.push(state.pace.share);
    }
    expect(shares).toEqual([0.75, 0.8, 0.85, 0.9, 0.95, 1, 1]);
  });

  it("is made up for by one step in five periods without any success", () => {
    const { pace } = stateAfter([throttled]);
    expect(shareAt(pace, quota, NOW + 60_600 + 299_999)).toBe(0.7);
    expect(shareAt(pace, quota, NOW + 60_600 + 300_000)).toBe(0.75);
    expect(shareAt(pace, quota, NOW + 60_600 + 24 * 3_600_000)).toBe(1);
  });
});

describe("upstream's own failures", () => {
  it.each<[string, LeaseOutcome[], string]>([
    ["four in a row", [breaks, breaks, breaks, breaks], "open"],
    ["five in a row", [breaks, breaks, breaks, breaks, breaks], "one_at_a_time"],
    ["a success between", [breaks, breaks, breaks, works, breaks, breaks], "open"],
    ["a proper refusal between", [breaks, breaks, breaks, refuses, breaks, breaks], "open"],
    ["silence between", [breaks, breaks, silent, breaks, breaks, breaks], "one_at_a_time"],
    ["a 429 between", [breaks, breaks, throttled, breaks, breaks, breaks], "one_at_a_time"],
    ["a cancel between", [breaks, breaks, { kind: "abandoned" }, breaks, breaks, breaks], "one_at_a_time"],
    ["five, and then one that works", [breaks, breaks, breaks, breaks, breaks, works], "open"],
    ["five, and then silence", [breaks, breaks, breaks, breaks, breaks, silent], "one_at_a_time"],
  ])("%s", (_name, outcomes, mode) => {
    expect(modeOf(stateAfter(outcomes))).toBe(mode);
  });

  it("make the lane start none while one runs", () => {
    const tripped = stateAfter([breaks, breaks, breaks, breaks, breaks]);
    expect(nextGrantAtMs({ ...tripped, inProgress: 1 }, quota, NOW)).toBeNull();
    expect(nextGrantAtMs({ ...tripped, inProgress: 0 }, quota, NOW + 300_000)).toBe(NOW + 300_000);
  });

  it("make the pauses between trials longer, up to half a minute", () => {
    const pauses = [4, 5, 6, 7, 8, 9, 10, 11, 20].map((failures) => {
      const state = stateAfter(Array<LeaseOutcome>(failures).fill(breaks));
      const failedAtMs = NOW + (failures - 1) * 60_000;
      return (nextGrantAtMs(state, quota, failedAtMs) ?? 0) - failedAtMs;
    });
    expect(pauses).toEqual([0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  });
});

describe("a block", () => {
  it("allows one probe a minute", () => {
    expect(nextGrantAtMs(stateAfter([blocked]), quota, NOW)).toBe(NOW + 60_000);
  });

  it("keeps its start and its probe time when others are refused too, and shows the latest reason", () => {
    const state = stateAfter([blocked, { kind: "blocked", code: "Arrearage", hint: "Pay the bill." }]);
    expect(state.block).toEqual({
      code: "Arrearage",
      hint: "Pay the bill.",
      sinceMs: NOW,
      nextProbeAtMs: NOW + 60_000,
      probeLeaseId: null,
    });
  });

  it.each<[string, LeaseOutcome, number, boolean]>([
    ["a success", works, NOW + 60_000, true],
    ["a proper refusal of a request", refuses, NOW + 60_000, true],
    ["a success that was started before the block", works, NOW - 1, false],
    ["silence", silent, NOW + 60_000, false],
    ["a 429", throttled, NOW + 60_000, false],
    ["upstream's own failure", breaks, NOW + 60_000, false],
  ])("%s", (_name, outcome, startedAtMs, isOver) => {
    const state = afterOutcome(stateAfter([blocked]), ended(outcome, startedAtMs), quota, NOW + 70_000);
    expect(state.block === null).toBe(isOver);
  });

  it("ends when the late answer of a probe is a success", () => {
    const now = NOW + 120_000;
    expect(
      afterOutcome(stateAfter([blocked]), ended({ kind: "succeeded", durationMs: 50_000 }, null), quota, now).block,
    ).toBeNull();
    expect(
      afterOutcome(stateAfter([blocked]), ended({ kind: "succeeded", durationMs: 130_000 }, null), quota, now).block,
    ).not.toBeNull();
  });
});

describe("durations", () => {
  it("come from attempts that ran, not from quick refusals or calls that were never made", () => {
    const unmade: LeaseOutcome = { kind: "failed", fault: "none", durationMs: 5 };
    const abandoned: LeaseOutcome = { kind: "abandoned" };
    const outcomes: LeaseOutcome[] = [works, breaks, refuses, throttled, blocked, abandoned, unmade, silent, works];
    const state = outcomes.reduce((before, outcome) => withDuration(before, outcome, 45_000), newLaneState(quota));
    expect(state.durationsMs).toEqual([20_000, 45_000, 20_000]);
    expect(typicalDurationMs(state.durationsMs)).toBe(20_000);
    expect(typicalDurationMs([])).toBeNull();
  });

  it("keeps the latest 31", () => {
    let state = newLaneState(quota);
    for (let i = 1; i <= 40; i += 1) state = withDuration(state, { kind: "succeeded", durationMs: i }, 45_000);
    expect(state.durationsMs).toHaveLength(31);
    expect(typicalDurationMs(state.durationsMs)).toBe(25);
  });
});

describe("a changed quota", () => {
  const used = { ...withStart(newLaneState(quota), NOW, quota, NOW), grants: 1 };

  it("that is larger takes effect at once", () => {
    const more = { ...quota, starts: 4 };
    expect(nextGrantAtMs(withStart(underQuota(used, more, NOW), NOW, more, NOW), more, NOW)).toBe(NOW);
  });

  it("with a longer period waits once for the starts that were forgotten", () => {
    const longer = { starts: 2, periodMs: 3_600_000, inProgress: null };
    expect(nextGrantAtMs(underQuota(used, longer, NOW), longer, NOW)).toBe(NOW + 3_636_000);
    expect(nextGrantAtMs(underQuota(newLaneState(quota), longer, NOW), longer, NOW)).toBe(NOW);
  });

  it("with a longer period waits for the latest of those, even if an older start was counted since", () => {
    const short = { starts: 2, periodMs: 1_000, inProgress: null };
    const long = { starts: 2, periodMs: 60_000, inProgress: null };
    const [latestMs, olderMs] = [NOW, NOW - 20_000];
    const latest = { ...withStart(newLaneState(short), latestMs, short, NOW), grants: 2 };
    const state = underQuota(withStart(latest, olderMs, short, NOW + 10_000), long, NOW + 15_000);
    expect(nextGrantAtMs(state, long, NOW + 15_000)).toBe(latestMs + 60_600);
  });

  it("with a shorter period waits for that period only", () => {
    const shorter = { starts: 1, periodMs: 1_000, inProgress: null };
    expect(nextGrantAtMs(underQuota(used, shorter, NOW), shorter, NOW)).toBe(NOW + 1_010);
  });
});
