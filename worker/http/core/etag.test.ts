import { describe, expect, it } from "vitest";
import { jobEtag, matchesEtag, tagToWaitOn } from "./etag.ts";

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
});
