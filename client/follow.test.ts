import { describe, expect, it } from "vitest";
import { afterConnection, FRESH_LINK, reconnectDelayMs, wayNow } from "./follow.ts";

const policy = {
  baseDelayMs: 1_000,
  maxDelayMs: 8_000,
  goodAfterMs: 10_000,
  failuresBeforePolling: 3,
  pollingMs: 60_000,
};

describe("the choice between live connection and polling", () => {
  it("is live at first", () => {
    expect(wayNow(FRESH_LINK, 0)).toBe("live");
  });

  it("switches to polling after consecutive failures, and back to live after a while", () => {
    let link = FRESH_LINK;
    for (const nowMs of [1, 2]) {
      link = afterConnection(link, 0, nowMs, policy);
      expect(wayNow(link, nowMs)).toBe("live");
    }
    link = afterConnection(link, 0, 3, policy);
    expect(wayNow(link, 3)).toBe("poll");
    expect(wayNow(link, 60_002)).toBe("poll");
    expect(wayNow(link, 60_003)).toBe("live");
  });

  it("continues to poll at once when the live connection fails again", () => {
    const polled = { failures: 3, pollUntilMs: 100 };
    expect(wayNow(afterConnection(polled, 0, 100, policy), 100)).toBe("poll");
  });

  it("forgets earlier failures after a good connection", () => {
    const link = afterConnection({ failures: 2, pollUntilMs: null }, 10_000, 0, policy);
    expect(link).toEqual({ failures: 1, pollUntilMs: null });
  });

  it("counts a connection that closed right after it opened as a failure", () => {
    expect(afterConnection({ failures: 2, pollUntilMs: null }, 9_999, 0, policy).pollUntilMs).toBe(60_000);
  });
});

describe("reconnectDelayMs", () => {
  it("spreads the first reconnection over the base delay and grows to the cap", () => {
    const delay = (failures: number, jitter: number) =>
      reconnectDelayMs({ failures, pollUntilMs: null }, policy, jitter);
    expect([delay(1, 0), delay(1, 0.5), delay(2, 0.5), delay(9, 1)]).toEqual([0, 500, 1_000, 8_000]);
  });

  it("is zero when the watcher polls", () => {
    expect(reconnectDelayMs({ failures: 3, pollUntilMs: 5 }, policy, 0.9)).toBe(0);
  });
});
