import { env } from "cloudflare:workers";
import { createHash } from "node:crypto";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { namespaceWith } from "../http/http.fixture.ts";
import { byteStream } from "../results/image.fixture.ts";
import { catalogStub, jobStub } from "../stubs.ts";
import {
  befall,
  billed,
  call,
  drawnImage,
  jobsOf,
  newPrompt,
  ORIGIN,
  post,
  postWithHangUp,
  SYNC_MODEL,
  upstream,
} from "./compat.fixture.ts";
import { HOLD_MS } from "./hold.ts";

const GENERATIONS = "/v1/images/generations";
const EDITS = "/v1/images/edits";
const EDIT_MODEL = "qwen-image-edit-plus";

afterAll(async () => {
  await upstream.clearFaults();
  await upstream.release();
});

interface Images {
  readonly created: number;
  readonly size: string;
  readonly output_format: string;
  readonly data: readonly { readonly url?: string; readonly b64_json?: string }[];
}
interface Refused {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string;
  };
}

const body = (more: object = {}) => ({ prompt: newPrompt(), model: SYNC_MODEL, response_format: "url", ...more });

async function made(answer: Response): Promise<Images> {
  expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "application/json"]);
  return await answer.json<Images>();
}

async function refused(answer: Response, status: number): Promise<Refused["error"]> {
  expect([answer.status, answer.headers.get("content-type")]).toEqual([status, "application/json"]);
  const { error } = await answer.json<Refused>();
  expect(Object.keys(error).sort()).toEqual(["code", "message", "param", "type"]);
  return error;
}

async function jobOf(answer: Response, index = 0) {
  return await (await call(`/api/jobs/${jobsOf(answer)[index]}`)).json<{ model: string; request: object }>();
}

function pngSize(base64: string): string {
  const bytes = Uint8Array.fromBase64(base64);
  const view = new DataView(bytes.buffer);
  expect([...bytes.subarray(1, 4)]).toEqual([80, 78, 71]);
  return `${view.getUint32(16)}x${view.getUint32(20)}`;
}

describe("a generation", () => {
  it("answers with a url that needs no token, and names its job", async () => {
    const answer = await post(GENERATIONS, body());
    const { data, created } = await made(answer);
    expect(data).toEqual([{ url: `${ORIGIN}/api/jobs/${jobsOf(answer)[0]}/images/0` }]);
    expect(Math.abs(created - Date.now() / 1000)).toBeLessThan(3_600);
  });

  it("answers with b64_json alone when requested, byte for byte the stored image", async () => {
    const answer = await post(GENERATIONS, body({ response_format: "b64_json" }));
    const [image] = (await made(answer)).data;
    expect(Object.keys(image ?? {})).toEqual(["b64_json"]);
    const stored = await (await call(`/api/jobs/${jobsOf(answer)[0]}/images/0`)).arrayBuffer();
    expect(Uint8Array.fromBase64(image?.b64_json ?? "")).toEqual(new Uint8Array(stored));
  });

  it("sends base64 in pieces while it reads from R2, never an image as a whole", async () => {
    const ask = (key: string) =>
      post(GENERATIONS, body({ prompt: "large", response_format: "b64_json" }), { "idempotency-key": key });
    const key = crypto.randomUUID();
    const first = await ask(key);
    await first.arrayBuffer();
    const image = await jobStub(env, jobsOf(first)[0] ?? "").image("local", 0);
    const large = new Uint8Array(3_000_001);
    await env.RESULTS.put(image.ok ? image.key : "", large);
    const pieces: string[] = [];
    const decoder = new TextDecoder();
    for await (const bytes of (await ask(key)).body as ReadableStream<Uint8Array>) pieces.push(decoder.decode(bytes));
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThanOrEqual(128 * 1024);
    const { data } = JSON.parse(pieces.join("")) as Images;
    expect(Uint8Array.fromBase64(data[0]?.b64_json ?? "")).toEqual(large);
  });

  it("breaks off, and does not hang, when a stored image stops coming; the same request again gets it", async () => {
    const stopped = new Promise<never>(() => undefined);
    const bucket = new Proxy(env.RESULTS, {
      get: (target, name) => {
        const method: unknown = Reflect.get(target, name);
        if (typeof method !== "function") return method;
        return async (...given: unknown[]) =>
          name === "get" ? { size: 1_000, body: byteStream(() => stopped) } : Reflect.apply(method, target, given);
      },
    });
    const order = body({ response_format: "b64_json" });
    const headers = { "idempotency-key": crypto.randomUUID() };
    const { answer } = postWithHangUp(GENERATIONS, order, { RESULTS: bucket }, headers);
    const first = await answer;
    expect(first.status).toBe(200);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const broken = first.text().then(
      () => "whole",
      () => "broken",
    );
    for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 5_000) await vi.advanceTimersByTimeAsync(5_000);
    vi.useRealTimers();
    expect(await broken).toBe("broken");
    const { data } = await made(await post(GENERATIONS, order, headers));
    expect(data[0]?.b64_json).toMatch(/^iVBOR/);
    expect(await billed(order.prompt)).toBe(1);
  });

  it("answers with both forms without response_format, because some clients read one and some the other", async () => {
    const [image] = (await made(await post(GENERATIONS, body({ response_format: undefined })))).data;
    expect(Object.keys(image ?? {})).toEqual(["url", "b64_json"]);
  });

  it("of WxH requests W*H, and of auto no size", async () => {
    const answer = await post(GENERATIONS, body({ size: "1024x1024" }));
    expect((await made(answer)).size).toBe("1024x1024");
    expect(await jobOf(answer)).toMatchObject({ request: { size: "1024*1024" } });
    expect(await jobOf(await post(GENERATIONS, body({ size: "auto" })))).toMatchObject({ request: { size: null } });
  });

  it("of a size that the model lacks is made in the nearest ratio, which is the answer's size", async () => {
    const answer = await post(
      GENERATIONS,
      body({ model: "qwen-image-plus", size: "1024x1024", response_format: "b64_json" }),
    );
    const { size, data } = await made(answer);
    expect(size).toBe("1328x1328");
    expect(pngSize(data[0]?.b64_json ?? "")).toBe("1328x1328");
  });

  it("of more images than the model makes at once becomes several jobs with different seeds", async () => {
    const input = body({ n: 3, seed: 100 });
    const answer = await post(GENERATIONS, input);
    expect((await made(answer)).data).toHaveLength(3);
    expect(jobsOf(answer)).toHaveLength(3);
    const jobs = await Promise.all([0, 1, 2].map((index) => jobOf(answer, index)));
    expect(jobs).toMatchObject([{ request: { seed: 100 } }, { request: { seed: 101 } }, { request: { seed: 102 } }]);
    expect(await billed(input.prompt)).toBe(3);
  });

  it("of several jobs gives the images of those that succeed", async () => {
    const input = body({ n: 2 });
    await befall(input.prompt, { type: "error", code: "InvalidParameter" }, 1);
    expect((await made(await post(GENERATIONS, input))).data).toHaveLength(1);
  });

  describe("of several jobs, at the client's limit on unfinished jobs", () => {
    /** A client for which this isolate has reserved nothing. Its jobs stay unfinished, and each request answers at once. */
    async function newClient(maxPendingJobs: number) {
      const [client, token] = [crypto.randomUUID(), crypto.randomUUID()];
      const vars = {
        AUTH_MODE: "token",
        CLIENT_TOKENS: JSON.stringify({ [client]: createHash("sha256").update(token).digest("hex") }),
        SIGNING_SECRET: "a secret of tests",
        MAX_PENDING_JOBS: String(maxPendingJobs),
      };
      const input = body();
      await befall(input.prompt, { type: "hold", at: "arrival" });
      const ask = async (n: number) => {
        const headers = { authorization: `Bearer ${token}`, prefer: "wait=0" };
        const answer = await postWithHangUp(GENERATIONS, { ...input, n }, vars, headers).answer;
        return [answer.status, jobsOf(answer).length];
      };
      return { client, prompt: input.prompt, ask };
    }

    async function jobsMade(client: string): Promise<number> {
      const { status } = await catalogStub(env, client).count({ status: null, workflow: null });
      return Object.values(status).reduce((sum, jobs) => sum + jobs, 0);
    }

    it("is placed as a whole or refused as a whole", async () => {
      const { client, prompt, ask } = await newClient(3);
      expect(await ask(4)).toEqual([429, 0]);
      expect(await ask(3)).toEqual([504, 3]);
      expect(await ask(1)).toEqual([429, 0]);
      // The catalog is notified of a new job after the answer.
      await expect.poll(async () => jobsMade(client), { timeout: 60_000 }).toBe(3);
      await upstream.release(prompt);
    });

    it("is placed in parallel with another request when there is room for both", async () => {
      const { prompt, ask } = await newClient(8);
      expect(await Promise.all([ask(4), ask(4)])).toEqual([
        [504, 4],
        [504, 4],
      ]);
      await upstream.release(prompt);
    });

    it("keeps no places after it was refused: another isolate can use all of them", async () => {
      const { client, prompt, ask } = await newClient(3);
      expect(await ask(4)).toEqual([429, 0]);
      const catalog = catalogStub(env, client);
      const granted: number[] = [];
      for (let n = 0; n < 3; n++) granted.push((await catalog.reserve(1, 3)).granted);
      expect(granted).toEqual([1, 1, 1]);
      await upstream.release(prompt);
    });
  });

  it("ignores options that change nothing, and names them in X-Darkroom-Ignored", async () => {
    const options = { quality: "high", style: "vivid", moderation: "low", background: "opaque", user: "u", n: null };
    const answer = await post(GENERATIONS, body({ ...options, unheard_of: 1 }));
    expect(answer.status).toBe(200);
    expect(answer.headers.get("x-darkroom-ignored")).toBe("quality, style, moderation, background, user, unheard_of");
  });

  it("takes the options of this service as extra fields", async () => {
    const answer = await post(GENERATIONS, body({ seed: 5, priority: "high", metadata: { room: "7" } }));
    expect(await jobOf(answer)).toMatchObject({ request: { seed: 5, priority: "high" }, metadata: { room: "7" } });
  });

  it("for one of OpenAI's own models uses the default model, and reports that the name was ignored", async () => {
    const prompt = newPrompt();
    const answer = await post(GENERATIONS, { prompt, model: "gpt-image-1" }, { prefer: "wait=0" });
    expect(answer.headers.get("x-darkroom-ignored")).toBe("model");
    expect((await jobOf(answer)).model).toBe("qwen-image-max");
    await call(`/api/jobs/${jobsOf(answer)[0]}/cancel`, { method: "POST" });
  });

  it("in another output_format is converted, and its url leads to the converted image", async () => {
    const answer = await post(
      GENERATIONS,
      body({ output_format: "jpeg", output_compression: 60, response_format: undefined }),
    );
    const { data, output_format } = await made(answer);
    expect(output_format).toBe("jpeg");
    const bytes = Uint8Array.fromBase64(data[0]?.b64_json ?? "");
    expect([...bytes.subarray(0, 3)]).toEqual([0xff, 0xd8, 0xff]);
    const byUrl = await call((data[0]?.url ?? "").slice(ORIGIN.length));
    expect(byUrl.headers.get("content-type")).toBe("image/jpeg");
    expect(new Uint8Array(await byUrl.arrayBuffer())).toEqual(bytes);
  });
});

describe("images that are not ready when the hold ends", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Objects that answer a wait near the end of the hold, and then never give the image. */
  function lateImages() {
    const late = namespaceWith(env.JOBS, "wait", async (stub, ...given) => {
      const answer = await stub.wait?.(...given);
      // The clock is real again when the image is requested, so that no other object reads this time.
      vi.setSystemTime(Date.now() + HOLD_MS - 100);
      return answer;
    });
    return namespaceWith(late, "image", () => {
      vi.useRealTimers();
      return new Promise<never>(() => undefined);
    });
  }

  it("are undelivered: 504, and the same request takes the job", async () => {
    const input = body();
    const answer = await postWithHangUp(GENERATIONS, input, { JOBS: lateImages() }).answer;
    expect(await refused(answer, 504)).toMatchObject({ code: "job_still_running" });
    const again = await post(GENERATIONS, input);
    expect((await made(again)).data).toHaveLength(1);
    expect(jobsOf(again)).toEqual(jobsOf(answer));
    expect(await billed(input.prompt)).toBe(1);
  });

  it("end a stream with an error event that has the job's id", async () => {
    const input = body({ stream: true });
    const answer = await postWithHangUp(GENERATIONS, input, { JOBS: lateImages() }).answer;
    const text = await answer.text();
    expect(text).toContain('"code":"job_still_running"');
    expect(text).toContain(jobsOf(answer)[0]);
    const again = await post(GENERATIONS, input);
    expect(await again.text()).toContain("image_generation.completed");
    expect(jobsOf(again)).toEqual(jobsOf(answer));
  });
});

describe("an edit", () => {
  async function form(fields: Readonly<Record<string, string>>, names: readonly string[]): Promise<FormData> {
    const data = new FormData();
    for (const [name, value] of Object.entries({ model: EDIT_MODEL, prompt: newPrompt(), ...fields }))
      data.set(name, value);
    const image = await drawnImage();
    for (const name of names) data.append(name, new File([image], "a.png", { type: "image/png" }));
    return data;
  }
  const edit = async (fields: Readonly<Record<string, string>>, names: readonly string[] = ["image"]) =>
    call(EDITS, { method: "POST", body: await form(fields, names) });

  it.each([[["image"]], [["image[]", "image[]"]]])("takes its images as %s", async (names) => {
    const answer = await edit({ n: "2" }, names);
    const { data } = await made(answer);
    expect(data).toHaveLength(2);
    expect(data.every(({ url, b64_json }) => url !== undefined && b64_json !== undefined)).toBe(true);
    expect(await jobOf(answer)).toMatchObject({ workflow: "image-from-reference", request: { n: 2 } });
  });

  it("of more images than the model makes at once stores the input for each job", async () => {
    const answer = await edit({ n: "7", response_format: "url" });
    expect((await made(answer)).data).toHaveLength(7);
    expect(jobsOf(answer)).toHaveLength(2);
    for (const index of [0, 1]) {
      expect(await jobOf(answer, index)).toMatchObject({ request: { images: [{ kind: "upload", width: 512 }] } });
    }
  });

  it("with a mask or a transparent background is refused with param", async () => {
    expect(await refused(await edit({}, ["image", "mask"]), 400)).toMatchObject({ param: "mask" });
    expect(await refused(await edit({ background: "transparent" }), 400)).toMatchObject({ param: "background" });
  });

  it("without an image is refused with param", async () => {
    expect(await refused(await edit({}, []), 400)).toMatchObject({ param: "images", type: "invalid_request_error" });
  });
});

describe("a stream", () => {
  interface Sent {
    readonly type: string;
    readonly b64_json: string;
    readonly size: string;
    readonly error?: { readonly code: string };
  }

  async function* textsOf(answer: Response): AsyncGenerator<string> {
    expect(answer.headers.get("content-type")).toContain("text/event-stream");
    const decoder = new TextDecoder();
    for await (const bytes of answer.body as ReadableStream<Uint8Array>) yield decoder.decode(bytes, { stream: true });
  }

  async function events(texts: AsyncIterable<string>): Promise<Sent[]> {
    let whole = "";
    for await (const text of texts) whole += text;
    const lines = whole.split("\n").filter((line) => line.startsWith("data: "));
    return lines.map((line) => JSON.parse(line.slice(6)) as Sent);
  }

  it("sends its headers and a heartbeat at once, and one completed event for each image", async () => {
    const input = body({ stream: true, n: 2 });
    // Both are held, so that the first event is of a job that was held.
    await befall(input.prompt, { type: "hold", at: "answer" }, 2);
    const texts = textsOf(await post(GENERATIONS, input));
    expect((await texts.next()).value).toMatch(/^:/);
    await expect
      .poll(async () => (await upstream.held()).filter(({ prompt }) => prompt === input.prompt))
      .toHaveLength(2);
    await upstream.release(input.prompt);
    const found = await events(texts);
    expect(found.map(({ type }) => type)).toEqual(["image_generation.completed", "image_generation.completed"]);
    expect(found.map(({ b64_json, size }) => pngSize(b64_json) === size)).toEqual([true, true]);
  });

  it("of a job that failed ends with an error event", async () => {
    const input = body({ stream: true });
    await befall(input.prompt, { type: "error", code: "DataInspectionFailed" });
    expect(await events(textsOf(await post(GENERATIONS, input)))).toMatchObject([
      { type: "error", error: { code: "moderation_blocked" } },
    ]);
  });

  it("whose hold ends has an error event, and is undelivered: the same request takes the job", async () => {
    const input = body({ stream: true });
    const answer = await post(GENERATIONS, input, { prefer: "wait=0" });
    expect(await events(textsOf(answer))).toMatchObject([{ type: "error", error: { code: "job_still_running" } }]);
    const again = await post(GENERATIONS, input);
    expect(jobsOf(again)).toEqual(jobsOf(answer));
    expect(await events(textsOf(again))).toMatchObject([{ type: "image_generation.completed" }]);
    expect(await billed(input.prompt)).toBe(1);
  });
});

describe("models", () => {
  it("are listed, and shown one by one", async () => {
    const { object, data } = await (await call("/v1/models")).json<{ object: string; data: { id: string }[] }>();
    expect(object).toBe("list");
    expect(data.map(({ id }) => id)).toContain("qwen-image-max");
    expect(await (await call("/v1/models/qwen-image-max")).json()).toMatchObject({
      id: "qwen-image-max",
      object: "model",
    });
    expect(await refused(await call("/v1/models/none"), 404)).toMatchObject({ code: "model_not_found" });
  });
});

describe("an error", () => {
  it.each([
    ["an unknown model", body({ model: "none" }), 404, { param: "model", code: "model_not_found" }],
    ["a size that is none", body({ size: "large" }), 400, { param: "size" }],
    ["no prompt", body({ prompt: undefined }), 400, { param: "prompt" }],
    ["n above ten", body({ n: 11 }), 400, { param: "n" }],
    ["an unknown response_format", body({ response_format: "gif" }), 400, { param: "response_format" }],
    ["an unknown output_format", body({ output_format: "gif" }), 400, { param: "output_format" }],
  ])("of %s has OpenAI's shape", async (_what, input, status, error) => {
    expect(await refused(await post(GENERATIONS, input), status)).toMatchObject({
      type: "invalid_request_error",
      ...error,
    });
  });

  it("of a body that is no JSON, of an unknown path and of a wrong method has the same shape", async () => {
    const init = { method: "POST", body: "{", headers: { "content-type": "application/json" } };
    expect(await refused(await call(GENERATIONS, init), 400)).toMatchObject({ code: "malformed_json" });
    expect(await refused(await call("/v1/chat/completions", { method: "POST" }), 404)).toMatchObject({
      code: "unknown_url",
    });
    expect(await refused(await call("/v1"), 404)).toMatchObject({ code: "unknown_url" });
    expect(await refused(await call(GENERATIONS), 405)).toMatchObject({ code: "method_not_allowed" });
  });

  it("of a job that failed for good is 424, on which no client repeats", async () => {
    const input = body();
    await befall(input.prompt, { type: "error", code: "InvalidParameter" });
    const answer = await post(GENERATIONS, input);
    expect(answer.headers.get("x-should-retry")).toBe("false");
    expect(await refused(answer, 424)).toMatchObject({ code: "invalid_request" });
  });

  it("of a job that was canceled is 424 too", async () => {
    const input = body();
    await befall(input.prompt, { type: "hold", at: "arrival" });
    const answer = post(GENERATIONS, input);
    await upstream.untilHeld(input.prompt);
    const { jobs } = await (await call(`/api/jobs?q=${encodeURIComponent(input.prompt.slice(-12))}`)).json<{
      jobs: { id: string }[];
    }>();
    await jobStub(env, jobs[0]?.id ?? "").cancel("local");
    expect(await refused(await answer, 424)).toMatchObject({ code: "job_canceled" });
    await upstream.release(input.prompt);
  });

  it("of the content check is 400 moderation_blocked", async () => {
    const input = body();
    await befall(input.prompt, { type: "error", code: "DataInspectionFailed" });
    expect(await refused(await post(GENERATIONS, input), 400)).toMatchObject({ code: "moderation_blocked" });
  });
});

describe("a browser", () => {
  it("may send the headers that OpenAI's and DashScope's clients add, and read ours", async () => {
    const answer = await call(GENERATIONS, {
      method: "OPTIONS",
      headers: {
        origin: "http://localhost:3000",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-stainless-os,x-stainless-retry-count,x-evil",
      },
    });
    const allowed = answer.headers.get("access-control-allow-headers") ?? "";
    expect(allowed).toContain("x-stainless-os, x-stainless-retry-count");
    expect(allowed).not.toContain("x-evil");
    expect(answer.headers.get("access-control-allow-methods")).toBe("POST");
    expect(answer.headers.get("access-control-expose-headers")).toContain("X-Darkroom-Job");
  });
});
