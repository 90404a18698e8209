import { describe, expect, it } from "vitest";
import { job as plainJob } from "../../client/job.fixture.ts";
import { JobRequest } from "../../schemas/job.ts";
import type { ModelInfo } from "../../schemas/limits.ts";
import { ReferenceSubmit, TextSubmit } from "../../schemas/submit.ts";
import {
  type Draft,
  draftFromJob,
  FRESH_DRAFT,
  isFoldedSet,
  isUntouched,
  type JobToRepeat,
  parseDraft,
  reduceDraft,
} from "./draft.ts";
import { checkDraft } from "./draft-check.ts";
import { parseSeed, repeatFields, requestFields } from "./draft-request.ts";

function model(change: Partial<ModelInfo> = {}): ModelInfo {
  return {
    model: "qwen-image-max",
    workflows: ["image-from-text"],
    default: ["image-from-text"],
    sizes: { kind: "fixed", sizes: ["1664*928", "928*1664"], default: "1664*928" },
    sizesWithImages: null,
    maxN: 1,
    defaultN: 1,
    images: { min: 0, max: 0 },
    inputSides: null,
    promptMaxChars: 10,
    negativePromptMaxChars: 5,
    supports: {
      negativePrompt: true,
      promptExtend: true,
      promptExtendMode: false,
      thinking: false,
      seed: true,
      watermark: true,
    },
    asynchronous: false,
    priceClass: "high",
    price: { currency: "USD", perImage: 0.075, perImageExtended: null },
    quota: { starts: 2, periodMs: 60_000, inProgress: null },
    ...change,
  };
}

const EDIT = model({ workflows: ["image-from-reference"], images: { min: 1, max: 2 }, maxN: 6 });
const A_FILE = { kind: "file", key: "a", name: "a.png", contentType: "image/png", bytes: 100 } as const;
const A_URL = { kind: "url", url: "https://example.com/a.png" } as const;

function drafted(change: Partial<Draft>): Draft {
  return { ...FRESH_DRAFT, prompt: "a boat", ...change };
}

describe("a draft", () => {
  it("survives being stored", () => {
    const kept = drafted({ seed: "7", images: [A_FILE, A_URL] });
    expect(parseDraft(JSON.stringify(kept))).toEqual(kept);
  });
  it.each([null, "", "{", "[]", '{"prompt":1}'])("starts fresh when %j is stored", (stored) => {
    expect(parseDraft(stored)).toEqual(FRESH_DRAFT);
  });
  it("becomes one from references when an image is added, and takes no image twice", () => {
    const next = reduceDraft(drafted({}), { type: "add_images", images: [A_FILE], max: 3 });
    expect(next.workflow).toBe("image-from-reference");
    expect(reduceDraft(next, { type: "add_images", images: [A_FILE, A_URL], max: 3 }).images).toEqual([A_FILE, A_URL]);
  });
  it("takes no more images than fit", () => {
    const images = ["1", "2", "3", "4"].map((url) => ({ kind: "url", url }) as const);
    expect(reduceDraft(drafted({}), { type: "add_images", images, max: 3 }).images).toHaveLength(3);
  });
  it.each([0, 1, 2])("keeps its images when %j images fit and another is added", (max) => {
    const two = drafted({ images: [A_FILE, A_URL] });
    const late = { kind: "url", url: "https://example.com/late.png" } as const;
    expect(reduceDraft(two, { type: "add_images", images: [late], max }).images).toEqual([A_FILE, A_URL]);
  });
  it("is read in the form that an older page stored, for no client", () => {
    const { client: _client, metadata: _metadata, thinking: _thinking, deadline: _deadline, ...older } = drafted({});
    expect(parseDraft(JSON.stringify(older))).toEqual(drafted({}));
  });
  it("goes back to the model's own size when the model changes", () => {
    expect(reduceDraft(drafted({ size: "928*1664" }), { type: "model", model: "other" }).size).toBeNull();
  });
  it("drops a mode that another workflow does not take", () => {
    const agent = drafted({ promptExtendMode: "agent" });
    const switched = reduceDraft(agent, { type: "workflow", workflow: "image-from-reference" });
    expect(switched.promptExtendMode).toBeNull();
    expect(reduceDraft(agent, { type: "add_images", images: [A_FILE], max: 3 }).promptExtendMode).toBeNull();
    const direct = drafted({ promptExtendMode: "direct" });
    expect(reduceDraft(direct, { type: "workflow", workflow: "image-from-reference" }).promptExtendMode).toBe("direct");
  });
  it("is untouched as long as only the workflow and the client are chosen", () => {
    expect(isUntouched({ ...FRESH_DRAFT, workflow: "image-from-reference", client: "studio", prompt: " " })).toBe(true);
  });
  it.each<Partial<Draft>>([
    { prompt: "a boat" },
    { negativePrompt: "fog" },
    { images: [A_URL] },
    { model: "qwen-image-max" },
    { size: "928*1664" },
    { n: 2 },
    { seed: "7" },
    { promptExtend: false },
    { promptExtendMode: "agent" },
    { thinking: true },
    { watermark: true },
    { priority: "high" },
    { onUncertain: "fail" },
    { maxAttempts: "2" },
    { deadline: "5" },
    { metadata: { order: 7 } },
  ])("is touched by %j", (change) => {
    expect(isUntouched({ ...FRESH_DRAFT, ...change })).toBe(false);
  });
  it("adds an image once, also when it is given twice", () => {
    const images = [A_URL, A_FILE, A_URL, A_FILE];
    expect(reduceDraft(drafted({ images: [A_URL] }), { type: "add_images", images, max: 9 }).images).toEqual([
      A_URL,
      A_FILE,
    ]);
  });
  it("reorders its images", () => {
    const two = drafted({ images: [A_FILE, A_URL] });
    expect(reduceDraft(two, { type: "move_image", from: 1, to: 0 }).images).toEqual([A_URL, A_FILE]);
  });
});

describe("a job that is repeated", () => {
  const job: JobToRepeat = {
    id: "job_V1StGXR8_Z5jdHi6B-myT",
    workflow: "image-from-text",
    model: "qwen-image-max",
    request: {
      prompt: "a boat",
      negativePrompt: "fog",
      size: "928*1664",
      n: 3,
      seed: 7,
      promptExtend: true,
      promptExtendMode: "direct",
      thinking: false,
      watermark: true,
      images: [],
      priority: "low",
      maxAttempts: 2,
      deadlineSeconds: 90,
      onUncertain: "fail",
    },
    metadata: { campaign: "autumn", order: 7, rush: true, note: null },
  };
  const { seed, images: _images, ...asked } = job.request;
  const repeated = { ...asked, model: job.model, metadata: job.metadata };

  it("asks for everything again except the seed", () => {
    // A parameter that is new to the schema must be repeated too.
    expect(Object.keys(job.request).toSorted()).toEqual(Object.keys(JobRequest.shape).toSorted());
    expect(repeatFields(job)).toEqual(repeated);
    expect(TextSubmit.parse(repeatFields(job))).toEqual(repeated);
  });
  it("asks for everything again through the form, for the same client", () => {
    const all = { negativePrompt: true, promptExtend: true, promptExtendMode: true, thinking: true, seed: true };
    const able = model({ maxN: 4, supports: { ...all, watermark: true } });
    const draft = draftFromJob(job, "studio");
    expect(draft.client).toBe("studio");
    expect(parseDraft(JSON.stringify(draft))).toEqual(draft);
    expect(requestFields(draft, able)).toEqual({ ...repeated, seed });
    expect(checkDraft(draft, able, true).filter(({ level }) => level === "error")).toEqual([]);
  });
  it("leaves out what the job left to the server", () => {
    const little = { ...job, metadata: {}, request: { ...job.request, thinking: null, size: null, watermark: null } };
    expect(Object.keys(repeatFields(little))).not.toEqual(expect.arrayContaining(["thinking", "size", "metadata"]));
    expect(repeatFields(little)).not.toHaveProperty("watermark");
  });
  it.each([10, 61, 86_400, 604_800])("keeps a deadline of %i seconds", (deadlineSeconds) => {
    const draft = draftFromJob({ ...job, request: { ...job.request, deadlineSeconds } });
    expect(requestFields(draft, model())).toMatchObject({ deadlineSeconds });
  });
});

describe("attempts and deadline as typed", () => {
  it.each([
    ["maxAttempts", "0"],
    ["maxAttempts", "11"],
    ["maxAttempts", "1.5"],
    ["maxAttempts", "many"],
    ["deadline", "0.1"],
    ["deadline", "10081"],
    ["deadline", "soon"],
  ] as const)("%s of %s is named as wrong", (field, typed) => {
    const wrong = checkDraft(drafted({ [field]: typed }), model(), false);
    expect(wrong.map(({ field, level }) => [field, level])).toEqual([
      [field === "deadline" ? "deadlineSeconds" : field, "error"],
    ]);
  });
});

describe("the folded fields of a draft", () => {
  const { supports } = model();
  const without = Object.fromEntries(Object.keys(supports).map((name) => [name, false])) as typeof supports;
  const usual = { maxAttempts: "4", deadline: "1440" };
  it.each<Partial<Draft>>([
    { maxAttempts: "5" },
    { deadline: "5" },
    { ...usual, deadline: "1.5" },
    { metadata: { take: 2 } },
    { priority: "low" },
    { onUncertain: "fail" },
  ])("are set with %j", (change) => {
    expect(isFoldedSet({ ...FRESH_DRAFT, ...change }, without)).toBe(true);
  });
  it.each<Partial<Draft>>([{}, usual, { prompt: "a boat", seed: "7", n: 2 }])("are not set with %j", (change) => {
    expect(isFoldedSet({ ...FRESH_DRAFT, ...change }, supports)).toBe(false);
  });
  it.each<Partial<Draft>>([{ negativePrompt: "fog" }, { watermark: true }, { promptExtend: false }])(
    "are set with %j only for a model that supports it",
    (change) => {
      expect(isFoldedSet({ ...FRESH_DRAFT, ...change }, supports)).toBe(true);
      expect(isFoldedSet({ ...FRESH_DRAFT, ...change }, without)).toBe(false);
    },
  );
  it("are not set by a job that was submitted with the usual attempts and deadline", () => {
    const request = JobRequest.parse({ ...plainJob().request, maxAttempts: 4, deadlineSeconds: 86_400 });
    const { id, workflow, model: name, metadata } = plainJob();
    expect(isFoldedSet(draftFromJob({ id, workflow, model: name, metadata, request }), supports)).toBe(false);
  });
});

describe("requestFields", () => {
  it("names the model and the size that is shown as chosen, and leaves everything else to the server", () => {
    const shown = { prompt: "a boat", model: "qwen-image-max" };
    expect(requestFields(drafted({}), model())).toEqual({ ...shown, size: "1664*928" });
    const automatic = model({ sizes: { kind: "sides", min: 512, max: 2048, default: null } });
    expect(requestFields(drafted({}), automatic)).toEqual(shown);
  });
  it("is a request that the API takes, with everything set", () => {
    const full = drafted({
      negativePrompt: "fog",
      size: "928*1664",
      seed: "2147483647",
      promptExtend: false,
      watermark: true,
      priority: "low",
      onUncertain: "fail",
      n: 3,
    });
    expect(TextSubmit.parse(requestFields(full, model({ maxN: 4 })))).toMatchObject({ n: 3, seed: 2_147_483_647 });
    const images = [A_URL.url];
    expect(ReferenceSubmit.safeParse({ ...requestFields(full, EDIT), images }).success).toBe(true);
  });
  it("leaves out a mode that the workflow does not take", () => {
    const able = { ...EDIT, supports: { ...EDIT.supports, promptExtendMode: true } };
    const agent = drafted({ workflow: "image-from-reference", promptExtendMode: "agent" });
    expect(requestFields(agent, able)).not.toHaveProperty("promptExtendMode");
    expect(requestFields({ ...agent, promptExtendMode: "direct" }, able)).toHaveProperty("promptExtendMode", "direct");
  });
  it("leaves out what the model does not support", () => {
    const plain = model({
      sizes: { kind: "none" },
      supports: {
        negativePrompt: false,
        promptExtend: false,
        promptExtendMode: false,
        thinking: false,
        seed: false,
        watermark: false,
      },
    });
    const full = drafted({
      negativePrompt: "fog",
      size: "928*1664",
      seed: "1",
      promptExtend: true,
      watermark: true,
      n: 4,
    });
    expect(requestFields(full, plain)).toEqual({ prompt: "a boat", model: "qwen-image-max" });
  });
});

describe("parseSeed", () => {
  it.each([
    ["", null],
    ["  ", null],
    ["0", 0],
    ["2147483647", 2_147_483_647],
    ["2147483648", "invalid"],
    ["-1", "invalid"],
    ["1.5", "invalid"],
    ["1e3", "invalid"],
    ["x", "invalid"],
  ])("%j → %j", (typed, seed) => expect(parseSeed(typed)).toBe(seed));
});

describe("checkDraft", () => {
  const messages = (draft: Draft, known: ModelInfo, submitting = false) =>
    checkDraft(draft, known, submitting).map(({ level, message }) => `${level}: ${message}`);

  it("warns while typing about text that upstream would cut, and quotes it", () => {
    expect(messages(drafted({ prompt: "0123456789 tail" }), model())).toEqual([
      "warning: Upstream would silently cut the last 5 characters, from “tail”",
    ]);
  });
  it("counts an emoji as one character", () => {
    expect(messages(drafted({ prompt: "🎞🎞🎞🎞🎞🎞🎞🎞🎞🎞" }), model())).toEqual([]);
  });
  it("asks for a prompt only when it is sent", () => {
    expect(messages(drafted({ prompt: " " }), model())).toEqual([]);
    expect(messages(drafted({ prompt: " " }), model(), true)).toEqual(["error: Say what to draw."]);
  });
  it("names a file that is too large, of another kind, or one too many", () => {
    const draft = drafted({
      workflow: "image-from-reference",
      images: [
        { ...A_FILE, name: "big.png", bytes: 11 * 1024 * 1024 },
        { ...A_FILE, key: "t", name: "notes.txt", contentType: "text/plain" },
        { kind: "url", url: "ftp://example.com/a.png" },
      ],
    });
    expect(messages(draft, EDIT)).toEqual([
      "error: qwen-image-max takes at most 2 images: remove some.",
      "error: big.png is 11 MB; an image may have 10 MB.",
      "error: notes.txt is not an image that upstream takes (PNG, JPEG, WebP, GIF, BMP, TIFF).",
      "error: An address starts with https:// or http://.",
    ]);
  });
  it.each(["http://localhost/a.png", "http://192.168.0.7/a.png", "http://[::1]:9/a.png", "https://nas.local/a.png"])(
    "warns about %s, which upstream cannot fetch",
    (url) => {
      const draft = drafted({ workflow: "image-from-reference", images: [{ kind: "url", url }] });
      expect(messages(draft, EDIT)).toEqual([
        `warning: Upstream fetches addresses itself and cannot reach ${new URL(url).hostname}: add the file instead.`,
      ]);
      expect(messages({ ...draft, workflow: "image-from-text" }, model())).toEqual([]);
    },
  );
  it.each(["https://example.com/a.png", "https://10.example.com/a.png", "https://local.test.example/a.png"])(
    "does not warn about %s",
    (url) => {
      const draft = drafted({ workflow: "image-from-reference", images: [{ kind: "url", url }] });
      expect(messages(draft, EDIT)).toEqual([]);
    },
  );
  it("says which sizes a model takes", () => {
    expect(messages(drafted({ size: "100*100" }), model())).toEqual(["error: This model takes 1664×928, 928×1664."]);
  });
});
