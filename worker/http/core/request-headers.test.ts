import { describe, expect, it } from "vitest";
import {
  asksFor,
  chooseType,
  jobEtag,
  matchesEtag,
  preferredWaitSeconds,
  readIdempotencyKey,
  readTraceparent,
  tagToWaitOn,
} from "./request-headers.ts";

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

  it.each(["", '""', '"abc', 'abc"', '"a"b"', "a".repeat(256), "schlüssel", "a\tb"])("%s is refused", (header) => {
    expect(readIdempotencyKey(header)).toMatchObject({ ok: false });
  });
});

it.each(["one, two", '"one", "two"', '"one", two', "one,one", ","])("%s are several keys", (header) => {
  expect(readIdempotencyKey(header)).toMatchObject({ ok: false, message: expect.stringContaining("one key") });
});

describe("readTraceparent", () => {
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  const valid = `00-${traceId}-00f067aa0ba902b7-01`;

  it("keeps a valid one unchanged, and of a newer version the parts of version 00", () => {
    expect(readTraceparent(valid)).toBe(valid);
    expect(readTraceparent(` ${valid} `)).toBe(valid);
    expect(readTraceparent(`00-${traceId}-00f067aa0ba902b7-00`)).toBe(`00-${traceId}-00f067aa0ba902b7-00`);
    expect(readTraceparent(`cc-${traceId}-00f067aa0ba902b7-01-what-the-future-holds`)).toBe(valid);
    expect(readTraceparent(`cc-${traceId}-00f067aa0ba902b7-01`)).toBe(valid);
  });

  it.each([
    ["none", undefined],
    ["an empty one", ""],
    ["version ff", `ff-${traceId}-00f067aa0ba902b7-01`],
    ["version 00 with more parts", `${valid}-more`],
    ["a newer version whose next part is not parted", `cc-${traceId}-00f067aa0ba902b7-01x`],
    ["a trace id of zeros", `00-${"0".repeat(32)}-00f067aa0ba902b7-01`],
    ["a parent id of zeros", `00-${traceId}-${"0".repeat(16)}-01`],
    ["capital letters", `00-${traceId.toUpperCase()}-00f067aa0ba902b7-01`],
    ["a short trace id", `00-${traceId.slice(1)}-00f067aa0ba902b7-01`],
    ["no flags", `00-${traceId}-00f067aa0ba902b7`],
    ["two headers", `${valid}, ${valid}`],
    ["line breaks", `${valid}\nx`],
  ])("ignores %s", (_what, header) => {
    expect(readTraceparent(header)).toBeNull();
  });
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

const etag = jobEtag("12-abc", "k3", "json");

describe("matchesEtag", () => {
  it.each([
    [etag, true],
    [etag.slice(2), true],
    [`"other", ${etag}`, true],
    ["*", true],
    [jobEtag("12-abc", "k3", "text"), false],
    [jobEtag("12-abc", "k4", "json"), false],
    [jobEtag("13-abc", "k3", "json"), false],
    ["12-abc.k3.j", false],
    ["", false],
    [undefined, false],
  ])("%s → %s", (header, matches) => {
    expect(matchesEtag(header, etag)).toBe(matches);
  });
});

describe("tagToWaitOn", () => {
  it.each([
    [etag, "12-abc"],
    [`"other", ${etag}`, "12-abc"],
    [jobEtag("12-abc", "k2", "json"), null],
    [jobEtag("12-abc", "k3", "text"), null],
    ["*", null],
    [undefined, null],
  ])("%s → %s", (header, tag) => {
    expect(tagToWaitOn(header, "k3", "json")).toBe(tag);
  });

  it("is the tag without what the form shows besides, and null when that has changed", () => {
    const header = jobEtag("12-abc~1d", "k3", "text");
    expect(tagToWaitOn(header, "k3", "text", "~1d")).toBe("12-abc");
    expect(tagToWaitOn(header, "k3", "text", "~2d")).toBeNull();
  });
});
