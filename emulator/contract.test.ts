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

  it("of edits have the documented shape, with sides rounded to 16", async () => {
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

  it("of 3.0 have their own fields for usage", async () => {
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

  it("that fail, and ids that never existed, are answered with 200", async () => {
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
    const done = await (await fetch(url.replace("CANCELED", "SUCCEEDED"), { headers: jsonHeaders })).json();
    expect(Object.keys((done as { data: object[] }).data[0] ?? {}).sort()).toEqual(fixture.TASK_ROW_FIELDS);
    expect(done).toMatchObject({
      data: [{ user_api_unique_key: expect.stringMatching(/^apikey:v1:aigc:(text2image|image-generation):/) }],
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
    ["an unknown model", sync, messages("a", {}, "dall-e"), jsonHeaders, 404, "InvalidParameter"],
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
    ["a size other than the five", sync, messages("a", { size: "1024*1024" }), jsonHeaders, 400, "InvalidParameter"],
    ["an edit without images", sync, messages("a", {}, "qwen-image-edit-max"), jsonHeaders, 400, "InvalidParameter"],
    [
      "bytes that are no image",
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

  it("a refusal is application/json with every status", async () => {
    for (const [body, headers, status] of [
      [messages("a"), anonymous, 401],
      [messages("a", {}, "dall-e"), jsonHeaders, 404],
      [messages("a", { n: 2 }), jsonHeaders, 400],
    ] as const) {
      const response = await post(emulator.url, sync, body, headers);
      expect([response.status, response.headers.get("content-type")]).toEqual([status, "application/json"]);
    }
  });

  it("an unknown model is refused with the live API's message", async () => {
    const response = await post(emulator.url, sync, messages("a", {}, "dall-e"));
    expect(await response.json()).toMatchObject({ code: "InvalidParameter", message: "Model not exist." });
  });

  it("uncertain ones can be switched: a 401 without Content-Type, the documented code of an unknown model", async () => {
    emulator.state.patchSettings({ headerless401: true, unknownModel: "ModelNotFound" });
    const refused = await post(emulator.url, sync, messages("a"), anonymous);
    expect([refused.status, refused.headers.get("content-type")]).toEqual([401, null]);
    const unknown = await post(emulator.url, sync, messages("a", {}, "dall-e"));
    expect([unknown.status, await unknown.json()]).toMatchObject([404, { code: "ModelNotFound" }]);
    emulator.state.patchSettings({ headerless401: false, unknownModel: "InvalidParameter" });
  });
});

describe("addresses with a slash at their end, as the SDK's asyncio classes request them", () => {
  it("are the same as without", async () => {
    const headers = jsonHeaders;
    const at = (path: string) => `${emulator.url}${API_PREFIX}${path}/`;
    const made = await post(emulator.url, `${wirePaths.multimodalGeneration}/`, messages("a"));
    expect(made.status).toBe(200);
    const id = await submitTask(`${wirePaths.text2image}/`, { model: "qwen-image", input: { prompt: "a slash" } });
    expect(await (await fetch(at(wirePaths.task(id)), { headers })).json()).toMatchObject({ output: { task_id: id } });
    const canceled = await fetch(at(wirePaths.cancelTask(id)), { method: "POST", headers });
    expect([canceled.status, await canceled.json()]).toMatchObject([400, { code: "UnsupportedOperation" }]);
    expect((await fetch(at(wirePaths.tasks), { headers })).status).toBe(200);
    expect((await fetch(`${at("/uploads")}?action=getPolicy&model=qwen-image`, { headers })).status).toBe(200);
  });
});

describe("the headers of task reads", () => {
  it("are fewer than those of calls, as recorded, unless switched", async () => {
    const url = `${emulator.url}${API_PREFIX}${wirePaths.task("1111")}`;
    const recorded = await fetch(url, { headers: jsonHeaders });
    expect(recorded.headers.get("content-type")).toBe("application/json;charset=UTF-8");
    const names = [...recorded.headers.keys()];
    expect(names.filter((name) => name.startsWith("x-dashscope-") || name === "x-request-id")).toEqual([]);
    for (const name of [
      "req-cost-time",
      "req-arrive-time",
      "resp-start-time",
      "x-envoy-upstream-service-time",
      "server",
    ]) {
      expect(names).toContain(name);
    }
    emulator.state.patchSettings({ taskHeaders: "gateway" });
    const marked = await fetch(url, { headers: jsonHeaders });
    expect(marked.headers.get("x-request-id")).toBe(WireAnswer.parse(await marked.json()).request_id);
    emulator.state.patchSettings({ taskHeaders: "recorded" });
  });
});

describe("legacy tasks with impossible parameters", () => {
  const read = async (id: string) => WireAnswer.parse(await readTask(id)).output;

  it.each<[string, string, object]>([
    ["a size", "qwen-image-plus", { size: "1*1" }],
    ["a number of images", "qwen-image-plus", { n: 7 }],
    ["a seed", "qwen-image", { seed: -1 }],
    ["a size of wan", "wan2.2-t2i-flash", { size: "9999*9999" }],
  ])("are accepted and FAILED at the first read: %s", async (_what, model, parameters) => {
    const id = await submitTask(wirePaths.text2image, { model, input: { prompt: "odd" }, parameters });
    expect(await read(id)).toMatchObject({ task_status: "FAILED", code: "InvalidParameter" });
    expect(emulator.state.ledger.imagesOfTask(id)).toEqual([]);
  });

  it("are refused at once by a switch, and always on the new path", async () => {
    emulator.state.patchSettings({ legacyBadParameters: "refuse" });
    const body = { model: "qwen-image-plus", input: { prompt: "odd" }, parameters: { size: "1*1" } };
    expect((await post(emulator.url, wirePaths.text2image, body, asyncHeaders)).status).toBe(400);
    emulator.state.patchSettings({ legacyBadParameters: "fail-task" });
    const modern = messages("odd", { size: "1*1" }, "wan2.6-t2i");
    expect((await post(emulator.url, wirePaths.imageGeneration, modern, asyncHeaders)).status).toBe(400);
  });
});

describe("models with bodies of their own", () => {
  it("wan2.2 answers text2image without the asynchronous header, unless switched off", async () => {
    const body = { model: "wan2.2-t2i-flash", input: { prompt: "at once" }, parameters: { n: 2 } };
    const response = await post(emulator.url, wirePaths.text2image, body);
    const answer = WireAnswer.parse(await response.json());
    expect(answer.output).toMatchObject({
      task_status: "SUCCEEDED",
      results: [{ url: expect.stringMatching(/^http/) }, {}],
    });
    emulator.state.patchSettings({ syncText2image: false });
    expect((await post(emulator.url, wirePaths.text2image, body)).status).toBe(403);
    emulator.state.patchSettings({ syncText2image: true });
    const older = { ...body, model: "wan2.5-t2i-preview" };
    expect((await post(emulator.url, wirePaths.text2image, older)).status).toBe(403);
  });

  it("wanx2.1-imageedit takes a function and a base image", async () => {
    const image = await inputImage(600, 400);
    const edit = (input: object) => ({
      model: "wanx2.1-imageedit",
      input: { prompt: "in oil", ...input },
      parameters: { n: 1 },
    });
    const id = await submitTask(wirePaths.image2image, edit({ function: "stylization_all", base_image_url: image }));
    expect(WireAnswer.parse(await readTask(id)).output).toMatchObject({ task_status: "SUCCEEDED", results: [{}] });
    for (const wrong of [
      { base_image_url: image },
      { function: "paint", base_image_url: image },
      { function: "expand" },
    ]) {
      const response = await post(emulator.url, wirePaths.image2image, edit(wrong), asyncHeaders);
      expect([response.status, (await response.json()) as object]).toMatchObject([400, { code: "InvalidParameter" }]);
    }
  });

  it("3.0 and 2.1 take thinking and a mode of prompt extension, and refuse contradictions", async () => {
    const ask = async (parameters: object, images: string[] = []) =>
      (await generate(emulator.url, "a", { size: "1024*1024", ...parameters }, "qwen-image-2.1-pro", images)).status;
    expect(await ask({ prompt_extend_mode: "agent", enable_thinking: true })).toBe(200);
    expect(await ask({ prompt_extend: false, enable_thinking: true })).toBe(400);
    expect(await ask({ prompt_extend_mode: "clever" })).toBe(400);
    expect(await ask({ prompt_extend_mode: "agent" }, [await inputImage(64, 64)])).toBe(400);
  });
});

describe("temporary uploads", () => {
  const model = "qwen-image-edit";
  const resolve = { ...jsonHeaders, "x-dashscope-ossresourceresolve": "enable" };

  async function policyOf(asked = model, headers: Record<string, string> = jsonHeaders) {
    const url = `${emulator.url}${API_PREFIX}/uploads?action=getPolicy&model=${asked}`;
    return (await (await fetch(url, { headers })).json()) as { data: Record<string, string> };
  }

  /** Uploads a file as the SDK does. */
  async function put(data: Record<string, string>, name: string, change: Record<string, string> = {}) {
    const form = new FormData();
    const fields = {
      OSSAccessKeyId: data.oss_access_key_id ?? "",
      Signature: data.signature ?? "",
      policy: data.policy ?? "",
      key: `${data.upload_dir}/${name}`,
      "x-oss-object-acl": data.x_oss_object_acl ?? "",
      "x-oss-forbid-overwrite": data.x_oss_forbid_overwrite ?? "",
      success_action_status: "200",
      "x-oss-content-type": "image/png",
      ...change,
    };
    for (const [field, value] of Object.entries(fields)) form.set(field, value);
    const png = Buffer.from((await inputImage(300, 200)).split(",")[1] ?? "", "base64");
    form.set("file", new Blob([new Uint8Array(png)]), name);
    return fetch(data.upload_host ?? "", { method: "POST", body: form });
  }

  const edit = (address: string, headers: Record<string, string> = resolve, asked = model) =>
    post(emulator.url, wirePaths.multimodalGeneration, messages("mend it", {}, asked, [address]), headers);

  it("begin with a policy of the recorded shape", async () => {
    expect(shapeOf(await policyOf())).toEqual(fixture.UPLOAD_POLICY);
    const url = `${emulator.url}${API_PREFIX}/uploads?action=getPolicy`;
    expect((await fetch(url, { headers: jsonHeaders })).status).toBe(400);
    expect((await fetch(`${url}&model=${model}`)).status).toBe(401);
  });

  it("are put once, and used by their oss address when the header asks for it", async () => {
    const { data } = await policyOf();
    expect((await put(data, "a.png")).status).toBe(200);
    expect((await put(data, "a.png")).status).toBe(409);
    const address = `oss://${data.upload_dir}/a.png`;
    const answer = WireAnswer.parse(await (await edit(address)).json());
    // The output has the shape of the uploaded image.
    expect([answer.usage?.width, answer.usage?.height]).toEqual([1248, 832]);
  });

  it("are refused to another key, for another model, without the header, and where nothing was uploaded", async () => {
    const { data } = await policyOf();
    await put(data, "b.png");
    const address = `oss://${data.upload_dir}/b.png`;
    for (const response of [
      await edit(address, jsonHeaders),
      await edit(address, { ...resolve, authorization: "Bearer sk-other" }),
      await edit(address, resolve, "qwen-image-edit-plus"),
      await edit(`oss://${data.upload_dir}/c.png`),
    ]) {
      expect([response.status, await response.json()]).toMatchObject([
        400,
        { code: "InvalidParameter.DataInspection" },
      ]);
    }
  });

  it.each<[string, Record<string, string>, string]>([
    ["another signature", { Signature: "AAAA" }, "SignatureDoesNotMatch"],
    ["another folder", { key: "elsewhere/a.png" }, "AccessDenied"],
    ["another id", { OSSAccessKeyId: "LTAI" }, "InvalidAccessKeyId"],
  ])("are refused by the object store, in XML: %s", async (_what, change, code) => {
    const { data } = await policyOf();
    const response = await put(data, "a.png", change);
    expect([response.status, response.headers.get("content-type")]).toEqual([403, "application/xml"]);
    expect(await response.text()).toContain(`<Code>${code}</Code>`);
  });
});

describe("result links", () => {
  it("deliver a PNG of the requested size", async () => {
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

  it("are refused after any change and after their end, with OSS's XML", async () => {
    const link = await linkOf(await generate(emulator.url, "a"));
    const changed = await fetch(link.replace(/Expires=(\d)/, "Expires=9$1"));
    expect([changed.status, changed.headers.get("content-type")]).toEqual([403, "application/xml"]);
    expect(await changed.text()).toContain("<Code>SignatureDoesNotMatch</Code>");
    const expired = await fetch(await linkOf(await generate(emulator.url, "[fault:expires:0] a")));
    expect(expired.status).toBe(403);
    expect(await expired.text()).toContain("Request has expired.");
  });
});
