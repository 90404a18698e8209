import { env, exports } from "cloudflare:workers";
import { afterAll, describe, expect, it } from "vitest";
import { Job } from "../../schemas/job.ts";
import type { Workflow } from "../../schemas/paths.ts";
import { Problem } from "../../schemas/problem.ts";
import { framedPng } from "../results/image.fixture.ts";
import { jobStub } from "../stubs.ts";

/**
 * Whole bodies that clients send, taken from their sources. Each is sent to the real API, because spellings that pass one at
 * a time may still fail together.
 */

const PROMPT = "a red bicycle in the rain";
const A = "https://help-static-aliyun-doc.aliyuncs.com/file-manage-files/zh-CN/20250925/thtclx/input1.png";
const B = "https://help-static-aliyun-doc.aliyuncs.com/file-manage-files/zh-CN/20250925/iclsnx/input2.png";
const PHOTO = framedPng(1024, 768, 600, 5);
const PHOTO_URL = `data:image/png;base64,${PHOTO.toBase64()}`;

const user = (...content: object[]) => ({ messages: [{ role: "user", content }] });
const url = (address: string) => ({ kind: "url", url: address });
const upload = { kind: "upload", contentType: "image/png", width: 1024, height: 768 };

interface Row {
  readonly client: string;
  readonly workflow?: Workflow;
  readonly body: object;
  readonly model: string;
  readonly request: object;
  readonly warnings?: readonly string[];
}

const ROWS: Row[] = [
  {
    client: "Addreams, text panel",
    body: {
      prompt: PROMPT,
      model: "image-generation-latest",
      input: user({ type: "text", text: PROMPT }),
      parameters: {
        size: "1472*1140",
        n: 1,
        prompt_extend: true,
        watermark: false,
        response_format: "url",
        output_format: "png",
      },
    },
    model: "qwen-image-max",
    request: { prompt: PROMPT, size: "1472*1104", n: 1, promptExtend: true, watermark: false, images: [] },
    warnings: ["option_ignored", "option_ignored", "size_corrected"],
  },
  {
    client: "Addreams, reference panel with an address",
    workflow: "image-from-reference",
    body: {
      prompt: PROMPT,
      referenceImageUrl: A,
      model: "image-edit-latest",
      input: user({ type: "image", image: A }, { type: "text", text: PROMPT }),
      parameters: { n: 1, negative_prompt: "blurry", size: "1140*1472", prompt_extend: true, watermark: false },
    },
    model: "qwen-image-edit-max",
    request: { prompt: PROMPT, size: "1104*1472", negativePrompt: "blurry", images: [url(A)] },
    warnings: ["size_corrected"],
  },
  {
    client: "Addreams, reference panel with a file, as a data URL in two places",
    workflow: "image-from-reference",
    body: {
      prompt: PROMPT,
      referenceImageUrl: PHOTO_URL,
      model: "image-edit-latest",
      input: user({ type: "image", image: PHOTO_URL }, { type: "text", text: PROMPT }),
      parameters: { n: 1, size: "928*1664", prompt_extend: true, watermark: false },
    },
    model: "qwen-image-edit-max",
    request: { size: "928*1664", images: [upload] },
  },
  {
    client: "Addreams, product shoots",
    workflow: "image-from-reference",
    body: {
      prompt: PROMPT,
      referenceImageUrl: A,
      model: "image-edit-latest",
      productShootContext: { templateId: "general-handoff-hero" },
      input: user({ type: "image", image: A }, { type: "text", text: PROMPT }),
      parameters: {
        size: "1328*1328",
        n: 1,
        prompt_extend: true,
        watermark: false,
        response_format: "url",
        output_format: "jpg",
      },
    },
    model: "qwen-image-edit-max",
    request: { size: "1328*1328", images: [url(A)] },
    warnings: ["option_ignored", "option_ignored", "option_ignored"],
  },
  {
    client: "Addreams, its first release",
    body: {
      prompt: PROMPT,
      model: "qwen-image-max-latest",
      input: user({ type: "text", text: PROMPT }),
      parameters: { size: "1328*1328", n: 1, seed: 233, prompt_extend: true, watermark: false, response_format: "url" },
    },
    model: "qwen-image-max",
    request: { seed: 233 },
    warnings: ["option_ignored"],
  },
  {
    client: "Addreams, the reference panel of its first release",
    workflow: "image-from-reference",
    body: {
      prompt: PROMPT,
      referenceImageUrl: A,
      model: "qwen-image-edit-max-latest",
      input: user({ type: "image", image: A }, { type: "text", text: PROMPT }),
      parameters: { n: 1, size: "900*1200", prompt_extend: true, watermark: false, seed: 7 },
    },
    model: "qwen-image-edit-max",
    request: { size: "900*1200", seed: 7, images: [url(A)] },
  },
  {
    client: "DashScope's curl line of qwen-image-max",
    body: {
      model: "qwen-image-max",
      input: user({ text: PROMPT }),
      parameters: {
        negative_prompt: "low resolution, low quality",
        n: 1,
        prompt_extend: true,
        watermark: false,
        size: "1664*928",
        seed: 233,
      },
    },
    model: "qwen-image-max",
    request: { negativePrompt: "low resolution, low quality", size: "1664*928", seed: 233 },
  },
  {
    client: "DashScope's curl line of image editing, with a blank negative prompt",
    workflow: "image-from-reference",
    body: {
      model: "qwen-image-edit-plus",
      input: user({ image: A }, { image: B }, { text: PROMPT }),
      parameters: { n: 2, negative_prompt: " ", prompt_extend: true, watermark: false, size: "1536*1024" },
    },
    model: "qwen-image-edit-plus",
    request: { n: 2, negativePrompt: null, size: "1536*1024", images: [url(A), url(B)] },
  },
  {
    client: "the same line with nulls",
    workflow: "image-from-reference",
    body: {
      model: "qwen-image-edit-plus",
      input: user({ type: null, image: A, text: null }, { text: PROMPT }),
      parameters: { n: 1, negative_prompt: null, prompt_extend: null, watermark: null, size: null, seed: null },
    },
    model: "qwen-image-edit-plus",
    request: { negativePrompt: null, size: null, promptExtend: null, images: [url(A)] },
  },
  {
    client: "DashScope's Python SDK, MultiModalConversation",
    body: {
      model: "qwen-image-plus",
      input: user({ text: PROMPT }),
      parameters: {
        result_format: "message",
        stream: false,
        watermark: false,
        prompt_extend: true,
        negative_prompt: "",
        size: "1328*1328",
      },
    },
    model: "qwen-image-plus",
    request: { negativePrompt: null, size: "1328*1328" },
    warnings: ["option_ignored", "option_ignored"],
  },
  {
    client: "DashScope's Python SDK, ImageSynthesis",
    body: { model: "wanx2.1-t2i-turbo", input: { prompt: PROMPT }, parameters: { n: 1, size: "1024*1024" } },
    model: "wanx2.1-t2i-turbo",
    request: { size: "1024*1024", n: 1 },
  },
  {
    client: "DashScope's Python SDK, ImageGeneration",
    workflow: "image-from-reference",
    body: { model: "wan2.6-image", input: user({ text: PROMPT }, { image: A }, { image: B }), parameters: {} },
    model: "wan2.6-image",
    request: { images: [url(A), url(B)] },
  },
  {
    client: "LobeChat, a model of tasks",
    body: {
      input: { prompt: PROMPT },
      model: "wan2.2-t2i-flash",
      parameters: { n: 1, seed: 7, size: "1024*1024" },
    },
    model: "wan2.2-t2i-flash",
    request: { seed: 7, size: "1024*1024" },
  },
  {
    client: "LobeChat, qwen-image as a task, in a size that its list misspells",
    body: { input: { prompt: PROMPT }, model: "qwen-image", parameters: { n: 1, size: "1472*1140" } },
    model: "qwen-image",
    request: { size: "1472*1104" },
    warnings: ["size_corrected"],
  },
  {
    client: "LobeChat, a synchronous model",
    body: {
      input: { messages: [{ content: [{ text: PROMPT }], role: "user" }] },
      model: "qwen-image-max",
      parameters: {},
    },
    model: "qwen-image-max",
    request: { size: null },
  },
  {
    client: "LobeChat, editing",
    workflow: "image-from-reference",
    body: {
      input: { messages: [{ content: [{ image: A }, { text: PROMPT }], role: "user" }] },
      model: "qwen-image-edit",
      parameters: { seed: 7 },
    },
    model: "qwen-image-edit",
    request: { seed: 7, images: [url(A)] },
  },
  {
    client: "LobeChat, the older models' images",
    workflow: "image-from-reference",
    body: {
      input: { prompt: PROMPT, images: [A] },
      model: "wan2.5-i2i-preview",
      parameters: { n: 1, size: "1024*1024" },
    },
    model: "wan2.5-i2i-preview",
    request: { images: [url(A)], size: "1024*1024" },
  },
  {
    client: "n8n",
    body: {
      model: "qwen-image-max",
      input: user({ text: PROMPT }),
      parameters: { prompt_extend: false, size: "1104*1472" },
    },
    model: "qwen-image-max",
    request: { promptExtend: false, size: "1104*1472" },
  },
  {
    client: "n8n, another model",
    body: {
      model: "z-image-turbo",
      input: user({ text: PROMPT }),
      parameters: { prompt_extend: false, size: "720*1280" },
    },
    model: "z-image-turbo",
    request: { promptExtend: false, size: "720*1280" },
  },
  {
    client: "n8n, an older model of tasks",
    body: {
      model: "wan2.5-t2i-preview",
      input: { prompt: PROMPT },
      parameters: { prompt_extend: false, n: 1, size: "1280*1280" },
    },
    model: "wan2.5-t2i-preview",
    request: { promptExtend: false, size: "1280*1280" },
  },
  {
    client: "n8n, editing",
    workflow: "image-from-reference",
    body: {
      model: "wan2.6-image",
      input: user({ text: PROMPT }, { image: PHOTO_URL }, { image: PHOTO_URL }),
      parameters: { prompt_extend: false, n: 1, size: "1696*960" },
    },
    model: "wan2.6-image",
    request: { size: "1696*960", images: [upload, upload] },
  },
  {
    client: "the vendor's recommended portrait of wan2.6-t2i",
    body: {
      model: "wan2.6-t2i",
      input: user({ text: PROMPT }),
      parameters: { size: "960*1696", n: 1, watermark: false },
    },
    model: "wan2.6-t2i",
    request: { size: "960*1696" },
  },
  {
    client: "the vendor's curl line of wan2.6-image",
    workflow: "image-from-reference",
    body: {
      model: "wan2.6-image",
      input: user({ text: PROMPT }, { image: A }, { image: B }),
      parameters: { prompt_extend: true, watermark: false, n: 1, enable_interleave: false, size: "1K" },
    },
    model: "wan2.6-image",
    request: { size: "1K", images: [url(A), url(B)] },
    warnings: ["option_ignored"],
  },
  {
    client: "the vendor's curl line of wan2.5-i2i-preview",
    workflow: "image-from-reference",
    body: {
      model: "wan2.5-i2i-preview",
      input: { prompt: PROMPT, images: [A] },
      parameters: { prompt_extend: true, n: 1 },
    },
    model: "wan2.5-i2i-preview",
    request: { promptExtend: true, images: [url(A)] },
  },
  {
    client: "the vendor's curl line of wan2.7-image-pro",
    body: {
      model: "wan2.7-image-pro",
      input: user({ text: PROMPT }),
      parameters: { size: "2K", n: 1, watermark: false, thinking_mode: true },
    },
    model: "wan2.7-image-pro",
    request: { size: "2K", thinking: true },
  },
  {
    client: "the vendor's curl line of editing by wan2.7-image-pro",
    workflow: "image-from-reference",
    body: {
      model: "wan2.7-image-pro",
      input: user({ image: A }, { image: B }, { text: PROMPT }),
      parameters: { size: "2K", n: 1, watermark: false },
    },
    model: "wan2.7-image-pro",
    request: { size: "2K", images: [url(A), url(B)] },
  },
  {
    client: "wan2.7-image-pro, with an option of other models switched off",
    body: {
      model: "wan2.7-image-pro",
      input: user({ text: PROMPT }),
      parameters: { size: "2k", n: 1, watermark: false, prompt_extend: false },
    },
    model: "wan2.7-image-pro",
    request: { size: "2K", promptExtend: false },
    warnings: ["option_ignored"],
  },
  {
    client: "the vendor's curl line of qwen-image-2.0-pro",
    body: {
      model: "qwen-image-2.0-pro",
      input: user({ text: PROMPT }),
      parameters: { negative_prompt: "", prompt_extend: true, watermark: false, size: "2048*2048" },
    },
    model: "qwen-image-2.0-pro",
    request: { negativePrompt: null, size: "2048*2048" },
  },
  {
    client: "the vendor's curl line of qwen-image-3.0-pro",
    body: {
      model: "qwen-image-3.0-pro",
      input: user({ text: PROMPT }),
      parameters: { n: 1, size: "2560*2560", prompt_extend: true, prompt_extend_mode: "direct", enable_thinking: true },
    },
    model: "qwen-image-3.0-pro",
    request: { size: "2560*2560", promptExtend: true, promptExtendMode: "direct", thinking: true },
  },
  {
    client: "new-api, generations",
    body: {
      model: "qwen-image-max",
      input: user({ text: PROMPT }),
      parameters: { size: "1328*1328", n: 1, watermark: false },
      response_format: "b64_json",
    },
    model: "qwen-image-max",
    request: { size: "1328*1328", watermark: false },
    warnings: ["option_ignored"],
  },
  {
    client: "new-api, a model of tasks",
    body: {
      model: "wanx2.1-t2i-plus",
      input: { prompt: PROMPT },
      parameters: { size: "1024*1024", n: 1 },
      response_format: "url",
    },
    model: "wanx2.1-t2i-plus",
    request: { size: "1024*1024" },
    warnings: ["option_ignored"],
  },
  {
    client: "new-api, edits",
    workflow: "image-from-reference",
    body: {
      model: "qwen-image-edit-plus",
      input: user({ image: PHOTO_URL }, { text: PROMPT }),
      parameters: { n: 1 },
    },
    model: "qwen-image-edit-plus",
    request: { images: [upload] },
  },
  {
    client: "OpenAI's images API, with its options",
    body: {
      model: "qwen-image-max",
      prompt: PROMPT,
      n: 1,
      size: "1328x1328",
      quality: "hd",
      style: "vivid",
      response_format: "url",
      user: "user-1",
      background: "auto",
      moderation: "auto",
    },
    model: "qwen-image-max",
    request: { size: "1328*1328" },
    warnings: Array.from({ length: 6 }, () => "option_ignored"),
  },
  {
    client: "OpenAI's content items",
    workflow: "image-from-reference",
    body: { input: user({ type: "text", text: PROMPT }, { type: "image_url", image_url: { url: A, detail: "auto" } }) },
    model: "qwen-image-edit-max",
    request: { images: [url(A)] },
  },
];

const submitted: string[] = [];

// Removed, so that none of them takes a start of the lanes from the next files.
afterAll(async () => {
  for (const id of submitted) await jobStub(env, id).remove(null);
});

async function submit(workflow: Workflow, body: BodyInit, headers: Record<string, string> = {}): Promise<Response> {
  const address = `http://localhost:8787/api/workflows/${workflow}`;
  return await exports.default.fetch(address, { method: "POST", body, headers });
}

const json = (workflow: Workflow, body: object) =>
  submit(workflow, JSON.stringify(body), { "content-type": "application/json" });

async function acceptedJob(answer: Response): Promise<Job> {
  expect(answer.status, await answer.clone().text()).toBe(202);
  const job = Job.parse(await answer.json());
  submitted.push(job.id);
  return job;
}

describe("the whole body is accepted of", () => {
  it.each(ROWS)("$client", async ({ workflow = "image-from-text", body, model, request, warnings = [] }) => {
    const job = await acceptedJob(await json(workflow, body));
    expect(job).toMatchObject({ workflow, model, request: { prompt: PROMPT, ...request } });
    expect(job.warnings.map(({ code }) => code)).toEqual(warnings);
  });
});

describe("a body with a file as a data URL is accepted as it is written by", () => {
  const row = ROWS.find(
    ({ client }) => client === "Addreams, reference panel with a file, as a data URL in two places",
  );

  it.each([
    ["PHP, which escapes slashes", (text: string) => text.replaceAll("/", "\\/")],
    [".NET, which escapes signs", (text: string) => text.replaceAll("+", "\\u002B")],
    ["Gson, which escapes what HTML knows", (text: string) => text.replaceAll("=", "\\u003d")],
    ["Python's indented dumps", (text: string) => JSON.stringify(JSON.parse(text), null, 4)],
  ])("%s", async (_name, written) => {
    const body = written(JSON.stringify(row?.body));
    const answer = await submit("image-from-reference", body, { "content-type": "application/json" });
    const job = await acceptedJob(answer);
    expect(job).toMatchObject({ model: row?.model, request: row?.request });
  });
});

describe("a form is accepted with images called", () => {
  it.each([
    ["image", ["image", "image"]],
    ["images", ["images", "images"]],
    ["image[], as OpenAI's libraries and curl send them", ["image[]", "image[]"]],
    ["images[]", ["images[]", "images[]"]],
    ["image[0] and image[1], as PHP sends them", ["image[0]", "image[1]"]],
  ])("%s", async (_name, names) => {
    const form = new FormData();
    for (const [index, name] of names.entries()) {
      form.append(name, new Blob([framedPng(512, 512, 100, index + 1)], { type: "image/png" }), "photo.png");
    }
    form.append("prompt", PROMPT);
    form.append("model", "qwen-image-edit-plus");
    form.append("response_format", "b64_json");
    const job = await acceptedJob(await submit("image-from-reference", form));
    expect(job.request.images).toMatchObject([{ kind: "upload" }, { kind: "upload" }]);
    expect(job.warnings.map(({ code }) => code)).toEqual(["option_ignored"]);
  });
});

it("accepts a data URL as the text of a form's part, as low-code tools send files", async () => {
  const form = new FormData();
  form.append("image", PHOTO_URL);
  form.append("prompt", PROMPT);
  const job = await acceptedJob(await submit("image-from-reference", form));
  expect(job.request.images).toMatchObject([upload]);
  form.set("image", "data:image/png;base64,***");
  const refused = await submit("image-from-reference", form);
  expect(refused.status).toBe(400);
  expect(Problem.parse(await refused.json()).errors).toEqual([{ path: "/image/0", message: "is not base64" }]);
});

describe("two values of one thing are refused", () => {
  const panel = { prompt: PROMPT, input: user({ type: "text", text: `${PROMPT}!` }) };

  it("as two prompts", async () => {
    const answer = await json("image-from-text", panel);
    expect(answer.status).toBe(400);
    expect(Problem.parse(await answer.json()).errors).toEqual([
      { path: "/input/messages/0/content/0/text", message: "gives another prompt than /prompt: give it once" },
    ]);
  });

  it("as two images with different bytes", async () => {
    const other = `data:image/png;base64,${framedPng(512, 512, 100, 9).toBase64()}`;
    const body = { prompt: PROMPT, referenceImageUrl: PHOTO_URL, input: user({ image: other }, { text: PROMPT }) };
    const answer = await json("image-from-reference", body);
    expect(answer.status).toBe(400);
    expect(Problem.parse(await answer.json()).errors?.[0]?.path).toBe("/input/messages/0/content");
  });
});

it("draws a seed when none is given, a new one for each job, and shows it", async () => {
  const body = { prompt: PROMPT, model: "z-image-turbo" };
  const seeds = await Promise.all(
    [1, 2, 3].map(async () => (await acceptedJob(await json("image-from-text", body))).request.seed),
  );
  for (const seed of seeds) expect(Number.isInteger(seed)).toBe(true);
  expect(new Set(seeds).size).toBe(3);
});
