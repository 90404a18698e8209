import { describe, expect, it } from "vitest";
import { parseWireStamp, requestIdOf, resultPath, taskIdOf, wireTime } from "./ids.ts";

const bytes = Uint8Array.from({ length: 16 }, (_, index) => index * 17);

describe("ids and times", () => {
  it("look like the recorded ones", () => {
    expect(requestIdOf(bytes)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-9[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(taskIdOf(bytes)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it("are in UTC+8", () => {
    expect(wireTime(Date.UTC(2024, 2, 1, 9, 38, 24, 817))).toBe("2024-03-01 17:38:24.817");
    expect(parseWireStamp("20240301173824")).toBe(Date.UTC(2024, 2, 1, 9, 38, 24));
    expect(parseWireStamp("20241301173824")).toBeNull();
  });

  it("name results by request, seed and the day in UTC+8", () => {
    const atMs = Date.UTC(2026, 5, 10, 17);
    const id = "5795d646-7395-91d2-85d7-34d8b99a3d8d";
    const paths = (["older", "numbered", "serving"] as const).map((naming) =>
      resultPath(naming, id, 0, 233, atMs, 0x7d930000),
    );
    expect(paths).toEqual([
      `/7d/93/20260611/5795d646/${id}233.png`,
      `/7d/93/20260611/5795d646/${id}-1.png`,
      `/7d/93/20260611/5795d646/${id}_qwen_image3_serving_output_0.png`,
    ]);
  });
});
