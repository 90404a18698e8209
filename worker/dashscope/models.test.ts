import { describe, expect, it } from "vitest";
import { ModelInfo } from "../../schemas/limits.ts";
import { KNOWN_MODELS, type ModelSettings, modelFor, modelInfos, modelsDoing, quotaFor } from "./models.ts";
import { wirePaths } from "./wire.ts";

const settings: ModelSettings = {
  models: { "image-from-text": "qwen-image-max", "image-from-reference": "qwen-image-edit-max" },
  laneLimits: {},
  region: "sg",
};

describe("modelFor", () => {
  it("answers null for a name that is not in the table, inherited names included", () => {
    for (const name of ["", "qwen-image-ultra", "constructor", "__proto__", "toString"]) {
      expect(modelFor(name)).toBeNull();
    }
  });

  it.each([
    ["qwen-image-max-2025-12-30", "qwen-image-max"],
    ["qwen-image-edit-max-2026-01-16", "qwen-image-edit-max"],
    ["qwen-image-edit-plus-2025-12-15", "qwen-image-edit-plus"],
    ["qwen-image-2.0-pro-2026-04-22", "qwen-image-2.0-pro"],
  ])("gives the snapshot %s the facts of %s", (snapshot, base) => {
    expect({ ...modelFor(snapshot), model: base }).toEqual(modelFor(base));
  });

  it("knows that one snapshot of plus takes no tasks, though plus does", () => {
    expect(modelFor("qwen-image-plus")?.asyncPath).toBe("text2image");
    expect(modelFor("qwen-image-plus-2026-01-09")?.asyncPath).toBeNull();
  });

  it("submits tasks to a path of the wire, and to image paths only what takes images", () => {
    for (const name of KNOWN_MODELS) {
      const facts = modelFor(name);
      if (facts === null) throw new Error(name);
      if (facts.asyncPath !== null) expect(wirePaths).toHaveProperty(facts.asyncPath);
      expect(facts.workflows.includes("image-from-reference")).toBe(facts.images.max > 0);
      expect(facts.sizes.kind === "fixed" && facts.workflows.includes("image-from-reference")).toBe(false);
      expect(facts.defaultN).toBeLessThanOrEqual(facts.maxN);
    }
  });
});

describe("quotaFor", () => {
  it("gives the max models two starts a minute", () => {
    for (const name of ["qwen-image-max", "qwen-image-edit-max", "qwen-image-max-2025-12-30"]) {
      expect(quotaFor(name, {}, "sg")).toEqual({ starts: 2, periodMs: 60_000, inProgress: null });
    }
  });

  it("bounds tasks in progress where the vendor does", () => {
    expect(quotaFor("qwen-image-plus", {}, "sg")).toEqual({ starts: 2, periodMs: 1000, inProgress: 2 });
  });

  it("differs by region where the vendor's does", () => {
    expect(quotaFor("wan2.6-t2i", {}, "bj").starts).toBe(1);
    expect(quotaFor("wan2.6-t2i", {}, "us").starts).toBe(5);
  });

  it("lays overrides over the table field by field, an explicit null included", () => {
    expect(quotaFor("qwen-image-plus", { "qwen-image-plus": { starts: 9 } }, "sg")).toEqual({
      starts: 9,
      periodMs: 1000,
      inProgress: 2,
    });
    expect(quotaFor("qwen-image-plus", { "qwen-image-plus": { inProgress: null } }, "sg").inProgress).toBeNull();
    expect(quotaFor("qwen-image-max", { "qwen-image-plus": { starts: 9 } }, "sg").starts).toBe(2);
  });

  it("gives a model that left the table the strictest quota", () => {
    expect(quotaFor("gone", {}, "sg")).toEqual({ starts: 2, periodMs: 60_000, inProgress: null });
  });
});

describe("modelInfos", () => {
  it("puts the defaults first and says whose default each is", () => {
    const [first, second, ...others] = modelInfos(settings);
    expect([first?.default, second?.default]).toEqual([["image-from-text"], ["image-from-reference"]]);
    expect(others.every((info) => info.default.length === 0)).toBe(true);
  });

  it("gives exactly what the contract shows", () => {
    for (const info of modelInfos(settings)) {
      expect(Object.keys(info).sort()).toEqual(Object.keys(ModelInfo.shape).sort());
      expect(ModelInfo.parse(info)).toEqual(info);
    }
  });

  it("leaves out what the region does not have, but never a default", () => {
    const names = modelInfos({ ...settings, region: "us" }).map((info) => info.model);
    expect(names).toEqual(["qwen-image-max", "qwen-image-edit-max", "wan2.6-t2i", "wan2.6-image"]);
  });
});

describe("modelsDoing", () => {
  it("names a model under each workflow it does", () => {
    expect(modelsDoing("image-from-text")).toContain("qwen-image-2.0");
    expect(modelsDoing("image-from-reference")).toContain("qwen-image-2.0");
    expect(modelsDoing("image-from-reference")).not.toContain("qwen-image-max");
  });
});
