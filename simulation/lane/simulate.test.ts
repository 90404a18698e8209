import { describe, expect, it } from "vitest";
import { SCENARIOS } from "./scenarios.ts";
import { simulate } from "./simulate.ts";

describe.each(SCENARIOS.map((scenario) => [scenario.name, scenario] as const))("%s", (_name, scenario) => {
  const result = simulate(scenario, 1_500, 7);

  it("keeps the quota, and serves every job in the end", () => {
    expect(result.mostInAWindow).toBeLessThanOrEqual(scenario.quota.starts);
    expect(result.starts).toBeGreaterThanOrEqual(1_500);
    expect(result.unfinished).toBe(0);
  });

  it("is throttled only where others use the same account", () => {
    expect(result.throttled > 0).toBe(scenario.usedByOthers !== undefined);
  });

  it("is the same for the same seed", () => {
    expect(simulate(scenario, 1_500, 7)).toEqual(result);
  });
});

describe("estimates", () => {
  it("are off by less than a percent where the quota decides and no job joins before or leaves", () => {
    const named = (name: string) => SCENARIOS.filter((scenario) => scenario.name === name);
    const errors = [...named("bursts"), ...named("two a minute")].map(
      (scenario) => simulate(scenario, 1_500, 7).estimateErrors.undisturbed,
    );
    expect(errors).toHaveLength(2);
    for (const error of errors) {
      expect(error.size).toBeGreaterThan(20);
      expect(error.percentile(0.9)).toBeLessThan(0.01);
    }
  });
});
