import { describe, expect, it } from "vitest";
import { utilisation } from "./utilisation.ts";

describe("the share of its quota that a lane used", () => {
  it("is all of it when each window begins as the one before it ends", () => {
    expect(utilisation([0, 0, 60_000, 60_000, 120_000], 2, 60_000)).toBe(1);
  });

  it("falls by the time that each window begins too late", () => {
    expect(utilisation([0, 10, 61_000, 61_010, 122_000], 2, 60_000)).toBeCloseTo(120 / 122);
  });

  it("falls when a lane stops for a while, although all earlier starts were in time", () => {
    expect(utilisation([0, 0, 60_000, 60_000, 240_000], 2, 60_000)).toBe(0.5);
  });

  it("counts only windows that had to pass: one more start inside a window adds none", () => {
    expect(utilisation([0, 0, 60_000, 60_000], 2, 60_000)).toBe(1);
  });

  it("is above 1 when more started than the quota allows", () => {
    expect(utilisation([0, 0, 0, 0, 60_000], 2, 60_000)).toBe(2);
  });

  it("refuses to judge starts that span no time", () => {
    expect(() => utilisation([], 2, 60_000)).toThrow("too few");
    expect(() => utilisation([5], 2, 60_000)).toThrow("too few");
  });
});
