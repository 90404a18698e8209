import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { API_PREFIX, WireAnswer, WireTaskList, wirePaths } from "../worker/dashscope/wire.ts";
import * as fixture from "./fixtures/answers.ts";
import { asyncHeaders, generate, jsonHeaders, linkOf, messages, post } from "./fixtures/client.ts";
import { shapeOf } from "./fixtures/shape.ts";
import { type RunningEmulator, startEmulator } from "./server.ts";

let emulator: RunningEmulator;
const settings = { latencyMs: 0, latencySpread: 0, quota: "off", images: "small-file" } as const;

beforeAll(async () => {
  emulator = await startEmulator({ settings });
});
afterAll(() => emulator.close());

async function inputImage(width: number, height: number): Promise<string> {
  const png = await sharp({ create: { width, height, channels: 3, background: "#c33" } })
    .png()
    .toBuffer();
  return `data:image/png;base64,${png.toString("base64")}`;
}

async function readTask(id: string): Promise<unknown> {
  const response = await fetch(`${emulator.url}${API_PREFIX}${wirePaths.task(id)}`, { headers: jsonHeaders });
  expect(response.status).toBe(200);
  return response.json();
}

async function submitTask(path: string, body: object): Promise<string> {
  const response = await post(emulator.url, path, body, asyncHeaders);
  const answer = WireAnswer.parse(await response.json());
  expect(shapeOf(answer)).toEqual(fixture.TASK_ACCEPTED);
  return answer.output?.task_id ?? "";
}

describe("synchronous answers", () => {
  it("of qwen-image-max have the recorded shape and headers", async () => {
    const response = await generate(emulator.url, "a red bicycle", { size: "1664*928", seed: 233 });
    const body = await response.json();
    expect(shapeOf(body)).toEqual(fixture.SYNC_MAX);
    const answer = WireAnswer.parse(body);
    expect(response.headers.get("x-request-id")).toBe(answer.request_id);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(response.headers.get("transfer-encoding")).toBe("chunked");
    for (const name of ["x-dashscope-call-gateway", "x-dashscope-finished"]) {
      expect(response.headers.get(name)).toBe("true");
    }
    expect(Number(response.headers.get("req-cost-time"))).toBeGreaterThan(0);
    expect(answer.output?.choices?.[0]?.message?.content?.[0]?.image).toContain(`${answer.request_id}233.png`);
  });

  it("of edits have the documented shape, rounded to 16", async () => {
    const images = [await inputImage(64, 64)];
    const response = await generate(
      emulator.url,
      "brighter",
      { n: 2, size: "1033*1032" },
      "qwen-image-edit-max",
      images,
    );
    expect(shapeOf(await response.json())).toEqual(fixture.SYNC_EDIT);
  });

  it("of edits without a size are about a megapixel in the shape of the last image", async () => {
    const images = [await inputImage(64, 64), await inputImage(200, 100)];
    const response = await generate(emulator.url, "brighter", {}, "qwen-image-edit-max", images);
    const { usage } = WireAnswer.parse(await response.json());
    expect([usage?.width, usage?.height]).toEqual([1456, 720]);
  });

  it("of 3.0 say what they cost in their own words", async () => {
    const response = await generate(emulator.url, "a", { size: "1024*1024" }, "qwen-image-3.0");
    expect(shapeOf(await response.json())).toEqual(fixture.SYNC_QWEN3);
  });
});

describe("tasks", () => {
  it("of the legacy path run, end, and list results beside the prompts", async () => {
    emulator.state.patchSettings({ latencyMs: 60_000 });
    const body = { model: "qwen-image-plus", input: { prompt: "a cat" }, parameters: { size: "1328*1328" } };
    const running = await submitTask(wirePaths.text2image, body);
    expect(shapeOf(await readTask(running))).toEqual(fixture.TASK_RUNNING);
    emulator.state.patchSettings({ latencyMs: 0 });
    const done = await submitTask(wirePaths.text2image, body);
    expect(shapeOf(await readTask(done))).toEqual(fixture.TASK_SUCCEEDED_LEGACY);
  });

  it("of the new path end with choices", async () => {
    const id = await submitTask(wirePaths.imageGeneration, messages("a cat", { n: 1 }, "wan2.6-t2i"));
    expect(shapeOf(await readTask(id))).toEqual(fixture.TASK_SUCCEEDED_NEW);
  });

  it("that fail, and ids that never were, are answered with 200", async () => {
    const body = { model: "qwen-image", input: { prompt: "[fault:task-failed] a cat" } };
    const id = await submitTask(wirePaths.text2image, body);
    const failed = shapeOf(await readTask(id)) as { output: { message: string } };
    expect({ ...failed, output: { ...failed.output, message: "text" } }).toEqual(fixture.TASK_FAILED);
    expect(shapeOf(await readTask("1111"))).toEqual(fixture.TASK_UNKNOWN);
  });

  it("above the running limit wait as PENDING, and only these can be canceled", async () => {
    emulator.state.patchSettings({ quota: "sliding", latencyMs: 60_000, quotas: { "qwen-image": { starts: 100 } } });
    const body = { model: "qwen-image", input: { prompt: "in line" } };
    const ids = [await submitTask(wirePaths.text2image, body), await submitTask(wirePaths.text2image, body)];
    const third = await submitTask(wirePaths.text2image, body);
    const statuses = [];
    for (const id of [...ids, third]) statuses.push(WireAnswer.parse(await readTask(id)).output?.task_status);
    expect(statuses).toEqual(["RUNNING", "RUNNING", "PENDING"]);
    const cancel = (id: string): Promise<Response> => post(emulator.url, wirePaths.cancelTask(id), {});
    const refused = await cancel(ids[0] ?? "");
    expect(refused.status).toBe(400);
    expect(shapeOf(await refused.json())).toEqual(fixture.CANCEL_REFUSED);
    const canceled = await cancel(third);
    expect(canceled.status).toBe(200);
    expect(shapeOf(await canceled.json())).toEqual({ request_id: "id" });
    expect(WireAnswer.parse(await readTask(third)).output?.task_status).toBe("CANCELED");
    emulator.state.patchSettings({ quota: "off", latencyMs: 0 });
  });

  it("are listed, newest first, by status and page", async () => {
    const url = `${emulator.url}${API_PREFIX}${wirePaths.tasks}?status=CANCELED&page_size=1`;
    const list = WireTaskList.parse(await (await fetch(url, { headers: jsonHeaders })).json());
    expect(list).toMatchObject({
      total: 1,
      page_no: 1,
      page_size: 1,
      data: [{ status: "CANCELED", model_name: "qwen-image" }],
    });
  });

  it("of another key are unknown", async () => {
    const id = await submitTask(wirePaths.text2image, { model: "qwen-image", input: { prompt: "mine" } });
    const headers = { authorization: "Bearer sk-other" };
    const response = await fetch(`${emulator.url}${API_PREFIX}${wirePaths.task(id)}`, { headers });
    expect(shapeOf(await response.json())).toEqual(fixture.TASK_UNKNOWN);
  });
});

describe("refusals, in upstream's order", () => {
  const sync = wirePaths.multimodalGeneration;
  const anonymous = { "content-type": "application/json" };
  it.each([
    ["no key", sync, messages("a"), anonymous, 401, "InvalidApiKey"],
    ["a foreign key", sync, messages("a"), { ...anonymous, authorization: "Bearer pk-1" }, 401, "InvalidApiKey"],
    ["no model", sync, { input: {} }, jsonHeaders, 400, "BadRequest.EmptyModel"],
    ["an unknown model", sync, messages("a", {}, "dall-e"), jsonHeaders, 404, "ModelNotFound"],
    ["a task of a synchronous model", wirePaths.text2image, messages("a"), asyncHeaders, 403, "AccessDenied"],
    [
      "a task without the header",
      wirePaths.text2image,
      messages("a", {}, "qwen-image"),
      jsonHeaders,
      403,
      "AccessDenied",
    ],
    ["a synchronous call with the header", sync, messages("a"), asyncHeaders, 403, "AccessDenied"],
    [
      "a task on another model's path",
      wirePaths.imageGeneration,
      messages("a", {}, "qwen-image"),
      asyncHeaders,
      400,
      "InvalidParameter",
    ],
    ["n = 2 of max", sync, messages("a", { n: 2 }), jsonHeaders, 400, "InvalidParameter"],
    [
      "a size that is none of the five",
      sync,
      messages("a", { size: "1024*1024" }),
      jsonHeaders,
      400,
      "InvalidParameter",
    ],
    ["an edit without images", sync, messages("a", {}, "qwen-image-edit-max"), jsonHeaders, 400, "InvalidParameter"],
    [
      "an image that is none",
      sync,
      messages("a", {}, "qwen-image-edit", ["data:image/png;base64,AAAA"]),
      jsonHeaders,
      400,
      "InvalidImage.FileFormat",
    ],
    [
      "an image from a closed port",
      sync,
      messages("a", {}, "qwen-image-edit", ["http://127.0.0.1:9/a.png"]),
      jsonHeaders,
      400,
      "InvalidURL.ConnectionRefused",
    ],
    ["an unknown path", "/services/none", {}, jsonHeaders, 404, "NotFound"],
  ] as const)("%s", async (_, path, body, headers, status, code) => {
    const response = await post(emulator.url, path, body, headers);
    const answer = (await response.json()) as Record<string, unknown>;
    expect([response.status, answer.code]).toEqual([status, code]);
    expect(Object.keys(answer).sort()).toEqual(["code", "message", "request_id"]);
    expect(answer.request_id).toBe(response.headers.get("x-request-id"));
  });

  it("broken JSON is refused before the key is looked at", async () => {
    const response = await fetch(`${emulator.url}${API_PREFIX}${sync}`, { method: "POST", body: "{" });
    expect(await response.json()).toMatchObject({ code: "BadRequest.IllegalInput" });
  });

  it("a 401 has no Content-Type, as recorded", async () => {
    const response = await post(emulator.url, sync, messages("a"), anonymous);
    expect(response.headers.get("content-type")).toBeNull();
  });
});

describe("result links", () => {
  it("deliver a PNG of the size asked", async () => {
    const link = await linkOf(await generate(emulator.url, "a", { size: "928*1664" }));
    const response = await fetch(link);
    expect(response.headers.get("content-type")).toBe("image/png");
    const file = Buffer.from(await response.arrayBuffer());
    expect(await sharp(file).metadata()).toMatchObject({ format: "png", width: 928, height: 1664 });
  });

  it("answer HEAD and ranges", async () => {
    const link = await linkOf(await generate(emulator.url, "a"));
    const head = await fetch(link, { method: "HEAD" });
    const file = Buffer.from(await (await fetch(link)).arrayBuffer());
    expect(head.headers.get("content-length")).toBe(String(file.length));
    const part = await fetch(link, { headers: { range: "bytes=10-19" } });
    expect([part.status, part.headers.get("content-range")]).toEqual([206, `bytes 10-19/${file.length}`]);
    expect(Buffer.from(await part.arrayBuffer())).toEqual(file.subarray(10, 20));
  });

  it("break with any change, and close in time, with OSS's XML", async () => {
    const link = await linkOf(await generate(emulator.url, "a"));
    const changed = await fetch(link.replace(/Expires=(\d)/, "Expires=9$1"));
    expect([changed.status, changed.headers.get("content-type")]).toEqual([403, "application/xml"]);
    expect(await changed.text()).toContain("<Code>SignatureDoesNotMatch</Code>");
    const expired = await fetch(await linkOf(await generate(emulator.url, "[fault:expires:0] a")));
    expect(expired.status).toBe(403);
    expect(await expired.text()).toContain("Request has expired.");
  });
});
