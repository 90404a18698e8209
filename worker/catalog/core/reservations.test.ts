import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cases } from "../../../test/support/properties.ts";
import {
  CLOCK_SLACK_MS,
  GRANT_MS,
  outstanding,
  RECORD_DELAY_MS,
  type Reservation,
  redeem,
  reserve,
} from "./reservations.ts";

describe("reserve", () => {
  it("grants all that is wanted while much is free", () => {
    expect(reserve([], 0, { wanted: 16, least: 1 }, 200, 0).granted).toBe(16);
  });

  it("shrinks grants near the limit, down to one at a time", () => {
    expect(reserve([], 160, { wanted: 16, least: 1 }, 200, 0).granted).toBe(5);
    expect(reserve([], 199, { wanted: 16, least: 1 }, 200, 0).granted).toBe(1);
  });

  it("grants at least what one request needs, also when that is more than a share, or nothing", () => {
    expect(reserve([], 196, { wanted: 32, least: 4 }, 200, 0).granted).toBe(4);
    expect(reserve([], 196, { wanted: 32, least: 5 }, 200, 0)).toEqual({ granted: 0, reservations: [] });
    expect(reserve([], 100, { wanted: 32, least: 4 }, 200, 0).granted).toBe(12);
  });

  it("grants nothing at the limit or beyond it", () => {
    expect(reserve([], 200, { wanted: 1, least: 1 }, 200, 0)).toEqual({ granted: 0, reservations: [] });
    expect(reserve([], 300, { wanted: 1, least: 1 }, 200, 0).granted).toBe(0);
  });

  it("counts what was granted and not used until the reservation has ended", () => {
    const { reservations } = reserve([], 0, { wanted: 1, least: 1 }, 1, 0);
    const endsAtMs = GRANT_MS + RECORD_DELAY_MS;
    expect(reserve(reservations, 0, { wanted: 1, least: 1 }, 1, endsAtMs - 1).granted).toBe(0);
    expect(reserve(reservations, 0, { wanted: 1, least: 1 }, 1, endsAtMs).granted).toBe(1);
  });

  it("keeps unfinished jobs and reservations within the limit, whatever is wanted, used and finished, and in any order", () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant("reserve" as const),
        wanted: fc.integer({ min: 10, max: 40 }),
        least: fc.integer({ min: 1, max: 10 }),
      }),
      fc.record({ kind: fc.constant("submit" as const) }),
      fc.record({ kind: fc.constant("finish" as const) }),
      fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 30_000 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80, size: "max" }), fc.integer({ min: 1, max: 60 }), (steps, limit) => {
        let reservations: readonly Reservation[] = [];
        let [nowMs, pending] = [0, 0];
        for (const action of steps) {
          if (action.kind === "wait") nowMs += action.ms;
          if (action.kind === "finish") pending = Math.max(0, pending - 1);
          // A submitter keeps to its grant, so a job is recorded only while a reservation counts.
          if (action.kind === "submit" && outstanding(reservations, nowMs) > 0) {
            pending += 1;
            reservations = redeem(reservations, nowMs, nowMs);
          }
          if (action.kind === "reserve") {
            const answer = reserve(reservations, pending, action, limit, nowMs);
            reservations = answer.reservations;
            const free = limit - pending - outstanding(reservations, nowMs);
            if (answer.granted > action.wanted) return false;
            if (answer.granted === 0 ? free >= action.least : answer.granted < action.least) return false;
          }
          if (pending + outstanding(reservations, nowMs) > limit) return false;
        }
        return true;
      }),
      cases(),
    );
  });
});

describe("redeem", () => {
  it("takes from the oldest reservation that still counts", () => {
    const reservations = [
      { endsAtMs: 5, left: 3 },
      { endsAtMs: 20, left: 2 },
      { endsAtMs: 30, left: 2 },
    ];
    expect(redeem(reservations, 10, 10).map(({ left }) => left)).toEqual([3, 1, 2]);
  });

  it("changes nothing when no reservation counts", () => {
    expect(redeem([{ endsAtMs: 5, left: 3 }], 10, 10)).toEqual([{ endsAtMs: 5, left: 3 }]);
  });

  it("leaves a reservation that was made after the job was asked for", () => {
    const { reservations } = reserve([], 0, { wanted: 1, least: 1 }, 1, 40_000);
    expect(redeem(reservations, 40_000 - CLOCK_SLACK_MS - 1, 41_000)).toEqual(reservations);
    expect(redeem(reservations, 40_000 - CLOCK_SLACK_MS, 41_000)).toMatchObject([{ left: 0 }]);
  });
});
