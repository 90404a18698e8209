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
    ["wan2.6-t2i", "960*1696", true],
    ["wan2.6-t2i", "767*768", false],
    ["wan2.7-image", "2K", true],
    ["wan2.6-t2i", "2K", false],
    ["qwen-image-max", "1664x928", false],
  ])("%s takes %s: %s", (name, size, taken) => {
    expect(sizeFault(model(name), size, false, "five") === null).toBe(taken);
  });

  it("of the five-size models are free by a switch, as tests of others found them", () => {
    const max = model("qwen-image-max");
    expect(sizeFault(max, "1024*1024", false, "1664")).toBeNull();
    expect(sizeFault(max, "9999*9999", false, "1664")).toBe("Size 9999*9999 is out of range [512*512, 1664*1664]");
    expect(sizeFault(max, "2048*2048", false, "2048")).toBeNull();
    expect(sizeFault(max, "256*1024", false, "2048")).not.toBeNull();
  });

  it("are smaller with input images where the vendor says so", () => {
    expect(sizeFault(model("qwen-image-3.0"), "2560*2560", false, "five")).toBeNull();
    expect(sizeFault(model("qwen-image-3.0"), "2560*2560", true, "five")).not.toBeNull();
    expect(sizeFault(model("wan2.7-image-pro"), "4K", false, "five")).toBeNull();
    expect(sizeFault(model("wan2.7-image-pro"), "4K", true, "five")).not.toBeNull();
    expect(sizeFault(model("wan2.7-image-pro"), "5792*724", false, "five")).toBeNull();
  });

  it("are refused with the messages of the live API", () => {
    expect(sizeFault(model("wan2.6-t2i"), "1536*1536", false, "five")).toBe(
      "Total pixels (2359296) must be between 589824 and 2073600.",
    );
    expect(sizeFault(model("qwen-image-2.0"), "3*3", false, "five")).toBe(
      "Image area must be between 262144 (512x512) and 4194304 (2048x2048) pixels. Got area=9 (width=3, height=3).",
    );
    expect(sizeFault(model("wan2.2-t2i-plus"), "1*1", false, "five")).toBe(
      "Either width or height should be between 512 and 1440",
    );
    expect(sizeFault(model("qwen-image-max"), "1*1", false, "five")).toBe(
      "The size does not match the allowed size 1664*928,1472*1104,1328*1328,1104*1472,928*1664.",
    );
  });

  it("of edits are rounded to 16 as in the vendor's example", () => {
    expect(outputSize(model("qwen-image-edit-max"), "1033*1032", null)).toEqual({ width: 1040, height: 1024 });
  });

  it("follow the last input image when none is given", () => {
    expect(outputSize(model("qwen-image-edit"), null, { width: 100, height: 100 })).toEqual({
      width: 1024,
      height: 1024,
    });
    expect(outputSize(model("qwen-image-max"), null, null)).toEqual({ width: 1664, height: 928 });
    expect(outputSize(model("wan2.7-image"), "2K", { width: 200, height: 100 })).toEqual({ width: 2896, height: 1456 });
    expect(outputSize(model("wan2.7-image"), "4K", null)).toEqual({ width: 4096, height: 4096 });
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
