import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cases } from "../../../test/support/properties.ts";
import {
  afterArriving,
  afterGivingBack,
  afterServing,
  choosePriority,
  FIRST_TURNS,
  nextTurn,
  PRIORITIES,
  startsBefore,
  type Turns,
} from "./queue.ts";

/** The order in which `waiting` jobs of each priority are served, all waiting from the start. */
function serve(turns: Turns, waiting: Record<string, number>) {
  const order: (typeof PRIORITIES)[number][] = [];
  const left = { ...waiting };
  for (let state = turns; ; ) {
    const priority = choosePriority(state, (each) => (left[each] ?? 0) > 0);
    if (priority === null) return order;
    left[priority] = (left[priority] ?? 0) - 1;
    order.push(priority);
    state = afterServing(state, priority, 1);
  }
}

const counts = fc.record({ high: fc.nat(80), normal: fc.nat(80), low: fc.nat(80) });

describe("priorities", () => {
  it("with all three waiting, 16 of 21 starts are high, 4 normal and 1 low", () => {
    const first = serve(FIRST_TURNS, { high: 100, normal: 100, low: 100 }).slice(0, 21);
    expect(PRIORITIES.map((priority) => first.filter((each) => each === priority).length)).toEqual([16, 4, 1]);
  });

  it("an empty priority gains no credit", () => {
    let turns = FIRST_TURNS;
    for (let i = 0; i < 1_000; i += 1) turns = afterServing(turns, "low", i);
    const order = serve(turns, { high: 100, normal: 100, low: 100 });
    expect(order.slice(0, 21).filter((each) => each === "high").length).toBeLessThanOrEqual(17);
    expect(order.slice(0, 21).filter((each) => each === "normal").length).toBeLessThanOrEqual(5);
  });

  it("no priority is starved: at most 17 high and 5 normal starts go before a waiting job", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...PRIORITIES), { maxLength: 200, size: "max" }),
        fc.constantFrom(...PRIORITIES),
        (history, one) => {
          const served = history.reduce((turns, priority) => afterServing(turns, priority, 1), FIRST_TURNS);
          const order = serve(served, { high: 100, normal: 100, low: 100 });
          expect(order.indexOf(one)).toBeLessThanOrEqual(22);
        },
      ),
      cases(),
    );
  });

  it("a first low job waits for four normal ones, and a first high job for none", () => {
    const busy = afterServing(afterArriving(FIRST_TURNS, "normal"), "normal", 1);
    const behind = (priority: (typeof PRIORITIES)[number]) =>
      startsBefore(afterArriving(busy, priority), priority, 0, { high: 0, normal: 100, low: 0, [priority]: 1 });
    expect([behind("high"), behind("low")]).toEqual([0, 4]);
  });

  it("a priority that is empty again and again gets no more than its share", () => {
    const order: string[] = [];
    let turns = afterArriving(FIRST_TURNS, "normal");
    for (let start = 0; start < 500; start += 1) {
      if (order.at(-1) !== "normal") turns = afterArriving(turns, "low");
      const priority = choosePriority(turns, (each) => each !== "high") ?? "high";
      order.push(priority);
      turns = afterServing(turns, priority, start);
    }
    expect(order.filter((each) => each === "low")).toHaveLength(100);
  });

  it("a start that was given back is due again", () => {
    const served = afterServing(FIRST_TURNS, "low", 1);
    expect(afterGivingBack(served, "low").passes.low).toBe(0);
  });

  it("startsBefore is exactly how many are served before", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...PRIORITIES), { maxLength: 50, size: "max" }),
        counts,
        (history, waiting) => {
          const turns = history.reduce((state, priority) => afterServing(state, priority, 1), FIRST_TURNS);
          const order = serve(turns, waiting);
          const seen = { high: 0, normal: 0, low: 0 };
          order.forEach((priority, before) => {
            expect(startsBefore(turns, priority, seen[priority], waiting)).toBe(before);
            seen[priority] += 1;
          });
        },
      ),
      cases(),
    );
  });
});

describe("nextTurn", () => {
  it("gives a client's jobs one turn each, from the round after the one being served", () => {
    const turns = afterServing(FIRST_TURNS, "normal", 7);
    expect(nextTurn(turns, "normal", null)).toBe(8);
    expect(nextTurn(turns, "normal", 12)).toBe(13);
    expect(nextTurn(turns, "normal", 3)).toBe(8);
    expect(nextTurn(turns, "high", null)).toBe(1);
  });
});
