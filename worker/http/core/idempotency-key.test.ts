import { describe, expect, it } from "vitest";
import { readIdempotencyKey } from "./idempotency-key.ts";
import { preferredWaitSeconds } from "./prefer.ts";

describe("readIdempotencyKey", () => {
  it.each([
    [undefined, null],
    ['"8e03978e-40d5"', "8e03978e-40d5"],
    ["8e03978e-40d5", "8e03978e-40d5"],
    [" abc ", "abc"],
    ['"a \\"b\\" \\\\"', 'a "b" \\'],
    ["a".repeat(255), "a".repeat(255)],
    ['"order 7, item 2"', "order 7, item 2"],
  ])("%s is a key", (header, key) => {
    expect(readIdempotencyKey(header)).toEqual({ ok: true, key });
  });

  it.each(["", '""', '"abc', 'abc"', '"a"b"', "a".repeat(256), "schlüssel", "a\tb"])("%s is not", (header) => {
    expect(readIdempotencyKey(header)).toMatchObject({ ok: false });
  });
});

it.each(["one, two", '"one", "two"', '"one", two', "one,one", ","])("%s are several keys", (header) => {
  expect(readIdempotencyKey(header)).toMatchObject({ ok: false, message: expect.stringContaining("one key") });
});

describe("preferredWaitSeconds", () => {
  it.each([
    [undefined, null],
    ["", null],
    ["wait=10", 10],
    ["respond-async, wait=10", 10],
    ["Wait=0", 0],
    ['wait="7"; foo=bar', 7],
    ["wait=600", 60],
    ["wait", null],
    ["wait=-1", null],
    ["wait=1.5", null],
    ["waiting=5", null],
    ["wait=5, wait=9", 5],
  ])("%s → %s", (prefer, seconds) => {
    expect(preferredWaitSeconds(prefer)).toBe(seconds);
  });
});
