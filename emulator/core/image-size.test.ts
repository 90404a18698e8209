import { describe, expect, it } from "vitest";
import { outputSize, sizeFault } from "./image-size.ts";
import { findModel, type Model } from "./model-table.ts";

function model(name: string): Model {
  const found = findModel(name);
  if (found === null) throw new Error(`no model ${name}`);
  return found;
}

describe("sizes", () => {
  it.each([
    ["qwen-image-max", "1664*928", true],
    ["qwen-image-max", "1024*1024", false],
    ["qwen-image-edit-max", "512*2048", true],
    ["qwen-image-edit-max", "511*2048", false],
    ["qwen-image-edit", "1024*1024", false],
    ["qwen-image-2.0", "2048*2048", true],
    ["qwen-image-2.0", "2049*2048", false],
    ["qwen-image-2.0", "4096*300", false],
    ["wan2.6-t2i", "1280*1280", true],
    ["wan2.6-t2i", "1024*1024", false],
    ["qwen-image-max", "1664x928", false],
  ])("%s takes %s: %s", (name, size, taken) => {
    expect(sizeFault(model(name), size, false) === null).toBe(taken);
  });

  it("of the five-size models are free by a switch", () => {
    expect(sizeFault(model("qwen-image-max"), "1024*1024", true)).toBeNull();
    expect(sizeFault(model("qwen-image-max"), "256*1024", true)).not.toBeNull();
  });

  it("of edits come out rounded to 16 as in the vendor's example", () => {
    expect(outputSize(model("qwen-image-edit-max"), "1033*1032", null)).toEqual({ width: 1040, height: 1024 });
  });

  it("follow the last input image when none is asked", () => {
    expect(outputSize(model("qwen-image-edit"), null, { width: 100, height: 100 })).toEqual({
      width: 1024,
      height: 1024,
    });
    expect(outputSize(model("qwen-image-max"), null, null)).toEqual({ width: 1664, height: 928 });
  });
});

describe("findModel", () => {
  it("knows dated snapshots, which have no tasks", () => {
    expect(model("qwen-image-max-2025-12-30").quota.starts).toBe(2);
    expect(model("qwen-image-plus-2026-01-09").asyncPath).toBeNull();
    expect(model("qwen-image-plus").asyncPath).toBe("text2image");
    expect(findModel("qwen-image-ultra")).toBeNull();
  });
});
