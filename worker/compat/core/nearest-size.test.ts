import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ModelSizes } from "../../../schemas/limits.ts";
import { nearestSize, parseSize } from "./nearest-size.ts";

const FIXED: ModelSizes = {
  kind: "fixed",
  sizes: ["1664*928", "1472*1104", "1328*1328", "1104*1472", "928*1664"],
  default: "1664*928",
};
const SIDES: ModelSizes = { kind: "sides", min: 512, max: 2048, default: null };
const AREA: ModelSizes = { kind: "area", minArea: 768 ** 2, maxArea: 1440 ** 2, maxRatio: 4, named: [], default: null };

const size = (sizes: ModelSizes, text: string) => nearestSize(sizes, parseSize(text) ?? { width: 0, height: 0 });

describe("the nearest size", () => {
  it.each([
    ["1024x1024", "1328*1328"],
    ["256x256", "1328*1328"],
    ["1536x1024", "1472*1104"],
    ["1024x1536", "1104*1472"],
    ["1792x1024", "1664*928"],
    ["1024x1792", "928*1664"],
    ["1664x928", "1664*928"],
  ])("of five fixed ones to %s is %s", (asked, found) => {
    expect(size(FIXED, asked)).toBe(found);
  });

  it("of sides keeps a size within the bounds, and scales any other", () => {
    expect(size(SIDES, "1024x1024")).toBe("1024*1024");
    expect(size(SIDES, "256x256")).toBe("512*512");
    expect(size(SIDES, "4096x2048")).toBe("2048*1024");
    expect(size(SIDES, "8000x100")).toBe("2048*512");
  });

  it("of an area keeps a size within the bounds, and scales any other", () => {
    expect(size(AREA, "1024x1024")).toBe("1024*1024");
    expect(size(AREA, "512x512")).toBe("768*768");
    expect(size(AREA, "2048x2048")).toBe("1440*1440");
    expect(size(AREA, "10000x1000")).toBe("2880*720");
  });

  it("of a model that takes no size is null", () => {
    expect(size({ kind: "none" }, "1024x1024")).toBeNull();
  });

  const side = fc.integer({ min: 1, max: 99_999 });

  it("is always one that the model takes", () => {
    fc.assert(
      fc.property(side, side, (width, height) => {
        expect(FIXED.kind === "fixed" && FIXED.sizes).toContain(nearestSize(FIXED, { width, height }));
        const sides = parseSize(nearestSize(SIDES, { width, height }) ?? "") ?? { width: 0, height: 0 };
        expect(Math.min(sides.width, sides.height)).toBeGreaterThanOrEqual(512);
        expect(Math.max(sides.width, sides.height)).toBeLessThanOrEqual(2048);
        const area = parseSize(nearestSize(AREA, { width, height }) ?? "") ?? { width: 0, height: 0 };
        expect(area.width * area.height).toBeGreaterThanOrEqual(768 ** 2);
        expect(area.width * area.height).toBeLessThanOrEqual(1440 ** 2);
        expect(Math.max(area.width / area.height, area.height / area.width)).toBeLessThanOrEqual(4 + 1e-6);
      }),
    );
  });
});

describe("a size", () => {
  it.each(["1024x1024", "1024*1024", "1024 × 1024", " 1024X1024 "])("is read from %j", (text) => {
    expect(parseSize(text)).toEqual({ width: 1024, height: 1024 });
  });

  it.each(["", "auto", "2K", "0x10", "1024", "1024x", "-1x5", "1e3x5"])("is not read from %j", (text) => {
    expect(parseSize(text)).toBeNull();
  });
});
