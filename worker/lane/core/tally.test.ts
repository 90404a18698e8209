import { describe, expect, it } from "vitest";
import { ATTEMPT_BUCKETS_SECONDS, NO_TALLY, outcomeName, tallied, WAIT_BUCKETS_SECONDS, withWait } from "./tally.ts";

describe("a tally", () => {
  it("counts attempts by outcome, and durations by bucket and in sum", () => {
    let tally = tallied(NO_TALLY, "succeeded", 20_000);
    tally = tallied(tally, "succeeded", 20_001);
    tally = tallied(tally, "failed", 500);
    tally = tallied(tally, "timed_out", 1_000_000);
    tally = tallied(tally, "succeeded_late", null);
    expect(tally.attempts).toEqual({ succeeded: 2, failed: 1, timed_out: 1, succeeded_late: 1 });
    expect(tally.seconds).toBe(1040.501);
    expect(tally.buckets).toHaveLength(ATTEMPT_BUCKETS_SECONDS.length + 1);
    const filled = tally.buckets.flatMap((count, at) => (count === 0 ? [] : [[ATTEMPT_BUCKETS_SECONDS[at], count]]));
    expect(filled).toEqual([
      [1, 1],
      [20, 1],
      [30, 1],
      [undefined, 1],
    ]);
  });

  it("counts waits apart from them", () => {
    const tally = [0, 1_000, 1_001, 100_000_000].reduce(withWait, NO_TALLY);
    expect(tally).toMatchObject({ attempts: {}, buckets: [], seconds: 0, waits: { seconds: 100_002.001 } });
    expect(tally.waits.buckets).toEqual(WAIT_BUCKETS_SECONDS.map((_, at) => [2, 1][at] ?? 0).concat(1));
  });

  it.each([
    [{ kind: "succeeded", durationMs: 1 }, "succeeded"],
    [{ kind: "failed", fault: "upstream", durationMs: 1 }, "failed"],
    [{ kind: "failed", fault: "request", durationMs: 1 }, "failed"],
    [{ kind: "failed", fault: "none", durationMs: 1 }, "timed_out"],
    [{ kind: "throttled", retryAfterMs: null }, "throttled"],
    [{ kind: "blocked", code: "Arrearage", hint: "" }, "blocked"],
    [{ kind: "abandoned" }, "abandoned"],
  ] as const)("names %o %s", (outcome, name) => {
    expect(outcomeName(outcome)).toBe(name);
  });
});
