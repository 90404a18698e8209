import { describe, expect, it } from "vitest";
import type { JobErrorCode } from "../../schemas/job.ts";
import { wantsChanges } from "./standing.ts";

describe("wantsChanges", () => {
  it.each<[JobErrorCode, boolean]>([
    ["content_rejected", true],
    ["invalid_request", true],
    ["invalid_image", true],
    ["image_unreachable", true],
    ["attempts_exhausted", false],
    ["result_lost", false],
  ])("%s → %s", (code, wants) => {
    expect(wantsChanges({ error: { code, message: "", hint: "", upstream: null } })).toBe(wants);
  });
  it("is false for a job without an error", () => expect(wantsChanges({ error: null })).toBe(false));
});
