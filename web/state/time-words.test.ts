import { describe, expect, it } from "vitest";
import { agoWords, countdownWords, dayWords, durationWords } from "./time-words.ts";

describe("countdownWords", () => {
  it.each([
    [-5, "now"],
    [0, "now"],
    [1, "1 s"],
    [59_000, "59 s"],
    [59_001, "1:00 min"],
    [65_000, "1:05 min"],
    [3_599_500, "1 h 00 min"],
    [7_500_000, "2 h 05 min"],
  ])("%d ms left → %s", (leftMs, words) => expect(countdownWords(leftMs)).toBe(words));
});

describe("durationWords", () => {
  it.each([
    [0, "0 ms"],
    [850, "850 ms"],
    [999.4, "999 ms"],
    [999.6, "1.0 s"],
    [16_503, "16.5 s"],
    [16_570, "16.6 s"],
    [59_949, "59.9 s"],
    [59_950, "1 min 00 s"],
    [65_000, "1 min 05 s"],
    [3_599_499, "59 min 59 s"],
    [3_599_600, "1 h 00 min"],
    [7_500_000, "2 h 05 min"],
  ])("%d ms → %s", (durationMs, words) => expect(durationWords(durationMs)).toBe(words));
});

describe("agoWords", () => {
  const now = new Date(2026, 10, 23, 12, 0).getTime();
  it.each([
    [-60_000, "just now"],
    [59_000, "just now"],
    [3 * 60_000, "3 min ago"],
    [2 * 3_600_000, "2 h ago"],
    [3 * 86_400_000, "20 November 2026"],
  ])("%d ms ago → %s", (agoMs, words) => expect(agoWords(now - agoMs, now)).toBe(words));
});

describe("dayWords", () => {
  const now = new Date(2026, 10, 23, 0, 30).getTime();
  it("calls an hour ago yesterday when midnight lies between", () => {
    expect(dayWords(now - 3_600_000, now)).toBe("Yesterday");
  });
  it("calls this minute today", () => expect(dayWords(now, now)).toBe("Today"));
  it("gives the date of an earlier day", () => {
    expect(dayWords(new Date(2026, 10, 21, 23, 0).getTime(), now)).toBe("21 November 2026");
  });
});
