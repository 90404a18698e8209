import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cases } from "../test/support/properties.ts";
import { DEFAULT_RETRY_POLICY, type FailedTry, jitteredDelayMs, retryAfterMs, retryDelayMs } from "./retry.ts";

const policy = { maxTries: 4, baseDelayMs: 100, maxDelayMs: 1_000, maxRetryAfterMs: 5_000 };
const refused = (status: number, given: Partial<FailedTry & { kind: "refused" }> = {}): FailedTry => ({
  kind: "refused",
  status,
  code: null,
  retryAfterMs: null,
  ...given,
});

describe("retryDelayMs", () => {
  it.each([
    ["no answer", { kind: "unreachable" } as const, 50],
    ["429 with nothing said", refused(429), 50],
    ["503 with nothing said", refused(503), 50],
    ["a proxy's 502", refused(502), 50],
    ["a proxy's 504", refused(504), 50],
    ["503 that says when", refused(503, { retryAfterMs: 2_000 }), 2_050],
    ["429 that says later than is worth it", refused(429, { retryAfterMs: 5_001 }), null],
    ["a deployment that is misconfigured", refused(503, { code: "misconfigured", retryAfterMs: 1 }), null],
    ["a wrong request", refused(400), null],
    ["a conflict", refused(409), null],
    ["a job that is gone", refused(410), null],
    ["a bug of the server", refused(500), null],
  ])("%s", (_what, failed, expected) => {
    expect(retryDelayMs(failed, 1, policy, 0.5)).toBe(expected);
  });

  it("gives up after the last try", () => {
    expect(retryDelayMs({ kind: "unreachable" }, 3, policy, 0.5)).not.toBeNull();
    expect(retryDelayMs({ kind: "unreachable" }, 4, policy, 0.5)).toBeNull();
  });

  it("waits between what the server asked for and the cap above it, with any jitter", () => {
    const jitter = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    const asked = fc.option(fc.integer({ min: 0, max: 20_000 }));
    fc.assert(
      fc.property(jitter, asked, fc.integer({ min: 1, max: 3 }), (given, retryAfterMs, tries) => {
        const delayMs = retryDelayMs(refused(503, { retryAfterMs }), tries, DEFAULT_RETRY_POLICY, given);
        const leastMs = retryAfterMs ?? 0;
        return delayMs !== null && delayMs >= leastMs && delayMs <= leastMs + DEFAULT_RETRY_POLICY.maxDelayMs;
      }),
      cases(),
    );
  });
});

describe("jitteredDelayMs", () => {
  it("doubles its bound with each failure up to the cap, and stays a number for any count", () => {
    expect([1, 2, 3, 4, 5, 5_000].map((failures) => jitteredDelayMs(failures, 100, 1_000, 1))).toEqual([
      100, 200, 400, 800, 1_000, 1_000,
    ]);
  });
});

const NOW = Date.UTC(2026, 10, 23, 12, 0, 0);

describe("retryAfterMs", () => {
  it.each([
    ["whole seconds", "12", 12_000],
    ["no time at all", "0", 0],
    ["more seconds than nine digits hold", "10000000000", 10_000_000_000_000],
    ["more seconds than a number holds", "9".repeat(400), Number.MAX_SAFE_INTEGER],
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
