import { describe, expect, it } from "vitest";
import { retryAfterMs } from "./retry-after.ts";

const NOW = Date.UTC(2026, 10, 23, 12, 0, 0);

describe("retryAfterMs", () => {
  it.each([
    ["whole seconds", "12", 12_000],
    ["no time at all", "0", 0],
    ["an HTTP date ahead", "Mon, 23 Nov 2026 12:00:30 GMT", 30_000],
    ["an HTTP date that has passed", "Mon, 23 Nov 2026 11:00:00 GMT", 0],
    ["nothing", null, null],
    ["a fraction", "1.5", null],
    ["a negative number", "-1", null],
    ["a word", "soon", null],
    ["a day with nothing behind it", "Monday", null],
  ])("reads %s", (_what, header, expected) => {
    expect(retryAfterMs(header, NOW)).toBe(expected);
  });
});
