import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { compatApp } from "../compat/app.ts";
import { mcpApp } from "../mcp/app.ts";
import { ROUTES } from "./app.ts";
import { namespaceWith, neverAnswers, send } from "./http.fixture.ts";

/* Objects and a bucket that have stopped: every caller still gets an answer within a bound. */

const ORIGIN = "http://localhost:8787";
const JOB_ID = "job_V1StGXR8_Z5jdHi6B-myT";

/** Every method of every object never answers. */
const silent = {
  getByName: () => new Proxy({}, { get: (_stub, name) => (name === "then" ? undefined : neverAnswers) }),
};
const STOPPED = { JOBS: silent, LANES: silent, CATALOGS: silent, OPERATOR_LOG: silent };

const shownAs = ({ status, headers }: Response) =>
  status === 503 ? `503 after ${headers.get("retry-after")} s` : status;

/** The bodies for routes that take one. */
const BODIES: Readonly<Record<string, object>> = {
  submitImageFromText: { prompt: "a red bicycle" },
  submitImageFromReference: { prompt: "a red bicycle", images: ["https://example.com/a.png"] },
  actOnJobs: { action: "cancel", filter: { status: ["queued"] } },
  patchJob: { pinned: true },
  pauseLane: { reason: "a test" },
  limitLane: { reason: "a test" },
  pauseClient: { reason: "a test" },
};

/** The routes that need no object, or answer without an object's data. */
const WITHOUT_OBJECTS: Readonly<Record<string, number>> = {
  getHealth: 200,
  getDiagnosis: 200,
  getLimits: 200,
  getMetrics: 200,
  getIdentity: 200,
  openSession: 200,
  closeSession: 204,
  getDocs: 200,
  getOpenApi: 200,
  getWebhookSecret: 200,
  // The body has no address.
  testWebhook: 400,
};

describe.concurrent("while objects do not answer", { timeout: 120_000 }, () => {
  it("every route answers 503 with Retry-After, or an answer without the object's data", async () => {
    const bindings = { ...STOPPED, CLIENT_TOKENS: JSON.stringify({ local: "0".repeat(64) }) };
    const answers = await Promise.all(
      ROUTES.map(async ({ method, path, operation }) => {
        const id = String(operation.operationId);
        const values: Record<string, string> = { id: JOB_ID, index: "0", number: "2", client: "local" };
        const filled = path.replaceAll(/:(\w+)/g, (_all, name: string) => values[name] ?? "qwen-image-max");
        const body = method === "GET" ? null : JSON.stringify(BODIES[id] ?? {});
        const accept = id === "watchJobs" ? "text/event-stream" : "*/*";
        const headers = { accept, "content-type": "application/json" };
        const { answer } = send(new Request(`${ORIGIN}${filled}`, { method, headers, body }), bindings);
        return [id, shownAs(await answer)];
      }),
    );
    const expected = answers.map(([id]) => [id, WITHOUT_OBJECTS[String(id)] ?? "503 after 1 s"]);
    expect(Object.fromEntries(answers)).toEqual(Object.fromEntries(expected));
  });

  it("a pause that is logged, and whose lane does not answer, is refused with 503", async () => {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ reason: "a test" });
    const request = new Request(`${ORIGIN}/api/lanes/qwen-image-max/pause`, { method: "POST", headers, body });
    expect(shownAs(await send(request, { LANES: silent }).answer)).toBe("503 after 1 s");
  });

  it("every wait of a poll ends", async () => {
    const get = (prefer: string) => new Request(`${ORIGIN}/api/jobs/${JOB_ID}`, { headers: { prefer } });
    expect(shownAs(await send(get("wait=1"), { JOBS: silent }).answer)).toBe("503 after 1 s");
  });

  it("the compatible APIs and the tools of assistants answer, each in its own form", async () => {
    const post = (path: string, body: object) => {
      const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
      const request = new Request(`${ORIGIN}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
      const served = compatApp(request.url) ?? mcpApp(request.url);
      return served?.fetch(request, { ...env, ...STOPPED }, createExecutionContext());
    };
    const [images, task, tool] = await Promise.all([
      post("/v1/images/generations", { model: "qwen-image", prompt: "a red bicycle" }),
      post(`/api/v1/tasks/${JOB_ID}/cancel`, {}),
      post("/mcp", {
        ...{ jsonrpc: "2.0", id: 1, method: "tools/call" },
        params: { name: "get_job", arguments: { id: JOB_ID } },
      }),
    ]);
    expect([images?.status, task?.status, tool?.status]).toEqual([503, 503, 200]);
    expect(await images?.json()).toMatchObject({ error: { code: expect.any(String) } });
    expect(await task?.json()).toMatchObject({ code: expect.any(String), request_id: expect.any(String) });
    expect(await tool?.text()).toContain("(overloaded)");
  });
});

describe.concurrent("while the bucket does not answer", { timeout: 120_000 }, () => {
  const found = { ok: true, key: "jobs/x/1/0", contentType: "image/png", bytes: 4, sha256: "ab", prompt: "a bicycle" };
  const JOBS = namespaceWith(env.JOBS, "image", async () => found);
  const image = (get: () => Promise<unknown>, headers: Record<string, string> = {}) =>
    send(new Request(`${ORIGIN}/api/jobs/${JOB_ID}/images/0`, { headers }), { JOBS, RESULTS: { get } }).answer;

  it("an image is refused with 503", async () => {
    expect(shownAs(await image(neverAnswers))).toBe("503 after 1 s");
  });

  it("an image whose first bytes do not come is refused with 503, and the read is ended", async () => {
    const ended: unknown[] = [];
    const stuck = async () => ({ body: new ReadableStream({ cancel: (reason) => void ended.push(reason) }) });
    const answers = await Promise.all([image(stuck), image(stuck, { range: "bytes=0-1" })]);
    expect(answers.map(shownAs)).toEqual(["503 after 1 s", "503 after 1 s"]);
    expect(ended).toHaveLength(2);
  });

  it("an image that breaks off after its first bytes also breaks off for its reader", async () => {
    const breaks = async () => ({
      body: new ReadableStream({
        type: "bytes",
        start: (controller) => controller.enqueue(new Uint8Array([1, 2])),
        pull: (controller) => controller.error(new Error("the bucket went away")),
      }),
    });
    const answer = await image(breaks);
    expect(answer.status).toBe(200);
    await expect(answer.arrayBuffer()).rejects.toThrow();
  });
});
