import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { JobRequest } from "../../schemas/job.ts";
import { dashScope, type UpstreamSettings } from "./client.ts";
import type { GenerateInput } from "./contract.ts";
import { ModelOverrides, ModelTable } from "./models.ts";

const KEY = "sk-0123456789abcdef";
const IMAGE_ANSWER = { output: { choices: [{ message: { content: [{ image: "https://results.example/a.png" }] } }] } };

interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: unknown;
}

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A real server on a free port that answers every request with `answer`, and a client for it. */
async function upstream(answer: RequestListener, given: Partial<UpstreamSettings> = {}) {
  const seen: Seen[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const { method, url, headers } = request;
    seen.push({ method, url, headers, body: text === "" ? null : JSON.parse(text) });
    answer(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  // The address of a listening TCP server is never a pipe's text.
  const { port } = server.address() as AddressInfo;
  const baseUrl = `http://127.0.0.1:${port}`;
  const now = () => Date.parse("2026-11-23T12:00:00Z");
  const settings = { fetch: (url: string, init: RequestInit) => fetch(url, init), baseUrl, apiKey: KEY, now };
  return { client: dashScope({ ...settings, region: "sg", models: new ModelTable(), ...given }), seen, baseUrl };
}

/** Answers with this status and body. An object is sent as JSON without a content type, as was once recorded. */
function says(httpStatus: number, body: unknown = "", headers: Record<string, string> = {}): RequestListener {
  return (_request, response) => {
    response.writeHead(httpStatus, headers);
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  };
}

function input(model: string, given: Partial<JobRequest> = {}, images: string[] = []): GenerateInput {
  const request: JobRequest = {
    prompt: "a red bicycle",
    negativePrompt: null,
    size: null,
    n: 1,
    seed: null,
    promptExtend: null,
    watermark: null,
    images: [],
    priority: "normal",
    maxAttempts: 4,
    deadlineSeconds: 60,
    onUncertain: "retry",
    ...given,
  };
  return { model, request, images };
}

const never = () => new AbortController().signal;

describe("generate", () => {
  it("calls a synchronous model on its path, with every requested option", async () => {
    const { client, seen } = await upstream(says(200, IMAGE_ANSWER));
    const asked = { negativePrompt: "blurry", size: "1664*928", seed: 0, promptExtend: false, watermark: true };
    const answer = await client.generate(input("qwen-image-max", asked), never());
    expect(answer).toMatchObject({ kind: "delivered", links: ["https://results.example/a.png"] });
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({
      method: "POST",
      url: "/api/v1/services/aigc/multimodal-generation/generation",
      headers: { authorization: `Bearer ${KEY}`, "content-type": "application/json" },
    });
    expect(seen[0]?.headers).not.toHaveProperty("x-dashscope-async");
    expect(seen[0]?.body).toEqual({
      model: "qwen-image-max",
      input: { messages: [{ role: "user", content: [{ text: "a red bicycle" }] }] },
      parameters: {
        size: "1664*928",
        seed: 0,
        negative_prompt: "blurry",
        prompt_extend: false,
        watermark: true,
      },
    });
  });

  it("puts the images in order before the text, and leaves out absent options", async () => {
    const { client, seen } = await upstream(says(200, IMAGE_ANSWER));
    const images = ["https://example.com/a.png", "data:image/png;base64,iVBORw0KGgo="];
    await client.generate(input("qwen-image-edit-max", { n: 2 }, images), never());
    expect(seen[0]?.body).toEqual({
      model: "qwen-image-edit-max",
      input: {
        messages: [{ role: "user", content: [{ image: images[0] }, { image: images[1] }, { text: "a red bicycle" }] }],
      },
      parameters: { n: 2 },
    });
  });

  it.each([
    ["qwen-image-plus", "/api/v1/services/aigc/text2image/image-synthesis"],
    ["wan2.5-i2i-preview", "/api/v1/services/aigc/image2image/image-synthesis"],
    ["wan2.6-t2i", "/api/v1/services/aigc/image-generation/generation"],
  ])("submits %s as a task to %s", async (model, path) => {
    const { client, seen } = await upstream(says(200, { output: { task_status: "PENDING", task_id: "t-1" } }));
    const answer = await client.generate(input(model), never());
    expect(answer).toMatchObject({ kind: "accepted", taskId: "t-1" });
    expect(seen[0]).toMatchObject({ url: path, headers: { "x-dashscope-async": "enable" } });
  });

  it("writes the legacy body for the legacy paths, and always sends the number of images where the default is four", async () => {
    const { client, seen } = await upstream(says(200, { output: { task_id: "t-1" } }));
    await client.generate(input("wan2.2-t2i-plus", { negativePrompt: "blurry" }), never());
    await client.generate(input("wan2.5-i2i-preview", {}, ["https://example.com/a.png"]), never());
    await client.generate(input("wan2.6-t2i"), never());
    expect(seen[0]?.body).toEqual({
      model: "wan2.2-t2i-plus",
      input: { prompt: "a red bicycle", negative_prompt: "blurry" },
      parameters: { n: 1 },
    });
    expect(seen[1]?.body).toMatchObject({ input: { images: ["https://example.com/a.png"] }, parameters: { n: 1 } });
    expect(seen[2]?.body).toMatchObject({ input: { messages: [{ role: "user" }] }, parameters: { n: 1 } });
  });

  it("sends options by their wire names, and none that the model does not have", async () => {
    const { client, seen } = await upstream(says(200, IMAGE_ANSWER));
    const asked = { promptExtend: true, promptExtendMode: "direct", thinking: true, watermark: false } as const;
    await client.generate(input("qwen-image-2.1-pro", asked), never());
    await client.generate(input("z-image-turbo", asked), never());
    await client.generate(input("qwen-image-2.1-pro", { promptExtend: false }), never());
    await client.generate(input("wan2.7-image", { size: "2K", promptExtend: false, thinking: true }), never());
    await client.generate(input("wan2.7-image", { size: "2K" }), never());
    expect(seen.map(({ body }) => (body as { parameters: object }).parameters)).toEqual([
      { n: 1, prompt_extend: true, prompt_extend_mode: "direct", enable_thinking: true, watermark: false },
      { prompt_extend: true },
      { n: 1, prompt_extend: false, enable_thinking: false },
      { n: 1, size: "2K", thinking_mode: true },
      { n: 1, size: "2K" },
    ]);
  });

  it("calls a model that MODELS adds like the model it is based on", async () => {
    const models = new ModelTable(ModelOverrides.parse({ "wan9-t2i": { like: "wan2.6-t2i" } }));
    const { client, seen } = await upstream(says(200, { output: { task_id: "t-1" } }), { models });
    expect(await client.generate(input("wan9-t2i"), never())).toMatchObject({ kind: "accepted" });
    expect(seen[0]?.url).toBe("/api/v1/services/aigc/image-generation/generation");
  });

  it("reads a refusal with the request id of the header, and the requested wait, in seconds or as a date", async () => {
    const body = { code: "Throttling.RateQuota", message: "Requests rate limit exceeded" };
    for (const wait of ["7", "Mon, 23 Nov 2026 12:00:07 GMT"]) {
      const { client } = await upstream(says(429, body, { "retry-after": wait, "x-request-id": "req-7" }));
      expect(await client.generate(input("qwen-image-max"), never())).toMatchObject({
        kind: "failed",
        failure: {
          disposition: "put_back",
          retryAfterMs: 7000,
          report: { httpStatus: 429, code: "Throttling.RateQuota", requestId: "req-7" },
        },
      });
    }
  });

  it("never follows a redirect, because the key would be sent along", async () => {
    const elsewhere = await upstream(says(200, IMAGE_ANSWER));
    const { client } = await upstream(says(307, "", { location: `${elsewhere.baseUrl}/api/v1` }));
    const answer = await client.generate(input("qwen-image-max"), never());
    expect(answer).toMatchObject({ kind: "failed", failure: { disposition: "block" } });
    expect(elsewhere.seen).toEqual([]);
  });

  describe("an image inside the answer", () => {
    const image = Buffer.alloc(300_000, 7);
    const inside = {
      output: { choices: [{ message: { content: [{ image: `data:image/png;base64,${image.toString("base64")}` }] } }] },
    };

    it("is stored, and its link is the one that storing returned", async () => {
      const stored: [number, Buffer][] = [];
      const storeEmbedded = async (index: number, bytes: Uint8Array) => {
        stored.push([index, Buffer.from(bytes)]);
        return "stored:key";
      };
      const { client } = await upstream(says(200, inside), { storeEmbedded });
      expect(await client.generate(input("qwen-image-max"), never())).toMatchObject({
        kind: "delivered",
        links: ["stored:key"],
      });
      expect(stored).toEqual([[0, image]]);
    });

    it("that cannot be stored is a failure that may be billed; that of a task is read again", async () => {
      const storeEmbedded = () => Promise.reject(new Error("storage is down"));
      const { client } = await upstream(says(200, inside), { storeEmbedded });
      const failure = { mayBeBilled: true, fault: "none", disposition: "retry" };
      expect(await client.generate(input("qwen-image-max"), never())).toMatchObject({ kind: "failed", failure });
      expect(await client.readTask("t-1", never())).toMatchObject({ kind: "unreadable", failure });
    });
  });

  it("stops reading an endless answer early", async () => {
    let sentBytes = 0;
    const chunk = Buffer.alloc(64 * 1024, " ");
    const hungUp = Promise.withResolvers<void>();
    const { client } = await upstream((_request, response) => {
      response.on("close", hungUp.resolve);
      const send = () => {
        while (!response.destroyed && sentBytes < 60_000_000) {
          sentBytes += chunk.byteLength;
          if (!response.write(chunk)) return response.once("drain", send);
        }
        return response.end();
      };
      send();
    });
    const answer = await client.generate(input("qwen-image-max"), never());
    expect(answer).toMatchObject({ kind: "failed", failure: { mayBeBilled: true, report: { httpStatus: 200 } } });
    await hungUp.promise;
    expect(sentBytes).toBeLessThan(20_000_000);
  });

  it("reports a connection that breaks before or during the answer as perhaps billed", async () => {
    const silent = await upstream((request) => request.socket.destroy());
    const amid = await upstream((_request, response) => {
      response.writeHead(200, { "content-length": "1000" });
      response.write('{"output":', () => response.destroy());
    });
    for (const { client } of [silent, amid]) {
      expect(await client.generate(input("qwen-image-max"), never())).toMatchObject({
        kind: "failed",
        failure: { disposition: "retry", fault: "upstream", mayBeBilled: true, report: { httpStatus: null } },
      });
    }
  });

  it("uses the status of a refusal whose body breaks off", async () => {
    const { client } = await upstream((_request, response) => {
      response.writeHead(401, { "content-length": "1000" });
      response.write('{"code":', () => response.destroy());
    });
    const answer = await client.generate(input("qwen-image-max"), never());
    expect(answer).toMatchObject({ kind: "failed", failure: { disposition: "block", report: { httpStatus: 401 } } });
  });

  it("reports an abort as perhaps billed once the request was sent, not before", async () => {
    const controller = new AbortController();
    const { client, seen } = await upstream(() => controller.abort());
    const sent = await client.generate(input("qwen-image-max"), controller.signal);
    expect(sent).toMatchObject({ kind: "failed", failure: { fault: "none", mayBeBilled: true } });
    expect(seen).toHaveLength(1);
    const unsent = await client.generate(input("qwen-image-max"), controller.signal);
    expect(unsent).toMatchObject({ kind: "failed", failure: { fault: "none", mayBeBilled: false } });
    expect(seen).toHaveLength(1);
  });

  it("masks the key wherever upstream echoes it", async () => {
    const body = { code: KEY, message: `${"x".repeat(490)} Bearer ${KEY}`, request_id: KEY };
    const json = await upstream(says(401, body, { "x-request-id": KEY }));
    const page = await upstream(says(502, `<html>${KEY}</html>`, { "x-request-id": KEY }));
    for (const { client } of [json, page]) {
      const answer = JSON.stringify(await client.generate(input("qwen-image-max"), never()));
      expect(answer).toContain("[key]");
      expect(answer).not.toContain(KEY.slice(0, 10));
    }
  });

  it("masks the key in a link, which is stored before anything else", async () => {
    const content = [
      { image: `https://oss.example/a.png?key=${KEY}&auth=${Buffer.from(`:${KEY}`).toString("base64")}` },
    ];
    const { client } = await upstream(says(200, { output: { choices: [{ message: { content } }] } }));
    const answer = await client.generate(input("qwen-image-max"), never());
    expect(answer).toMatchObject({
      kind: "delivered",
      links: [expect.stringMatching(/key=\[key\]&auth=.{2}\[key\].{0,4}$/)],
    });
  });
});

describe("readTask", () => {
  it("reads the task by its id, without the header of a submission", async () => {
    const { client, seen } = await upstream(says(200, { output: { task_id: "a/b", task_status: "RUNNING" } }));
    const answer = await client.readTask("a/b", never());
    expect(answer).toMatchObject({ kind: "pending", taskStatus: "RUNNING" });
    expect(seen[0]).toMatchObject({ method: "GET", url: "/api/v1/tasks/a%2Fb", body: null });
    expect(seen[0]?.headers).not.toHaveProperty("x-dashscope-async");
  });

  it("leaves the task as it is when the connection breaks or the wait is aborted", async () => {
    const { client } = await upstream((request) => request.socket.destroy());
    const broken = await client.readTask("t-1", never());
    expect(broken).toMatchObject({ kind: "unreadable", failure: { fault: "upstream", report: { taskId: "t-1" } } });
    const aborted = await client.readTask("t-1", AbortSignal.abort());
    expect(aborted).toMatchObject({ kind: "unreadable", failure: { fault: "none" } });
  });
});

describe("cancelTask", () => {
  it("is true only when upstream confirms it", async () => {
    const willing = await upstream(says(200, { request_id: "45ac7f13" }));
    expect(await willing.client.cancelTask("t-1", never())).toBe(true);
    expect(willing.seen[0]).toMatchObject({ method: "POST", url: "/api/v1/tasks/t-1/cancel" });
    const refusal = { code: "UnsupportedOperation", message: "Failed to cancel the task" };
    for (const answer of [says(400, refusal), says(200, refusal), says(500), says(200, "<html>")]) {
      expect(await (await upstream(answer)).client.cancelTask("t-1", never())).toBe(false);
    }
    const gone = await upstream((request) => request.socket.destroy());
    expect(await gone.client.cancelTask("t-1", never())).toBe(false);
    expect(await gone.client.cancelTask("t-1", AbortSignal.abort())).toBe(false);
  });
});
