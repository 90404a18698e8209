import { describe, expect, it } from "vitest";
import { ModelInfo, sizesFor } from "../../schemas/limits.ts";
import { WORKFLOWS } from "../../schemas/paths.ts";
import { MODEL_TABLE } from "./model-table.ts";
import { type ModelFacts, ModelOverrides, type ModelSettings, ModelTable, priceOf } from "./models.ts";
import { wirePaths } from "./wire.ts";

const settings: ModelSettings = {
  models: { "image-from-text": "qwen-image-max", "image-from-reference": "qwen-image-edit-max" },
  laneLimits: {},
  region: "sg",
};

const models = new ModelTable();

function known(name: string, table = models): ModelFacts {
  const facts = table.facts(name);
  if (facts === null) throw new Error(`no model ${name}`);
  return facts;
}

describe("the model table", () => {
  it("does not know names that are not in it, including inherited ones", () => {
    for (const name of ["", "qwen-image-ultra", "constructor", "__proto__", "toString"]) {
      expect(models.facts(name)).toBeNull();
    }
  });

  it.each([
    ["qwen-image-max-2025-12-30", "qwen-image-max"],
    ["qwen-image-edit-max-2026-01-16", "qwen-image-edit-max"],
    ["qwen-image-edit-plus-2025-12-15", "qwen-image-edit-plus"],
    ["qwen-image-2.0-pro-2026-04-22", "qwen-image-2.0-pro"],
  ])("gives the snapshot %s the facts of %s", (snapshot, base) => {
    expect({ ...known(snapshot), model: base }).toEqual(known(base));
  });

  it("knows that one snapshot of plus has no tasks, although plus has", () => {
    expect(known("qwen-image-plus").asyncPath).toBe("text2image");
    expect(known("qwen-image-plus-2026-01-09").asyncPath).toBeNull();
  });

  it("states for every row where its numbers come from and how sure they are", () => {
    for (const [name, { source }] of Object.entries(MODEL_TABLE)) {
      expect([name, /documented|live|reported|assumed/.test(source)]).toEqual([name, true]);
    }
  });

  it("has only consistent rows", () => {
    for (const name of models.names) {
      const facts = known(name);
      if (facts.asyncPath !== null) expect(wirePaths).toHaveProperty(facts.asyncPath);
      expect(facts.workflows.includes("image-from-reference")).toBe(facts.images.max > 0);
      expect(facts.inputSides !== null).toBe(facts.images.max > 0);
      expect(facts.sizes.kind === "fixed" && facts.workflows.includes("image-from-reference")).toBe(false);
      expect(facts.sizesWithImages === null || facts.workflows.length === 2).toBe(true);
      expect(facts.defaultN).toBeLessThanOrEqual(facts.maxN);
    }
  });

  it("accepts the numbers of references that the vendor documents", () => {
    expect(known("qwen-image-2.1-pro").images.max).toBe(10);
    expect(known("wan2.7-image").images.max).toBe(9);
    expect(known("qwen-image-3.0-pro").images.max).toBe(3);
  });
});

describe("the quota of a lane", () => {
  it("is two starts a minute for the max models", () => {
    for (const name of ["qwen-image-max", "qwen-image-edit-max", "qwen-image-max-2025-12-30"]) {
      expect(models.quota(name, {}, "sg")).toEqual({ starts: 2, periodMs: 60_000, inProgress: null });
    }
  });

  it("bounds tasks in progress where the vendor does", () => {
    expect(models.quota("qwen-image-plus", {}, "sg")).toEqual({ starts: 2, periodMs: 1000, inProgress: 2 });
  });

  it("differs by region where the vendor's does", () => {
    expect(models.quota("wan2.6-t2i", {}, "bj").starts).toBe(1);
    expect(models.quota("wan2.6-t2i", {}, "us").starts).toBe(5);
  });

  it("is overridden field by field, an explicit null included", () => {
    expect(models.quota("qwen-image-plus", { "qwen-image-plus": { starts: 9 } }, "sg")).toEqual({
      starts: 9,
      periodMs: 1000,
      inProgress: 2,
    });
    expect(models.quota("qwen-image-plus", { "qwen-image-plus": { inProgress: null } }, "sg").inProgress).toBeNull();
    expect(models.quota("qwen-image-max", { "qwen-image-plus": { starts: 9 } }, "sg").starts).toBe(2);
  });

  it("is the strictest for a model that was removed from the table", () => {
    expect(models.quota("gone", {}, "sg")).toEqual({ starts: 2, periodMs: 60_000, inProgress: null });
  });
});

describe("MODELS", () => {
  const table = (overrides: object) => new ModelTable(ModelOverrides.parse(overrides));

  it("adds a model that is like a known one, with the given differences", () => {
    const added = table({ "qwen-image-3.1": { like: "qwen-image-3.0-pro", maxN: 4, quota: { starts: 3 } } });
    const facts = known("qwen-image-3.1", added);
    expect(facts).toMatchObject({ model: "qwen-image-3.1", maxN: 4, asyncPath: "imageGeneration", images: { max: 3 } });
    expect(added.quota("qwen-image-3.1", {}, "sg")).toEqual({ starts: 3, periodMs: 60_000, inProgress: 2 });
    expect(added.doing("image-from-text")).toContain("qwen-image-3.1");
    expect(added.infos(settings).map(({ model }) => model)).toContain("qwen-image-3.1");
    // The price of another model does not apply to a new one.
    expect(known("qwen-image-3.1", table({ "qwen-image-3.1": { like: "qwen-image-max" } })).prices).toEqual({});
  });

  it("knows no price of a new model, even where an extended prompt costs extra in the model that it is like", () => {
    const facts = known("z-image-2", table({ "z-image-2": { like: "z-image-turbo" } }));
    expect([true, false, null].map((extended) => priceOf(facts, "sg", extended))).toEqual([null, null, null]);
    expect(priceOf(known("z-image-turbo", table({ "z-image-turbo": { maxN: 2 } })), "sg", true)).toBe(0.03);
  });

  it("changes a known model and no other", () => {
    const sizes = { kind: "sides", min: 512, max: 2048 };
    const changed = table({ "qwen-image-max": { sizes, supports: { watermark: false }, asyncPath: "text2image" } });
    const facts = known("qwen-image-max", changed);
    expect(facts).toMatchObject({ sizes: { ...sizes, default: null }, asyncPath: "text2image" });
    expect(facts.supports).toEqual({ ...known("qwen-image-max").supports, watermark: false });
    expect(facts.prices).toEqual(known("qwen-image-max").prices);
    expect({ ...known("qwen-image-plus", changed) }).toEqual({ ...known("qwen-image-plus") });
  });

  it.each([
    ["a new name that is like nothing", { "qwen-image-9": {} }, /is a new model and needs "like"/],
    ["one that is like an unknown one", { "qwen-image-9": { like: "gone" } }, /names no known model/],
    ["an unknown field", { "qwen-image-max": { sises: 1 } }, /sises/],
    ["more images than any body holds", { "qwen-image-max": { images: { min: 1, max: 11 } } }, /10/],
    ["a bound above another", { "qwen-image-max": { images: { min: 3, max: 1 } } }, /min must not be above max/],
    ["a name with a blank", { "qwen image": { like: "qwen-image-max" } }, /model's name/],
    ["a quota of nothing", { "qwen-image-max": { quota: { starts: 0 } } }, /1/],
  ])("refuses %s", (_what, overrides, message) => {
    const parsed = ModelOverrides.safeParse(overrides);
    expect(JSON.stringify(parsed.error?.issues).replaceAll("\\", "")).toMatch(message);
  });
});

describe("what a deployment shows of its models", () => {
  it("puts the defaults first and names the workflows of each", () => {
    const [first, second, ...others] = models.infos(settings);
    expect([first?.default, second?.default]).toEqual([["image-from-text"], ["image-from-reference"]]);
    expect(others.every((info) => info.default.length === 0)).toBe(true);
  });

  it("is exactly what the contract has", () => {
    for (const info of models.infos(settings)) {
      expect(Object.keys(info).sort()).toEqual(Object.keys(ModelInfo.shape).sort());
      expect(ModelInfo.parse(info)).toEqual(info);
    }
  });

  it("leaves out models that the region does not have, except defaults", () => {
    const names = models.infos({ ...settings, region: "us" }).map((info) => info.model);
    expect(names).toEqual(["qwen-image-max", "qwen-image-edit-max", "wan2.6-t2i", "wan2.6-image"]);
  });

  it("lists a model under each workflow that it supports", () => {
    expect(WORKFLOWS.map((workflow) => models.doing(workflow).includes("qwen-image-2.0"))).toEqual([true, true]);
    expect(models.doing("image-from-reference")).not.toContain("qwen-image-max");
  });
});

describe("sizesFor", () => {
  it("gives the smaller sizes for requests with images, where a model has them", () => {
    expect(sizesFor(known("qwen-image-3.0"), "image-from-text")).toMatchObject({ maxArea: 2560 ** 2 });
    expect(sizesFor(known("qwen-image-3.0"), "image-from-reference")).toMatchObject({ maxArea: 2048 ** 2 });
    expect(sizesFor(known("qwen-image-2.0"), "image-from-reference")).toMatchObject({ maxArea: 2048 ** 2 });
  });
});

describe("priceOf", () => {
  it.each([
    ["qwen-image-max", "bj", null, 0.5],
    ["qwen-image-max", "sg", null, 0.075],
    ["z-image-turbo", "bj", null, 0.1],
    ["z-image-turbo", "bj", false, 0.1],
    ["z-image-turbo", "bj", true, 0.2],
    ["qwen-image-3.0-pro", "sg", null, null],
    ["qwen-image-max", "us", null, null],
  ] as const)("%s in %s, extending %s: %s", (name, region, promptExtend, price) => {
    expect(priceOf(known(name), region, promptExtend)).toBe(price);
  });
});
