import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { createHash } from "node:crypto";
import { afterAll, describe, expect, it } from "vitest";
import type { Job } from "../../schemas/job.ts";
import { namespaceWith, neverAnswers } from "../http/http.fixture.ts";
import { LocalApi } from "../local-api.ts";
import { jobStub } from "../stubs.ts";
import { compatApp } from "./app.ts";
import {
  befall,
  billed,
  call,
  drawnImage,
  newPrompt,
  ORIGIN,
  post,
  postWithHangUp,
  SYNC_MODEL,
  upstream,
} from "./compat.fixture.ts";

const BASE = "/api/v1";
const MULTIMODAL = `${BASE}/services/aigc/multimodal-generation/generation`;
const PATHS = [
  MULTIMODAL,
  `${BASE}/services/aigc/image-generation/generation`,
  `${BASE}/services/aigc/text2image/image-synthesis`,
  `${BASE}/services/aigc/image2image/image-synthesis`,
];
const ASYNC = { "x-dashscope-async": "enable" };

afterAll(async () => {
  await upstream.clearFaults();
  await upstream.release();
});

const message = (...content: object[]) => ({ messages: [{ role: "user", content }] });
const text = (prompt: string, parameters: object = {}, model = SYNC_MODEL) => ({
  model,
  input: message({ text: prompt }),
  parameters,
});

interface Answer {
  readonly output: Record<string, unknown> & { task_id: string; task_status: string };
  readonly usage: unknown;
  readonly request_id: string;
  readonly code?: string;
  readonly message?: string;
}

async function json(answer: Response): Promise<Answer> {
  expect(answer.headers.get("content-type")).toBe("application/json");
  const body = await answer.json<Answer>();
  expect(body.request_id).toBe(answer.headers.get("x-request-id"));
  return body;
}

async function task(id: string, suffix = ""): Promise<Answer> {
  const answer = await call(`${BASE}/tasks/${id}${suffix}`);
  expect(answer.status).toBe(200);
  return await json(answer);
}

async function submitted(body: object, path = MULTIMODAL): Promise<string> {
  const answer = await post(path, body, ASYNC);
  const { output } = await json(answer);
  expect([answer.status, output.task_status]).toEqual([200, "PENDING"]);
  expect(answer.headers.get("x-darkroom-job")).toBe(output.task_id);
  return output.task_id;
}

async function done(id: string): Promise<Answer> {
  await jobStub(env, id).wait("local", null, 20_000);
  return await task(id);
}

const imageUrl = (id: string) => `${ORIGIN}/api/jobs/${id}/images/0`;

describe("a synchronous submission", () => {
  it.each(PATHS)("to %s answers with the image in choices, usage and the request's id", async (path) => {
    const prompt = newPrompt();
    const answer = await post(path, text(prompt, { size: "1024*1024" }));
    expect(answer.status).toBe(200);
    const id = answer.headers.get("x-darkroom-job") ?? "";
    expect(await json(answer)).toMatchObject({
      output: {
        choices: [{ finish_reason: "stop", message: { role: "assistant", content: [{ image: imageUrl(id) }] } }],
        task_metric: { TOTAL: 1, SUCCEEDED: 1, FAILED: 0 },
      },
      usage: {
        image_count: 1,
        width: 1024,
        height: 1024,
        output_image_count: 1,
        output_width: 1024,
        output_height: 1024,
        output_image_type: "qima_output_1k",
        input_image_count: 0,
        input_image_type: "qima_input",
      },
    });
    expect(await (await call(`/api/jobs/${id}`)).json()).toMatchObject({ request: { prompt, size: "1024*1024" } });
  });

  it("takes input.prompt, input.negative_prompt and input.images on the older paths", async () => {
    const prompt = newPrompt();
    const image = `data:image/png;base64,${new Uint8Array(await drawnImage()).toBase64()}`;
    const input = { prompt, negative_prompt: "blurry", images: [image] };
    const answer = await post(PATHS[3] ?? "", { model: "qwen-image-edit-plus", input, parameters: { n: 2 } });
    expect((await json(answer)).output.results).toHaveLength(2);
    const job = await (await call(`/api/jobs/${answer.headers.get("x-darkroom-job")}`)).json();
    expect(job).toMatchObject({
      workflow: "image-from-reference",
      request: { prompt, negativePrompt: "blurry", n: 2, images: [{ kind: "upload" }] },
    });
  });

  it("ignores type, null and unknown parameters", async () => {
    const body = {
      ...text(newPrompt(), { size: null, seed: 7, style: "<auto>", ref_mode: "repaint", n: 1 }),
      input: message({ type: "text", text: newPrompt() }),
      stream: false,
      resources: [],
    };
    const answer = await post(MULTIMODAL, body);
    expect(answer.status).toBe(200);
    const job = await (await call(`/api/jobs/${answer.headers.get("x-darkroom-job")}`)).json();
    expect(job).toMatchObject({ request: { seed: 7, n: 1, size: null } });
  });

  it("ignores an option that its model lacks, as upstream does", async () => {
    const answer = await post(MULTIMODAL, text(newPrompt(), { negative_prompt: "blurry" }, "wan2.7-image"), ASYNC);
    expect(answer.status).toBe(200);
    await call(`${BASE}/tasks/${answer.headers.get("x-darkroom-job")}/cancel`, { method: "POST" });
  });

  it("whose job fails answers with upstream's own code and status", async () => {
    const prompt = newPrompt();
    await befall(prompt, { type: "error", code: "DataInspectionFailed" });
    const answer = await post(MULTIMODAL, text(prompt));
    expect(answer.status).toBe(400);
    expect((await json(answer)).code).toBe("DataInspectionFailed");
  });

  it("whose hold ends answers 500 RequestTimeOut, with the job and when to ask again", async () => {
    const prompt = newPrompt();
    await befall(prompt, { type: "hold", at: "answer" }, 1);
    const answer = await post(MULTIMODAL, text(prompt), { prefer: "wait=0" });
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([500, "1"]);
    const body = await json(answer);
    expect(body).toMatchObject({ code: "RequestTimeOut", message: expect.stringContaining("/api/v1/tasks/job_") });
    await upstream.untilHeld(prompt);
    expect((await task(answer.headers.get("x-darkroom-job") ?? "")).output.task_status).toBe("RUNNING");
    await upstream.release(prompt);
  });
});

describe("every path", () => {
  it("is the same with a trailing slash", async () => {
    for (const path of PATHS) {
      expect((await json(await post(`${path}/`, text(newPrompt()), ASYNC))).output.task_status).toBe("PENDING");
    }
    const id = await submitted(text(newPrompt()));
    expect((await task(id, "/")).output.task_id).toBe(id);
    expect((await call(`${BASE}/tasks/?page_size=1`)).status).toBe(200);
    expect((await call(`${BASE}/tasks/1111/cancel/`, { method: "POST" })).status).toBe(400);
    expect((await call(`${BASE}/uploads/?action=getPolicy`)).status).toBe(200);
  });
});

describe("an asynchronous submission", () => {
  it.each(PATHS)("to %s answers PENDING with a task id, which is the job's", async (path) => {
    const id = await submitted(text(newPrompt()), path);
    expect(id).toMatch(/^job_/);
    expect((await done(id)).output.task_status).toBe("SUCCEEDED");
  });

  it("is a task even for a model that upstream has only synchronously", async () => {
    const prompt = newPrompt();
    await befall(prompt, { type: "hold", at: "arrival" });
    const id = await submitted(text(prompt, {}, "qwen-image-max"));
    expect(["PENDING", "RUNNING"]).toContain((await task(id)).output.task_status);
    await call(`${BASE}/tasks/${id}/cancel`, { method: "POST" });
    await upstream.release(prompt);
  });

  it("takes the options of this service at the top of its body", async () => {
    const webhook = { url: "http://127.0.0.1:9/hook", events: ["job.failed"] };
    const options = { priority: "low", metadata: { room: "7" }, maxAttempts: 2, deadline_seconds: 600, webhook };
    const id = await submitted({ ...text(newPrompt()), ...options });
    const job = jobStub(env, id);
    const request = { priority: "low", maxAttempts: 2, deadlineSeconds: 600 };
    expect(await job.view("local")).toMatchObject({ view: { request, metadata: { room: "7" } } });
    expect(await job.deliveries("local")).toMatchObject({ list: { webhook } });
    const refused = await post(MULTIMODAL, { ...text(newPrompt()), webhook: { url: "ftp://example.com" } }, ASYNC);
    expect([refused.status, await json(refused)]).toMatchObject([400, { code: "InvalidParameter" }]);
  });

  it("with an Idempotency-Key gives the same task when it is repeated", async () => {
    const headers = { ...ASYNC, "idempotency-key": crypto.randomUUID() };
    const body = text(newPrompt());
    const [first, second] = [await post(MULTIMODAL, body, headers), await post(MULTIMODAL, body, headers)];
    expect((await json(second)).output.task_id).toBe((await json(first)).output.task_id);
  });
});

it("a submission over a service binding needs no key, and belongs to the binding's client", async () => {
  const api = new LocalApi(env, createExecutionContext(), "bound-client");
  const headers = { ...ASYNC, "content-type": "application/json" };
  const accepted = await json(
    await api.call(MULTIMODAL, { method: "POST", headers, body: JSON.stringify(text(newPrompt())) }),
  );
  const { task_id } = accepted.output;
  expect((await json(await api.call(`${BASE}/tasks/${task_id}`))).output.task_status).not.toBe("UNKNOWN");
  expect((await task(task_id)).output.task_status).toBe("UNKNOWN");
});

describe("a task", () => {
  it("is RUNNING while upstream works, then SUCCEEDED with results and choices", async () => {
    const prompt = newPrompt();
    await befall(prompt, { type: "hold", at: "answer" }, 1);
    const id = await submitted(text(prompt));
    await upstream.untilHeld(prompt);
    expect((await task(id)).output).toMatchObject({ task_status: "RUNNING", task_metrics: { TOTAL: 1, SUCCEEDED: 0 } });
    await upstream.release(prompt);
    const { output, usage } = await done(id);
    expect(output).toMatchObject({
      task_id: id,
      task_status: "SUCCEEDED",
      results: [{ orig_prompt: prompt, url: imageUrl(id) }],
      choices: [{ message: { content: [{ image: imageUrl(id) }] } }],
      task_metrics: { TOTAL: 1, SUCCEEDED: 1, FAILED: 0 },
    });
    expect(usage).toMatchObject({ image_count: 1 });
  });

  it("has its times in UTC+8 with milliseconds", async () => {
    const id = await submitted(text(newPrompt()));
    const { output } = await done(id);
    const job = await (await call(`/api/jobs/${id}`)).json<{ createdAt: string }>();
    for (const name of ["submit_time", "scheduled_time", "end_time"]) {
      expect(output[name]).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}$/);
    }
    expect(Date.parse(`${String(output.submit_time).replace(" ", "T")}+08:00`)).toBe(Date.parse(job.createdAt));
  });

  it("whose object does not answer is 503, like the list, so that a client reads again", async () => {
    const stopped = {
      JOBS: namespaceWith(env.JOBS, "view", neverAnswers),
      CATALOGS: namespaceWith(env.CATALOGS, "list", neverAnswers),
    };
    const ask = async (path: string) => {
      const request = new Request(`${ORIGIN}${BASE}${path}`);
      const answer = await compatApp(request.url)?.fetch(request, { ...env, ...stopped }, createExecutionContext());
      return [answer?.status, (await json(answer as Response)).code];
    };
    const asked = await Promise.all([ask("/tasks/job_aaaaaaaaaaaaaaaaaaaaa"), ask("/tasks")]);
    expect(asked).toEqual([
      [503, "ModelUnavailable"],
      [503, "ModelUnavailable"],
    ]);
  });

  it("that failed is read with 200, FAILED and upstream's code", async () => {
    const prompt = newPrompt();
    await befall(prompt, { type: "error", code: "InvalidParameter" });
    expect((await done(await submitted(text(prompt)))).output).toMatchObject({
      task_status: "FAILED",
      code: "InvalidParameter",
    });
  });

  it("is UNKNOWN with 200 when it never existed or was removed", async () => {
    for (const id of ["1111", "job_aaaaaaaaaaaaaaaaaaaaa"]) {
      expect((await task(id)).output).toEqual({ task_id: id, task_status: "UNKNOWN" });
    }
    const id = await submitted(text(newPrompt()));
    await done(id);
    await call(`/api/jobs/${id}`, { method: "DELETE" });
    expect((await task(id)).output.task_status).toBe("UNKNOWN");
  });

  it("is canceled in every unfinished state, and CANCELED from then on", async () => {
    const prompt = newPrompt();
    await befall(prompt, { type: "hold", at: "arrival" });
    const id = await submitted(text(prompt));
    await upstream.untilHeld(prompt);
    const answer = await call(`${BASE}/tasks/${id}/cancel/`, { method: "POST" });
    expect(answer.status).toBe(200);
    expect(Object.keys(await json(answer))).toEqual(["request_id"]);
    expect((await task(id, "/")).output.task_status).toBe("CANCELED");
    await upstream.release(prompt);
  });

  it("that has ended is not canceled: 400 UnsupportedOperation", async () => {
    const id = await submitted(text(newPrompt()));
    await done(id);
    const answer = await call(`${BASE}/tasks/${id}/cancel`, { method: "POST" });
    expect([answer.status, (await json(answer)).code]).toEqual([400, "UnsupportedOperation"]);
  });
});

describe("the list of tasks", () => {
  interface List {
    readonly total: number;
    readonly total_page: number;
    readonly page_no: number;
    readonly page_size: number;
    readonly data: readonly { readonly task_id: string; readonly gmt_create: number; readonly status: string }[];
  }
  const list = async (query: string) => (await (await call(`${BASE}/tasks${query}`)).json()) as List;

  it("has total, pages and epoch times, with and without a slash, and its filters", async () => {
    const ids = [await submitted(text(newPrompt())), await submitted(text(newPrompt()))];
    for (const id of ids) await done(id);
    await expect.poll(async () => (await list(`?task_id=${ids[1]}&status=SUCCEEDED`)).total).toBe(1);
    const first = await list("?page_size=1");
    expect(first).toMatchObject({ page_no: 1, page_size: 1, total_page: first.total });
    const second = await list("/?page_size=1&page_no=2");
    expect(second.data).toHaveLength(1);
    expect(second.data[0]?.task_id).not.toBe(first.data[0]?.task_id);
    expect(Math.abs((first.data[0]?.gmt_create ?? 0) - Date.now())).toBeLessThan(3_600_000);
    expect(first.data[0]).toMatchObject({
      api_key_id: "local",
      caller_parent_id: "local",
      caller_uid: "local",
      user_api_unique_key: expect.stringContaining(SYNC_MODEL),
    });
    expect((await list("?model_name=no-such-model")).total).toBe(0);
    expect((await list("?start_time=20200101000000&end_time=20200102000000")).total).toBe(0);
  });
});

describe("a temporary upload", () => {
  async function policyOf() {
    const answer = await call(`${BASE}/uploads?action=getPolicy&model=${SYNC_MODEL}`);
    return (await answer.json<{ data: Record<string, string> }>()).data;
  }

  const photo = (bytes: ArrayBuffer | Uint8Array<ArrayBuffer>) =>
    new File([bytes], "a photo.png", { type: "image/png" });

  /** The form of a policy, with its files last. */
  function formOf(policy: Record<string, string>, files: readonly File[], folder = policy.upload_dir) {
    const form = new FormData();
    form.set("OSSAccessKeyId", policy.oss_access_key_id ?? "");
    form.set("Signature", policy.signature ?? "");
    form.set("policy", policy.policy ?? "");
    form.set("key", `${folder}/a photo.png`);
    form.set("x-oss-object-acl", policy.x_oss_object_acl ?? "");
    form.set("x-oss-forbid-overwrite", policy.x_oss_forbid_overwrite ?? "");
    form.set("success_action_status", "200");
    for (const file of files) form.append("file", file);
    return form;
  }

  async function upload(files: readonly File[], folder?: string) {
    const policy = await policyOf();
    const answer = await call(`${BASE}/uploads`, { method: "POST", body: formOf(policy, files, folder) });
    return { key: `${policy.upload_dir}/a photo.png`, answer };
  }

  const stored = async () => (await env.RESULTS.list({ prefix: "jobs/" })).objects.length;
  const MAX_BYTES = 10 * 1024 * 1024;

  it("is an input image by its oss:// address", async () => {
    const { key, answer } = await upload([photo(await drawnImage())]);
    expect(answer.status).toBe(200);
    const prompt = newPrompt();
    const body = {
      model: "qwen-image-edit-plus",
      input: message({ image: `oss://${key}` }, { text: prompt }),
    };
    const made = await post(MULTIMODAL, body, { "x-dashscope-ossresourceresolve": "enable" });
    expect(made.status).toBe(200);
    const job = await (await call(`/api/jobs/${made.headers.get("x-darkroom-job")}`)).json();
    expect(job).toMatchObject({ request: { images: [{ kind: "upload", contentType: "image/png", width: 512 }] } });
    expect(await billed(prompt)).toBe(1);
  });

  it("is read once, however often the request has its address", async () => {
    const { key } = await upload([photo(await drawnImage())]);
    const read: string[] = [];
    const bucket = new Proxy(env.RESULTS, {
      get: (target, name) => {
        const method: unknown = Reflect.get(target, name);
        if (typeof method !== "function") return method;
        return (...given: unknown[]) => {
          if (name === "get") read.push(String(given[0]));
          return Reflect.apply(method, target, given);
        };
      },
    });
    const image = { image: `oss://${key}` };
    const body = { model: "qwen-image-edit-plus", input: message(image, image, image, { text: newPrompt() }) };
    const made = await postWithHangUp(MULTIMODAL, body, { RESULTS: bucket }).answer;
    expect(made.status).toBe(200);
    const job = await (await call(`/api/jobs/${made.headers.get("x-darkroom-job")}`)).json<Job>();
    expect(job.request.images).toHaveLength(3);
    const [, folder = ""] = /^dashscope-instant\/([^/]+)/.exec(key) ?? [];
    expect(read.filter((name) => name.includes(folder))).toHaveLength(1);
  });

  it("is stored only in the folder of its policy", async () => {
    const { answer } = await upload([photo(await drawnImage())], "jobs/job_aaaaaaaaaaaaaaaaaaaaa");
    expect(answer.status).toBe(403);
  });

  it("is the first file of its form; anything after it is dropped", async () => {
    const { key, answer } = await upload([photo(await drawnImage()), photo(new Uint8Array(1_000))]);
    expect(answer.status).toBe(200);
    const body = { model: "qwen-image-edit-plus", input: message({ image: `oss://${key}` }, { text: newPrompt() }) };
    expect((await post(MULTIMODAL, body)).status).toBe(200);
  });

  it("may have as many bytes as an image, and its form only its fields besides", async () => {
    const before = await stored();
    expect((await upload([photo(new Uint8Array(MAX_BYTES))])).answer.status).toBe(200);
    expect(await stored()).toBe(before + 1);
    for (const files of [
      [photo(new Uint8Array(MAX_BYTES + 1))],
      [1, 2, 3].map(() => photo(new Uint8Array(MAX_BYTES))),
    ]) {
      const { answer } = await upload(files);
      expect([answer.status, await answer.text()]).toEqual([
        400,
        expect.stringContaining("<Code>EntityTooLarge</Code>"),
      ]);
    }
    expect(await stored()).toBe(before + 1);
  });

  it("is refused before its file is read when no policy came before it", async () => {
    const pipe = new TransformStream<Uint8Array, Uint8Array>();
    const writer = pipe.writable.getWriter();
    const headers = { "content-type": "multipart/form-data; boundary=edge" };
    const answer = call(`${BASE}/uploads`, { method: "POST", body: pipe.readable, headers });
    const disposition = 'form-data; name="file"; filename="a.png"';
    await writer.write(new TextEncoder().encode(`--edge\r\nContent-Disposition: ${disposition}\r\n\r\n`));
    for (let piece = 0; piece < 4; piece++) await writer.write(new Uint8Array(32 * 1024));
    // If the form were read on, this would be a broken-off form.
    await writer.abort(new Error("the client hung up"));
    const { status } = await answer;
    expect([status, await (await answer).text()]).toEqual([403, expect.stringContaining("AccessDenied")]);
  });

  it("is refused when its fields have more than 64 KB together", async () => {
    const form = formOf(await policyOf(), []);
    for (const name of ["a", "b", "c"]) form.set(name, "x".repeat(30_000));
    const answer = await call(`${BASE}/uploads`, { method: "POST", body: form });
    expect([answer.status, await answer.text()]).toEqual([
      400,
      expect.stringContaining("MaxPOSTPreDataLengthExceeded"),
    ]);
  });

  it("that does not exist is refused by its address", async () => {
    const body = {
      model: "qwen-image-edit-plus",
      input: message({ image: "oss://nowhere/a.png" }, { text: newPrompt() }),
    };
    const answer = await post(MULTIMODAL, body);
    expect(answer.status).toBe(400);
    expect((await json(answer)).message).toContain("/input/messages/0/content/0/image");
  });
});

describe("an error", () => {
  it.each([
    ["an unknown model", text("a", {}, "no-such-model"), 404, "ModelNotFound"],
    ["a size that the model lacks", text("a", { size: "3*3" }), 400, "InvalidParameter"],
    ["more images than the model makes", text("a", { n: 5 }), 400, "InvalidParameter"],
    ["no prompt", { model: SYNC_MODEL, input: message() }, 400, "InvalidParameter"],
    ["no input", { model: SYNC_MODEL }, 400, "InvalidParameter"],
    ["an edit without an image", text("a", {}, "qwen-image-edit-plus"), 400, "InvalidParameter"],
  ])("of %s is {code, message, request_id} as application/json", async (_what, body, status, code) => {
    const answer = await post(MULTIMODAL, body);
    expect(answer.status).toBe(status);
    const error = await json(answer);
    expect(error.code).toBe(code);
    expect(error.message).not.toBe("");
    expect(Object.keys(error).sort()).toEqual(["code", "message", "request_id"]);
  });

  it("of a wrong key is 401 InvalidApiKey, and of a client at its limit 429, but never for a read of a task", async () => {
    const prompt = newPrompt();
    await befall(prompt, { type: "hold", at: "arrival" });
    const hash = createHash("sha256").update("dk_limited").digest("hex");
    const vars = {
      AUTH_MODE: "token",
      CLIENT_TOKENS: JSON.stringify({ limited: hash }),
      SIGNING_SECRET: "a secret of tests",
    };
    const context = createExecutionContext();
    const ask = async (path: string, body: object | null, token = "dk_limited") => {
      const headers = { ...ASYNC, "content-type": "application/json", authorization: `Bearer ${token}` };
      const init = body === null ? { headers } : { method: "POST", headers, body: JSON.stringify(body) };
      const request = new Request(`${ORIGIN}${path}`, init);
      return await compatApp(request.url)?.fetch(request, { ...env, ...vars, MAX_PENDING_JOBS: "1" }, context);
    };
    const wrong = await ask(MULTIMODAL, text(prompt), "sk-wrong");
    expect([wrong?.status, (await json(wrong as Response)).code]).toEqual([401, "InvalidApiKey"]);
    const first = await json((await ask(MULTIMODAL, text(prompt))) as Response);
    const second = await ask(MULTIMODAL, text(prompt));
    expect([second?.status, (await json(second as Response)).code]).toEqual([429, "Throttling.RateQuota"]);
    const reads = await Promise.all(
      Array.from({ length: 100 }, () => ask(`${BASE}/tasks/${first.output.task_id}`, null)),
    );
    expect(new Set(reads.map((read) => read?.status))).toEqual(new Set([200]));
    await ask(`${BASE}/tasks/${first.output.task_id}/cancel`, {});
    await upstream.release(prompt);
    await waitOnExecutionContext(context);
  });

  it("of a body that is no JSON, of an unknown path and of a wrong method has the same shape", async () => {
    const init = { method: "POST", body: "{", headers: { "content-type": "application/json" } };
    const broken = await call(MULTIMODAL, init);
    expect([broken.status, (await json(broken)).code]).toEqual([400, "InvalidParameter"]);
    const nowhere = await call(`${BASE}/nowhere`);
    expect([nowhere.status, (await json(nowhere)).code]).toEqual([404, "NotFound"]);
    const wrong = await call(MULTIMODAL);
    expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "POST, OPTIONS"]);
    await json(wrong);
  });
});
