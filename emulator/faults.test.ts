import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { API_PREFIX, wirePaths } from "../worker/dashscope/wire.ts";
import type { FaultInput } from "./core/fault.ts";
import { FaultRule } from "./core/fault.ts";
import { asyncHeaders, generate, jsonHeaders, linkOf, post } from "./fixtures/client.ts";
import { type RunningEmulator, startEmulator } from "./server.ts";

let emulator: RunningEmulator;
const settings = { latencyMs: 0, latencySpread: 0, quota: "off", images: "small-file" } as const;

beforeAll(async () => {
  emulator = await startEmulator({ settings });
});
beforeEach(() => emulator.state.reset());
afterAll(() => emulator.close());

function next(fault: FaultInput, path?: string): void {
  emulator.state.addRule(FaultRule.parse({ times: 1, fault, ...(path === undefined ? {} : { match: { path } }) }));
}

const billed = (): number => emulator.state.ledger.images.length;
const call = (): Promise<Response> => generate(emulator.url, "a cat");

describe("unusable answers", () => {
  it.each<[string, FaultInput, number, string | null, number]>([
    ["a 429", { type: "error", code: "Throttling.BurstRate" }, 429, "Throttling.BurstRate", 0],
    ["arrears", { type: "error", code: "Arrearage" }, 400, "Arrearage", 0],
    ["a wrong key", { type: "error", code: "InvalidApiKey" }, 401, "InvalidApiKey", 0],
    ["a bill that is overdue", { type: "error", code: "PostpaidBillOverdue" }, 429, "PostpaidBillOverdue", 0],
    [
      "moderation after the work",
      { type: "error", code: "DataInspectionFailed", afterWork: true },
      400,
      "DataInspectionFailed",
      0,
    ],
    ["any status for any code", { type: "error", code: "Odd.Code", status: 418 }, 418, "Odd.Code", 0],
    ["a code in a 200", { type: "code-in-200" }, 200, "InternalError.Algo", 0],
    ["a gateway's page", { type: "html", status: 502 }, 502, null, 0],
    ["an empty body", { type: "empty-body", status: 503 }, 503, null, 0],
    ["an empty body after billing", { type: "empty-body", billed: true }, 200, null, 1],
    ["half a JSON", { type: "bad-json" }, 200, null, 0],
    ["half a JSON after billing", { type: "bad-json", billed: true }, 200, null, 1],
    ["a redirect", { type: "redirect" }, 302, null, 0],
  ])("%s", async (_, fault, status, code, paid) => {
    next(fault);
    const response = await call();
    const text = await response.text();
    expect(response.status).toBe(status);
    if (code === null) expect(() => JSON.parse(text)).toThrow();
    else expect(JSON.parse(text)).toMatchObject({ code });
    expect(billed()).toBe(paid);
    expect((await call()).status).toBe(200);
  });

  it("a good answer without an image", async () => {
    next({ type: "empty-content" });
    expect(await (await call()).json()).toMatchObject({ output: { choices: [{ message: { content: [] } }] } });
  });

  it("an answer of 60 MB", async () => {
    next({ type: "huge" });
    let bytes = 0;
    for await (const chunk of (await call()).body ?? []) bytes += chunk.length;
    expect(bytes).toBe(60_000_000);
  });

  it("carries Retry-After only when the fault has it", async () => {
    next({ type: "error", code: "Throttling", retryAfter: "7" });
    expect((await call()).headers.get("retry-after")).toBe("7");
    next({ type: "error", code: "Throttling" });
    expect((await call()).headers.get("retry-after")).toBeNull();
  });

  it("a hang ends at the gateway's limit with RequestTimeOut, unbilled", async () => {
    emulator.state.patchSettings({ gatewayTimeoutMs: 30 });
    next({ type: "hang" });
    const response = await call();
    expect([response.status, billed()]).toEqual([500, 0]);
    expect(await response.json()).toMatchObject({ code: "RequestTimeOut" });
  });

  it("work that would take longer than the gateway waits ends the same way", async () => {
    emulator.state.patchSettings({ gatewayTimeoutMs: 30 });
    next({ type: "slow", extraMs: 100 });
    expect((await call()).status).toBe(500);
    expect(billed()).toBe(0);
  });
});

describe("connections that are cut", () => {
  it.each<[string, FaultInput, number]>([
    ["before billing", { type: "cut-before-billing" }, 0],
    ["after billing", { type: "cut-after-billing" }, 1],
    ["within the answer", { type: "cut-after-billing", partial: true }, 1],
  ])("%s", async (_, fault, paid) => {
    next(fault);
    await expect(call().then((response) => response.text())).rejects.toThrow();
    expect(billed()).toBe(paid);
    expect(emulator.state.ledger.calls[0]?.end).toMatchObject({ status: null, billedImages: paid });
  });

  it("by the caller stop neither the work nor its bill", async () => {
    next({ type: "hold", at: "answer" });
    const hangUp = new AbortController();
    const body = JSON.stringify({
      model: "qwen-image-max",
      input: { messages: [{ role: "user", content: [{ text: "left" }] }] },
    });
    const url = `${emulator.url}${API_PREFIX}${wirePaths.multimodalGeneration}`;
    const left = fetch(url, { method: "POST", headers: jsonHeaders, body, signal: hangUp.signal });
    await expect.poll(() => billed()).toBe(1);
    hangUp.abort();
    await expect(left).rejects.toThrow();
    await expect
      .poll(async () => (await fetch(`${emulator.url}/__emulator/release`, { method: "POST" })).json())
      .toEqual({ released: 0 });
    await expect.poll(() => emulator.state.ledger.calls[0]?.end?.clientGone).toBe(true);
  });
});

describe("calls that are held", () => {
  it("at their arrival have cost nothing, and continue when released", async () => {
    next({ type: "hold", at: "arrival" });
    const held = call();
    const list = async (): Promise<unknown> => (await fetch(`${emulator.url}/__emulator/held`)).json();
    await expect.poll(list).toEqual({ held: [{ callId: 1, prompt: "a cat", at: "arrival" }] });
    expect(billed()).toBe(0);
    await fetch(`${emulator.url}/__emulator/release`, { method: "POST", body: '{"prompt":"cat"}' });
    expect((await held).status).toBe(200);
  });
});

describe("links of images that were made", () => {
  it.each([
    ["forbidden", 403],
    ["not-found", 404],
    ["server-error", 503],
    ["html", 200],
    ["empty", 200],
    ["truncated", 200],
    ["wrong-type", 200],
  ] as const)("%s for a while, then correct", async (how, status) => {
    next({ type: "result", how, times: 2 });
    const link = await linkOf(await call());
    const image = emulator.state.ledger.images[0];
    const bodies: Buffer[] = [];
    for (const expected of [status, status, 200]) {
      const response = await fetch(link);
      expect(response.status).toBe(expected);
      bodies.push(Buffer.from(await response.arrayBuffer()));
    }
    expect(bodies[2]?.length).toBe(image?.bytes);
    if (how !== "wrong-type") expect(bodies[0]?.equals(bodies[2] ?? Buffer.alloc(0))).toBe(false);
    expect(emulator.state.ledger.images[0]?.downloads.map((download) => download.status)).toEqual([
      status,
      status,
      200,
    ]);
  });

  it("cut within the file", async () => {
    next({ type: "result", how: "cut" });
    const link = await linkOf(await call());
    await expect(fetch(link).then((response) => response.arrayBuffer())).rejects.toThrow();
  });
});

describe("tasks", () => {
  const submit = async (): Promise<string> => {
    const body = { model: "qwen-image", input: { prompt: "a cat" } };
    const response = await post(emulator.url, wirePaths.text2image, body, asyncHeaders);
    return ((await response.json()) as { output: { task_id: string } }).output.task_id;
  };
  const look = (id: string): Promise<Response> =>
    fetch(`${emulator.url}${API_PREFIX}${wirePaths.task(id)}`, { headers: jsonHeaders });
  const status = async (id: string): Promise<string> =>
    ((await (await look(id)).json()) as { output: { task_status: string } }).output.task_status;

  it.each<[FaultInput, string, number]>([
    [{ type: "task-unknown" }, "UNKNOWN", 0],
    [{ type: "task-failed" }, "FAILED", 0],
    [{ type: "task-stuck", status: "PENDING" }, "PENDING", 0],
    [{ type: "task-stuck", status: "RUNNING" }, "RUNNING", 0],
    [{ type: "slow", extraMs: 0 }, "SUCCEEDED", 1],
  ])("%j", async (fault, expected, paid) => {
    next(fault);
    const id = await submit();
    expect([await status(id), billed()]).toEqual([expected, paid]);
  });

  it("that are UNKNOWN at first have their real state afterwards", async () => {
    next({ type: "task-unseen", reads: 2 });
    const id = await submit();
    expect([await status(id), await status(id), await status(id)]).toEqual(["UNKNOWN", "UNKNOWN", "SUCCEEDED"]);
    expect(billed()).toBe(1);
  });

  it("can be held after they were accepted, before their id is answered", async () => {
    next({ type: "hold", at: "answer" });
    const answer = submit();
    await vi.waitFor(async () => {
      const held = await fetch(`${emulator.url}/__emulator/held`);
      expect(await held.json()).toMatchObject({ held: [{ at: "answer" }] });
    });
    const [task] = emulator.state.tasks();
    await fetch(`${emulator.url}/__emulator/release`, { method: "POST" });
    expect(await answer).toBe(task?.facts.id);
  });

  it("that lose some of their images to moderation succeed, and only the others are billed", async () => {
    next({ type: "task-partial", failed: 1 });
    const body = { model: "wan2.2-t2i-plus", input: { prompt: "cats" }, parameters: { n: 3 } };
    const response = await post(emulator.url, wirePaths.text2image, body, asyncHeaders);
    const id = ((await response.json()) as { output: { task_id: string } }).output.task_id;
    const { output } = (await (await look(id)).json()) as {
      output: { task_status: string; results: { code?: string }[]; task_metrics: unknown };
    };
    expect(output.task_status).toBe("SUCCEEDED");
    expect(output.results.map(({ code }) => code)).toEqual([undefined, undefined, "DataInspectionFailed"]);
    expect(output.task_metrics).toEqual({ TOTAL: 3, SUCCEEDED: 2, FAILED: 1 });
    expect(billed()).toBe(2);
  });

  it("whose submission is cut still run and are billed", async () => {
    next({ type: "cut-after-billing" });
    await expect(submit()).rejects.toThrow();
    emulator.state.settleTasks();
    expect(billed()).toBe(1);
  });

  it("can have a fault in one read, by path", async () => {
    next({ type: "html", status: 503 }, "/tasks/");
    const id = await submit();
    expect((await look(id)).status).toBe(503);
    expect(await status(id)).toBe("SUCCEEDED");
  });
});

describe("quotas", () => {
  it("let two starts a minute through for each key, and do not count refused ones", async () => {
    emulator.state.patchSettings({ quota: "sliding", quotaScale: 0.05 });
    const statuses = [(await call()).status, (await call()).status, (await call()).status];
    expect(statuses).toEqual([200, 200, 429]);
    const other = { ...jsonHeaders, authorization: "Bearer sk-other" };
    const body = { model: "qwen-image-max", input: { messages: [{ role: "user", content: [{ text: "a" }] }] } };
    expect((await post(emulator.url, wirePaths.multimodalGeneration, body, other)).status).toBe(200);
    await expect.poll(async () => (await call()).status, { interval: 50 }).toBe(200);
    expect(emulator.state.ledger.summary().submitCodes["Throttling.RateQuota"]).toBeGreaterThan(0);
  });

  it("are checked before the parameters, as upstream does", async () => {
    emulator.state.patchSettings({ quota: "sliding" });
    const wrong = (): Promise<Response> => generate(emulator.url, "a", { n: 7 });
    const statuses = [(await wrong()).status, (await wrong()).status, (await wrong()).status];
    expect(statuses).toEqual([400, 400, 429]);
  });

  it("refuse tasks above the running limit when they are set to", async () => {
    emulator.state.patchSettings({
      quota: "sliding",
      taskOverflow: "refuse",
      latencyMs: 60_000,
      quotas: { "qwen-image": { starts: 99 } },
    });
    const body = { model: "qwen-image", input: { prompt: "a" } };
    const statuses = [];
    for (let turn = 0; turn < 3; turn++)
      statuses.push((await post(emulator.url, wirePaths.text2image, body, asyncHeaders)).status);
    expect(statuses).toEqual([200, 200, 429]);
  });
});

describe("the control API", () => {
  const control = (method: string, path: string, body?: object): Promise<Response> =>
    fetch(`${emulator.url}/__emulator${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });

  it("changes settings at once, and shows keys only by their hash", async () => {
    const response = await control("PATCH", "/settings", { apiKeys: ["sk-only"], latencyMs: 1 });
    const text = await response.text();
    expect(text).not.toContain("sk-only");
    expect(JSON.parse(text)).toMatchObject({ latencyMs: 1 });
    expect((await call()).status).toBe(401);
  });

  it.each<[string, string, object]>([
    ["PATCH", "/settings", { latency: 1 }],
    ["PATCH", "/settings", { quotas: { "no-such-model": { starts: 1 } } }],
    ["POST", "/faults", { fault: { type: "nonsense" } }],
    ["POST", "/faults", { rule: "nonsense" }],
  ])("names what is wrong with %s %s %j", async (method, path, body) => {
    const response = await control(method, path, body);
    expect(response.status).toBe(400);
    expect(((await response.json()) as { error: string }).error.length).toBeGreaterThan(10);
  });

  it("queues rules in full and in words, counts their use, and removes them", async () => {
    await control("POST", "/faults", { rule: "429 x1 prompt=cat" });
    await control("POST", "/faults", { fault: { type: "html", status: 502 }, times: 1 });
    expect([(await call()).status, (await call()).status, (await call()).status]).toEqual([429, 502, 200]);
    const { rules } = (await (await control("GET", "/faults")).json()) as { rules: { id: string; used: number }[] };
    expect(rules.map(({ used }) => used)).toEqual([1, 1]);
    expect((await control("DELETE", `/faults/${rules[0]?.id}`)).status).toBe(200);
    expect((await control("DELETE", "/faults/none")).status).toBe(404);
    expect(await (await control("DELETE", "/faults")).json()).toEqual({ rules: [] });
  });

  it("shows the ledger, in full or by prompt, without the key", async () => {
    await call();
    await generate(emulator.url, "a dog");
    const text = await (await control("GET", "/ledger?prompt=dog")).text();
    expect(text).not.toContain("sk-test");
    expect(JSON.parse(text)).toMatchObject({
      summary: { billedImages: 2, calls: { submit: 2 }, submitStatuses: { "200": 2 } },
      calls: [{ prompt: "a dog", end: { status: 200, billedImages: 1 } }],
      images: [{ prompt: "a dog" }],
    });
    await control("POST", "/reset");
    expect(await (await control("GET", "/summary")).json()).toMatchObject({ billedImages: 0, calls: {} });
  });
});
