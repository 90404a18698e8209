import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cases } from "../../test/support/properties.ts";
import { admit, type Quota } from "./quota-window.ts";

const quota: Quota = { starts: 2, periodMs: 60_000 };

describe("admit", () => {
  it("with a sliding window delays a third start until the first is a whole period old", () => {
    expect(admit("sliding", quota, [0, 30_000], 59_999).admitted).toBe(false);
    expect(admit("sliding", quota, [0, 30_000], 60_000).admitted).toBe(true);
  });

  it("with fixed windows counts within consecutive windows from the epoch on", () => {
    expect(admit("fixed", quota, [50_000, 59_999], 59_999).admitted).toBe(false);
    expect(admit("fixed", quota, [50_000, 59_999], 60_000).admitted).toBe(true);
  });

  it("keeps only the starts of its window", () => {
    expect(admit("sliding", quota, [0, 1, 60_500], 100_000).kept).toEqual([60_500]);
  });

  it("with a sliding window never has more starts than the quota in any period", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20_000), { minLength: 1, maxLength: 60, size: "max" }), (gaps) => {
        let nowMs = 0;
        let kept: readonly number[] = [];
        const started: number[] = [];
        for (const gap of gaps) {
          nowMs += gap;
          const verdict = admit("sliding", quota, kept, nowMs);
          kept = verdict.admitted ? [...verdict.kept, nowMs] : verdict.kept;
          if (verdict.admitted) started.push(nowMs);
        }
        for (const atMs of started) {
          const inWindow = started.filter((other) => other >= atMs && other < atMs + quota.periodMs);
          expect(inWindow.length).toBeLessThanOrEqual(quota.starts);
        }
      }),
      cases(),
    );
  });
});
