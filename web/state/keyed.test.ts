import { describe, expect, it } from "vitest";
import { keyed } from "./keyed.ts";

describe("the keys of a list", () => {
  it("differ for equal items, and for texts that look like a key", () => {
    const items = ["a", "a", "1 a", "b", "a"];
    const entries = keyed(items, (text) => text);
    expect(entries.map(({ item }) => item)).toEqual(items);
    expect(new Set(entries.map(({ key }) => key)).size).toBe(items.length);
  });
  it("stay with their items when the order changes", () => {
    const keysOf = (items: string[]) => keyed(items, (text) => text).map(({ key }) => key);
    expect(keysOf(["b", "a"])).toEqual(keysOf(["a", "b"]).reverse());
  });
});
