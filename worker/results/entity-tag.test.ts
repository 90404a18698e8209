import { describe, expect, it } from "vitest";
import { entityTag, matches } from "./entity-tag.ts";

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
