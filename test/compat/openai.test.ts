import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateImage, RetryError } from "ai";
import OpenAI, { APIError, APIUserAbortError, AuthenticationError, BadRequestError, toFile } from "openai";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Product } from "../support/product.ts";
import { holdTaskRead, jobsWith, startCompatProduct, TOKEN, untilTakenForRepetition } from "./compat-product.ts";

/** The packages as their users have them, with another base URL and key. */

const MODEL = "qwen-image-plus";
const EDIT_MODEL = "qwen-image-edit-max";

let product: Product;
beforeAll(async () => {
  product = await startCompatProduct();
});
afterAll(async () => {
  await product?.stop();
});

const openai = (options: object = {}) => new OpenAI({ baseURL: `${product.baseUrl}/v1`, apiKey: TOKEN, ...options });
const aiOpenai = () => createOpenAI({ baseURL: `${product.baseUrl}/v1`, apiKey: TOKEN });
const aiCompatible = () =>
  createOpenAICompatible({ name: "darkroom", baseURL: `${product.baseUrl}/v1`, apiKey: TOKEN });

let prompts = 0;
function newPrompt(): string {
  prompts += 1;
  return `openai client picture number ${prompts}n`;
}

async function sizeOf(image: string | Uint8Array): Promise<string> {
  const { width, height } = await sharp(typeof image === "string" ? Buffer.from(image, "base64") : image).metadata();
  return `${width}x${height}`;
}

async function photo(): Promise<Buffer> {
  return await sharp({ create: { width: 640, height: 480, channels: 3, background: "red" } })
    .png()
    .toBuffer();
}

const billed = async (prompt: string) => (await product.emulator.ledger(prompt)).images.length;

describe("openai", () => {
  it("generates an image, whose url opens without a token", async () => {
    const answer = await openai().images.generate({ model: MODEL, prompt: newPrompt(), response_format: "url" });
    const image = await fetch(answer.data?.[0]?.url ?? "");
    expect(image.headers.get("content-type")).toBe("image/png");
    expect(await sizeOf(new Uint8Array(await image.arrayBuffer()))).toBe("1664x928");
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
    expect(await billed(prompt)).toBe(3);
    expect(await jobsWith(product, prompt)).toHaveLength(3);
  });

  it("edits one image, and several", async () => {
    const one = await toFile(await photo(), "a.png", { type: "image/png" });
    const two = await toFile(await photo(), "b.png", { type: "image/png" });
    for (const image of [one, [one, two]]) {
      const answer = await openai().images.edit({ model: EDIT_MODEL, image, prompt: newPrompt(), n: 2 });
      expect(answer.data).toHaveLength(2);
      expect(answer.data?.[0]?.b64_json).toBeDefined();
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
    for await (const event of edits) expect(event.type).toBe("image_edit.completed");
  });

  it("lists the models, and shows one", async () => {
    const names: string[] = [];
    for await (const model of openai().models.list()) names.push(model.id);
    expect(names).toContain(MODEL);
    expect((await openai().models.retrieve(MODEL)).id).toBe(MODEL);
  });

  it("shows a wrong key, a bad size, an unknown model and a refused prompt as what they are", async () => {
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
    expect(await jobsWith(product, prompt)).toHaveLength(1);
  });

  it("that gives up on an answer and repeats gets the same job: one paid image", async () => {
    const prompt = newPrompt();
    await product.emulator.addFault({ match: { prompt }, times: 1, fault: { type: "hold", at: "answer" } });
    const waits = [new AbortController(), new AbortController()];
    let requests = 0;
    // A timer of the SDK ends a request in the same way, but on a slow machine it may end every request.
    const impatient: typeof fetch = (input, init) => {
      const wait = waits[requests++];
      return fetch(input, wait === undefined ? init : { ...init, signal: wait.signal });
    };
    const asked = openai({ fetch: impatient }).images.generate({
      model: "qwen-image-max",
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
    expect(await jobsWith(product, prompt)).toHaveLength(1);
    expect(await billed(prompt)).toBe(1);
  });

  it("that asks again on purpose gets another image", async () => {
    const prompt = newPrompt();
    for (const _time of [1, 2]) await openai().images.generate({ model: MODEL, prompt, response_format: "url" });
    expect(await jobsWith(product, prompt)).toHaveLength(2);
    expect(await billed(prompt)).toBe(2);
  });

  it("aborted by its user leaves the job to the same request", async () => {
    const prompt = newPrompt();
    await product.emulator.addFault({ match: { prompt }, times: 1, fault: { type: "hold", at: "answer" } });
    const user = new AbortController();
    const asked = openai().images.generate({ model: "qwen-image-max", prompt }, { signal: user.signal });
    const ended = expect(asked).rejects.toBeInstanceOf(APIUserAbortError);
    await product.emulator.untilHeld(prompt);
    user.abort();
    await ended;
    await untilTakenForRepetition();
    // The headers of a stream are sent once its request has a job. Only then may the first request be answered: `wrangler dev`
    // delivers that answer to nobody and does not notice, and a later request would be a new one.
    const again = await openai().images.generate({ model: "qwen-image-max", prompt, stream: true });
    await product.emulator.release(prompt);
    const events = [];
    for await (const event of again) events.push(event.type);
    expect(events).toEqual(["image_generation.completed"]);
    expect(await jobsWith(product, prompt)).toHaveLength(1);
    expect(await billed(prompt)).toBe(1);
  });
});

describe("ai with @ai-sdk/openai", () => {
  it("generates in a ratio of its own sizes, and edits", async () => {
    const { image } = await generateImage({ model: aiOpenai().image(MODEL), prompt: newPrompt(), size: "1024x1024" });
    expect(await sizeOf(image.uint8Array)).toBe("1328x1328");
    const edited = await generateImage({
      model: aiOpenai().image(EDIT_MODEL),
      prompt: { text: newPrompt(), images: [await photo()] },
    });
    expect(edited.images).toHaveLength(1);
  });

  it("gets three images by n: 3, which is three parallel calls", async () => {
    const prompt = newPrompt();
    const { images } = await generateImage({ model: aiOpenai().image(MODEL), prompt, n: 3 });
    expect(images).toHaveLength(3);
    expect(await jobsWith(product, prompt)).toHaveLength(3);
    expect(await billed(prompt)).toBe(3);
  });

  it("shows in words what was wrong, and repeats nothing that cannot help", async () => {
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
    expect(await jobsWith(product, prompt)).toHaveLength(1);
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
    const edited = await generateImage({
      model: aiCompatible().imageModel(EDIT_MODEL),
      prompt: { text: newPrompt(), images: [await photo()] },
    });
    expect(edited.images).toHaveLength(1);
  });
});

describe("a client that waits while the Worker is killed", () => {
  it("repeats by itself and gets the same job: one paid image", async () => {
    const prompt = newPrompt();
    await holdTaskRead(product, prompt);
    // A restart takes longer than two repeats.
    const asked = openai({ maxRetries: 100 }).images.generate({ model: MODEL, prompt, response_format: "url" });
    await product.emulator.untilHeld(prompt);
    await product.kill("worker");
    await product.restart();
    expect((await asked).data).toHaveLength(1);
    expect(await jobsWith(product, prompt)).toHaveLength(1);
    expect(await billed(prompt)).toBe(1);
  });
});
