import { describe, expect, it } from "vitest";
import { byteRange } from "./serve.ts";

describe("byteRange of 100 bytes", () => {
  it.each([
    ["bytes=0-9", { offset: 0, length: 10 }],
    ["bytes=90-", { offset: 90, length: 10 }],
    ["bytes=90-200", { offset: 90, length: 10 }],
    ["bytes=-10", { offset: 90, length: 10 }],
    ["bytes=-200", { offset: 0, length: 100 }],
    ["BYTES = 5 - 5", { offset: 5, length: 1 }],
    ["bytes=99-99", { offset: 99, length: 1 }],
    ["bytes=100-", "not_satisfiable"],
    ["bytes=-0", "not_satisfiable"],
    ["bytes=0-9,20-29", null],
    ["bytes=9-0", null],
    ["bytes=-", null],
    ["bytes=a-b", null],
    ["items=0-9", null],
    ["", null],
    [null, null],
  ] as const)("%j → %j", (header, expected) => {
    expect(byteRange(header, 100)).toEqual(expected);
  });
});
