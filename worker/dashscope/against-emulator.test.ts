import sharp from "sharp";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { FaultInput } from "../../emulator/core/fault.ts";
import { FaultRule } from "../../emulator/core/fault.ts";
import { type RunningEmulator, startEmulator } from "../../emulator/server.ts";
import type { JobRequest } from "../../schemas/job.ts";
import type { Workflow } from "../../schemas/paths.ts";
import { dashScope } from "./client.ts";
import type { Failure, Upstream, UpstreamAnswer } from "./contract.ts";
import { ModelTable } from "./models.ts";

let emulator: RunningEmulator;
let client: Upstream;
let picture: string;

beforeAll(async () => {
  const settings = {
    latencyMs: 0,
    latencySpread: 0,
    quota: "off",
    images: "small-file",
    gatewayTimeoutMs: 50,
  } as const;
  emulator = await startEmulator({ settings });
  client = dashScope({
    baseUrl: emulator.url,
    apiKey: "sk-test",
    region: "sg",
    models: new ModelTable(),
    now: Date.now,
    fetch: (url, init) => fetch(url, init),
  });
  const png = await sharp({ create: { width: 640, height: 480, channels: 3, background: "teal" } })
    .png()
    .toBuffer();
  picture = `data:image/png;base64,${png.toString("base64")}`;
});
afterEach(() => emulator.state.reset());
afterAll(() => emulator.close());

function generate(model: string, workflow: Workflow, given: Partial<JobRequest> = {}): Promise<UpstreamAnswer> {
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
  const images = workflow === "image-from-reference" ? [picture] : [];
  return client.generate({ model, request, images }, AbortSignal.timeout(20_000));
}

/** The answer, or that of its task once it is no longer pending. */
async function settled(answer: Promise<UpstreamAnswer>): Promise<UpstreamAnswer> {
  const first = await answer;
  if (first.kind !== "accepted") return first;
  let read = await client.readTask(first.taskId, AbortSignal.timeout(20_000));
  while (read.kind === "pending") read = await client.readTask(first.taskId, AbortSignal.timeout(20_000));
  return read;
}

describe.each(new ModelTable().names)("%s", (model) => {
  const facts = new ModelTable().facts(model);
  if (facts === null) throw new Error(model);

  it.each(facts.workflows)("delivers as many images as it may make, by %s", async (workflow) => {
    const { supports, maxN } = facts;
    const answer = await settled(
      generate(model, workflow, {
        n: maxN,
        seed: 7,
        size: facts.sizes.kind === "none" ? null : facts.sizes.default,
        negativePrompt: supports.negativePrompt ? "blurry" : null,
        promptExtend: supports.promptExtend ? false : null,
        watermark: supports.watermark ? true : null,
      }),
    );
    expect(answer).toMatchObject({ kind: "delivered", links: { length: maxN } });
    expect(emulator.state.ledger.summary().billedImages).toBe(maxN);
  });

  it("makes one image when one is requested, whatever its own default", async () => {
    const [workflow = "image-from-text"] = facts.workflows;
    expect(await settled(generate(model, workflow))).toMatchObject({ kind: "delivered", links: { length: 1 } });
  });
});

type Verdict = Partial<Pick<Failure, "disposition" | "fault" | "mayBeBilled">>;
const retry = { disposition: "retry", fault: "upstream" } as const;
const block = { disposition: "block", fault: "account", mayBeBilled: false } as const;
const giveUp = { disposition: "give_up", fault: "request", mayBeBilled: false } as const;

describe("a fault in a synchronous call", () => {
  it.each<[string, FaultInput, Verdict]>([
    ["throttled", { type: "error", code: "Throttling.RateQuota" }, { disposition: "put_back", mayBeBilled: false }],
    ["a refused key", { type: "error", code: "InvalidApiKey" }, block],
    ["arrears", { type: "error", code: "Arrearage" }, block],
    ["no entitlement", { type: "error", code: "AccessDenied.Unpurchased" }, block],
    ["moderation", { type: "error", code: "DataInspectionFailed" }, giveUp],
    ["moderation of the result", { type: "error", code: "DataInspectionFailed", afterWork: true }, giveUp],
    ["an internal error", { type: "error", code: "InternalError" }, { ...retry, mayBeBilled: false }],
    ["no capacity", { type: "error", code: "ModelUnavailable" }, { ...retry, mayBeBilled: false }],
    ["an unknown code", { type: "error", code: "BrandNew", status: 400 }, giveUp],
    ["too slow for upstream itself", { type: "hang" }, { ...retry, mayBeBilled: false }],
    ["a gateway's page", { type: "html", status: 502 }, { ...retry, mayBeBilled: true }],
    ["a page with 200", { type: "html", status: 200 }, { ...retry, mayBeBilled: true }],
    ["an empty 200", { type: "empty-body", billed: true }, { ...retry, mayBeBilled: true }],
    ["an empty 503", { type: "empty-body", status: 503 }, { ...retry, mayBeBilled: true }],
    ["JSON that breaks off", { type: "bad-json", billed: true }, { ...retry, mayBeBilled: true }],
    ["a 200 with a code", { type: "code-in-200" }, { ...retry, mayBeBilled: false }],
    ["a 200 without an image", { type: "empty-content", billed: true }, { ...retry, mayBeBilled: true }],
    ["a redirect", { type: "redirect" }, block],
    ["a 60 MB answer", { type: "huge", billed: true }, { ...retry, mayBeBilled: true }],
    ["a cut before the work", { type: "cut-before-billing" }, { ...retry, mayBeBilled: true }],
    ["a cut after the work", { type: "cut-after-billing" }, { ...retry, mayBeBilled: true }],
    [
      "a cut in the middle of the answer",
      { type: "cut-after-billing", partial: true },
      { ...retry, mayBeBilled: true },
    ],
  ])("%s", async (_what, fault, verdict) => {
    emulator.state.addRule(FaultRule.parse({ fault }));
    const answer = await generate("qwen-image-max", "image-from-text");
    expect(answer).toMatchObject({ kind: "failed", failure: verdict });
    // An attempt that upstream has billed is never reported as free.
    const billed = emulator.state.ledger.summary().billedImages > 0;
    if (billed) expect(answer).toMatchObject({ failure: { mayBeBilled: true } });
    expect(emulator.state.ledger.calls).toHaveLength(1);
  });
});

describe("a fault in a task", () => {
  it.each<[string, FaultInput, object]>([
    ["that fails", { type: "task-failed" }, { kind: "failed", failure: { disposition: "retry", mayBeBilled: false } }],
    ["that is forgotten", { type: "task-unknown" }, { kind: "task_lost", failure: { mayBeBilled: true } }],
  ])("%s", async (_what, fault, expected) => {
    emulator.state.addRule(FaultRule.parse({ fault }));
    expect(await settled(generate("qwen-image-plus", "image-from-text"))).toMatchObject(expected);
  });

  it("delivers the images that passed moderation, and reports why others are missing", async () => {
    emulator.state.addRule(FaultRule.parse({ fault: { type: "task-partial", failed: 1 } }));
    const answer = await settled(generate("wan2.5-t2i-preview", "image-from-text", { n: 3 }));
    expect(answer).toMatchObject({
      kind: "delivered",
      links: { length: 2 },
      report: { code: "DataInspectionFailed" },
    });
  });

  it.each<[string, FaultInput]>([
    ["a refusal", { type: "error", code: "InternalError" }],
    ["throttling", { type: "error", code: "Throttling" }],
    ["a page", { type: "html", status: 503 }],
    ["a cut", { type: "cut-before-billing" }],
  ])("keeps the task after an answer that cannot be read (%s), and reads it again later", async (_what, fault) => {
    const accepted = await generate("qwen-image-plus", "image-from-text");
    if (accepted.kind !== "accepted") throw new Error(accepted.kind);
    emulator.state.addRule(FaultRule.parse({ fault, times: 1, match: { path: "/tasks/" } }));
    const first = await client.readTask(accepted.taskId, AbortSignal.timeout(20_000));
    expect(first).toMatchObject({ kind: "unreadable" });
    expect(await settled(Promise.resolve(accepted))).toMatchObject({ kind: "delivered" });
    expect(emulator.state.ledger.summary().billedImages).toBe(1);
  });

  it("is canceled while it is pending, and not once it runs", async () => {
    emulator.state.addRule(FaultRule.parse({ fault: { type: "task-stuck", status: "PENDING" }, times: 1 }));
    const pending = await generate("qwen-image-plus", "image-from-text");
    if (pending.kind !== "accepted") throw new Error(pending.kind);
    expect(await client.cancelTask(pending.taskId, AbortSignal.timeout(20_000))).toBe(true);
    expect(await client.readTask(pending.taskId, AbortSignal.timeout(20_000))).toMatchObject({
      kind: "task_canceled",
      failure: { fault: "none", mayBeBilled: false },
    });
    emulator.state.addRule(FaultRule.parse({ fault: { type: "task-stuck", status: "RUNNING" }, times: 1 }));
    const running = await generate("qwen-image-plus", "image-from-text");
    if (running.kind !== "accepted") throw new Error(running.kind);
    expect(await client.cancelTask(running.taskId, AbortSignal.timeout(20_000))).toBe(false);
  });
});
