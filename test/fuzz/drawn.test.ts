import { describe, expect, it } from "vitest";
import { drawn, mingled } from "./drawn.ts";
import { formAttacks } from "./form-attacks.ts";
import { hangUps } from "./hang-ups.ts";
import { rawAttacks } from "./raw-attacks.ts";
import { socketAttacks } from "./socket-attacks.ts";

describe("the sequence of attacks", () => {
  it.each([
    ["forms", formAttacks],
    ["raw bytes", rawAttacks],
    ["hang-ups", hangUps],
    ["sockets", socketAttacks],
  ])("is the same for the same seed, and different for another: %s", (_, attacks) => {
    const texts = (seed: number) => Array.from(drawn<unknown>(attacks, 250, seed), (attack) => JSON.stringify(attack));
    const first = texts(1);
    expect(first).toHaveLength(250);
    expect(texts(1)).toEqual(first);
    expect(texts(2)).not.toEqual(first);
    // Batches differ too.
    expect(first.slice(100, 200)).not.toEqual(first.slice(0, 100));
  });

  it("takes all values of its sources in turns", () => {
    const source = (name: string, count: number) => ({
      count,
      values: Iterator.from(Array.from({ length: count }, () => name)),
    });
    const order = [...mingled([source("a", 4), source("b", 2)])];
    expect(order.toSorted().join("")).toBe("aaaabb");
    expect(order.slice(0, 3)).toContain("b");
  });
});
