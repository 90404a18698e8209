import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Product } from "../support/product.ts";
import {
  holdTaskRead,
  jobsWith,
  OTHER_TOKEN,
  startCompatProduct,
  TOKEN,
  untilTakenForRepetition,
} from "./compat-product.ts";
import { type DashScopeError, dashScopeClient, type ImageRequest } from "./dashscope-client.ts";

let product: Product;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "dashscope-test-"));
  product = await startCompatProduct();
});
afterAll(async () => {
  await product?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const client = (key = TOKEN) => dashScopeClient(`${product.baseUrl}/api/v1`, key);

/** A request as it is, for what the client's own methods do not show. */
function post(path: string, body: object, more: Record<string, string> = {}, signal: AbortSignal | null = null) {
  const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json", ...more };
  const url = `${product.baseUrl}/api/v1${path}`;
  return fetch(url, { method: "POST", body: JSON.stringify(body), headers, signal });
}

const refusal = (call: Promise<unknown>) => call.then(() => null).catch((error: unknown) => error as DashScopeError);

let prompts = 0;
function newPrompt(): string {
  prompts += 1;
  return `dashscope client picture number ${prompts}n`;
}

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

const billed = async (prompt: string) => (await product.emulator.ledger(prompt)).images.length;

async function sizeOf(url: string | undefined): Promise<string> {
  const answer = await fetch(url ?? "");
  const { width, height } = await sharp(await answer.arrayBuffer()).metadata();
  return `${width}*${height}`;
}

async function photo(): Promise<Uint8Array<ArrayBuffer>> {
  const drawn = sharp({ create: { width: 640, height: 480, channels: 3, background: "red" } });
  return Uint8Array.from(await drawn.png().toBuffer());
}

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
    const [url] = await client().generate(message("qwen-image-max", prompt, [], parameters));
    expect(await sizeOf(url)).toBe("1328*1328");
    expect(await billed(prompt)).toBe(1);
  });

  it.each(Object.entries(PATHS))("submits a task to %s, waits for it and reads both shapes", async (_name, path) => {
    const task = await client().submit(path, message("qwen-image-max", newPrompt()));
    expect(task.task_status).toBe("PENDING");
    const done = await client().wait(task.task_id);
    expect(done).toMatchObject({ task_status: "SUCCEEDED", task_metrics: { TOTAL: 1, SUCCEEDED: 1, FAILED: 0 } });
    expect(done.results?.[0]?.url).toBe(done.choices?.[0]?.message.content[0]?.image);
    expect(await sizeOf(done.results?.[0]?.url)).toBe("1664*928");
  });

  it("edits an image that it uploaded before, and one in base64", async () => {
    const bytes = await photo();
    const uploaded = await client().upload("qwen-image-edit-max", "a photo.png", bytes);
    expect(uploaded).toMatch(/^oss:\/\//);
    const images = [uploaded, `data:image/png;base64,${Buffer.from(bytes).toString("base64")}`];
    expect(await client().generate(message("qwen-image-edit-max", newPrompt(), images, { n: 2 }))).toHaveLength(2);
  });

  it("cancels a task, and lists its tasks", async () => {
    const prompt = newPrompt();
    await product.emulator.addFault({ match: { prompt }, times: null, fault: { type: "hold", at: "arrival" } });
    const { task_id } = await client().submit(PATHS.text2image, { model: "qwen-image-max", input: { prompt } });
    await client().cancel(task_id, "/");
    expect((await client().task(task_id, "/")).task_status).toBe("CANCELED");
    await product.emulator.release(prompt);
    await expect.poll(async () => (await client().list({ task_id, status: "CANCELED" })).total).toBe(1);
    expect(await client().list({ page_size: "2" })).toMatchObject({ page_no: 1, page_size: 2 });
    expect(await refusal(client().cancel("1111"))).toMatchObject({ status: 400, code: "UnsupportedOperation" });
  });

  it("reads UNKNOWN for a task that never was", async () => {
    expect((await client().task("1111")).task_status).toBe("UNKNOWN");
  });

  it("reads of every refusal its code, its status and the request's id", async () => {
    const wrongKey = await refusal(client("sk-wrong").generate(message("qwen-image-max", "a")));
    expect(wrongKey).toMatchObject({ status: 401, code: "InvalidApiKey" });
    expect(wrongKey?.requestId).not.toBe("");
    const wrongSize = await refusal(client().generate(message("qwen-image-max", "a", [], { size: "3*3" })));
    expect(wrongSize).toMatchObject({ status: 400, code: "InvalidParameter" });
    const wrongModel = await refusal(client().generate(message("none", "a")));
    expect(wrongModel).toMatchObject({ status: 404, code: "ModelNotFound" });
    const prompt = newPrompt();
    await product.emulator.addFault({
      match: { prompt },
      times: null,
      fault: { type: "error", code: "DataInspectionFailed" },
    });
    expect(await refusal(client().generate(message("qwen-image-max", prompt)))).toMatchObject({
      status: 400,
      code: "DataInspectionFailed",
    });
  });

  it("that hangs up and asks again gets the same job: one paid image; asking on purpose gets another", async () => {
    const prompt = newPrompt();
    await product.emulator.addFault({ match: { prompt }, times: 1, fault: { type: "hold", at: "answer" } });
    const body = message("qwen-image-max", prompt);
    const hungUp = new AbortController();
    const first = post(PATHS.multimodal, body, {}, hungUp.signal).catch(() => "hung up");
    await product.emulator.untilHeld(prompt);
    hungUp.abort();
    expect(await first).toBe("hung up");
    await untilTakenForRepetition();
    const second = await post(PATHS.multimodal, body, { prefer: "wait=1" });
    expect([second.status, await second.json()]).toMatchObject([500, { code: "RequestTimeOut" }]);
    await product.emulator.release(prompt);
    expect(await client().generate(body)).toHaveLength(1);
    const jobs = await jobsWith(product, prompt);
    expect(jobs.map(({ id }) => id)).toEqual([second.headers.get("x-darkroom-job")]);
    expect(await billed(prompt)).toBe(1);
    await client().generate(body);
    expect(await billed(prompt)).toBe(2);
  });

  it("whose Worker is killed while it waits asks again and gets the same job: one paid image", async () => {
    const prompt = newPrompt();
    await holdTaskRead(product, prompt);
    const body = message("qwen-image-plus", prompt);
    const first = post(PATHS.multimodal, body).catch(() => "cut");
    await product.emulator.untilHeld(prompt);
    await product.kill("worker");
    expect(await first).toBe("cut");
    await product.restart();
    expect(await client().generate(body)).toHaveLength(1);
    expect(await jobsWith(product, prompt)).toHaveLength(1);
    expect(await billed(prompt)).toBe(1);
  });

  it("reads UNKNOWN for the task of another client", async () => {
    const { task_id } = await client().submit(PATHS.multimodal, message("qwen-image-max", newPrompt()));
    expect((await client(OTHER_TOKEN).task(task_id)).task_status).toBe("UNKNOWN");
    expect((await client().task(task_id)).task_status).not.toBe("UNKNOWN");
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
