import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { laneStub } from "../stubs.ts";
import { laneOf, type Spoil, SYNC_MODEL, TASK_MODEL, testJob, withoutJitter } from "./job.fixture.ts";

beforeEach(withoutJitter);

type Fault = Spoil["fault"];
const error = (code: string, more: object = {}): Fault => ({ type: "error", code, ...more });

/** The fault of the first call; then the attempt's `httpStatus`, `code` and `mayBeBilled`. */
type Row = readonly [name: string, fault: Fault, httpStatus: number | null, code: string | null, mayBeBilled: boolean];

const WORTH_REPEATING: readonly Row[] = [
  ["InternalError", error("InternalError"), 500, "InternalError", false],
  ["InternalError.Algo", error("InternalError.Algo"), 500, "InternalError.Algo", false],
  ["InternalError.FileUpload", error("InternalError.FileUpload"), 500, "InternalError.FileUpload", false],
  ["InternalError.Upload", error("InternalError.Upload"), 500, "InternalError.Upload", false],
  ["InternalError.Timeout", error("InternalError.Timeout"), 500, "InternalError.Timeout", false],
  ["SystemError", error("SystemError"), 500, "SystemError", false],
  ["ModelServiceFailed", error("ModelServiceFailed"), 500, "ModelServiceFailed", false],
  ["RewriteFailed", error("RewriteFailed"), 500, "RewriteFailed", false],
  ["RequestTimeOut", error("RequestTimeOut"), 500, "RequestTimeOut", false],
  ["ModelServingError", error("ModelServingError"), 503, "ModelServingError", false],
  ["ModelServingError with 500", error("ModelServingError", { status: 500 }), 500, "ModelServingError", false],
  ["ModelUnavailable", error("ModelUnavailable"), 503, "ModelUnavailable", false],
  ["a 5xx with a code of tomorrow", error("Tomorrow", { status: 507 }), 507, "Tomorrow", false],
  ["an HTML page with 500", { type: "html", status: 500 }, 500, null, true],
  ["an HTML page with 502", { type: "html", status: 502 }, 502, null, true],
  ["an HTML page with 503", { type: "html", status: 503 }, 503, null, true],
  ["an HTML page with 504", { type: "html", status: 504 }, 504, null, true],
  ["an HTML page with 522", { type: "html", status: 522 }, 522, null, true],
  ["an HTML page with 524", { type: "html", status: 524 }, 524, null, true],
  ["503 with an empty body", { type: "empty-body", status: 503 }, 503, null, true],
  ["200 with an empty body", { type: "empty-body" }, 200, null, true],
  ["200 with an empty body, billed", { type: "empty-body", billed: true }, 200, null, true],
  ["200 with a code", { type: "code-in-200" }, 200, "InternalError.Algo", false],
  ["200 with a code of tomorrow", { type: "code-in-200", code: "Tomorrow" }, 200, "Tomorrow", false],
  ["200 with no image", { type: "empty-content" }, 200, null, true],
  ["200 with no image, billed", { type: "empty-content", billed: true }, 200, null, true],
  ["200 with JSON that ends too early", { type: "bad-json" }, 200, null, true],
  ["200 with JSON that ends too early, billed", { type: "bad-json", billed: true }, 200, null, true],
  ["200 with HTML", { type: "html", status: 200 }, 200, null, true],
  ["an answer of 60 MB", { type: "huge" }, 200, null, true],
  ["a connection cut before anything was made", { type: "cut-before-billing" }, null, null, true],
  ["a connection cut after the image was billed", { type: "cut-after-billing" }, null, null, true],
  ["a connection cut amid the answer", { type: "cut-after-billing", partial: true }, null, null, true],
  [
    "BadRequest.InputDownloadFailed",
    error("BadRequest.InputDownloadFailed"),
    400,
    "BadRequest.InputDownloadFailed",
    false,
  ],
  ["InvalidURL", error("InvalidURL"), 400, "InvalidURL", false],
  ["InvalidURL.Timeout", error("InvalidURL.Timeout"), 400, "InvalidURL.Timeout", false],
  ["InvalidURL.ConnectionRefused", error("InvalidURL.ConnectionRefused"), 400, "InvalidURL.ConnectionRefused", false],
  [
    "InvalidParameter.DataInspection",
    error("InvalidParameter.DataInspection"),
    400,
    "InvalidParameter.DataInspection",
    false,
  ],
];

const BILLED_FIRST: readonly string[] = ["billed", "amid the answer"];

describe("a failure that is worth repeating", () => {
  it.each(WORTH_REPEATING)(
    "%s: counted, tried again, and explained",
    async (name, fault, httpStatus, code, mayBeBilled) => {
      const job = await (await testJob().spoil({ fault })).submit();
      const view = await job.done();
      const { submits, billed } = await job.ledger();
      expect(view.status).toBe("succeeded");
      expect(view.attempts).toMatchObject([
        { outcome: "failed", counted: true, mayBeBilled, stillOpen: false, retryAt: expect.any(String) },
        { outcome: "succeeded", counted: true, retryAt: null },
      ]);
      expect(view.attempts[0]?.upstream).toMatchObject({ httpStatus, code });
      // Upstream's support asks for this id; a cut connection has none to give.
      const requestId = httpStatus === null ? null : submits[0]?.requestId;
      expect(view.attempts[0]?.upstream.requestId).toBe(requestId);
      const told = (await job.events()).find((event) => event.type === "job.retrying");
      expect(told?.data.retryAt).toBe(view.attempts[0]?.retryAt);
      expect(told?.data.reason).toMatch(/^(DashScope|The connection)/);
      expect(submits).toHaveLength(2);
      expect(billed).toHaveLength(BILLED_FIRST.some((words) => name.includes(words)) ? 2 : 1);
      // An image that was billed without an answer is shown as possibly billed.
      if (billed.length === 2) expect(mayBeBilled).toBe(true);
    },
  );
});

const GIVEN_UP: readonly (readonly [
  name: string,
  fault: Fault,
  httpStatus: number,
  code: string | null,
  jobCode: string,
])[] = [
  ["InvalidParameter", error("InvalidParameter"), 400, "InvalidParameter", "invalid_request"],
  [
    "InvalidParameter of a family",
    error("InvalidParameter.Size", { status: 400 }),
    400,
    "InvalidParameter.Size",
    "invalid_request",
  ],
  ["BadRequest.EmptyInput", error("BadRequest.EmptyInput"), 400, "BadRequest.EmptyInput", "invalid_request"],
  [
    "BadRequest.EmptyParameters",
    error("BadRequest.EmptyParameters"),
    400,
    "BadRequest.EmptyParameters",
    "invalid_request",
  ],
  ["BadRequest.EmptyModel", error("BadRequest.EmptyModel"), 400, "BadRequest.EmptyModel", "invalid_request"],
  ["BadRequest.IllegalInput", error("BadRequest.IllegalInput"), 400, "BadRequest.IllegalInput", "invalid_request"],
  ["BadRequest.TooLarge", error("BadRequest.TooLarge"), 400, "BadRequest.TooLarge", "invalid_request"],
  ["413 with HTML", { type: "html", status: 413 }, 413, null, "invalid_request"],
  ["400 with HTML", { type: "html", status: 400 }, 400, null, "invalid_request"],
  [
    "a refused parameter inside an InternalError",
    error("InternalError.Algo.InvalidParameter", { status: 400 }),
    400,
    "InternalError.Algo.InvalidParameter",
    "invalid_request",
  ],
  [
    "moderation inside an InternalError",
    error("InternalError.Algo.DataInspectionFailed", { status: 400 }),
    400,
    "InternalError.Algo.DataInspectionFailed",
    "content_rejected",
  ],
  [
    "an InternalError of tomorrow with 400",
    error("InternalError.Tomorrow", { status: 400 }),
    400,
    "InternalError.Tomorrow",
    "invalid_request",
  ],
  ["an unknown model", error("InvalidParameter", { status: 404 }), 404, "InvalidParameter", "model_unavailable"],
  ["UnsupportedOperation", error("UnsupportedOperation"), 400, "UnsupportedOperation", "invalid_request"],
  ["InvalidImage.FileFormat", error("InvalidImage.FileFormat"), 400, "InvalidImage.FileFormat", "invalid_image"],
  ["InvalidImageFormat", error("InvalidImageFormat"), 400, "InvalidImageFormat", "invalid_image"],
  ["InvalidImageResolution", error("InvalidImageResolution"), 400, "InvalidImageResolution", "invalid_image"],
  ["InvalidFile.Content", error("InvalidFile.Content", { status: 400 }), 400, "InvalidFile.Content", "invalid_image"],
  ["moderation of the prompt", error("DataInspectionFailed"), 400, "DataInspectionFailed", "content_rejected"],
  [
    "moderation of the result",
    error("DataInspectionFailed", { afterWork: true, message: "Output data may contain inappropriate content." }),
    400,
    "DataInspectionFailed",
    "content_rejected",
  ],
  [
    "moderation with 200",
    { type: "code-in-200", code: "DataInspectionFailed" },
    200,
    "DataInspectionFailed",
    "content_rejected",
  ],
  ["IPInfringementSuspect", error("IPInfringementSuspect"), 400, "IPInfringementSuspect", "content_rejected"],
  ["CustomRoleBlocked", error("CustomRoleBlocked"), 400, "CustomRoleBlocked", "content_rejected"],
  ["FaqRuleBlocked", error("FaqRuleBlocked"), 400, "FaqRuleBlocked", "content_rejected"],
  ["AccessDenied", error("AccessDenied"), 403, "AccessDenied", "model_unavailable"],
  ["ModelNotFound", error("ModelNotFound"), 404, "ModelNotFound", "model_unavailable"],
  ["NotFound", error("NotFound"), 404, "NotFound", "model_unavailable"],
  ["a 4xx with a code of tomorrow", error("Tomorrow", { status: 418 }), 418, "Tomorrow", "upstream_rejected"],
];

describe("a failure that no repetition can change", () => {
  it.each(GIVEN_UP)("%s: fails at once, unbilled, with what to do", async (_name, fault, httpStatus, code, jobCode) => {
    const job = await (await testJob().spoil({ fault })).submit();
    const view = await job.done();
    const { submits, billed } = await job.ledger();
    expect(view.status).toBe("failed");
    expect(view.attempts).toMatchObject([
      {
        outcome: "failed",
        counted: true,
        mayBeBilled: false,
        stillOpen: false,
        retryAt: null,
        upstream: { httpStatus, code },
      },
    ]);
    expect(view.error).toMatchObject({ code: jobCode, upstream: { code, requestId: submits[0]?.requestId } });
    expect(view.error?.message).toMatch(/^DashScope/);
    expect(view.error?.hint).not.toBe("");
    expect(submits).toHaveLength(1);
    expect(billed).toEqual([]);
  });
});

describe("failures of single requests", () => {
  it.each<readonly [string, (message: string) => Fault, string, string]>([
    ["with 400", (code) => error(code, { status: 400 }), SYNC_MODEL, "invalid_request"],
    ["in FAILED tasks", (code) => ({ type: "task-failed", code }), TASK_MODEL, "invalid_request"],
  ])("%s take one attempt each and leave the lane open", async (_name, faultOf, model, jobCode) => {
    for (let count = 0; count < 6; count++) {
      const job = testJob({ model });
      await (await job.spoil({ fault: faultOf("InternalError.Algo.InvalidParameter") })).submit();
      const view = await job.done();
      expect(view).toMatchObject({ status: "failed", error: { code: jobCode } });
      expect((await job.ledger()).submits).toHaveLength(1);
    }
    expect((await laneStub(env, laneOf(model)).report()).mode).toBe("open");
  });
});

describe("throttled by upstream", () => {
  it.each<readonly [name: string, fault: Fault, code: string | null]>([
    ["Throttling.RateQuota", error("Throttling.RateQuota"), "Throttling.RateQuota"],
    ["Throttling.BurstRate", error("Throttling.BurstRate"), "Throttling.BurstRate"],
    ["Throttling", error("Throttling"), "Throttling"],
    ["Throttling of tomorrow", error("Throttling.Tomorrow", { status: 429 }), "Throttling.Tomorrow"],
    ["429 with HTML", { type: "html", status: 429 }, null],
  ])("%s: queued again in its old place, not counted, and started again by its lane", async (_name, fault, code) => {
    // With maxAttempts 1 there would be no second attempt if the throttled one counted.
    const job = await (await testJob({ maxAttempts: 1 }).spoil({ fault })).submit();
    const view = await job.done();
    expect(view.status).toBe("succeeded");
    expect(view.attempts).toMatchObject([
      { outcome: "throttled", counted: false, mayBeBilled: false, upstream: { httpStatus: 429, code } },
      { outcome: "succeeded", counted: true },
    ]);
    expect((await job.eventTypes()).slice(0, 5)).toEqual([
      "job.queued",
      "attempt.started",
      "attempt.finished",
      "job.queued",
      "attempt.started",
    ]);
    expect((await job.ledger()).billed).toHaveLength(1);
  });

  it("Throttling.AllocationQuota: waits a minute at least, and shows what it waits for", async () => {
    // A lane of its own, because it is held for longer than any test.
    const job = testJob({ model: "qwen-image-plus-2026-01-09", size: "1328*1328" });
    await (await job.spoil({ fault: error("Throttling.AllocationQuota") })).submit();
    const view = await job.until(
      "put back",
      ({ status, queue, attempts }) => status === "queued" && attempts.length === 1 && queue?.position != null,
    );
    expect(view.attempts).toMatchObject([{ outcome: "throttled", counted: false }]);
    expect(view.queue).toMatchObject({ position: 1, waitingOn: "quota" });
    const startAtMs = Date.parse(view.queue?.estimatedStartAt ?? "");
    expect(startAtMs - Date.parse(view.attempts[0]?.finishedAt ?? "")).toBeGreaterThanOrEqual(60_000);
    await job.rpc.cancel(null);
  });
});

describe("refused because of the account or the deployment", () => {
  afterEach(async () => {
    // Unblocks the lane for the next row, as a successful attempt would.
    await laneStub(env, laneOf(SYNC_MODEL)).observe({ kind: "succeeded", durationMs: 0 });
  });

  it.each<readonly [name: string, fault: Fault, httpStatus: number, code: string | null, hint: RegExp]>([
    [
      "InvalidApiKey",
      error("InvalidApiKey"),
      401,
      "InvalidApiKey",
      /the region must match: this deployment calls QWEN_REGION=sg/,
    ],
    ["NOT AUTHORIZED", error("NOT AUTHORIZED"), 401, "NOT AUTHORIZED", /QWEN_API_KEY/],
    ["401 with no body", { type: "empty-body", status: 401 }, 401, null, /QWEN_API_KEY/],
    [
      "AccessDenied.Unpurchased",
      error("AccessDenied.Unpurchased"),
      403,
      "AccessDenied.Unpurchased",
      /Model Studio console/,
    ],
    ["Model.AccessDenied", error("Model.AccessDenied"), 403, "Model.AccessDenied", /Model Studio console/],
    ["Workspace.AccessDenied", error("Workspace.AccessDenied"), 403, "Workspace.AccessDenied", /Model Studio console/],
    ["App.AccessDenied", error("App.AccessDenied"), 403, "App.AccessDenied", /Model Studio console/],
    ["FreeTierOnly", error("AllocationQuota.FreeTierOnly"), 403, "AllocationQuota.FreeTierOnly", /free quota only/],
    [
      "AllocationQuota.Exceeded",
      error("AllocationQuota.Exceeded", { status: 403 }),
      403,
      "AllocationQuota.Exceeded",
      /balance/,
    ],
    ["WorkSpaceNotFound", error("WorkSpaceNotFound"), 404, "WorkSpaceNotFound", /QWEN_BASE_URL/],
    ["Arrearage", error("Arrearage"), 400, "Arrearage", /Billing/],
    ["CommodityNotPurchased", error("CommodityNotPurchased"), 429, "CommodityNotPurchased", /Billing/],
    ["PrepaidBillOverdue", error("PrepaidBillOverdue"), 429, "PrepaidBillOverdue", /Billing/],
    ["PostpaidBillOverdue", error("PostpaidBillOverdue"), 429, "PostpaidBillOverdue", /Billing/],
    ["a redirect", { type: "redirect" }, 302, null, /QWEN_BASE_URL/],
    ["404 with HTML", { type: "html", status: 404 }, 404, null, /QWEN_BASE_URL/],
  ])("%s: blocks the lane, and no job fails or is counted for it", async (_name, fault, httpStatus, code, hint) => {
    const job = await (await testJob({ maxAttempts: 1 }).spoil({ fault })).submit();
    const view = await job.until("blocked", ({ queue }) => queue?.waitingOn === "blocked");
    expect(view.status).toBe("queued");
    expect(view.attempts).toMatchObject([
      { outcome: "blocked", counted: false, mayBeBilled: false, upstream: { httpStatus, code } },
    ]);
    expect(view.queue?.detail).toMatch(hint);
    // Another job of the lane waits too, and shows why.
    const other = await testJob().submit();
    const waiting = await other.until("blocked", ({ queue }) => queue?.waitingOn === "blocked");
    expect(waiting).toMatchObject({ status: "queued", attempts: [] });
    expect(waiting.queue?.detail).toMatch(hint);
    const { submits, billed } = await job.ledger();
    expect([submits.length, billed.length]).toEqual([1, 0]);
    await Promise.all([job.rpc.cancel(null), other.rpc.cancel(null)]);
  });

  it("starts again by itself at the first success", async () => {
    const job = await (await testJob().spoil({ fault: error("InvalidApiKey") })).submit();
    await job.until("blocked", ({ queue }) => queue?.waitingOn === "blocked");
    await laneStub(env, laneOf(SYNC_MODEL)).observe({ kind: "succeeded", durationMs: 0 });
    const view = await job.done();
    expect(view.attempts.map(({ outcome, counted }) => [outcome, counted])).toEqual([
      ["blocked", false],
      ["succeeded", true],
    ]);
  });
});

describe("attempts that all fail", () => {
  it("end with attempts_exhausted, the last cause, and upstream's id", async () => {
    const job = await (
      await testJob({ maxAttempts: 2 }).spoil({ fault: error("ModelUnavailable"), times: null })
    ).submit();
    const view = await job.done();
    const { submits } = await job.ledger();
    expect(submits).toHaveLength(2);
    expect(view.error).toMatchObject({
      code: "attempts_exhausted",
      message: expect.stringMatching(/^All 2 attempts failed; the last: .*ModelUnavailable/),
      upstream: { code: "ModelUnavailable", requestId: submits[1]?.requestId },
    });
    expect(view.expiresAt).not.toBeNull();
  });

  it("end sooner where a failure is worth one repetition only", async () => {
    const job = await (await testJob().spoil({ fault: error("RequestTimeOut"), times: null })).submit();
    const view = await job.done();
    expect((await job.ledger()).submits).toHaveLength(2);
    expect(view).toMatchObject({ status: "failed", error: { code: "attempts_exhausted" } });
  });
});
