import { describe, expect, it } from "vitest";
import { entityTag, holds, matches } from "./entity-tag.ts";

describe("holds", () => {
  it.each([
    ['"abc"', true],
    ['"x", "abc"', true],
    ["*", true],
    ['W/"abc"', false],
    ['"abcd"', false],
    ["", false],
  ])("%s: %s", (header, expected) => {
    expect(holds(header, entityTag("abc"))).toBe(expected);
  });
});

describe("matches", () => {
  const tag = entityTag("abc");
  it.each([
    ['"abc"', true],
    ['W/"abc"', true],
    ['"x", W/"y" ,"abc"', true],
    ["*", true],
    ['"abcd"', false],
    ["abc", false],
    ["", false],
  ])("%s: %s", (header, expected) => {
    expect(matches(header, tag)).toBe(expected);
  });
});
