import { describe, expect, it } from "vitest";
import type { Workflow } from "../../schemas/paths.ts";
import { checkAgainstModel, checkInputSides, type ModelRequest } from "./check-request.ts";
import { type ModelFacts, ModelTable } from "./models.ts";

const models = new ModelTable();

function modelRequest(given: Partial<ModelRequest> = {}): ModelRequest {
  return {
    prompt: "a red bicycle",
    negativePrompt: null,
    size: null,
    n: 1,
    seed: null,
    promptExtend: null,
    watermark: null,
    images: [],
    ...given,
  };
}

function known(name: string): ModelFacts {
  const model = models.facts(name);
  if (model === null) throw new Error(`no model ${name}`);
  return model;
}

function check(name: string, given: Partial<ModelRequest>, workflow: Workflow = "image-from-text") {
  const images = workflow === "image-from-reference" ? ["a"] : [];
  return checkAgainstModel(models, known(name), workflow, modelRequest({ images, ...given }), "sg");
}

describe("checkAgainstModel", () => {
  it("accepts a plain request with every option", () => {
    const request = { size: "1664*928", seed: 0, promptExtend: false, watermark: true, negativePrompt: "blurry" };
    expect(check("qwen-image-max", request)).toEqual({ errors: [], warnings: [] });
  });

  it.each([
    ["qwen-image-max", "1664*928", true],
    ["qwen-image-max", "1472*1140", false],
    ["qwen-image-max", "1664x928", false],
    ["qwen-image-edit-max", "512*2048", true],
    ["qwen-image-edit-max", "511*2048", false],
    ["qwen-image-edit-max", "512*2049", false],
    ["qwen-image-edit", "1024*1024", false],
    ["qwen-image-2.0", "512*512", true],
    ["qwen-image-2.0", "2048*2048", true],
    ["qwen-image-2.0", "2048*2049", false],
    ["qwen-image-2.0", "511*512", false],
    ["qwen-image-3.0", "512*4096", true],
    ["qwen-image-3.0", "500*4096", false],
    ["qwen-image-3.0-pro", "2560*2560", true],
    ["qwen-image-2.1-pro", "2560*2560", true],
    ["qwen-image-2.1-pro", "2560*2561", false],
    // The vendor's recommended sizes are below 1280*1280, and upstream accepts them.
    ["wan2.6-t2i", "960*1696", true],
    ["wan2.6-t2i", "1104*1472", true],
    ["wan2.6-t2i", "1280*1280", true],
    ["wan2.6-t2i", "768*768", true],
    ["wan2.6-t2i", "767*768", false],
    ["wan2.6-t2i", "1440*1440", true],
    ["wan2.6-t2i", "1440*1441", false],
    ["wan2.6-t2i", "640*2560", true],
    ["wan2.6-t2i", "630*2601", false],
    ["wan2.6-t2i", "2K", false],
    ["wan2.7-image-pro", "1K", true],
    ["wan2.7-image-pro", "4K", true],
    ["wan2.7-image-pro", "8K", false],
    ["wan2.7-image", "2K", true],
    ["wan2.7-image", "768*768", true],
    ["wan2.7-image", "4096*4096", true],
    ["wan2.7-image", "4096*4097", false],
    ["wan2.6-image", "1K", true],
    ["wan2.6-image", "2048*2048", true],
    ["wan2.6-image", "2048*2049", false],
    ["wan2.6-image", "4K", false],
    ["wan2.2-t2i-plus", "1440*1440", true],
  ])("%s with size %s: taken is %s", (name, size, taken) => {
    const workflow = known(name).workflows.includes("image-from-text") ? "image-from-text" : "image-from-reference";
    const { errors } = check(name, { size }, workflow);
    expect(errors.map((error) => error.path)).toEqual(taken ? [] : ["/size"]);
  });

  it.each([
    ["qwen-image-3.0", "2048*2048", true],
    ["qwen-image-3.0", "2560*2560", false],
    ["wan2.7-image-pro", "2K", true],
    ["wan2.7-image-pro", "4K", false],
    ["wan2.7-image-pro", "4096*4096", false],
  ])("%s with input images and size %s: taken is %s", (name, size, taken) => {
    const { errors } = check(name, { size }, "image-from-reference");
    expect(errors.map((error) => error.path)).toEqual(taken ? [] : ["/size"]);
  });

  it("lists the model's sizes when one is refused", () => {
    const { errors } = check("wan2.7-image-pro", { size: "4K" }, "image-from-reference");
    expect(errors[0]?.message).toContain(
      "takes 1K, 2K, or between 768*768 and 2048*2048 pixels in all with input images",
    );
    expect(check("qwen-image-max", { size: "100*100" }).errors[0]?.message).toContain("1664*928, 1472*1104");
    expect(check("qwen-image-2.0", { size: "100*100" }).errors[0]?.message).toContain("512*512 and 2048*2048");
  });

  it("refuses more images than the model makes", () => {
    expect(check("qwen-image-max", { n: 2 }).errors).toEqual([
      { path: "/n", message: "qwen-image-max makes one image a job; 2 were asked for" },
    ]);
    expect(check("qwen-image-2.0", { n: 6 }).errors).toEqual([]);
    expect(check("wan2.6-t2i", { n: 5 }).errors[0]?.message).toContain("at most 4");
  });

  it("refuses options that the model does not have, by name, and only when given", () => {
    expect(check("z-image-turbo", {}).errors).toEqual([]);
    const given = { negativePrompt: "blurry", watermark: true, thinking: true, promptExtendMode: "direct" } as const;
    const { errors } = check("z-image-turbo", { ...given, seed: 1 });
    expect(errors.map((error) => error.path).sort()).toEqual([
      "/negativePrompt",
      "/promptExtendMode",
      "/thinking",
      "/watermark",
    ]);
  });

  it("leaves out options that are off and that the model does not have, with a warning", () => {
    for (const off of [{ watermark: false }, { thinking: false }]) {
      const { errors, warnings } = check("z-image-turbo", off);
      expect([errors, warnings.map(({ code }) => code)]).toEqual([[], ["option_ignored"]]);
    }
    expect(check("wan2.7-image", { promptExtend: false }).warnings).toMatchObject([{ code: "option_ignored" }]);
  });

  it("accepts thinking and modes of prompt extension where the model has them, and refuses contradictions", () => {
    for (const name of ["qwen-image-3.0", "qwen-image-3.0-pro", "qwen-image-2.1-pro"]) {
      expect(check(name, { thinking: true, promptExtendMode: "agent" })).toEqual({ errors: [], warnings: [] });
      expect(check(name, { thinking: true, promptExtend: false }).errors).toMatchObject([{ path: "/thinking" }]);
      const edit = check(name, { promptExtendMode: "agent" }, "image-from-reference");
      expect(edit.errors).toMatchObject([{ path: "/promptExtendMode" }]);
      expect(check(name, { promptExtendMode: "direct" }, "image-from-reference").errors).toEqual([]);
    }
  });

  it("accepts thinking of wan2.7 without extending, and warns where upstream ignores it", () => {
    for (const name of ["wan2.7-image", "wan2.7-image-pro"]) {
      expect(check(name, { thinking: true })).toEqual({ errors: [], warnings: [] });
      const edit = check(name, { thinking: true }, "image-from-reference");
      expect(edit).toMatchObject({ errors: [], warnings: [{ code: "option_ignored" }] });
      expect(check(name, { thinking: true, promptExtend: false }).errors).toEqual([]);
      expect(check(name, { thinking: false }, "image-from-reference")).toEqual({ errors: [], warnings: [] });
    }
  });

  it("refuses a workflow that the model does not support, naming those that do", () => {
    const { errors } = check("qwen-image-max", {}, "image-from-reference");
    expect(errors).toHaveLength(1);
    expect(errors[0]?.path).toBe("/model");
    expect(errors[0]?.message).toContain("qwen-image-edit-max");
  });

  it("refuses too few and too many input images", () => {
    expect(check("qwen-image-edit-max", { images: [] }, "image-from-reference").errors[0]?.path).toBe("/images");
    expect(check("qwen-image-edit-max", { images: [1, 2, 3] }, "image-from-reference").errors).toEqual([]);
    const { errors } = check("qwen-image-edit-max", { images: [1, 2, 3, 4] }, "image-from-reference");
    expect(errors[0]?.message).toBe("qwen-image-edit-max takes 1 to 3 images; 4 were given");
  });

  it("warns with the words that upstream would cut, counting characters and not UTF-16 units", () => {
    expect(check("qwen-image-max", { prompt: "🚲".repeat(800) }).warnings).toEqual([]);
    const { warnings } = check("qwen-image-max", { prompt: `${"🚲".repeat(800)}🌧 in the rain` });
    expect(warnings).toEqual([
      {
        code: "prompt_too_long",
        message:
          "the prompt has 813 characters and upstream promises to read 800: it may cut all from “🌧 in the rain” on",
      },
    ]);
    const negative = check("qwen-image-max", { negativePrompt: "x".repeat(501) });
    expect(negative.warnings.map((warning) => warning.code)).toEqual(["negative_prompt_too_long"]);
  });

  it("warns, and does not refuse, when the vendor lists the model for other regions", () => {
    const { errors, warnings } = checkAgainstModel(
      models,
      known("qwen-image-max"),
      "image-from-text",
      modelRequest(),
      "us",
    );
    expect(errors).toEqual([]);
    expect(warnings.map((warning) => warning.code)).toEqual(["model_not_in_region"]);
    expect(warnings[0]?.message).toContain("Singapore and Beijing, not for US (Virginia)");
  });
});

describe("checkInputSides", () => {
  it.each([
    ["qwen-image-edit-max", 100, 100, "input_image_size"],
    ["qwen-image-edit-max", 384, 3072, null],
    ["qwen-image-edit-max", 384, 3073, "input_image_size"],
    ["wan2.7-image", 100, 100, "refused"],
    ["wan2.7-image", 12_000, 9_000, "refused"],
    ["wan2.7-image", 240, 8000, null],
    ["wan2.5-i2i-preview", 383, 1000, "refused"],
    ["qwen-image-max", 1, 1, null],
  ])("%s with an image of %i*%i: %s", (name, width, height, outcome) => {
    const { error, warnings } = checkInputSides(known(name), { width, height });
    expect(error === null ? (warnings[0]?.code ?? null) : "refused").toBe(outcome);
    expect(error ?? warnings[0]?.message ?? `${width}*${height}`).toContain(`${width}*${height}`);
  });
});
