import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cases } from "../../../test/support/properties.ts";
import { RankIndex } from "./rank-index.ts";

const keys = fc.uniqueArray(fc.record({ turn: fc.nat(60), order: fc.nat(60) }), {
  selector: ({ turn, order }) => turn * 100 + order,
  maxLength: 2_500,
  size: "max",
});

describe("RankIndex", () => {
  it("counts the keys before one as a sorted list does, after any additions and removals", () => {
    fc.assert(
      fc.property(keys, fc.array(fc.nat(2_499), { maxLength: 500, size: "max" }), (added, removals) => {
        const index = new RankIndex();
        for (const key of added) index.add(key);
        for (const key of added.slice(0, 5)) index.add(key);
        const removed = new Set(removals.map((at) => added[at % Math.max(1, added.length)]));
        for (const key of removed) if (key !== undefined) index.remove(key);
        for (const key of removed) if (key !== undefined) index.remove(key);
        const left = added.filter((key) => !removed.has(key)).sort((a, b) => a.turn - b.turn || a.order - b.order);
        expect(index.size).toBe(left.length);
        expect(index.first()).toEqual(left[0] ?? null);
        left.forEach((key, before) => {
          expect(index.countBefore(key)).toBe(before);
        });
        for (let turn = 0; turn <= 61; turn += 1) {
          expect(index.lastOrder(turn)).toBe(left.findLast((key) => key.turn === turn)?.order ?? null);
        }
        for (const key of removed) {
          if (key === undefined) continue;
          const before = left.filter(
            (each) => each.turn < key.turn || (each.turn === key.turn && each.order < key.order),
          );
          expect(index.countBefore(key)).toBe(before.length);
        }
      }),
      cases(40),
    );
  });
});
