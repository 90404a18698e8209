import { describe, expect, it } from "vitest";
import { retryAfterMs } from "./retry-after.ts";

const now = Date.parse("2026-11-23T12:00:00Z");

describe("retryAfterMs", () => {
  it.each([
    ["30", 30_000],
    [" 0 ", 0],
    ["Mon, 23 Nov 2026 12:00:30 GMT", 30_000],
    ["Mon, 23 Nov 2026 11:00:00 GMT", 0],
    [null, null],
    ["", null],
    ["soon", null],
    ["-5", null],
    ["1.5", null],
    ["1e9", null],
    ["2026", 2_026_000],
    ["99999999999999999999", null],
  ])("%j → %j", (header, expected) => {
    expect(retryAfterMs(header, now)).toBe(expected);
  });
});
