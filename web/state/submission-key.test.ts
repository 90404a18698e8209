import { describe, expect, it } from "vitest";
import { parseSent, SAME_PRESS_MS, submissionFor } from "./submission-key.ts";

const newKey = () => "new";
const unknown = { key: "old", fingerprint: "boat", takenAtMs: null };
const taken = { ...unknown, takenAtMs: 1_000 };

describe("submissionFor", () => {
  it("makes a key for a first submission", () => {
    expect(submissionFor(null, "boat", 0, newKey)).toEqual({ key: "new", fingerprint: "boat", takenAtMs: null });
  });
  it("sends the same key again while it is unknown whether the first was taken, however late", () => {
    expect(submissionFor(unknown, "boat", 86_400_000, newKey)).toBe(unknown);
  });
  it("takes a second press shortly after for the same", () => {
    expect(submissionFor(taken, "boat", 1_000 + SAME_PRESS_MS - 1, newKey)).toBe(taken);
  });
  it("makes another job of the same draft when it is pressed later", () => {
    expect(submissionFor(taken, "boat", 1_000 + SAME_PRESS_MS, newKey).key).toBe("new");
  });
  it("never sends an old key with another draft", () => {
    expect(submissionFor(unknown, "ship", 1_000, newKey).key).toBe("new");
    expect(submissionFor(taken, "ship", 1_000, newKey).key).toBe("new");
  });
});

describe("parseSent", () => {
  it("reads what was stored, and forgets what cannot be read", () => {
    expect(parseSent(JSON.stringify(taken))).toEqual(taken);
    expect(parseSent("{")).toBeNull();
    expect(parseSent(null)).toBeNull();
  });
});
