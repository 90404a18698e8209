import { describe, expect, it } from "vitest";
import type { JobErrorCode } from "../../schemas/job.ts";
import { classify, type UpstreamProblem } from "./classify.ts";
import type { Failure } from "./contract.ts";
import { type FailureRule, RULES } from "./failure-table.ts";

const context = { region: "sg", host: "dashscope-intl.aliyuncs.com" } as const;

function report(httpStatus: number | null, code: string | null, message: string | null = null) {
  return { httpStatus, code, message, requestId: "req-1", taskId: null };
}

function refused(httpStatus: number, code: string | null, retryAfterMs: number | null = null): Failure {
  return classify("refused", report(httpStatus, code), retryAfterMs, context);
}

type Row = [
  httpStatus: number,
  code: string | null,
  disposition: Failure["disposition"],
  jobCode: JobErrorCode,
  fault: Failure["fault"],
  maxRepeats: number | null,
  mayBeBilled: boolean,
];

const give_up = "give_up";
const put_back = "put_back";
const retry = "retry";
const block = "block";

/** Every row of the vendor's table, unknown codes by status, and bodies without a code. */
const ROWS: Row[] = [
  [400, "InvalidParameter", give_up, "invalid_request", "request", null, false],
  [400, "BadRequest.EmptyInput", give_up, "invalid_request", "request", null, false],
  [400, "BadRequest.EmptyParameters", give_up, "invalid_request", "request", null, false],
  [400, "BadRequest.EmptyModel", give_up, "invalid_request", "request", null, false],
  [400, "BadRequest.IllegalInput", give_up, "invalid_request", "request", null, false],
  [400, "BadRequest.TooLarge", give_up, "invalid_request", "request", null, false],
  [400, "BadRequest.SomethingNew", give_up, "invalid_request", "request", null, false],
  [400, "InvalidParameter.SomethingNew", give_up, "invalid_request", "request", null, false],
  [400, "BadRequest.InputDownloadFailed", retry, "image_unreachable", "request", 1, false],
  [400, "InvalidURL", retry, "image_unreachable", "request", 1, false],
  [400, "InvalidURL.Timeout", retry, "image_unreachable", "request", 1, false],
  [400, "InvalidURL.ConnectionRefused", retry, "image_unreachable", "request", 1, false],
  [400, "InvalidParameter.DataInspection", retry, "image_unreachable", "request", 1, false],
  [400, "InvalidImage.FileFormat", give_up, "invalid_image", "request", null, false],
  [400, "InvalidImageFormat", give_up, "invalid_image", "request", null, false],
  [400, "InvalidImageResolution", give_up, "invalid_image", "request", null, false],
  [400, "InvalidFile.Size", give_up, "invalid_image", "request", null, false],
  [400, "DataInspectionFailed", give_up, "content_rejected", "request", null, false],
  [400, "IPInfringementSuspect", give_up, "content_rejected", "request", null, false],
  [400, "CustomRoleBlocked", give_up, "content_rejected", "request", null, false],
  [400, "FaqRuleBlocked", give_up, "content_rejected", "request", null, false],
  [400, "Arrearage", block, "upstream_rejected", "account", null, false],
  [400, "UnsupportedOperation", give_up, "invalid_request", "request", null, false],
  [401, "InvalidApiKey", block, "upstream_rejected", "account", null, false],
  [401, "NOT AUTHORIZED", block, "upstream_rejected", "account", null, false],
  [403, "AccessDenied", give_up, "model_unavailable", "request", null, false],
  [403, "AccessDenied.Unpurchased", block, "upstream_rejected", "account", null, false],
  [403, "Model.AccessDenied", block, "upstream_rejected", "account", null, false],
  [403, "Workspace.AccessDenied", block, "upstream_rejected", "account", null, false],
  [403, "App.AccessDenied", block, "upstream_rejected", "account", null, false],
  [403, "AllocationQuota.FreeTierOnly", block, "upstream_rejected", "account", null, false],
  [404, "ModelNotFound", give_up, "model_unavailable", "request", null, false],
  [404, "WorkSpaceNotFound", block, "upstream_rejected", "account", null, false],
  [404, "NotFound", give_up, "model_unavailable", "request", null, false],
  [429, "Throttling.RateQuota", put_back, "attempts_exhausted", "account", null, false],
  [429, "Throttling.BurstRate", put_back, "attempts_exhausted", "account", null, false],
  [429, "Throttling", put_back, "attempts_exhausted", "account", null, false],
  [429, "Throttling.AllocationQuota", put_back, "attempts_exhausted", "account", null, false],
  [429, "CommodityNotPurchased", block, "upstream_rejected", "account", null, false],
  [429, "PrepaidBillOverdue", block, "upstream_rejected", "account", null, false],
  [429, "PostpaidBillOverdue", block, "upstream_rejected", "account", null, false],
  [500, "InternalError", retry, "attempts_exhausted", "upstream", 3, false],
  [500, "InternalError.Algo", retry, "attempts_exhausted", "upstream", 3, false],
  [500, "InternalError.FileUpload", retry, "attempts_exhausted", "upstream", 3, false],
  [500, "InternalError.Upload", retry, "attempts_exhausted", "upstream", 3, false],
  [500, "SystemError", retry, "attempts_exhausted", "upstream", 3, false],
  [500, "ModelServiceFailed", retry, "attempts_exhausted", "upstream", 3, false],
  [500, "RewriteFailed", retry, "attempts_exhausted", "upstream", 3, false],
  [500, "InternalError.Timeout", retry, "attempts_exhausted", "upstream", 1, false],
  [500, "RequestTimeOut", retry, "attempts_exhausted", "upstream", 1, false],
  [500, "ModelServingError", retry, "attempts_exhausted", "upstream", null, false],
  [503, "ModelServingError", retry, "attempts_exhausted", "upstream", null, false],
  [503, "ModelUnavailable", retry, "attempts_exhausted", "upstream", null, false],
  [403, "AllocationQuota.Exceeded", block, "upstream_rejected", "account", null, false],
  [403, "AllocationQuota.SomethingNew", block, "upstream_rejected", "account", null, false],
  [401, "InvalidApiKey.SomethingNew", block, "upstream_rejected", "account", null, false],
  [400, "Arrearage.SomethingNew", block, "upstream_rejected", "account", null, false],
  // The live answer for an unknown model.
  [404, "InvalidParameter", give_up, "model_unavailable", "request", null, false],
  // The code inside an InternalError decides, with a 4xx, in a failed task (200) and with a 5xx.
  ...[400, 200, 500].flatMap((status): Row[] => [
    [status, "InternalError.Algo.InvalidParameter", give_up, "invalid_request", "request", null, false],
    [status, "InternalError.Algo.DataInspectionFailed", give_up, "content_rejected", "request", null, false],
    [status, "InternalError.Algo.InvalidURL", retry, "image_unreachable", "request", 1, false],
    [status, "InternalError.Algo.InvalidParameter.DataInspection", retry, "image_unreachable", "request", 1, false],
    [status, "InternalError.Algo.InvalidImageFormat", give_up, "invalid_image", "request", null, false],
    [status, "InternalError.DataInspectionFailed", give_up, "content_rejected", "request", null, false],
    [status, "InternalError.Algo.Arrearage", block, "upstream_rejected", "account", null, false],
  ]),
  // A 4xx is never upstream's own failure, with any code.
  [400, "InternalError", give_up, "invalid_request", "request", null, false],
  [400, "InternalError.Algo", give_up, "invalid_request", "request", null, false],
  [400, "InternalError.Algo.SomethingNew", give_up, "invalid_request", "request", null, false],
  [400, "InternalError.Timeout", give_up, "invalid_request", "request", null, false],
  [403, "SystemError", give_up, "model_unavailable", "request", null, false],
  [404, "ModelUnavailable", give_up, "model_unavailable", "request", null, false],
  [409, "ModelServiceFailed", give_up, "upstream_rejected", "request", null, false],
  [429, "ModelServingError", put_back, "attempts_exhausted", "account", null, false],
  [429, "InternalError.Algo.SomethingNew", put_back, "attempts_exhausted", "account", null, false],
  // An algorithm's complaint about one input does not indicate upstream's health.
  [500, "InternalError.Algo.SomethingNew", retry, "attempts_exhausted", "none", 1, false],
  [200, "InternalError.Algo.SomethingNew", retry, "attempts_exhausted", "none", 1, false],
  // A family that blames the caller contradicts a 5xx.
  [500, "InvalidParameter.SomethingNew", retry, "attempts_exhausted", "none", 1, false],
  [503, "AccessDenied.SomethingNew", retry, "attempts_exhausted", "none", 1, false],
  [503, "Throttling.SomethingNew", put_back, "attempts_exhausted", "account", null, false],
  [408, "RequestTimeOut", retry, "attempts_exhausted", "upstream", 1, false],
  // The spellings of the compatible mode.
  [401, "invalid_api_key", block, "upstream_rejected", "account", null, false],
  [400, "data_inspection_failed", give_up, "content_rejected", "request", null, false],
  [404, "model_not_found", give_up, "model_unavailable", "request", null, false],
  [429, "insufficient_quota", put_back, "attempts_exhausted", "account", null, false],
  // An exact code decides with any status: in a failed task it comes with 200.
  [200, "InvalidParameter", give_up, "invalid_request", "request", null, false],
  [200, "DataInspectionFailed", give_up, "content_rejected", "request", null, false],
  [200, "InternalError.Timeout", retry, "attempts_exhausted", "upstream", 1, false],
  [200, "Throttling.RateQuota", put_back, "attempts_exhausted", "account", null, false],
  // Unknown codes by status.
  [200, "SomethingNew", retry, "attempts_exhausted", "none", 1, false],
  [400, "SomethingNew", give_up, "invalid_request", "request", null, false],
  [401, "SomethingNew", block, "upstream_rejected", "account", null, false],
  [402, "SomethingNew", block, "upstream_rejected", "account", null, false],
  [403, "SomethingNew", give_up, "model_unavailable", "request", null, false],
  [404, "SomethingNew", give_up, "model_unavailable", "request", null, false],
  [413, "SomethingNew", give_up, "invalid_request", "request", null, false],
  [418, "SomethingNew", give_up, "upstream_rejected", "request", null, false],
  [422, "SomethingNew", give_up, "invalid_request", "request", null, false],
  [429, "SomethingNew", put_back, "attempts_exhausted", "account", null, false],
  [500, "SomethingNew", retry, "attempts_exhausted", "upstream", 3, false],
  [529, "SomethingNew", retry, "attempts_exhausted", "upstream", 3, false],
  // A gateway's own code, and a status that a gateway repeats as a number.
  [504, "GATEWAY_TIMEOUT", retry, "attempts_exhausted", "upstream", null, true],
  [524, "524", retry, "attempts_exhausted", "upstream", null, true],
  [503, "503", retry, "attempts_exhausted", "upstream", null, true],
  // No code: an HTML page of a gateway or of a wrong host, or nothing at all.
  [200, null, retry, "attempts_exhausted", "none", 1, false],
  [400, null, give_up, "invalid_request", "request", null, false],
  [401, null, block, "upstream_rejected", "account", null, false],
  [403, null, give_up, "model_unavailable", "request", null, false],
  [404, null, block, "upstream_rejected", "account", null, false],
  [405, null, block, "upstream_rejected", "account", null, false],
  [408, null, retry, "attempts_exhausted", "upstream", null, true],
  [413, null, give_up, "invalid_request", "request", null, false],
  [429, null, put_back, "attempts_exhausted", "account", null, false],
  [500, null, retry, "attempts_exhausted", "upstream", null, true],
  [502, null, retry, "attempts_exhausted", "upstream", null, true],
  [503, null, retry, "attempts_exhausted", "upstream", null, true],
  [504, null, retry, "attempts_exhausted", "upstream", null, true],
  // Cloudflare's own pages. After 520, 522, 524 and 527 the request may have been sent; after the others it was not.
  [520, null, retry, "attempts_exhausted", "upstream", null, true],
  [521, null, retry, "attempts_exhausted", "upstream", null, false],
  [522, null, retry, "attempts_exhausted", "upstream", null, true],
  [523, null, retry, "attempts_exhausted", "upstream", null, false],
  [524, null, retry, "attempts_exhausted", "upstream", null, true],
  [525, null, retry, "attempts_exhausted", "upstream", null, false],
  [526, null, retry, "attempts_exhausted", "upstream", null, false],
  [527, null, retry, "attempts_exhausted", "upstream", null, true],
  [599, null, retry, "attempts_exhausted", "upstream", null, true],
  [530, null, retry, "attempts_exhausted", "upstream", null, false],
];

describe("classify", () => {
  it.each(ROWS)("%i %s → %s, %s", (httpStatus, code, disposition, jobCode, fault, maxRepeats, mayBeBilled) => {
    const failure = refused(httpStatus, code);
    expect(failure).toMatchObject({ disposition, jobCode, fault, maxRepeats, mayBeBilled });
    expect(failure.hint).not.toBe("");
  });

  it.each<[UpstreamProblem, Failure["disposition"], Failure["fault"], boolean]>([
    ["noImage", retry, "upstream", true],
    ["badBody", retry, "upstream", true],
    ["tooLarge", retry, "upstream", true],
    ["redirected", block, "account", false],
    ["cut", retry, "upstream", true],
    ["unreadInput", retry, "none", false],
    ["unstored", retry, "none", true],
    ["aborted", retry, "none", true],
    ["taskUnknown", retry, "none", true],
    ["taskCanceled", retry, "none", false],
  ])("%s → %s", (problem, disposition, fault, mayBeBilled) => {
    expect(classify(problem, report(null, null), null, context)).toMatchObject({ disposition, fault, mayBeBilled });
  });

  it("never reads the message: every row is the same with any message", () => {
    const texts = ["Invalid API-key provided.", "Requests rate limit exceeded", "Free allocated quota exceeded.", ""];
    for (const [httpStatus, code] of ROWS) {
      const { report: _, ...verdict } = refused(httpStatus, code);
      for (const text of texts) {
        const other = classify("refused", report(httpStatus, code, text), null, context);
        expect(other).toMatchObject(verdict);
      }
    }
  });

  it("reads codes in any case", () => {
    expect(refused(401, "invalidapikey").disposition).toBe("block");
    expect(refused(429, "throttling.ratequota").disposition).toBe("put_back");
  });

  it("has a hint for a refused key: key and region must match, and which region is set", () => {
    const { hint } = refused(401, "InvalidApiKey");
    expect(hint).toContain("QWEN_REGION=sg (Singapore, host dashscope-intl.aliyuncs.com)");
    expect(hint).toMatch(/QWEN_API_KEY and the region must match/);
  });

  it.each([
    ["Arrearage", "Expenses"],
    ["Model.AccessDenied", "model permissions"],
    ["AllocationQuota.FreeTierOnly", "free quota only"],
    ["WorkSpaceNotFound", "QWEN_BASE_URL"],
  ])("has a hint for %s with the place in the console", (code, where) => {
    expect(refused(403, code).hint).toContain(where);
  });

  it("honours upstream's own wait, up to an hour", () => {
    expect(refused(429, "Throttling", 7000).retryAfterMs).toBe(7000);
    expect(refused(429, "Throttling").retryAfterMs).toBeNull();
    expect(refused(503, null, 9e12).retryAfterMs).toBe(3_600_000);
  });

  it("waits at least a minute after an exceeded allocation", () => {
    expect(refused(429, "Throttling.AllocationQuota").retryAfterMs).toBe(60_000);
    expect(refused(429, "Throttling.AllocationQuota", 90_000).retryAfterMs).toBe(90_000);
  });

  it("names the code, or the status when there is none", () => {
    expect(refused(429, "Throttling").message).toBe("DashScope's rate limit was hit (Throttling)");
    expect(refused(502, null).message).toBe("DashScope's gateway failed (HTTP 502)");
  });

  it("has separate messages for a 524 and a 522", () => {
    expect(refused(524, null).message).toContain("Cloudflare's own limit");
    expect(refused(524, null).hint).toContain("asynchronous model");
    expect(refused(522, null).message).toContain("perhaps after the request was sent");
  });

  it("names each code, family and status in one row only", () => {
    for (const field of ["codes", "families", "statuses", "bareStatuses"] as const) {
      const keys = Object.values<FailureRule>(RULES).flatMap((rule) => [...(rule[field] ?? [])].map(String));
      expect(keys.filter((key, index) => keys.indexOf(key) !== index)).toEqual([]);
    }
  });
});
