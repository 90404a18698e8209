import { describe, expect, it } from "vitest";
import { GivenImage } from "../../http/core/given-fields.ts";
import { fingerprintText, type PartOfRequest } from "./fingerprint.ts";

class Bytes extends GivenImage {
  readonly key: string;
  constructor(key: string) {
    super();
    this.key = key;
  }
}

const PART: PartOfRequest = {
  workflow: "image-from-reference",
  model: "qwen-image-max",
  request: {
    prompt: "p",
    negativePrompt: null,
    size: null,
    n: 1,
    seed: 5,
    promptExtend: null,
    watermark: null,
    priority: "normal",
    maxAttempts: 4,
    deadlineSeconds: 60,
    onUncertain: "retry",
  },
  leftOut: ["seed", "model", "maxAttempts"],
  sources: [new Bytes("aa"), "https://example.com/b.png"],
  metadata: { a: 1, b: "2" },
  webhook: { url: "https://example.com/hook" },
};

const of = (change: Partial<PartOfRequest> = {}, route = "openai", count = 1, user: string | null = null) =>
  fingerprintText(
    route,
    user,
    Array.from({ length: count }, () => ({ ...PART, ...change })),
  );

describe("two requests are the same", () => {
  it.each([
    ["of a seed that was drawn anew", { request: { ...PART.request, seed: 6 } }],
    ["of a default that a deploy changed", { model: "another", request: { ...PART.request, maxAttempts: 2 } }],
    ["of an image with the same bytes", { sources: [new Bytes("aa"), "https://example.com/b.png"] }],
    ["of metadata in another order", { metadata: { b: "2", a: 1 } }],
  ])("in spite %s", (_what, change) => {
    expect(of(change)).toBe(of());
  });
});

describe("two requests are different", () => {
  it.each<[string, Partial<PartOfRequest>]>([
    ["prompt", { request: { ...PART.request, prompt: "q" } }],
    ["given seed", { leftOut: [], request: { ...PART.request, seed: 6 } }],
    ["image", { sources: [new Bytes("ab"), "https://example.com/b.png"] }],
    ["order of images", { sources: ["https://example.com/b.png", new Bytes("aa")] }],
    ["metadata", { metadata: {} }],
    ["webhook", { webhook: { url: "https://example.com/another" } }],
    ["workflow", { workflow: "image-from-text" }],
  ])("by their %s", (_what, change) => {
    expect(of(change)).not.toBe(of());
  });

  it("by their route and their number of jobs", () => {
    expect(of({}, "dashscope")).not.toBe(of());
    expect(of({}, "openai", 2)).not.toBe(of());
  });

  it("by the client's user", () => {
    expect(of({}, "openai", 1, "ann")).not.toBe(of());
    expect(of({}, "openai", 1, "ann")).not.toBe(of({}, "openai", 1, "bob"));
  });
});
