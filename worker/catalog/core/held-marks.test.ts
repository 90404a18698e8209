import { describe, expect, it } from "vitest";
import {
  HEARD_EVERY_MS,
  type HeldMark,
  markOfLater,
  markToTake,
  SENT_IN_VAIN_MS,
  SILENT_MS,
  sentInVain,
} from "./held-marks.ts";

const NOW = 1_000_000_000;
const NEW = { isRepeat: false, hiddenHangUpMs: Number.POSITIVE_INFINITY };
const REPEATED = { ...NEW, isRepeat: true };
const WHERE_HIDDEN = { ...NEW, hiddenHangUpMs: 10_000 };

function mark(key: string, waitedMs: number | null, markedMs = waitedMs ?? 0, silentMs = 1): HeldMark {
  const waiter = waitedMs === null ? null : { sinceMs: NOW - waitedMs, heardAtMs: NOW - silentMs };
  return { key, markedAtMs: NOW - markedMs, waiter, repeatedAtMs: null, sentAtMs: null };
}

describe("a request", () => {
  it("is a new one when nothing is undelivered", () => {
    expect(markToTake([], NEW, NOW)).toBeNull();
    expect(markToTake([], REPEATED, NOW)).toBeNull();
  });

  it("takes a job that nobody waits for, at once", () => {
    expect(markToTake([mark("a", null, 1)], NEW, NOW)?.key).toBe("a");
  });

  it("is a parallel call while a waiter looks alive, however long that waits", () => {
    for (const waitedMs of [0, 10_000, 280_000]) expect(markToTake([mark("a", waitedMs)], NEW, NOW)).toBeNull();
  });

  it("takes the job of a waiter that no longer reports, because its Worker died", () => {
    expect(markToTake([mark("a", 30_000, 30_000, SILENT_MS - 1)], NEW, NOW)).toBeNull();
    expect(markToTake([mark("a", 30_000, 30_000, SILENT_MS)], NEW, NOW)?.key).toBe("a");
    // Two lost reports in a row and a slow third do not count as dead.
    expect(SILENT_MS).toBeGreaterThan(3 * HEARD_EVERY_MS);
  });

  it("takes the job of a waiter that may have hung up unseen, where hang-ups are hidden", () => {
    expect(markToTake([mark("a", 9_999)], WHERE_HIDDEN, NOW)).toBeNull();
    expect(markToTake([mark("a", 10_000)], WHERE_HIDDEN, NOW)?.key).toBe("a");
  });

  it("that states that it is a repetition takes the job at once", () => {
    expect(markToTake([mark("a", 1)], REPEATED, NOW)?.key).toBe("a");
  });

  it("takes a job that nobody waits for before one that is waited for, and the one waited for longest before others", () => {
    const marks = [mark("young", 20_000), mark("old", 30_000), mark("free", null, 1)];
    expect(markToTake(marks, WHERE_HIDDEN, NOW)?.key).toBe("free");
    expect(markToTake(marks.slice(0, 2), WHERE_HIDDEN, NOW)?.key).toBe("old");
  });

  it("waits for the job of a repetition that arrived after it, and of no other", () => {
    const repeated = { ...mark("b", 1), repeatedAtMs: NOW - 5 };
    expect(markOfLater([mark("a", 1), repeated], NOW - 6)?.key).toBe("b");
    expect(markOfLater([mark("a", 1), repeated], NOW - 5)).toBeNull();
    expect(markOfLater([mark("a", 1)], NOW - 6)).toBeNull();
  });

  it("takes no job whose answer was sent, unless that was a moment ago and it is a repetition", () => {
    const sent = (key: string, agoMs: number) => ({ ...mark(key, null), sentAtMs: NOW - agoMs });
    const marks = [sent("old", SENT_IN_VAIN_MS), sent("new", 1), sent("older", 2), mark("held", 1)];
    expect(markToTake(marks.slice(0, 3), REPEATED, NOW)).toBeNull();
    expect(markToTake(marks, REPEATED, NOW)?.key).toBe("held");
    expect(sentInVain(marks, NOW)?.key).toBe("new");
    expect(sentInVain([sent("old", SENT_IN_VAIN_MS), mark("held", 1)], NOW)).toBeNull();
  });

  it("takes the oldest of those that nobody waits for", () => {
    expect(markToTake([mark("new", null, 1), mark("old", null, 2)], NEW, NOW)?.key).toBe("old");
  });
});
