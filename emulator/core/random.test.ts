import { describe, expect, it } from "vitest";
import { sampleLatencyMs, seededRandom } from "./random.ts";

describe("sampleLatencyMs", () => {
  it("is exactly the typical time without a spread", () => {
    expect(sampleLatencyMs(1500, 0, seededRandom(1))).toBe(1500);
  });

  it("has the typical time as its median, and a tail that ends at six times it", () => {
    const random = seededRandom(7);
    const samples = Array.from({ length: 4001 }, () => sampleLatencyMs(1000, 0.35, random)).sort((a, b) => a - b);
    expect(samples[2000]).toBeGreaterThan(960);
    expect(samples[2000]).toBeLessThan(1040);
    expect(Math.max(...samples)).toBeLessThanOrEqual(6000);
    expect(Math.max(...samples)).toBeGreaterThan(2000);
  });

  it("repeats with the same seed", () => {
    const run = (): number[] => Array.from({ length: 5 }, () => sampleLatencyMs(1000, 0.35, seededRandom(3)));
    expect(run()).toEqual(run());
  });
});
