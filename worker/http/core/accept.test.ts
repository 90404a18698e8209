import { describe, expect, it } from "vitest";
import { asksFor, chooseType } from "./accept.ts";

const BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";

describe("chooseType", () => {
  const offers = ["application/json", "text/plain", "text/html"] as const;

  it.each([
    [undefined, "application/json"],
    ["", "application/json"],
    ["*/*", "application/json"],
    ["application/json", "application/json"],
    ["text/plain", "text/plain"],
    ["TEXT/Plain", "text/plain"],
    ["text/*", "text/plain"],
    ["text/*, text/html", "text/html"],
    ["text/plain;q=0.5, application/json;q=0.9", "application/json"],
    ["application/json;q=0.2, */*;q=0.1, text/plain;q=0.3", "text/plain"],
    ["*/*, application/json;q=0", "text/plain"],
    ["*/*;q=0.1, text/plain;q=0.1", "text/plain"],
    [BROWSER, "text/html"],
    ["text/plain; charset=utf-8", "text/plain"],
    ["image/png", null],
    ["application/json;q=0", null],
    ["nonsense", null],
  ])("%s → %s", (accept, chosen) => {
    expect(chooseType(accept, offers)).toBe(chosen);
  });
});

describe("asksFor", () => {
  it.each([
    [undefined, false],
    ["*/*", false],
    [BROWSER, false],
    ["application/json", true],
    ["text/html, Application/JSON;q=0.5", true],
    ["application/json;q=0", false],
    ["application/json-seq", false],
  ])("%s → %s", (accept, asked) => {
    expect(asksFor(accept, "application/json")).toBe(asked);
  });
});
