import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cases } from "../../../test/support/properties.ts";
import { decodeListCursor, encodeListCursor, newestFirst, nextFeedNumber } from "./cursors.ts";

const position = fc.record({
  createdAtMs: fc.integer({ min: 0, max: 4_000_000_000_000 }),
  id: fc.stringMatching(/^job_[A-Za-z0-9_-]{21,64}$/),
});

describe("list cursor", () => {
  it("decodes to the position that it was made of, and fits into a URL as it is", () => {
    fc.assert(
      fc.property(position, (given) => {
        const cursor = encodeListCursor(given);
        expect(cursor).toBe(encodeURIComponent(cursor));
        expect(decodeListCursor(cursor)).toEqual(given);
      }),
      cases(),
    );
  });

  it("is refused when it is any text but one of ours", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const found = decodeListCursor(text);
        return found === null || encodeListCursor(found) === text.replace(/=+$/, "");
      }),
      cases(),
    );
    for (const text of ["", "abc", "a".repeat(1000), btoa("1.5"), btoa("2.5.job_aaaaaaaaaaaaaaaaaaaaa"), "1 2"]) {
      expect(decodeListCursor(text)).toBeNull();
    }
  });
});

describe("newestFirst", () => {
  it("orders every two different positions one way only", () => {
    fc.assert(
      fc.property(position, position, (a, b) => {
        const same = a.createdAtMs === b.createdAtMs && a.id === b.id;
        expect(Math.sign(newestFirst(a, b)) + Math.sign(newestFirst(b, a))).toBe(0);
        expect(newestFirst(a, b) === 0).toBe(same);
      }),
      cases(),
    );
  });
});

describe("nextFeedNumber", () => {
  it("is the time, so that a feed that lost its state continues above its old numbers", () => {
    expect(nextFeedNumber(0, 1_000)).toBe(1_000);
    expect(nextFeedNumber(900, 1_000)).toBe(1_000);
  });

  it("rises also within a millisecond, and when the clock goes back", () => {
    expect(nextFeedNumber(1_000, 1_000)).toBe(1_001);
    expect(nextFeedNumber(1_000, 400)).toBe(1_001);
  });
});
