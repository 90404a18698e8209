import { createExecutionContext, listDurableObjectIds, runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import { Problem, type ProblemCode } from "../../schemas/problem.ts";
import { app } from "./app.ts";

const ORIGIN = "http://localhost:8787";
const TEXT = "image-from-text";
const REFERENCE = "image-from-reference";

/** A PNG's signature and header: enough to be recognized as one, of 1×1 pixel. */
const PNG = Uint8Array.fromBase64(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
);

async function submit(workflow: string, body: BodyInit | null, headers: Record<string, string> = {}) {
  return await exports.default.fetch(`${ORIGIN}/api/workflows/${workflow}`, { method: "POST", body, headers });
}

function json(workflow: string, body: unknown, headers: Record<string, string> = {}) {
  return submit(workflow, JSON.stringify(body), { "content-type": "application/json", ...headers });
}

function form(parts: Record<string, string | Blob>) {
  const data = new FormData();
  for (const [name, value] of Object.entries(parts)) data.append(name, value);
  return submit(REFERENCE, data);
}

function raw(body: string, contentType = "application/json") {
  return submit(TEXT, body, { "content-type": contentType });
}

/** A body whose connection breaks after its first bytes, with or without an announced length. */
async function broken(contentType: string, announced: boolean) {
  const body = new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode('{"prompt": "a')),
    pull: (controller) => controller.error(new Error("Network connection lost.")),
  });
  const headers = { "content-type": contentType, ...(announced ? { "content-length": "100" } : {}) };
  const request = new Request(`${ORIGIN}/api/workflows/${REFERENCE}`, { method: "POST", body, headers });
  return await app.fetch(request, env, createExecutionContext());
}

const dataUrl = (bytes: Uint8Array, type = "image/png") => `data:${type};base64,${bytes.toBase64()}`;
const withHead = (size: number) => {
  const bytes = new Uint8Array(size);
  bytes.set(PNG);
  return bytes;
};
const ELEVEN_MB = 11 * 1024 * 1024;

type Case = [name: string, ask: () => Promise<Response>, status: number, code: ProblemCode, path: string | null];

/** How many rows objects store. For a refused submission none: announced uploads are removed beside the answer. */
async function storedRows(): Promise<number> {
  let rows = 0;
  for (const id of await listDurableObjectIds(env.JOBS)) {
    rows += await runInDurableObject(env.JOBS.get(id), (_object, { storage }) => [...storage.kv.list()].length);
  }
  return rows;
}

afterEach(async () => {
  await expect.poll(async () => (await env.RESULTS.list()).objects).toEqual([]);
  await expect.poll(storedRows).toBe(0);
});

describe("a bad submission gets its own problem, and nothing is stored for it", () => {
  it.each<Case>([
    ["JSON that breaks off", () => broken("application/json", true), 400, "malformed_body", null],
    ["JSON of no length that breaks off", () => broken("application/json", false), 400, "malformed_body", null],
    ["a form that breaks off", () => broken("multipart/form-data; boundary=b", true), 400, "malformed_body", null],
    ["no prompt", () => json(TEXT, {}), 400, "invalid_request", "/prompt"],
    ["a blank prompt", () => json(TEXT, { prompt: " " }), 400, "invalid_request", "/prompt"],
    [
      "a size that the model has not",
      () => json(TEXT, { prompt: "a", size: "100*100" }),
      400,
      "invalid_request",
      "/size",
    ],
    [
      "a wrong size in the envelope",
      () =>
        json(TEXT, {
          input: { messages: [{ role: "user", content: [{ text: "a" }] }] },
          parameters: { size: "100*100" },
        }),
      400,
      "invalid_request",
      "/parameters/size",
    ],
    ["two images of a model that makes one", () => json(TEXT, { prompt: "a", n: 2 }), 400, "invalid_request", "/n"],
    ["an unknown key", () => json(TEXT, { prompt: "a", webhookUrl: "x" }), 400, "invalid_request", "/webhookUrl"],
    ["an unknown model", () => json(TEXT, { prompt: "a", model: "dall-e-3" }), 400, "invalid_request", "/model"],
    [
      "a model of the other workflow",
      () => json(TEXT, { prompt: "a", model: "qwen-image-edit-max" }),
      400,
      "invalid_request",
      "/model",
    ],
    [
      "a model that is a name of every object",
      () => json(TEXT, { prompt: "a", model: "constructor" }),
      400,
      "invalid_request",
      "/model",
    ],
    ["no JSON", () => raw('{"prompt":'), 400, "malformed_json", null],
    ["nothing at all", () => raw(""), 400, "malformed_json", null],
    [
      "no UTF-8",
      () => submit(TEXT, new Uint8Array([0x22, 0xff, 0x22]), { "content-type": "application/json" }),
      400,
      "malformed_json",
      null,
    ],
    ["no object", () => json(TEXT, [1]), 400, "invalid_request", ""],
    ["text", () => raw("prompt", "text/plain"), 415, "unsupported_media_type", null],
    [
      "what curl -d sends",
      () => raw('{"prompt":"a"}', "application/x-www-form-urlencoded"),
      415,
      "unsupported_media_type",
      null,
    ],
    ["no content type", () => submit(TEXT, new Uint8Array([123, 125])), 415, "unsupported_media_type", null],
    [
      "a packed body",
      () => json(TEXT, { prompt: "a" }, { "content-encoding": "gzip" }),
      415,
      "unsupported_media_type",
      null,
    ],
    [
      "a form that is none",
      () => submit(REFERENCE, "nonsense", { "content-type": "multipart/form-data; boundary=x" }),
      400,
      "malformed_body",
      null,
    ],
    [
      "a form without a boundary",
      () => submit(REFERENCE, "nonsense", { "content-type": "multipart/form-data" }),
      400,
      "malformed_body",
      null,
    ],
    ["a text of 2 MB", () => json(TEXT, { prompt: "a".repeat(2 * 1024 * 1024) }), 413, "body_too_large", null],
    [
      "a text of 2 MB beside an image",
      () => json(REFERENCE, { prompt: "a".repeat(2 * 1024 * 1024), images: [dataUrl(PNG)] }),
      413,
      "body_too_large",
      null,
    ],
    [
      "texts of a form that have 2 MB together",
      () => form({ prompt: "a", a: "a".repeat(700_000), b: "b".repeat(700_000), c: "c".repeat(700_000) }),
      413,
      "body_too_large",
      null,
    ],
    [
      "a text of 2 MB where an image is expected",
      () => form({ prompt: "a", image: "a".repeat(2 * 1024 * 1024) }),
      413,
      "body_too_large",
      null,
    ],
    [
      "a body that is declared larger than the platform takes",
      () => submit(REFERENCE, "{}", { "content-type": "application/json", "content-length": "100000001" }),
      413,
      "body_too_large",
      null,
    ],
    ["no image", () => json(REFERENCE, { prompt: "a" }), 400, "invalid_request", "/images"],
    [
      "eleven images",
      () => json(REFERENCE, { prompt: "a", images: Array(11).fill("https://example.com/a.png") }),
      400,
      "invalid_request",
      "/images",
    ],
    [
      "an image that is text, as data URL",
      () => json(REFERENCE, { prompt: "a", images: [dataUrl(new TextEncoder().encode("hello, world"))] }),
      400,
      "invalid_request",
      "/images/0",
    ],
    [
      "an image that is text, as file",
      () => form({ prompt: "a", image: new File(["hello"], "a.png", { type: "image/png" }) }),
      400,
      "invalid_request",
      "/image/0",
    ],
    [
      "four images of a model that takes three",
      () => json(REFERENCE, { prompt: "a", images: Array(4).fill("https://example.com/a.png") }),
      400,
      "invalid_request",
      "/images",
    ],
    [
      "an image of 25 MB, as file",
      () => form({ prompt: "a", image: new Blob([withHead(25 * 1024 * 1024)]) }),
      413,
      "image_too_large",
      null,
    ],
    [
      "an image where the prompt belongs",
      () => json(REFERENCE, { prompt: dataUrl(PNG), images: ["https://example.com/a.png"] }),
      400,
      "invalid_request",
      "/prompt",
    ],
    [
      "a good image before a wrong field",
      () => form({ image: new Blob([PNG]), prompt: "a", n: "two" }),
      400,
      "invalid_request",
      "/n",
    ],
    [
      "a good image in a text workflow",
      () => json(TEXT, { prompt: "a", images: [dataUrl(PNG)] }),
      400,
      "invalid_request",
      "/images",
    ],
    [
      "an address in a private network",
      () => json(REFERENCE, { prompt: "a", image: "http://169.254.169.254/latest/meta-data" }),
      400,
      "invalid_request",
      "/image",
    ],
    [
      "an image of a job that there is not",
      () => json(REFERENCE, { prompt: "a", images: [`${ORIGIN}/api/jobs/job_000000000000000000000/images/0`] }),
      400,
      "invalid_request",
      "/images/0",
    ],
    [
      "an image of 11 MB, as data URL",
      () => json(REFERENCE, { prompt: "a", images: [dataUrl(withHead(ELEVEN_MB))] }),
      413,
      "image_too_large",
      "/images/0",
    ],
    [
      "an image of 11 MB, as file",
      () => form({ prompt: "a", image: new Blob([withHead(ELEVEN_MB)]) }),
      413,
      "image_too_large",
      "/image/0",
    ],
    [
      "an image that is no base64",
      () => json(REFERENCE, { prompt: "a", images: ["data:image/png;base64,???"] }),
      400,
      "invalid_request",
      "/images/0",
    ],
    [
      "a second image that is wrong, in the envelope",
      () =>
        json(REFERENCE, {
          input: {
            messages: [{ role: "user", content: [{ image: dataUrl(PNG) }, { image: "ftp://a/b" }, { text: "a" }] }],
          },
        }),
      400,
      "invalid_request",
      "/input/messages/0/content/1/image",
    ],
    [
      "an address with a password",
      () => json(REFERENCE, { prompt: "a", reference_image_url: "https://a:b@example.com/" }),
      400,
      "invalid_request",
      "/reference_image_url",
    ],
    [
      "an image of this machine's files",
      () => json(REFERENCE, { prompt: "a", images: ["file:///etc/passwd"] }),
      400,
      "invalid_request",
      "/images/0",
    ],
    [
      "an empty Idempotency-Key",
      () => json(TEXT, { prompt: "a" }, { "idempotency-key": '""' }),
      400,
      "invalid_idempotency_key",
      "Idempotency-Key",
    ],
    [
      "a long Idempotency-Key",
      () => json(TEXT, { prompt: "a" }, { "idempotency-key": "k".repeat(256) }),
      400,
      "invalid_idempotency_key",
      "Idempotency-Key",
    ],
    [
      "two Idempotency-Keys",
      () => {
        const headers = new Headers({ "content-type": "application/json" });
        for (const key of ["one", "two"]) headers.append("idempotency-key", key);
        const init = { method: "POST", body: JSON.stringify({ prompt: "a" }), headers };
        return exports.default.fetch(`${ORIGIN}/api/workflows/${TEXT}`, init);
      },
      400,
      "invalid_idempotency_key",
      "Idempotency-Key",
    ],
    ["an answer nobody has", () => json(TEXT, { prompt: "a" }, { accept: "image/png" }), 406, "not_acceptable", null],
    [
      "a page of another site",
      () => json(TEXT, { prompt: "a" }, { origin: "https://evil.example" }),
      403,
      "forbidden_origin",
      null,
    ],
  ])("%s", async (_name, ask, status, code, path) => {
    const answer = await ask();
    expect(answer.status).toBe(status);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    const problem = Problem.parse(await answer.json());
    expect(problem.code).toBe(code);
    expect(problem.detail).not.toBe("");
    expect(problem.errors?.[0]?.path ?? null).toBe(path);
  });
});

it.each([
  ["a size of one digit", { size: "5*5" }, "/size", "qwen-image-max takes 1664*928, 1472*1104, "],
  ["a size that is none", { size: "big" }, "/size", '; got the text "big"; qwen-image-max takes 1664*928, '],
  [
    "a size of another model",
    { size: 5, model: "qwen-image-2.0" },
    "/size",
    "qwen-image-2.0 takes between 512*512 and",
  ],
  ["a number that is none", { n: "two" }, "/n", '; got the text "two"; qwen-image-max makes one image a job'],
  ["more images than any makes", { n: 7 }, "/n", "qwen-image-max makes one image a job; 7 were asked for"],
])("the answer lists what the model takes of %s", async (_name, wrong, path, words) => {
  const { errors } = Problem.parse(await (await json(TEXT, { prompt: "a", ...wrong })).json());
  expect(errors).toEqual([{ path, message: expect.stringContaining(words) }]);
});

it("the answer never repeats a broken body", async () => {
  const answer = await raw('{"prompt": "a secret wish", broken');
  expect(await answer.text()).not.toContain("secret wish");
});
