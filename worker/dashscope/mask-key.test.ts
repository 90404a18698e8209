import { describe, expect, it } from "vitest";
import { keyMask } from "./mask-key.ts";

const KEY = 'sk-0aB+/=&<>"%9zY.(x)[y]$^';
const mask = keyMask(KEY);
const base64 = (text: string) => Buffer.from(text).toString("base64");

describe("keyMask", () => {
  it.each([
    ["as it is", KEY],
    ["in capitals", KEY.toUpperCase()],
    ["in an address", encodeURIComponent(KEY)],
    ["in an address, escaped in part", new URL(`https://a.example/?k=${KEY}`).search.slice(3)],
    ["in lower-case escapes", encodeURIComponent(KEY).replace(/%../g, (code) => code.toLowerCase())],
    ["in hex", Buffer.from(KEY).toString("hex")],
    ["in HEX", Buffer.from(KEY).toString("hex").toUpperCase()],
  ])("removes the key %s", (_form, written) => {
    expect(mask(`key ${written}, and ${written}.`)).toBe("key [key], and [key].");
  });

  it.each(["", "x", "xx", "Bearer ", ":", "user:"])("removes the key from the base64 of %j and the key", (before) => {
    for (const encoding of ["base64", "base64url"] as const) {
      const masked = mask(`said ${Buffer.from(`${before}${KEY} after`).toString(encoding)}`);
      expect(masked).toContain("[key]");
      expect(Buffer.from(masked.slice(5), "base64").toString("latin1")).not.toContain(KEY.slice(4, 8));
    }
  });

  it("leaves everything else unchanged", () => {
    for (const text of ["", KEY.slice(1), base64(KEY.slice(3)), "键 无效", "a".repeat(100_000)])
      expect(mask(text)).toBe(text);
  });

  it("removes a key that is too short for encoded forms only in its plain form", () => {
    expect(keyMask("k1")("k1 K1 6b31 azE=")).toBe("[key] K1 6b31 azE=");
  });
});
