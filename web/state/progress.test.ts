import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { job } from "../../client/job.fixture.ts";
import { cases } from "../../test/support/properties.ts";
import { sampleAttempt } from "./listed-job.fixture.ts";
import { listedFromJob } from "./listed-job.ts";
import { estimateProgress, jobRun, listedRun, neverBack, type Shown } from "./progress.ts";

const running = { startedAtMs: 0, storing: false };

describe("estimateProgress", () => {
  it("is at half of nine tenths after half the usual time", () => {
    expect(estimateProgress(running, 20_000, 10_000)).toEqual({ fraction: 0.45, words: "about 10 s left" });
  });
  it("says that a slow attempt is slow", () => {
    expect(estimateProgress(running, 20_000, 31_000).words).toBe("taking longer than usual");
  });
  it("does not promise negative seconds", () => {
    expect(estimateProgress(running, 20_000, 21_000).words).toBe("any moment now");
  });
  it("is nearly done once the images are being saved", () => {
    expect(estimateProgress({ ...running, storing: true }, 20_000, 1_000)).toEqual({
      fraction: 0.95,
      words: "saving the image",
    });
  });
  it("grows with time and never reaches the end", () => {
    fc.assert(
      fc.property(fc.nat(10_000_000), fc.nat(10_000_000), fc.integer({ min: 1, max: 600_000 }), (a, b, typicalMs) => {
        const early = estimateProgress(running, typicalMs, Math.min(a, b)).fraction;
        const late = estimateProgress(running, typicalMs, Math.max(a, b)).fraction;
        expect(late).toBeGreaterThanOrEqual(early);
        expect(late).toBeLessThan(1);
      }),
      cases(),
    );
  });
  it("starts at nothing when the server's clock is ahead", () => {
    expect(estimateProgress(running, 20_000, -5_000).fraction).toBe(0);
  });
});

describe("neverBack", () => {
  it("never shows less of the same run, whatever the estimates", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1 }), (fractions) => {
        let shown: Shown | null = null;
        for (const fraction of fractions) {
          const next: Shown = neverBack(shown, "job/1", fraction);
          expect(next.fraction).toBeGreaterThanOrEqual(shown?.fraction ?? 0);
          shown = next;
        }
      }),
      cases(),
    );
  });
  it("begins anew with the next attempt", () => {
    expect(neverBack({ run: "job/1", fraction: 0.8 }, "job/2", 0.1)).toEqual({ run: "job/2", fraction: 0.1 });
  });
});

describe("the running attempt of a job that keeps only its newest attempts", () => {
  const running = (number: number) => job({ status: "running", attempts: [sampleAttempt(number)] });

  it("has the number of the attempt, in the full job and in the list", () => {
    expect(jobRun(running(31))?.attempt).toBe(31);
    expect(listedRun(listedFromJob(running(31)))?.attempt).toBe(31);
  });
  it("is another run than the attempt before", () => {
    expect(jobRun(running(32))?.attempt).not.toBe(jobRun(running(31))?.attempt);
  });
});
