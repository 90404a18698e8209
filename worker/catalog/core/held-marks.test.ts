import { describe, expect, it } from "vitest";
import { type HeldMark, markToTake, REPEATED_AFTER_MS } from "./held-marks.ts";

const NOW = 1_000_000;

function mark(key: string, waitedMs: number | null, markedMs = waitedMs ?? 0): HeldMark {
  return { key, markedAtMs: NOW - markedMs, waitingSinceMs: waitedMs === null ? null : NOW - waitedMs };
}

describe("a request", () => {
  it("is a new one when nothing is undelivered", () => {
    expect(markToTake([], false, NOW)).toBeNull();
    expect(markToTake([], true, NOW)).toBeNull();
  });

  it("takes a job that nobody waits for, at once", () => {
    expect(markToTake([mark("a", null, 1)], false, NOW)?.key).toBe("a");
  });

  it("is a parallel call while the waiter is younger than 10 s", () => {
    expect(markToTake([mark("a", REPEATED_AFTER_MS - 1)], false, NOW)).toBeNull();
  });

  it("takes the job from 10 s after the waiter's start on, although the waiter looks alive", () => {
    expect(markToTake([mark("a", REPEATED_AFTER_MS)], false, NOW)?.key).toBe("a");
  });

  it("that says it is a repetition takes the job at once", () => {
    expect(markToTake([mark("a", 1)], true, NOW)?.key).toBe("a");
  });

  it("takes a job that nobody waits for before one that is waited for, and the one waited for longest before others", () => {
    const marks = [mark("young", 20_000), mark("old", 30_000), mark("free", null, 1)];
    expect(markToTake(marks, false, NOW)?.key).toBe("free");
    expect(markToTake(marks.slice(0, 2), false, NOW)?.key).toBe("old");
  });

  it("takes the oldest of those that nobody waits for", () => {
    expect(markToTake([mark("new", null, 1), mark("old", null, 2)], false, NOW)?.key).toBe("old");
  });
});
