import { describe, expect, it } from "vitest";
import { nextFeedNumber } from "./feed-clock.ts";

describe("nextFeedNumber", () => {
  it("is the time, so that a feed that lost its state continues above its old numbers", () => {
    expect(nextFeedNumber(0, 1_000)).toBe(1_000);
    expect(nextFeedNumber(900, 1_000)).toBe(1_000);
  });

  it("rises also within a millisecond, and when the clock goes back", () => {
    expect(nextFeedNumber(1_000, 1_000)).toBe(1_001);
    expect(nextFeedNumber(1_000, 400)).toBe(1_001);
  });
});
