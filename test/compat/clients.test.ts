import { execFile, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateImage, type ImageModel, RetryError } from "ai";
import OpenAI, { APIError, APIUserAbortError, AuthenticationError, BadRequestError, toFile } from "openai";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Job } from "../../schemas/job.ts";
import { CURL_FORMS, curlLine } from "../../web/state/curl-line.ts";
import { FRESH_DRAFT } from "../../web/state/draft.ts";
import { codeBlocks } from "../support/code-blocks.ts";
import { type Product, startProduct } from "../support/product.ts";
import { until } from "../support/until.ts";
import { DashScopeError, dashScopeClient, type ImageRequest } from "./dashscope-client.ts";

/**
 * Clients of the OpenAI Images API and of DashScope with another base URL and key: published npm packages, and clients written
 * from the vendor's documentation.
 */

/** The same value as in `npm start`. */
const HIDDEN_HANG_UP_SECONDS = 10;
const TOKEN = "dk_compatible_clients";
const OTHER_TOKEN = "dk_another_client";
/** Upstream offers it only synchronously, so that its jobs are done without a wait for the next poll. */
const MODEL = "qwen-image-max";
const EDIT_MODEL = "qwen-image-edit-max";
/** Upstream offers it only as tasks, in five fixed sizes. */
const TASK_MODEL = "qwen-image-plus";

let product: Product;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "compatible-clients-"));
  const hash = (token: string) => createHash("sha256").update(token).digest("hex");
  const clients = { "my-app": hash(TOKEN), "other-app": hash(OTHER_TOKEN) };
  product = await startProduct({
    env: {
      AUTH_MODE: "token",
      CLIENT_TOKENS: JSON.stringify(clients),
      SIGNING_SECRET: "a secret of tests only",
      HIDDEN_HANG_UP_SECONDS: String(HIDDEN_HANG_UP_SECONDS),
      // So that no attempt is repeated because the machine is slow.
      QWEN_TIMEOUT_MS: "280000",
    },
  });
});
afterAll(async () => {
  await product?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const openai = (options: object = {}) => new OpenAI({ baseURL: `${product.baseUrl}/v1`, apiKey: TOKEN, ...options });
const aiOpenai = (apiKey = TOKEN) => createOpenAI({ baseURL: `${product.baseUrl}/v1`, apiKey });
const aiCompatible = (apiKey = TOKEN) =>
  createOpenAICompatible({ name: "darkroom", baseURL: `${product.baseUrl}/v1`, apiKey });
const dashscope = (key = TOKEN) => dashScopeClient(`${product.baseUrl}/api/v1`, key);

let prompts = 0;
function newPrompt(): string {
  prompts += 1;
  return `compatible client picture number ${prompts}n`;
}

/** A plain request, for tests of what a client's own methods do not show. */
function post(path: string, body: object, more: Record<string, string> = {}, signal: AbortSignal | null = null) {
  const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json", ...more };
  return fetch(`${product.baseUrl}${path}`, { method: "POST", body: JSON.stringify(body), headers, signal });
}

/** The jobs of a prompt, by the native API. */
async function jobsWith(prompt: string): Promise<Job[]> {
  const headers = { authorization: `Bearer ${TOKEN}` };
  const read = async (path: string) => (await fetch(`${product.baseUrl}${path}`, { headers })).json();
  const { jobs } = (await read(`/api/jobs?${new URLSearchParams({ q: prompt })}`)) as { jobs: { id: string }[] };
  return Promise.all(jobs.map(async ({ id }) => (await read(`/api/jobs/${id}`)) as Job));
}

const billed = async (prompt: string) => (await product.emulator.ledger(prompt)).images.length;

/** The jobs of a prompt, once the list has `count` of them: the list has a job shortly after the submission's answer. */
function untilJobs(prompt: string, count: number): Promise<Job[]> {
  return until(`${count} jobs of "${prompt}"`, async () => {
    const jobs = await jobsWith(prompt);
    return jobs.length >= count ? jobs : undefined;
  });
}

async function expectJobs(prompt: string, count: number, paid = count): Promise<void> {
  expect(await untilJobs(prompt, count)).toHaveLength(count);
  expect(await billed(prompt)).toBe(paid);
}

/** Expects that the one job of a prompt was made from `count` photos, and that upstream billed its images once. */
async function expectReferences(prompt: string, count: number): Promise<void> {
  const [job] = await untilJobs(prompt, 1);
  const sides = job?.request.images.map((image) => (image.kind === "upload" ? [image.width, image.height] : null));
  expect(sides).toEqual(Array(count).fill([640, 480]));
  expect(await billed(prompt)).toBe(job?.request.n);
}

/**
 * Resolves once a new request counts as the repetition of any earlier one that has reached upstream. A proxy in front of the
 * Worker may hide a hang-up until the answer begins, so this waits for the time that the setting names. The clock is the Worker's.
 */
async function untilTakenForRepetition(): Promise<void> {
  const endsAtMs = Date.now() + HIDDEN_HANG_UP_SECONDS * 1000;
  while (Date.now() < endsAtMs) await pause(endsAtMs - Date.now());
}

async function sizeOf(image: string | Uint8Array): Promise<string> {
  const { width, height } = await sharp(typeof image === "string" ? Buffer.from(image, "base64") : image).metadata();
  return `${width}x${height}`;
}

async function sizeAt(url: string | undefined): Promise<string> {
  return await sizeOf(new Uint8Array(await (await fetch(url ?? "")).arrayBuffer()));
}

async function photo(): Promise<Uint8Array<ArrayBuffer>> {
  const drawn = sharp({ create: { width: 640, height: 480, channels: 3, background: "red" } });
  return Uint8Array.from(await drawn.png().toBuffer());
}

const failing = (call: Promise<unknown>) => call.then(() => null).catch((error: unknown) => error);

describe("openai", () => {
  it("generates an image, whose url opens without a token", async () => {
    const answer = await openai().images.generate({ model: MODEL, prompt: newPrompt(), response_format: "url" });
    expect(await sizeAt(answer.data?.[0]?.url)).toBe("1664x928");
  });

  it("generates as base64, in the nearest ratio of OpenAI's sizes", async () => {
    const prompt = newPrompt();
    const answer = await openai().images.generate({
      model: MODEL,
      prompt,
      size: "1024x1536",
      response_format: "b64_json",
    });
    expect(answer.size).toBe("1104x1472");
    expect(await sizeOf(answer.data?.[0]?.b64_json ?? "")).toBe("1104x1472");
  });

  it("generates three images of a model that makes one at a time", async () => {
    const prompt = newPrompt();
    const answer = await openai().images.generate({ model: MODEL, prompt, n: 3, response_format: "url" });
    expect(answer.data).toHaveLength(3);
    await expectJobs(prompt, 3);
  });

  it("edits one image, and several", async () => {
    const one = await toFile(await photo(), "a.png", { type: "image/png" });
    const two = await toFile(await photo(), "b.png", { type: "image/png" });
    for (const image of [one, [one, two]]) {
      const prompt = newPrompt();
      const answer = await openai().images.edit({ model: EDIT_MODEL, image, prompt, n: 2 });
      expect(answer.data).toHaveLength(2);
      for (const { b64_json } of answer.data ?? []) expect(await sizeOf(b64_json ?? "")).toMatch(/^\d+x\d+$/);
      await expectReferences(prompt, Array.isArray(image) ? 2 : 1);
    }
  });

  it("streams a generation and an edit", async () => {
    const stream = await openai().images.generate({
      model: MODEL,
      prompt: newPrompt(),
      stream: true,
      size: "1536x1024",
    });
    const events = [];
    for await (const event of stream) events.push(event);
    expect(events.map(({ type }) => type)).toEqual(["image_generation.completed"]);
    expect(await sizeOf(events[0]?.b64_json ?? "")).toBe("1472x1104");
    const image = await toFile(await photo(), "a.png", { type: "image/png" });
    const edits = await openai().images.edit({ model: EDIT_MODEL, image, prompt: newPrompt(), stream: true });
    const edited = [];
    for await (const event of edits) edited.push(event.type);
    expect(edited).toEqual(["image_edit.completed"]);
  });

  it("lists the models, and shows one", async () => {
    const names: string[] = [];
    for await (const model of openai().models.list()) names.push(model.id);
    expect(names).toContain(MODEL);
    expect((await openai().models.retrieve(MODEL)).id).toBe(MODEL);
  });

  it("gets the right error class for a wrong key, a bad size, an unknown model and a refused prompt", async () => {
    const generate = (more: object, client = openai()) =>
      client.images.generate({ model: MODEL, prompt: newPrompt(), ...more }).catch((error: unknown) => error);
    expect(await generate({}, openai({ apiKey: "sk-wrong" }))).toBeInstanceOf(AuthenticationError);
    const size = await generate({ size: "huge" });
    expect(size).toBeInstanceOf(BadRequestError);
    expect(size).toMatchObject({
      param: "size",
      type: "invalid_request_error",
      message: expect.stringContaining("1328*1328"),
    });
    expect(await generate({ model: "none" })).toMatchObject({ status: 404, code: "model_not_found" });
    const prompt = newPrompt();
    await product.emulator.addFault({
      match: { prompt },
      times: null,
      fault: { type: "error", code: "DataInspectionFailed" },
    });
    expect(await generate({ prompt })).toMatchObject({ status: 400, code: "moderation_blocked" });
  });

  it("does not repeat a job that failed for good", async () => {
    const prompt = newPrompt();
    await product.emulator.addFault({
      match: { prompt },
      times: null,
      fault: { type: "error", code: "InvalidParameter" },
    });
    const error = await openai()
      .images.generate({ model: MODEL, prompt })
      .catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(APIError);
    expect(error).toMatchObject({ status: 424, code: "invalid_request" });
    await expectJobs(prompt, 1, 0);
  });

  it("that gives up on an answer and repeats gets the same job: one paid image", async () => {
    const prompt = newPrompt();
    await product.emulator.addFault({ match: { prompt }, times: 1, fault: { type: "hold", at: "answer" } });
    const waits = [new AbortController(), new AbortController()];
    let requests = 0;
    // The SDK's own timer would end a request in the same way, but on a slow machine it might end every request.
    const impatient: typeof fetch = (input, init) => {
      const wait = waits[requests++];
      return fetch(input, wait === undefined ? init : { ...init, signal: wait.signal });
    };
    const asked = openai({ fetch: impatient }).images.generate({
      model: MODEL,
      prompt,
      response_format: "url",
    });
    await product.emulator.untilHeld(prompt);
    for (const [index, wait] of waits.entries()) {
      await expect.poll(() => requests).toBe(index + 1);
      wait.abort();
    }
    await expect.poll(() => requests).toBe(3);
    await product.emulator.release(prompt);
    expect((await asked).data).toHaveLength(1);
    await expectJobs(prompt, 1);
  });

  it("that deliberately sends the same request again gets another image", async () => {
    const prompt = newPrompt();
    for (const _time of [1, 2]) await openai().images.generate({ model: MODEL, prompt, response_format: "url" });
    await expectJobs(prompt, 2);
  });
});

describe("ai with @ai-sdk/openai", () => {
  it("generates in a ratio of its own sizes, and edits", async () => {
    const { image } = await generateImage({ model: aiOpenai().image(MODEL), prompt: newPrompt(), size: "1024x1024" });
    expect(await sizeOf(image.uint8Array)).toBe("1328x1328");
    const prompt = newPrompt();
    const edited = await generateImage({
      model: aiOpenai().image(EDIT_MODEL),
      prompt: { text: prompt, images: [await photo()] },
    });
    expect(edited.images).toHaveLength(1);
    await expectReferences(prompt, 1);
  });

  it("gets three images by n: 3, which is three parallel calls", async () => {
    const prompt = newPrompt();
    const { images } = await generateImage({ model: aiOpenai().image(MODEL), prompt, n: 3 });
    expect(images).toHaveLength(3);
    await expectJobs(prompt, 3);
  });

  it("gets an error with a reason, and repeats no request that would fail again", async () => {
    const wrongSize = generateImage({ model: aiOpenai().image(MODEL), prompt: "", size: "1024x1024" });
    const error = await wrongSize.catch((caught: unknown) => caught);
    expect(APICallError.isInstance(error) && error.message).toContain("prompt");
    const prompt = newPrompt();
    await product.emulator.addFault({
      match: { prompt },
      times: null,
      fault: { type: "error", code: "InvalidParameter" },
    });
    const failed = await generateImage({ model: aiOpenai().image(MODEL), prompt }).catch((caught: unknown) => caught);
    expect(APICallError.isInstance(failed) && failed.statusCode).toBe(424);
    expect(RetryError.isInstance(failed)).toBe(false);
    await expectJobs(prompt, 1, 0);
  });
});

describe.each([
  ["@ai-sdk/openai", (apiKey?: string) => aiOpenai(apiKey).image(MODEL)],
  ["@ai-sdk/openai-compatible", (apiKey?: string) => aiCompatible(apiKey).imageModel(MODEL)],
])("ai with %s", (_package, modelOf) => {
  const statusOf = (model: ImageModel, prompt: string) =>
    generateImage({ model, prompt }).catch((error: unknown) => APICallError.isInstance(error) && error.statusCode);

  it("gets the right status for a wrong key and a refused prompt, and repeats neither", async () => {
    expect(await statusOf(modelOf("sk-wrong"), newPrompt())).toBe(401);
    const prompt = newPrompt();
    const fault = { type: "error", code: "DataInspectionFailed" } as const;
    await product.emulator.addFault({ match: { prompt }, times: null, fault });
    expect(await statusOf(modelOf(), prompt)).toBe(400);
    await expectJobs(prompt, 1, 0);
  });
});

describe("ai with @ai-sdk/openai-compatible", () => {
  it("generates several images, and edits", async () => {
    const prompt = newPrompt();
    const { images } = await generateImage({
      model: aiCompatible().imageModel(MODEL),
      prompt,
      n: 2,
      size: "1792x1024",
    });
    expect(await Promise.all(images.map(({ uint8Array }) => sizeOf(uint8Array)))).toEqual(["1664x928", "1664x928"]);
    const edit = newPrompt();
    const edited = await generateImage({
      model: aiCompatible().imageModel(EDIT_MODEL),
      prompt: { text: edit, images: [await photo()] },
    });
    expect(edited.images).toHaveLength(1);
    await expectReferences(edit, 1);
  });
});

function message(model: string, text: string, images: readonly string[] = [], parameters = {}): ImageRequest {
  const content = [...images.map((image) => ({ image })), { text }];
  return { model, input: { messages: [{ role: "user", content }] }, parameters };
}

const PATHS = {
  text2image: "/services/aigc/text2image/image-synthesis",
  image2image: "/services/aigc/image2image/image-synthesis",
  generation: "/services/aigc/image-generation/generation",
  multimodal: "/services/aigc/multimodal-generation/generation",
};

describe("a client from the vendor's documentation", () => {
  it("generates with one call, and opens the image without a key", async () => {
    const prompt = newPrompt();
    const parameters = {
      size: "1328*1328",
      n: 1,
      seed: 233,
      negative_prompt: "blurry",
      prompt_extend: true,
      watermark: false,
    };
    const [url] = await dashscope().generate(message(MODEL, prompt, [], parameters));
    expect(await sizeAt(url)).toBe("1328x1328");
    expect(await billed(prompt)).toBe(1);
  });

  it.each(Object.entries(PATHS))("submits a task to %s, waits for it and reads both shapes", async (_name, path) => {
    const task = await dashscope().submit(path, message(MODEL, newPrompt()));
    expect(task.task_status).toBe("PENDING");
    const done = await dashscope().wait(task.task_id);
    expect(done).toMatchObject({ task_status: "SUCCEEDED", task_metrics: { TOTAL: 1, SUCCEEDED: 1, FAILED: 0 } });
    expect(done.results?.[0]?.url).toBe(done.choices?.[0]?.message.content[0]?.image);
    expect(await sizeAt(done.results?.[0]?.url)).toBe("1664x928");
  });

  it("edits an image that it uploaded before, and one in base64", async () => {
    const bytes = await photo();
    const uploaded = await dashscope().upload(EDIT_MODEL, "a photo.png", bytes);
    expect(uploaded).toMatch(/^oss:\/\//);
    const images = [uploaded, `data:image/png;base64,${Buffer.from(bytes).toString("base64")}`];
    expect(await dashscope().generate(message(EDIT_MODEL, newPrompt(), images, { n: 2 }))).toHaveLength(2);
  });

  it("cancels a task, and lists its tasks", async () => {
    const prompt = newPrompt();
    await product.emulator.addFault({ match: { prompt }, times: null, fault: { type: "hold", at: "arrival" } });
    const { task_id } = await dashscope().submit(PATHS.text2image, { model: MODEL, input: { prompt } });
    await dashscope().cancel(task_id, "/");
    expect((await dashscope().task(task_id, "/")).task_status).toBe("CANCELED");
    await product.emulator.release(prompt);
    await expect.poll(async () => (await dashscope().list({ task_id, status: "CANCELED" })).total).toBe(1);
    expect(await dashscope().list({ page_size: "2" })).toMatchObject({ page_no: 1, page_size: 2 });
    expect(await failing(dashscope().cancel("1111"))).toMatchObject({ status: 400, code: "UnsupportedOperation" });
  });

  it("reads UNKNOWN for a task that never existed", async () => {
    expect((await dashscope().task("1111")).task_status).toBe("UNKNOWN");
  });

  it("reads the code, the status and the request's id of every refusal", async () => {
    const wrongKey = await failing(dashscope("sk-wrong").generate(message(MODEL, "a")));
    expect(wrongKey).toMatchObject({ status: 401, code: "InvalidApiKey" });
    expect(wrongKey instanceof DashScopeError && wrongKey.requestId).toMatch(/./);
    const wrongSize = await failing(dashscope().generate(message(MODEL, "a", [], { size: "3*3" })));
    expect(wrongSize).toMatchObject({ status: 400, code: "InvalidParameter" });
    const wrongModel = await failing(dashscope().generate(message("none", "a")));
    expect(wrongModel).toMatchObject({ status: 404, code: "ModelNotFound" });
    const prompt = newPrompt();
    await product.emulator.addFault({
      match: { prompt },
      times: null,
      fault: { type: "error", code: "DataInspectionFailed" },
    });
    expect(await failing(dashscope().generate(message(MODEL, prompt)))).toMatchObject({
      status: 400,
      code: "DataInspectionFailed",
    });
  });

  it("reads UNKNOWN for the task of another client", async () => {
    const { task_id } = await dashscope().submit(PATHS.multimodal, message(MODEL, newPrompt()));
    expect((await dashscope(OTHER_TOKEN).task(task_id)).task_status).toBe("UNKNOWN");
    expect((await dashscope().task(task_id)).task_status).not.toBe("UNKNOWN");
  });
});

const hasPython = spawnSync("python3", ["--version"]).status === 0;

describe.skipIf(!hasPython)("a client in Python with its standard library", () => {
  const python = (key: string, prompt: string) => {
    const args = [
      "test/compat/dashscope_client.py",
      `${product.baseUrl}/api/v1`,
      key,
      prompt,
      join(folder, "image.png"),
    ];
    return promisify(execFile)("python3", args);
  };

  it("submits a task, waits for it and saves the image", async () => {
    const { stdout } = await python(TOKEN, newPrompt());
    expect(JSON.parse(stdout)).toMatchObject({ task_status: "SUCCEEDED" });
    expect(await sharp(join(folder, "image.png")).metadata()).toMatchObject({ width: 1328, height: 1328 });
  });

  it("says which key is wrong", async () => {
    await expect(python("sk-wrong", newPrompt())).rejects.toThrow("401 InvalidApiKey");
  });
});

describe("a client that gets no answer", () => {
  describe.concurrent("because it hangs up", () => {
    it("and asks the OpenAI API again gets the same job: one paid image", async () => {
      const prompt = newPrompt();
      await product.emulator.addFault({ match: { prompt }, times: 1, fault: { type: "hold", at: "answer" } });
      const user = new AbortController();
      const asked = openai().images.generate({ model: MODEL, prompt }, { signal: user.signal });
      const ended = expect(asked).rejects.toBeInstanceOf(APIUserAbortError);
      await product.emulator.untilHeld(prompt);
      user.abort();
      await ended;
      await untilTakenForRepetition();
      // The headers of a stream are sent once its request has a job. The first request may be answered only then: `wrangler
      // dev` takes that answer although its client has hung up, and a later request would be a new one.
      const again = await openai().images.generate({ model: MODEL, prompt, stream: true });
      await product.emulator.release(prompt);
      const events = [];
      for await (const event of again) events.push(event.type);
      expect(events).toEqual(["image_generation.completed"]);
      await expectJobs(prompt, 1);
    });

    it("and asks DashScope's API again gets the same job: one paid image; a deliberate repeat gets another", async () => {
      const prompt = newPrompt();
      await product.emulator.addFault({ match: { prompt }, times: 1, fault: { type: "hold", at: "answer" } });
      const body = message(MODEL, prompt);
      const path = `/api/v1${PATHS.multimodal}`;
      const user = new AbortController();
      const first = post(path, body, {}, user.signal).catch(() => "hung up");
      await product.emulator.untilHeld(prompt);
      user.abort();
      expect(await first).toBe("hung up");
      await untilTakenForRepetition();
      const second = await post(path, body, { prefer: "wait=0" });
      expect([second.status, await second.json()]).toMatchObject([500, { code: "RequestTimeOut" }]);
      await product.emulator.release(prompt);
      expect(await dashscope().generate(body)).toHaveLength(1);
      await expectJobs(prompt, 1);
      expect((await jobsWith(prompt))[0]?.id).toBe(second.headers.get("x-darkroom-job"));
      await dashscope().generate(body);
      expect(await billed(prompt)).toBe(2);
    });

    it("but one that stays gets a heartbeat in its stream every ten seconds", async () => {
      const prompt = newPrompt();
      await product.emulator.addFault({ match: { prompt }, times: 1, fault: { type: "hold", at: "answer" } });
      const answer = await post("/v1/images/generations", {
        model: MODEL,
        prompt,
        stream: true,
        response_format: "url",
      });
      const decoder = new TextDecoder();
      let text = "";
      for await (const bytes of answer.body ?? []) {
        text += decoder.decode(bytes, { stream: true });
        const beats = text.match(/^: the job is not done yet$/gm) ?? [];
        if (beats.length >= 2) await product.emulator.release(prompt);
      }
      expect(text).toContain("event: image_generation.completed\n");
    });
  });

  it("because the Worker is killed, and asks again, gets the same job: one paid image", async () => {
    const [byOpenai, byDashscope] = [newPrompt(), newPrompt()];
    for (const prompt of [byOpenai, byDashscope]) {
      // The first read of the task is held, and ends with the Worker's process; later reads are answered.
      const match = { path: "/tasks/", prompt };
      await product.emulator.addFault({ match, times: 1, fault: { type: "hold", at: "arrival" } });
    }
    // `openai` repeats by itself. A restart takes longer than its default of two repeats.
    const client = openai({ maxRetries: 100 });
    const repeating = client.images.generate({ model: TASK_MODEL, prompt: byOpenai, response_format: "url" });
    const body = message(TASK_MODEL, byDashscope);
    const cut = post(`/api/v1${PATHS.multimodal}`, body).catch(() => "cut");
    for (const prompt of [byOpenai, byDashscope]) await product.emulator.untilHeld(prompt);
    await product.kill("worker");
    expect(await cut).toBe("cut");
    await product.restart();
    expect(await dashscope().generate(body)).toHaveLength(1);
    expect((await repeating).data).toHaveLength(1);
    for (const prompt of [byOpenai, byDashscope]) await expectJobs(prompt, 1);
  });
});

describe("the page's curl line", () => {
  const file = { kind: "file", key: "a", name: "it's a photo.png", contentType: "image/png", bytes: 0 } as const;

  it.each([
    ["image-from-text", MODEL, []],
    ["image-from-reference", EDIT_MODEL, [file]],
  ] as const)("asks each API for the same image by %s", async (workflow, model, images) => {
    writeFileSync(join(folder, file.name), await photo());
    const origin = product.baseUrl;
    const asked = await Promise.all(
      CURL_FORMS.map(async (form) => {
        const fields = { prompt: `it's ${newPrompt()}`, model, size: "1328*1328", seed: 7, negativePrompt: "fog" };
        const draft = { ...FRESH_DRAFT, workflow, images: [...images] };
        const line = curlLine({ form, origin, draft, fields, withToken: true, client: null });
        const env = { ...process.env, DARKROOM_TOKEN: TOKEN };
        await promisify(execFile)("sh", ["-c", line], { cwd: folder, env });
        const jobs = await untilJobs(fields.prompt, 1);
        return {
          ...jobs[0]?.request,
          prompt: null,
          images: jobs[0]?.request.images.map((image) => ({ ...image, url: null })),
        };
      }),
    );
    expect(asked[0]).toMatchObject({ size: "1328*1328", seed: 7, negativePrompt: "fog" });
    expect(asked).toEqual([asked[0], asked[0], asked[0]]);
  });
});

it.each(["openai", "dashscope"])("the curl line of docs/compat-%s.md works as pasted", async (api) => {
  const [line] = codeBlocks(`docs/compat-${api}.md`).filter(({ info }) => info === "sh");
  const code = line?.code.replace("https://darkroom.example.com", product.baseUrl) ?? "";
  const env = { ...process.env, DARKROOM_TOKEN: TOKEN };
  const { stdout } = await promisify(execFile)("sh", ["-c", code], { env });
  const [url] = /http[^"]*/.exec(stdout) ?? [];
  expect(await sizeAt(url)).toBe("1664x928");
});

describe("Addreams' back end", () => {
  /** Runs the call of its guide, with the guide's variable names. */
  async function call(generationId: string, body: object): Promise<Response> {
    const code = codeBlocks("examples/addreams/README.md").find(({ info }) => info === "ts")?.code ?? "";
    const args = { darkroom: { fetch }, origin: product.baseUrl, apiKey: TOKEN, generationId, body };
    const run = new Function("args", "controller", `return (async () => { ${code}; return response; })()`);
    return (await run(args, new AbortController())) as Response;
  }

  it("gets the same image for the same generation, with the lines of its guide", async () => {
    const prompt = newPrompt();
    const parameters = { n: 1, size: "1472*1104", prompt_extend: true, watermark: false };
    const body = message(MODEL, prompt, [], parameters);
    const answers = [await call("generation-1", body), await call("generation-1", body)];
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    for (const answer of answers) {
      const { output } = (await answer.json()) as {
        output: { choices: { message: { content: { image: string }[] } }[] };
      };
      expect(await sizeAt(output.choices[0]?.message.content[0]?.image)).toBe("1472x1104");
    }
    await expectJobs(prompt, 1);
  });
});
