import { describe, expect, it } from "vitest";
import { JobErrorCode } from "../../../schemas/job.ts";
import { PROBLEMS, type ProblemCode } from "../../../schemas/problem.ts";
import { failureOf, parseWireStamp, takenBody, taskStatus, wireError, wireTime } from "./dashscope-wire.ts";
import { failedAnswer, imagesAnswer, jobCounts, openaiError, openaiRequest, paramOf } from "./openai-wire.ts";

const attempt = (httpStatus: number | null) => ({
  number: 1,
  startedAt: "2026-11-28T09:00:00.000Z",
  finishedAt: null,
  durationMs: null,
  outcome: "failed" as const,
  counted: true,
  mayBeBilled: false,
  stillOpen: false,
  upstream: { httpStatus, code: null, message: null, requestId: null, taskId: null },
  retryAt: null,
});

const failed = (code: JobErrorCode, upstream: string | null, httpStatus: number | null) => ({
  status: "failed" as const,
  attempts: [attempt(httpStatus)],
  error: { code, message: "m", hint: "h", upstream: upstream === null ? null : { code: upstream, requestId: null } },
});

describe("DashScope's wire", () => {
  it("keeps the used parts of a body, each value in its place", () => {
    const body = {
      model: "qwen-image-max",
      stream: false,
      input: {
        messages: [
          {
            role: "user",
            name: "x",
            content: [
              { type: "image", image: "a" },
              { type: "text", text: "t" },
            ],
          },
        ],
        ref_img: "b",
        negative_prompt: null,
      },
      parameters: { size: "1328*1328", n: null, style: "<auto>" },
      priority: "high",
    };
    expect(takenBody(body)).toEqual({
      body: {
        model: "qwen-image-max",
        input: { messages: [{ role: "user", content: [{ image: "a" }, { text: "t" }] }] },
        parameters: { size: "1328*1328" },
        priority: "high",
      },
      ignored: ["stream", "ref_img", "style"],
    });
  });

  it("passes on a body that is no object, which the check refuses", () => {
    for (const body of [null, 3, "text", []]) expect(takenBody(body).body).toBe(body);
    expect(takenBody({ input: 3, parameters: [] }).body).toEqual({ input: 3, parameters: [] });
  });

  it("writes and reads moments in UTC+8", () => {
    expect(wireTime(Date.parse("2026-11-28T17:59:59.007Z"))).toBe("2026-11-29 01:59:59.007");
    expect(parseWireStamp("20261129015959")).toBe(Date.parse("2026-11-28T17:59:59.000Z"));
    for (const text of ["", "2026-11-29", "20261399000000", "202611290159"]) expect(parseWireStamp(text)).toBeNull();
  });

  it("calls a job PENDING only while it is queued without an attempt", () => {
    expect(taskStatus("queued", 0)).toBe("PENDING");
    expect(taskStatus("queued", 1)).toBe("RUNNING");
    expect(taskStatus("retrying", 1)).toBe("RUNNING");
    expect(taskStatus("running", 1)).toBe("RUNNING");
  });

  it("gives a failure upstream's own code and status, unless clients repeat on that status", () => {
    expect(failureOf(failed("content_rejected", "IPInfringementSuspect", 400))).toMatchObject({
      status: 400,
      code: "IPInfringementSuspect",
    });
    expect(failureOf(failed("attempts_exhausted", "Throttling", 429))).toMatchObject({
      status: 424,
      code: "Throttling",
    });
    expect(failureOf(failed("attempts_exhausted", null, 400))).toMatchObject({ status: 424, code: "InternalError" });
    expect(failureOf(failed("budget_exceeded", null, 500))).toMatchObject({ status: 402, code: "budget_exceeded" });
  });

  it.each(JobErrorCode.options)("answers no failure with a status on which clients repeat: %s", (code) => {
    for (const status of [null, 400, 401, 403, 408, 409, 425, 429, 500, 502, 503, 504, 522, 524]) {
      const answer = failureOf(failed(code, "Throttling", status));
      expect([400, 402, 403, 404, 424]).toContain(answer.status);
    }
  });

  it("never reports to a client that upstream refused the key, which is the deployment's", () => {
    const answer = failureOf(failed("deadline_exceeded", "InvalidApiKey", 401));
    expect(answer).toMatchObject({ status: 424, code: "InternalError.Timeout" });
  });

  it("has a code and a fitting status for every refusal", () => {
    for (const [code, [status]] of Object.entries(PROBLEMS)) {
      const error = wireError(code as ProblemCode, status);
      expect(error.code).not.toBe("");
      expect(Math.floor(error.status / 100)).toBe(Math.floor(status / 100));
    }
    expect(wireError("unauthorized", 401)).toEqual({ status: 401, code: "InvalidApiKey" });
    expect(wireError("rate_limited", 429)).toEqual({ status: 429, code: "Throttling.RateQuota" });
    expect(wireError("too_many_pending_jobs", 429)).toEqual({ status: 429, code: "Throttling.RateQuota" });
    expect(wireError("idempotency_key_reused", 422)).toEqual({ status: 400, code: "InvalidParameter" });
  });
});

describe("OpenAI's wire", () => {
  const json = (value: unknown) => openaiRequest("image-from-text", { kind: "json", value });

  it("reads the options of the answer, in JSON and in a form", () => {
    const options = { responseFormat: "b64_json", outputFormat: "webp", outputCompression: 50, stream: true };
    const given = { response_format: "b64_json", output_format: "webp", output_compression: 50, stream: true };
    expect(json({ prompt: "p", ...given })).toMatchObject({ options, ignored: [] });
    const parts = Object.entries({ prompt: "p", ...given }).map(([name, value]) => [name, String(value)] as const);
    expect(openaiRequest("image-from-reference", { kind: "form", parts })).toMatchObject({ options });
  });

  it.each([
    [{ mask: "x" }, "mask"],
    [{ background: "transparent" }, "background"],
    [{ n: 0 }, "n"],
    [{ n: 1.5 }, "n"],
    [{ n: "many" }, "n"],
    [{ stream: "maybe" }, "stream"],
    [{ output_compression: 101 }, "output_compression"],
  ])("refuses %j with its name as param", (given, param) => {
    expect(json({ prompt: "p", ...given })).toMatchObject({ param });
  });

  it("treats null as absent", () => {
    const given = { mask: null, background: null, n: null, stream: null, size: null, response_format: null };
    expect(json({ prompt: "p", ...given })).toMatchObject({
      found: { given: [{ field: "prompt", value: "p" }], errors: [] },
      options: { responseFormat: null, stream: false },
    });
  });

  it("splits images over jobs", () => {
    expect(jobCounts(5, 2)).toEqual([2, 2, 1]);
    expect(jobCounts(4, 2)).toEqual([2, 2]);
    expect(jobCounts(1, 6)).toEqual([1]);
  });

  it("names the parameter that a pointer refers to", () => {
    expect(["/size", "/image[]/0", "/image/0", "", undefined].map(paramOf)).toEqual([
      "size",
      "image",
      "image",
      null,
      null,
    ]);
  });

  it("has a type for every refusal", () => {
    for (const [code, [status]] of Object.entries(PROBLEMS)) {
      expect(openaiError(code as ProblemCode, status, "m", undefined).type).toMatch(/_error$|_quota$/);
    }
    expect(openaiError("unauthorized", 401, "m", undefined)).toMatchObject({ code: "invalid_api_key" });
  });

  it("never answers a failed job with a status on which clients repeat", () => {
    expect(failedAnswer([failed("attempts_exhausted", "Throttling", 429)]).status).toBe(424);
    expect(failedAnswer([failed("content_rejected", null, 400)])).toMatchObject({
      status: 400,
      error: { code: "moderation_blocked" },
    });
  });

  it("answers a job over its client's spend limit with 402", () => {
    expect(failedAnswer([failed("budget_exceeded", null, null)])).toMatchObject({
      status: 402,
      error: { type: "insufficient_quota" },
    });
  });

  it("gives as the reason for no image the first failure, else that a job was canceled, else that the images were removed", () => {
    const canceled = { status: "canceled", error: null } as const;
    const succeeded = { status: "succeeded", error: null } as const;
    const codeOf = (...views: Parameters<typeof failedAnswer>[0]) => failedAnswer(views).error.code;
    expect(codeOf(canceled, failed("invalid_request", null, 400))).toBe("invalid_request");
    expect(codeOf(succeeded, canceled)).toBe("job_canceled");
    expect(codeOf(succeeded)).toBe("job_gone");
  });

  const image = (url: string) => ({ url, contentType: "image/png", width: 8, height: 4 });

  it.each([["url"], ["b64_json"], [null]] as const)("is JSON around the base64 of each image, for %s", (format) => {
    const texts = imagesAnswer([image("u1"), image("u2")], 7, format);
    expect(texts).toHaveLength(format === "url" ? 1 : 3);
    const answer = JSON.parse(`${texts.join("QUJD")}}`) as object;
    const data = ["u1", "u2"].map((url) => ({
      ...(format === "b64_json" ? {} : { url }),
      ...(format === "url" ? {} : { b64_json: "QUJD" }),
    }));
    expect(answer).toEqual({ created: 7, background: "opaque", output_format: "png", size: "8x4", data });
  });
});
