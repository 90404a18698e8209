import { describe, expect, it } from "vitest";
import type { LeftOut } from "../contract.ts";
import { submission } from "./jobs.fixture.ts";
import { differingFields, newJobRecord } from "./record.ts";

describe("a submission with a known Idempotency-Key", () => {
  const before = submission({ prompt: "a", maxAttempts: 4 }, { leftOut: ["maxAttempts", "model"] });
  const job = newJobRecord(before, 0);
  const later = (leftOut: readonly LeftOut[]) =>
    submission({ prompt: "a", maxAttempts: 2 }, { leftOut, model: "qwen-image-plus" });

  it("is the same when a field that both left out is filled in differently by now", () => {
    expect(differingFields(job, later(["maxAttempts", "model"]))).toEqual([]);
  });
  it("is another when it names a field that the first left out, or leaves out one that the first named", () => {
    expect(differingFields(job, later(["model"]))).toEqual(["/maxAttempts"]);
    expect(differingFields(newJobRecord(submission({ prompt: "a" }), 0), later(["maxAttempts", "model"]))).toEqual([
      "/model",
      "/maxAttempts",
    ]);
  });
  it("is another when its request makes another number of jobs", () => {
    const one = submission({ prompt: "a" });
    const three = { ...one, parts: 3 };
    expect(differingFields(newJobRecord(one, 0), three)).toEqual(["/n"]);
    expect(differingFields(newJobRecord(three, 0), one)).toEqual(["/n"]);
    expect(differingFields(newJobRecord(three, 0), three)).toEqual([]);
  });
  it("names each other field that differs, whatever the order of keys", () => {
    const metadata = { one: 1, two: 2 };
    const known = newJobRecord(submission({}, { metadata }), 0);
    expect(differingFields(known, submission({}, { metadata: { two: 2, one: 1 } }))).toEqual([]);
    expect(differingFields(known, submission({ prompt: "other", seed: 9 }))).toEqual(["/metadata", "/prompt", "/seed"]);
  });
});
