import { describe, expect, it } from "vitest";
import { pairedRatio, quantile, spreadOf } from "./statistics.ts";

describe("statistics of the bench", () => {
  it("takes the middle of an odd number of values, and the mean of the middle two of an even number", () => {
    expect(quantile([30, 10, 20], 0.5)).toBe(20);
    expect(quantile([40, 10, 30, 20], 0.5)).toBe(25);
  });

  it("interpolates a high quantile between its neighbours", () => {
    const hundredAndOne = Array.from({ length: 101 }, (_, index) => index);
    expect(quantile(hundredAndOne, 0.99)).toBe(99);
    expect(quantile([0, 10], 0.99)).toBeCloseTo(9.9);
  });

  it("throws when there are no values", () => {
    expect(() => quantile([], 0.5)).toThrow("nothing was measured");
  });

  it("shows the extremes of the rounds", () => {
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3, of: 3 });
  });

  it("compares two sides round by round, so that a slow time of the machine affects both", () => {
    expect(pairedRatio([60, 30, 61], [100, 50, 100])).toEqual({ median: 0.6, min: 0.6, max: 0.61, of: 3 });
    expect(() => pairedRatio([1], [1, 2])).toThrow("1 rounds beside 2");
  });
});
