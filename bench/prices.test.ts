import { describe, expect, it } from "vitest";
import { billOf, type JobCost } from "./prices.ts";

const NOTHING: JobCost = {
  workerRequests: 0,
  objectRequests: 0,
  alarms: 0,
  rowsRead: 0,
  rowsWritten: 0,
  workflowRuns: 0,
  workflowSteps: 0,
  r2ClassA: 0,
  r2ClassB: 0,
  cpuMs: 0,
  stateBytes: 0,
  awakeSeconds: 0,
};

describe("the bill of a million jobs", () => {
  it("is only the image's month for a job that uses nothing", () => {
    expect(billOf(NOTHING).total).toBeCloseTo(22.5);
  });

  it("bills a run of a Workflow as a request, and eight dollars for its step", () => {
    const { requests, steps } = billOf({ ...NOTHING, workerRequests: 2, workflowRuns: 1, workflowSteps: 2 });
    expect(requests).toBeCloseTo(0.9);
    expect(steps).toBeCloseTo(16);
  });

  it("bills an object for the memory it occupies while upstream works", () => {
    expect(billOf({ ...NOTHING, awakeSeconds: 30 }).waiting).toBeCloseTo(48);
  });

  it("bills stored state by the gigabyte and month", () => {
    // 24 kB a job are 24 GB for a million.
    expect(billOf({ ...NOTHING, stateBytes: 24_000 }).state).toBeCloseTo(4.8);
  });

  it("adds its parts up", () => {
    const { total, ...parts } = billOf({
      ...NOTHING,
      rowsWritten: 25,
      rowsRead: 30,
      cpuMs: 20,
      r2ClassA: 1,
      r2ClassB: 1,
    });
    expect(total).toBeCloseTo(Object.values(parts).reduce((sum, part) => sum + part, 0));
    expect(total).toBeCloseTo(25.03 + 0.4 + 4.86 + 22.5);
  });
});
