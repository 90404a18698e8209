import { describe, expect, it } from "vitest";
import { type HttpAnswer, keyMask, readAnswer, retryAfterMs } from "./read-answer.ts";

const context = { region: "sg", host: "dashscope-intl.aliyuncs.com" } as const;
const cut = (text: string, maxChars: number) => text.slice(0, maxChars);

function read(body: unknown, given: Partial<HttpAnswer> & { taskId?: string } = {}) {
  const { taskId = null, ...answer } = given;
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return readAnswer(
    { httpStatus: 200, requestId: "from-header", retryAfterMs: null, text, ...answer },
    taskId,
    cut,
    context,
  );
}

function choice(...content: object[]) {
  return { finish_reason: "stop", message: { role: "assistant", content } };
}

const PNG = "https://dashscope-7c2c.oss-cn-shanghai.aliyuncs.com/7d/93/20260611/d23adf3d/a.png?Expires=1781778573";
const A = "https://results.example/a.png";
const B = "https://results.example/b.png";
const times = { submit_time: "2024-03-01 17:38:24.817", scheduled_time: "2024-03-01 17:38:24.831" };

describe("readAnswer to generate", () => {
  it("reads the image of the max family, recorded with role after content and a task metric", () => {
    const answer = read({
      output: {
        choices: [{ finish_reason: "stop", message: { content: [{ image: PNG }], role: "assistant" } }],
        task_metric: { FAILED: 0, SUCCEEDED: 1, TOTAL: 1 },
      },
      usage: { height: 928, image_count: 1, width: 1664 },
      request_id: "5795d646",
    });
    expect(answer).toEqual({
      kind: "delivered",
      links: [PNG],
      report: { httpStatus: 200, code: null, message: null, requestId: "5795d646", taskId: null },
    });
  });

  it.each([
    ["3.0 (typed parts, rewrite status)", [choice({ type: "image", image: PNG })], { rewrite_status: "success" }],
    ["wan2.6 (finished)", [choice({ type: "image", image: PNG })], { finished: true }],
    ["z-image (the prompt after the image)", [choice({ image: PNG }, { text: "a prompt, rewritten" })], {}],
    ["an SDK's view (empty code, nulls)", [choice({ image: PNG, text: null })], { results: null, task_id: null }],
  ])("reads %s", (_family, choices, output) => {
    expect(read({ code: "", message: "", output: { choices, ...output } })).toMatchObject({ links: [PNG] });
  });

  it("reads all parts of all choices, each image once", () => {
    const choices = [choice({ image: A }, { image: B }), choice({ image: B }, { image: PNG })];
    expect(read({ output: { choices } })).toMatchObject({ kind: "delivered", links: [A, B, PNG] });
  });

  it("loses no paid image when other parts of the answer are odd", () => {
    const choices = ["?", { message: "?" }, choice({ image: { url: "?" } }, { text: 7, image: "odd" }, { image: PNG })];
    const output = { choices, task_metric: "none", finished: "yes", results: "none" };
    const answer = read({ output, usage: "a lot", request_id: 7, code: null });
    expect(answer).toMatchObject({ kind: "delivered", links: [PNG], report: { requestId: "7", code: null } });
  });

  it("reads a code that is a number", () => {
    expect(read({ code: 500, message: "oops" })).toMatchObject({
      kind: "failed",
      failure: { report: { code: "500" } },
    });
  });

  it.each([["PENDING"], ["RUNNING"], ["SOMETHING_NEW"], [undefined]])(
    "reads a task with status %s as accepted",
    (status) => {
      const answer = read({ output: { task_status: status, task_id: "9e2b6ef6" }, request_id: "33da8e6b" });
      expect(answer).toMatchObject({ kind: "accepted", taskId: "9e2b6ef6", report: { taskId: "9e2b6ef6" } });
    },
  );

  it.each([
    ["no output", {}],
    ["no choice", { output: { choices: [] } }],
    ["an empty content", { output: { choices: [choice()] } }],
    ["a text only", { output: { choices: [choice({ text: "no" })] } }],
  ])("calls a success with %s a failure that may be billed", (_what, body) => {
    expect(read(body)).toMatchObject({ kind: "failed", failure: { mayBeBilled: true, disposition: "retry" } });
  });

  it.each(["Success", "OK", "200", "DataInspectionFailed"])("reads the images of a 200 whose code is %s", (code) => {
    const body = { code, message: "…", output: { choices: [choice({ image: PNG })] } };
    expect(read(body)).toMatchObject({ kind: "delivered", links: [PNG] });
  });

  it("reads the task of a 200 with a code, because it may run and be billed", () => {
    const output = { task_id: "9e2b6ef6", task_status: "PENDING" };
    expect(read({ code: "Success", output })).toMatchObject({ kind: "accepted", taskId: "9e2b6ef6" });
    expect(read({ code: "SomethingNew", output })).toMatchObject({ kind: "accepted", taskId: "9e2b6ef6" });
  });

  it("reads images of an answer whose status reports an error", () => {
    const output = { choices: [choice({ image: PNG })] };
    expect(read({ code: "InternalError", output }, { httpStatus: 500 })).toMatchObject({ links: [PNG] });
  });

  it("calls a 200 with a code and no image a failure", () => {
    const body = { code: "DataInspectionFailed", message: "…", output: { choices: [choice({ text: "no" })] } };
    expect(read(body)).toMatchObject({ kind: "failed", failure: { jobCode: "content_rejected" } });
  });

  it.each<[string, object]>([
    ["a part with a nested address", { output: { choices: [choice({ image_url: { url: PNG } })] } }],
    ["a part that is no list", { output: { choices: [{ message: { content: { image: PNG } } }] } }],
    ["a list of addresses", { output: { images: [PNG] } }],
    ["results that are no list", { output: { results: { url: PNG } } }],
    ["a single address", { output: { task_id: "t", task_status: "SUCCEEDED", output_image_url: PNG } }],
    ["OpenAI's envelope", { created: 1, data: [{ url: PNG }] }],
    ["choices outside of output", { choices: [choice({ image: PNG })] }],
  ])("finds the image in %s", (_what, body) => {
    expect(read(body)).toMatchObject({ kind: "delivered", links: [PNG] });
  });

  it.each([
    ["an address without a scheme", "//results.example/a.png", A],
    ["a plain http address", "http://results.example/a.png", "http://results.example/a.png"],
    ["a data URL", "data:image/png;base64,AAAA", "data:image/png;base64,AAAA"],
    ["an image that was written into the answer", "embedded:0", "embedded:0"],
  ])("reads %s as an image", (_what, image, link) => {
    expect(read({ output: { choices: [choice({ image })] } })).toMatchObject({ links: [link] });
  });

  it("reads base64 without a type in the place of an address as an image, by its first characters", () => {
    for (const bytes of [
      [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13],
      [0xff, 0xd8, 0xff, 0xe0, 0, 16],
      [...Buffer.from("RIFF0000WEBP")],
    ]) {
      const base64 = Buffer.from(bytes).toString("base64");
      const answer = read({ output: { choices: [choice({ image: base64 })] } });
      expect(answer).toMatchObject({ kind: "delivered", links: [`data:image/png;base64,${base64}`] });
    }
    expect(read({ output: { choices: [choice({ image: "aGVsbG8gd29ybGQh" })] } })).toMatchObject({ kind: "failed" });
  });

  it("reads base64 without a type as an image", () => {
    expect(read({ data: [{ b64_json: "AAAA" }] })).toMatchObject({ links: ["data:image/png;base64,AAAA"] });
  });

  it("does not read an address in an error as an image", () => {
    const body = { error: { code: "InvalidParameter", url: A }, data: { url: A }, type: A };
    expect(read(body, { httpStatus: 400 })).toMatchObject({ kind: "failed", failure: { jobCode: "invalid_request" } });
  });

  it.each(["<html>ok</html>", "", "null", "[1]", '"text"', '{"output":"text"}'])(
    "calls the unreadable success %j a failure that may be billed",
    (body) => {
      expect(read(body)).toMatchObject({ kind: "failed", failure: { disposition: "retry", mayBeBilled: true } });
    },
  );

  it("reads an answer that was too large to read as a failure that may be billed", () => {
    expect(read("", { text: null })).toMatchObject({ kind: "failed", failure: { mayBeBilled: true } });
    const refusal = read("", { text: null, httpStatus: 400 });
    expect(refusal).toMatchObject({ kind: "failed", failure: { mayBeBilled: false, disposition: "give_up" } });
  });

  it("uses the request id of the header when the body has none", () => {
    expect(read("", { httpStatus: 503 })).toMatchObject({ failure: { report: { requestId: "from-header" } } });
    const body = { code: "InvalidApiKey", message: "Invalid API-key provided.", request_id: "a1c0561c" };
    expect(read(body, { httpStatus: 401 })).toMatchObject({ failure: { report: { requestId: "a1c0561c" } } });
  });

  it("reports a gateway's page by its text, without markup", () => {
    const page = "<html>\r\n<head><title>502 Bad Gateway</title></head><body><hr>nginx</body></html>";
    expect(read(page, { httpStatus: 502 })).toMatchObject({
      failure: { report: { message: "502 Bad Gateway nginx" } },
    });
  });

  it.each<[string, object, string | null, string]>([
    [
      "OpenAI's envelope",
      { error: { code: "InvalidParameter", message: "wrong size" } },
      "InvalidParameter",
      "wrong size",
    ],
    [
      "an envelope with a type only",
      { error: { type: "invalid_request_error", code: null, message: "no" } },
      "invalid_request_error",
      "no",
    ],
    ["an error that is a text", { error: "no such path" }, null, "no such path"],
    ["a gateway's", { error_code: 1015, error_msg: "limited" }, "1015", "limited"],
    ["another spelling", { errorCode: "Bad", msg: "no" }, "Bad", "no"],
    ["RFC 9457", { type: "about:blank", title: "Bad Request", detail: "size is wrong" }, null, "size is wrong"],
    ["a list", { detail: [{ msg: "field required" }] }, null, '{"detail":[{"msg":"field required"}]}'],
    ["an unknown shape", { wrong: { why: "size" } }, null, '{"wrong":{"why":"size"}}'],
  ])("keeps upstream's message in %s", (_what, body, code, message) => {
    expect(read(body, { httpStatus: 400 })).toMatchObject({ kind: "failed", failure: { report: { code, message } } });
  });

  it("uses the code of another envelope", () => {
    const body = { error: { code: "invalid_api_key", message: "Incorrect API key provided." }, request_id: "a1" };
    expect(read(body, { httpStatus: 401 })).toMatchObject({
      failure: { disposition: "block", report: { requestId: "a1" } },
    });
  });

  it("shows the body of a success without an image", () => {
    const body = { output: { choices: [choice({ text: "I cannot draw that" })] } };
    expect(read(body)).toMatchObject({
      failure: { report: { message: expect.stringContaining("I cannot draw that") } },
    });
  });

  it("bounds the length of upstream's message", () => {
    const answer = read({ code: "C".repeat(999), message: "m".repeat(9999) }, { httpStatus: 400 });
    if (answer.kind !== "failed") throw new Error(answer.kind);
    expect(answer.failure.report.code).toHaveLength(200);
    expect(answer.failure.report.message).toHaveLength(500);
  });

  it("blocks on a redirect", () => {
    expect(read("", { httpStatus: 302 })).toMatchObject({ failure: { disposition: "block", mayBeBilled: false } });
  });
});

describe("readAnswer to readTask", () => {
  const taskId = "9e2b6ef6";

  it.each([
    ["PENDING", "PENDING"],
    ["RUNNING", "RUNNING"],
    ["SUSPENDED", "RUNNING"],
    ["SOMETHING_NEW", "RUNNING"],
  ])("%s is pending", (status, taskStatus) => {
    const metrics = { TOTAL: 4, SUCCEEDED: 0, FAILED: 0 };
    const body = { output: { task_id: taskId, task_status: status, ...times, task_metrics: metrics } };
    expect(read(body, { taskId })).toMatchObject({ kind: "pending", taskStatus, report: { taskId } });
  });

  it("reads the results of a legacy task and the choices of a new one", () => {
    const legacy = { task_id: taskId, task_status: "SUCCEEDED", ...times, results: [{ url: PNG, orig_prompt: "a" }] };
    expect(read({ output: legacy, usage: { image_count: 1 } }, { taskId })).toMatchObject({ links: [PNG] });
    const modern = { task_id: taskId, task_status: "SUCCEEDED", choices: [choice({ type: "image", image: PNG })] };
    expect(read({ output: modern }, { taskId })).toMatchObject({ kind: "delivered", links: [PNG] });
  });

  it("delivers the images that succeeded, and reports why the others are missing", () => {
    const results = [{ url: A }, { code: "DataInspectionFailed", message: "Output data may …" }, { url: B }];
    const answer = read({ output: { task_id: taskId, task_status: "SUCCEEDED", results } }, { taskId });
    expect(answer).toMatchObject({
      kind: "delivered",
      links: [A, B],
      report: { code: "DataInspectionFailed", message: "Output data may …" },
    });
  });

  it("fails with the cause when every image of a succeeded task was refused", () => {
    const results = [{ code: "DataInspectionFailed", message: "Output data may …" }];
    const answer = read({ output: { task_id: taskId, task_status: "SUCCEEDED", results } }, { taskId });
    expect(answer).toMatchObject({ kind: "failed", failure: { jobCode: "content_rejected", mayBeBilled: false } });
  });

  it("fails with the task's own code", () => {
    const output = { task_id: taskId, task_status: "FAILED", ...times, code: "InvalidParameter", message: "wrong" };
    const answer = read({ request_id: "c61fe158", output }, { taskId });
    expect(answer).toMatchObject({
      kind: "failed",
      failure: { jobCode: "invalid_request", report: { code: "InvalidParameter", message: "wrong", taskId } },
    });
  });

  it("distinguishes a failed task without a code, a canceled task and an empty success", () => {
    const failed = read({ output: { task_status: "FAILED" } }, { taskId });
    expect(failed).toMatchObject({ kind: "failed", failure: { disposition: "retry", maxRepeats: 1 } });
    const canceled = read({ output: { task_status: "CANCELED" } }, { taskId });
    expect(canceled).toMatchObject({ kind: "task_canceled", failure: { fault: "none", mayBeBilled: false } });
    const empty = read({ output: { task_status: "SUCCEEDED", results: [] } }, { taskId });
    expect(empty).toMatchObject({ kind: "failed", failure: { mayBeBilled: true } });
  });

  it("waits for the end of a task that shows its first images", () => {
    const output = { task_id: taskId, task_status: "RUNNING", ...times, results: [{ url: A }] };
    expect(read({ output }, { taskId })).toMatchObject({ kind: "pending", taskStatus: "RUNNING" });
  });

  it("reports an unknown task as lost and perhaps billed", () => {
    const answer = read({ request_id: "85c25460", output: { task_id: taskId, task_status: "UNKNOWN" } }, { taskId });
    expect(answer).toMatchObject({ kind: "task_lost", failure: { mayBeBilled: true, fault: "none" } });
  });

  it.each<[string, unknown, Partial<HttpAnswer>]>([
    ["a 401", { code: "InvalidApiKey", message: "…" }, { httpStatus: 401 }],
    ["a 403 page", "<html>", { httpStatus: 403 }],
    ["a 404", "", { httpStatus: 404 }],
    ["a 429", { code: "Throttling", message: "…" }, { httpStatus: 429 }],
    ["a 500", { code: "InternalError", message: "…" }, { httpStatus: 500 }],
    ["a 200 with a code", { code: "InvalidParameter", message: "…" }, {}],
    ["a page with 200", "<html>", {}],
    ["an answer without a status", { output: { task_id: taskId } }, {}],
    ["a redirect", "", { httpStatus: 307 }],
    ["an endless answer", "", { text: null }],
  ])("keeps the task after %s, because it may still run", (_what, body, answer) => {
    expect(read(body, { taskId, ...answer })).toMatchObject({ kind: "unreadable", failure: { mayBeBilled: true } });
  });
});

describe("retryAfterMs", () => {
  const now = Date.parse("2026-11-23T12:00:00Z");

  it.each([
    ["30", 30_000],
    [" 0 ", 0],
    ["Mon, 23 Nov 2026 12:00:30 GMT", 30_000],
    ["Mon, 23 Nov 2026 11:00:00 GMT", 0],
    [null, null],
    ["", null],
    ["soon", null],
    ["-5", null],
    ["1.5", null],
    ["1e9", null],
    ["2026", 2_026_000],
    ["10000000000", 10_000_000_000_000],
    ["99999999999999999999", Number.MAX_SAFE_INTEGER],
  ])("%j → %j", (header, expected) => {
    expect(retryAfterMs(header, now)).toBe(expected);
  });
});

describe("keyMask", () => {
  const KEY = 'sk-0aB+/=&<>"%9zY.(x)[y]$^';
  const mask = keyMask(KEY);
  const base64 = (text: string) => Buffer.from(text).toString("base64");

  it.each([
    ["as it is", KEY],
    ["in capitals", KEY.toUpperCase()],
    ["in an address", encodeURIComponent(KEY)],
    ["in an address, escaped in part", new URL(`https://a.example/?k=${KEY}`).search.slice(3)],
    ["in lower-case escapes", encodeURIComponent(KEY).replace(/%../g, (code) => code.toLowerCase())],
    ["in hex", Buffer.from(KEY).toString("hex")],
    ["in HEX", Buffer.from(KEY).toString("hex").toUpperCase()],
  ])("removes the key %s", (_form, written) => {
    expect(mask(`key ${written}, and ${written}.`)).toBe("key [key], and [key].");
  });

  it.each(["", "x", "xx", "Bearer ", ":", "user:"])("removes the key from the base64 of %j and the key", (before) => {
    for (const encoding of ["base64", "base64url"] as const) {
      const masked = mask(`said ${Buffer.from(`${before}${KEY} after`).toString(encoding)}`);
      expect(masked).toContain("[key]");
      expect(Buffer.from(masked.slice(5), "base64").toString("latin1")).not.toContain(KEY.slice(4, 8));
    }
  });

  it("leaves everything else unchanged", () => {
    for (const text of ["", KEY.slice(1), base64(KEY.slice(3)), "键 无效", "a".repeat(100_000)])
      expect(mask(text)).toBe(text);
  });

  it("removes a key that is too short for encoded forms only in its plain form", () => {
    expect(keyMask("k1")("k1 K1 6b31 azE=")).toBe("[key] K1 6b31 azE=");
  });
});
