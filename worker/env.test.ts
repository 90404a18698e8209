import { describe, expect, it } from "vitest";
import { readConfig } from "./env.ts";

const enough = { QWEN_API_KEY: "sk-test", AUTH_MODE: "open" };

function problemOf(env: Record<string, unknown>): { path: string; message: string } | undefined {
  const result = readConfig({ ...enough, ...env });
  return result.ok ? undefined : result.errors[0];
}

describe("readConfig", () => {
  it("refuses a default model that is unknown, naming the variable and what is known", () => {
    const problem = problemOf({ QWEN_IMAGE_MODEL: "dall-e" });
    expect(problem?.path).toBe("QWEN_IMAGE_MODEL");
    expect(problem?.message).toContain("qwen-image-max");
    expect(problem?.message).not.toContain("dall-e");
  });

  it("refuses a default model that does the other workflow only", () => {
    const problem = problemOf({ QWEN_IMAGE_EDIT_MODEL: "qwen-image-max" });
    expect(problem?.path).toBe("QWEN_IMAGE_EDIT_MODEL");
    expect(problem?.message).toContain("qwen-image-edit-max");
  });

  it("refuses lane limits of an unknown model", () => {
    const problem = problemOf({ LANE_LIMITS: '{"qwen-image-mx":{"starts":3}}' });
    expect(problem?.path).toBe("LANE_LIMITS");
    expect(problem?.message).toContain("qwen-image-max");
  });

  it("takes lane limits of a known model, in part", () => {
    const result = readConfig({ ...enough, LANE_LIMITS: '{"qwen-image-max":{"starts":3}}' });
    expect(result).toMatchObject({ ok: true, config: { laneLimits: { "qwen-image-max": { starts: 3 } } } });
  });
});
