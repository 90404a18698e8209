import { createExecutionContext, evictDurableObject, reset, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import { Diagnosis } from "../../schemas/doctor.ts";
import { Job } from "../../schemas/job.ts";
import { Health, LaneReport, Limits } from "../../schemas/limits.ts";
import { ClientState, CommandedLane, OperatorEntries } from "../../schemas/operator.ts";
import { Problem } from "../../schemas/problem.ts";
import { Usage } from "../../schemas/usage.ts";
import { sha256Hex } from "../auth/tokens.ts";
import { compatApp } from "../compat/app.ts";
import { laneName } from "../lane/lane-name.ts";
import { mcpApp } from "../mcp/app.ts";
import { app } from "./app.ts";

const ORIGIN = "https://darkroom.example";
const OPERATOR = { authorization: "Bearer token-of-the-operator" };
const ALICE = { authorization: "Bearer token-of-alice" };
const MODEL = "qwen-image-max";

const settings = {
  ...env,
  AUTH_MODE: "token",
  SIGNING_SECRET: "a secret of many characters",
  CLIENT_TOKENS: JSON.stringify({ alice: sha256Hex("token-of-alice") }),
  ADMIN_TOKEN_SHA256: sha256Hex("token-of-the-operator"),
};

afterEach(() => reset());

async function call(path: string, init: RequestInit = {}, vars: object = settings): Promise<Response> {
  const context = createExecutionContext();
  const answer = await app.fetch(new Request(`${ORIGIN}${path}`, { headers: OPERATOR, ...init }), vars as Env, context);
  await waitOnExecutionContext(context);
  return answer;
}

function send(method: string, path: string, body?: unknown, headers: Record<string, string> = OPERATOR) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  return call(path, { method, headers: { "content-type": "application/json", ...headers }, ...sent });
}

async function laneAfter(answer: Response): Promise<LaneReport> {
  expect(answer.status).toBe(200);
  return LaneReport.parse(await answer.json());
}

async function submitted(prompt = "a red bicycle"): Promise<Job> {
  const init = { prompt, model: MODEL };
  const answer = await send("POST", "/api/workflows/image-from-text", init, ALICE);
  expect(answer.status).toBe(202);
  return Job.parse(await answer.json());
}

const jobOf = async (id: string) => Job.parse(await (await call(`/api/jobs/${id}`)).json());
const logOf = async (query = "") => OperatorEntries.parse(await (await call(`/api/operator/log${query}`)).json());
const laneObject = () =>
  env.LANES.getByName(laneName({ upstreamHost: new URL(String(env.QWEN_BASE_URL)).host }, MODEL));

describe("pausing a lane", () => {
  it("holds its jobs, shows them and everyone the reason, and starts them when it is resumed", async () => {
    const paused = await laneAfter(
      await send("POST", `/api/lanes/${MODEL}/pause`, { reason: "the account is being moved" }),
    );
    expect(paused.paused).toMatchObject({ reason: "the account is being moved", until: null });
    const job = await submitted();
    await expect.poll(async () => (await jobOf(job.id)).queue?.waitingOn).toBe("paused");
    expect((await jobOf(job.id)).queue?.reason.pausedBecause).toBe("the account is being moved");
    const health = Health.parse(await (await call("/api/health")).json());
    expect(health.lanes.find(({ model }) => model === MODEL)?.paused).toMatchObject({
      reason: "the account is being moved",
    });
    await evictDurableObject(laneObject());
    expect((await jobOf(job.id)).attempts).toEqual([]);
    const resumed = await laneAfter(await send("POST", `/api/lanes/${MODEL}/resume`));
    expect(resumed.paused).toBeNull();
    await expect.poll(async () => (await jobOf(job.id)).status).toBe("succeeded");
  });

  it("may have an end", async () => {
    const until = new Date(Date.now() + 3_600_000).toISOString();
    const paused = await laneAfter(await send("POST", `/api/lanes/${MODEL}/pause`, { reason: "lunch", until }));
    expect(paused.paused?.until).toBe(until);
  });
});

describe("the lane of a model that no setting names", () => {
  it("is in health, limits, the doctor's answer and the metrics while it is in use, and not before", async () => {
    const model = "wan2.5-t2i-preview";
    const limitsOf = async () => Limits.parse(await (await send("GET", "/api/limits", undefined, ALICE)).json()).lanes;
    const healthOf = async () => Health.parse(await (await call("/api/health")).json()).lanes;
    expect((await healthOf()).map((lane) => lane.model)).not.toContain(model);
    expect((await limitsOf()).map((lane) => lane.model)).not.toContain(model);
    const pause = { reason: "its price is looked at" };
    await laneAfter(await send("POST", `/api/lanes/${model}/pause`, pause));
    expect((await healthOf()).find((lane) => lane.model === model)?.paused).toMatchObject(pause);
    expect((await limitsOf()).find((lane) => lane.model === model)?.paused).toMatchObject(pause);
    const doctor = Diagnosis.parse(await (await call("/api/doctor")).json());
    expect(doctor.checks.find(({ name }) => name === `lane ${model}`)?.seen).toContain(pause.reason);
    expect(await (await call("/api/metrics")).text()).toContain(
      `darkroom_lane_jobs{model="${model}",state="queued"} 0`,
    );
  });
});

describe("pausing a client", () => {
  it("refuses its submissions and retries, holds its jobs, and starts them when it is resumed", async () => {
    await send("POST", `/api/lanes/${MODEL}/pause`, { reason: "so that a job waits" });
    const job = await submitted();
    await expect.poll(async () => (await jobOf(job.id)).queue?.waitingOn).toBe("paused");
    const pause = { reason: "an unpaid bill", until: new Date(Date.now() + 3_600_000).toISOString() };
    const paused = await send("POST", "/api/clients/alice/pause", pause);
    expect(ClientState.parse(await paused.json())).toMatchObject({ client: "alice", paused: pause });
    await laneAfter(await send("POST", `/api/lanes/${MODEL}/resume`));
    const refused = await send("POST", "/api/workflows/image-from-text", { prompt: "another" }, ALICE);
    expect(Problem.parse(await refused.json())).toMatchObject({
      status: 403,
      code: "client_paused",
      detail: `The operator has paused this client until ${pause.until}: an unpaid bill`,
    });
    await evictDurableObject(laneObject());
    await evictDurableObject(env.CATALOGS.getByName("alice"));
    const reason = async () => (await jobOf(job.id)).queue?.reason;
    await expect.poll(reason).toMatchObject({ pausedBecause: "an unpaid bill", pausedUntil: pause.until });
    expect((await send("POST", `/api/jobs/${job.id}/cancel`, undefined, ALICE)).status).toBe(200);
    const retried = await send("POST", `/api/jobs/${job.id}/retry`, undefined, ALICE);
    expect(Problem.parse(await retried.json()).code).toBe("client_paused");
    const resumed = await send("POST", "/api/clients/alice/resume");
    expect(ClientState.parse(await resumed.json())).toEqual({ client: "alice", paused: null });
    expect((await send("POST", `/api/jobs/${job.id}/retry`, undefined, ALICE)).status).toBe(200);
    await expect.poll(async () => (await jobOf(job.id)).status).toBe("succeeded");
    expect((await logOf()).entries.map(({ action, target }) => `${action} ${target}`).slice(0, 3)).toEqual([
      "client.resume alice",
      `lane.resume ${MODEL}`,
      "client.pause alice",
    ]);
  });

  it("still answers a repeated submission of a known key", async () => {
    const headers = { ...ALICE, "idempotency-key": "one" };
    const submit = () => send("POST", "/api/workflows/image-from-text", { prompt: "a red bicycle" }, headers);
    const first = Job.parse(await (await submit()).json());
    await send("POST", "/api/clients/alice/pause", { reason: "an unpaid bill" });
    expect(Job.parse(await (await submit()).json()).id).toBe(first.id);
  });

  it("is refused for a name that no client has", async () => {
    const answer = await send("POST", "/api/clients/nobody/pause", { reason: "a test" });
    expect(Problem.parse(await answer.json()).code).toBe("client_not_found");
  });

  it("can be ended for a client that no setting names any more", async () => {
    expect((await send("POST", "/api/clients/gone-since/resume")).status).toBe(200);
  });
});

describe("a model that a deploy removes while its jobs wait", () => {
  /** Upstream does not have it: its jobs fail once they start. */
  const LEAVING = "qwen-image-leaving";
  const before = { ...settings, MODELS: JSON.stringify({ [LEAVING]: { like: MODEL } }) };
  const post = (path: string, body: object, vars: object, headers: Record<string, string> = OPERATOR) => {
    const init = { method: "POST", headers: { "content-type": "application/json", ...headers } };
    return call(path, { ...init, body: JSON.stringify(body) }, vars);
  };
  const submitLeaving = async (): Promise<Job> => {
    const asked = { prompt: "a red bicycle", model: LEAVING };
    const answer = await post("/api/workflows/image-from-text", asked, before, ALICE);
    expect(answer.status).toBe(202);
    return Job.parse(await answer.json());
  };

  it("has a lane that can still be resumed", async () => {
    await post(`/api/lanes/${LEAVING}/pause`, { reason: "moving" }, before);
    const { id } = await submitLeaving();
    await expect.poll(async () => (await jobOf(id)).queue?.waitingOn).toBe("paused");
    const resumed = await laneAfter(await post(`/api/lanes/${LEAVING}/resume`, {}, settings));
    expect(resumed.paused).toBeNull();
    await expect.poll(async () => (await jobOf(id)).attempts).toHaveLength(1);
  });

  it("does not hold a client's jobs after the client is resumed", async () => {
    await post(`/api/lanes/${LEAVING}/pause`, { reason: "moving" }, before);
    const { id } = await submitLeaving();
    await post("/api/clients/alice/pause", { reason: "an unpaid bill" }, before);
    await post(`/api/lanes/${LEAVING}/resume`, {}, before);
    await expect.poll(async () => (await jobOf(id)).queue?.reason.pausedBecause).toBe("an unpaid bill");
    expect((await post("/api/clients/alice/resume", {}, settings)).status).toBe(200);
    await expect.poll(async () => (await jobOf(id)).attempts).toHaveLength(1);
  });

  it("starts none of a client's jobs while the client is paused", async () => {
    await post(`/api/lanes/${LEAVING}/pause`, { reason: "moving" }, before);
    const { id } = await submitLeaving();
    await expect.poll(async () => (await jobOf(id)).queue?.waitingOn).toBe("paused");
    expect((await post("/api/clients/alice/pause", { reason: "an unpaid bill" }, settings)).status).toBe(200);
    await post(`/api/lanes/${LEAVING}/resume`, {}, before);
    await expect.poll(async () => (await jobOf(id)).queue?.reason.pausedBecause).toBe("an unpaid bill");
    expect((await jobOf(id)).attempts).toEqual([]);
  });
});

describe("another quota", () => {
  it("applies at once, and is removed by a body with only a reason", async () => {
    const changed = await laneAfter(
      await send("PATCH", `/api/lanes/${MODEL}`, { starts: 9, inProgress: 3, reason: "raised" }),
    );
    expect(changed).toMatchObject({ quota: { starts: 9, inProgress: 3 }, limit: { reason: "raised" } });
    const back = await laneAfter(await send("PATCH", `/api/lanes/${MODEL}`, { reason: "as it was" }));
    expect(back).toMatchObject({ quota: { starts: 2, inProgress: null }, limit: null });
  });

  it("shows in the answer and in the log which limit or pause it replaces", async () => {
    const change = async (method: string, path: string, body: object) => {
      const answer = await send(method, path, body);
      expect(answer.status).toBe(200);
      return CommandedLane.parse(await answer.json()).replaced;
    };
    const [lane, pause] = [`/api/lanes/${MODEL}`, `/api/lanes/${MODEL}/pause`];
    const until = new Date(Date.now() + 3_600_000).toISOString();
    expect(await change("PATCH", lane, { starts: 1, until, reason: "careful" })).toBe(null);
    const careful = { quota: { starts: 1, periodMs: 60_000, inProgress: null }, until, reason: "careful" };
    expect(await change("PATCH", lane, { inProgress: 3, reason: "raised" })).toMatchObject(careful);
    const raised = { quota: { starts: 2, periodMs: 60_000, inProgress: 3 }, until: null, reason: "raised" };
    expect(await change("PATCH", lane, { reason: "as it was" })).toMatchObject(raised);
    expect(await change("PATCH", lane, { reason: "as it was" })).toBe(null);
    expect(await change("POST", pause, { reason: "moving" })).toBe(null);
    expect(await change("POST", pause, { reason: "moving on" })).toMatchObject({ reason: "moving" });
    const { entries } = await logOf();
    const logged = entries.toReversed().map(({ details }) => details.replaced ?? null);
    const moving = expect.objectContaining({ reason: "moving" });
    const [first, second] = [expect.objectContaining(careful), expect.objectContaining(raised)];
    expect(logged).toEqual([null, first, second, null, null, moving]);
  });

  it("refuses an end without a quota, and changes nothing", async () => {
    await send("PATCH", `/api/lanes/${MODEL}`, { starts: 1, reason: "careful" });
    const until = new Date(Date.now() + 3_600_000).toISOString();
    const answer = await send("PATCH", `/api/lanes/${MODEL}`, { until, reason: "until then" });
    expect(answer.status).toBe(400);
    expect(Problem.parse(await answer.json()).errors).toEqual([
      { path: "/until", message: expect.stringMatching(/^goes with starts, periodMs or inProgress/) },
    ]);
    const lane = Limits.parse(await (await call("/api/limits")).json()).lanes.find(({ model }) => model === MODEL);
    expect(lane?.limit?.reason).toBe("careful");
    // A null end counts as none.
    const restored = await send("PATCH", `/api/lanes/${MODEL}`, { until: null, reason: "as it was" });
    expect(CommandedLane.parse(await restored.json()).limit).toBe(null);
  });
});

describe("the operator's log", () => {
  it("lists who did what to which lane, when and why, newest first, in pages", async () => {
    await send("POST", `/api/lanes/${MODEL}/pause`, { reason: "moving" });
    await send("PATCH", `/api/lanes/${MODEL}`, { starts: 1, reason: "careful" });
    await send("POST", `/api/lanes/${MODEL}/resume`, { reason: "moved" });
    const { entries, nextCursor } = await logOf();
    expect(nextCursor).toBeNull();
    expect(entries.map(({ seq, who, action, target, reason }) => [seq, who, action, target, reason])).toEqual([
      [3, "operator", "lane.resume", MODEL, "moved"],
      [2, "operator", "lane.limit", MODEL, "careful"],
      [1, "operator", "lane.pause", MODEL, "moving"],
    ]);
    expect(entries[1]?.details).toEqual({ change: { starts: 1 }, reason: "careful", untilMs: null });
    const page = await logOf("?limit=2");
    expect([page.entries.length, page.nextCursor]).toEqual([2, "2"]);
    expect((await logOf(`?cursor=${page.nextCursor}`)).entries.map(({ seq }) => seq)).toEqual([1]);
  });

  it("lists an action that failed, but not one that was refused", async () => {
    const LANES = { getByName: () => ({ control: async () => Promise.reject(new Error("the object is gone")) }) };
    const init = {
      method: "POST",
      headers: { "content-type": "application/json", ...OPERATOR },
      body: '{"reason":"x"}',
    };
    expect((await call(`/api/lanes/${MODEL}/pause`, init, { ...settings, LANES })).status).toBe(500);
    expect((await send("POST", `/api/lanes/${MODEL}/pause`, { reason: "" })).status).toBe(400);
    const { entries } = await logOf();
    expect(entries.map(({ failed }) => failed)).toEqual([expect.stringContaining("the object is gone"), null]);
  });
});

describe("an action that clients may do too", () => {
  it("is in the operator's log when the operator does it, and not when a client does", async () => {
    // Upstream never answers, so that the job can be canceled at any time.
    const endless = "a picture that never comes [fault:hang]";
    const { id } = await submitted(endless);
    const job = `/api/jobs/${id}`;
    for (const [method, path, body, status] of [
      ["PATCH", job, { metadata: { shop: "north" } }, 200],
      ["POST", `${job}/share`, { hours: 1 }, 200],
      ["POST", `${job}/cancel`, undefined, 200],
      ["POST", `${job}/retry`, undefined, 200],
      ["POST", `${job}/retry`, undefined, 409],
      ["POST", `${job}/deliveries/9/resend`, undefined, 404],
      ["POST", "/api/jobs/bulk?client=alice", { action: "pin", ids: [id] }, 200],
      ["POST", "/api/jobs/bulk", { action: "cancel", ids: [id] }, 200],
      ["POST", "/api/jobs/bulk", { action: "cancel", ids: [id], dryRun: true }, 200],
      ["DELETE", job, undefined, 204],
    ] as const) {
      const { status: answered } = await send(method, path, body);
      expect([path, answered]).toEqual([path, status]);
    }
    const { entries } = await logOf();
    expect(
      entries.toReversed().map(({ action, target, details, failed }) => [action, target, details, failed]),
    ).toEqual([
      ["job.patch", id, { metadata: { shop: "north" } }, null],
      ["job.share", id, { hours: 1 }, null],
      ["job.cancel", id, {}, null],
      ["job.retry", id, {}, null],
      ["job.retry", id, {}, null],
      ["job.retry", id, {}, expect.any(String)],
      ["job.resend", id, { number: 9 }, null],
      ["job.resend", id, { number: 9 }, expect.any(String)],
      ["jobs.bulk", "alice", { action: "pin", filter: null, ids: [id] }, null],
      ["jobs.bulk", "*", { action: "cancel", filter: null, ids: [id] }, null],
      ["job.delete", id, {}, null],
    ]);
    expect(new Set(entries.map(({ who, reason }) => `${who} ${reason}`))).toEqual(new Set(["operator null"]));
    const { id: task } = await submitted(endless);
    for (const [path, status] of [
      [`/api/v1/tasks/${task}/cancel`, 200],
      [`/api/v1/tasks/${id}/cancel`, 400],
    ] as const) {
      const init = { method: "POST", headers: OPERATOR };
      const context = createExecutionContext();
      const answer = await compatApp(ORIGIN + path)?.fetch(new Request(ORIGIN + path, init), settings as Env, context);
      await waitOnExecutionContext(context);
      expect([path, answer?.status]).toEqual([path, status]);
    }
    expect((await logOf()).entries.slice(0, 3).map(({ target, failed }) => [target, failed])).toEqual([
      [id, expect.any(String)],
      [id, null],
      [task, null],
    ]);
    const { entries: known } = await logOf();
    const { id: own } = await submitted(endless);
    expect((await send("POST", `/api/jobs/${own}/cancel`, undefined, ALICE)).status).toBe(200);
    expect((await send("POST", "/api/jobs/bulk", { action: "delete", ids: [own] }, ALICE)).status).toBe(200);
    expect((await logOf()).entries).toHaveLength(known.length);
  });
});

describe("what is refused", () => {
  it.each<[string, string, unknown, number, string]>([
    ["POST", `/api/lanes/${MODEL}/pause`, {}, 400, "invalid_request"],
    ["POST", `/api/lanes/${MODEL}/pause`, { reason: "x", untl: 1 }, 400, "invalid_request"],
    ["POST", `/api/lanes/${MODEL}/pause`, { reason: "x", until: "2020-01-01T00:00:00Z" }, 400, "invalid_request"],
    ["POST", `/api/lanes/${MODEL}/pause`, { reason: "x", until: "2999-01-01T00:00:00Z" }, 400, "invalid_request"],
    ["PATCH", `/api/lanes/${MODEL}`, { starts: 0, reason: "x" }, 400, "invalid_request"],
    ["PATCH", `/api/lanes/${MODEL}`, { starts: 3 }, 400, "invalid_request"],
    ["POST", "/api/lanes/no-such-model/pause", { reason: "x" }, 404, "model_not_found"],
  ])("%s %s %o is %i %s", async (method, path, body, status, code) => {
    const answer = await send(method, path, body);
    expect(answer.status).toBe(status);
    expect(Problem.parse(await answer.json()).code).toBe(code);
    expect((await logOf()).entries).toEqual([]);
  });

  it("is every operator's route for a client", async () => {
    for (const [method, path] of [
      ["POST", `/api/lanes/${MODEL}/pause`],
      ["POST", `/api/lanes/${MODEL}/resume`],
      ["PATCH", `/api/lanes/${MODEL}`],
      ["GET", "/api/operator/log"],
      ["GET", "/api/metrics"],
    ] as const) {
      const answer = await send(method, path, method === "GET" ? undefined : { reason: "x" }, ALICE);
      expect([path, answer.status]).toEqual([path, 403]);
    }
  });
});

describe("a job that the operator submits for a client", () => {
  const prompt = "a red bicycle";

  async function throughAny(path: string, headers: Record<string, string>, body: object): Promise<Response> {
    const context = createExecutionContext();
    const request = new Request(ORIGIN + path, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json", accept: "application/json, text/event-stream" },
      body: JSON.stringify(body),
    });
    const to = mcpApp(request.url) ?? compatApp(request.url) ?? app;
    const answer = await to.fetch(request, settings as Env, context);
    // Read before the request's own work is awaited, because a tool's answer is a stream.
    const text = await answer.text();
    await waitOnExecutionContext(context);
    return new Response(text, answer);
  }

  const cancelable = "a picture that never comes [fault:hang]";
  const tool = (name: string, given: object) => ({
    jsonrpc: "2.0",
    id: 1,
    method: "tools/call",
    params: { name, arguments: given },
  });
  const dashscope = {
    model: MODEL,
    input: { messages: [{ role: "user", content: [{ text: prompt }] }] },
    parameters: {},
  };

  it("is in the operator's log through each of the APIs, and not when the client submits it", async () => {
    const asked: [string, Record<string, string>, object][] = [
      ["/api/workflows/image-from-text", {}, { prompt }],
      ["/api/v1/services/aigc/image-generation/generation", { "x-dashscope-async": "enable" }, dashscope],
      // This one is held until it is done, so it uses another lane.
      ["/v1/images/generations", {}, { prompt, model: "z-image-turbo" }],
      ["/mcp", {}, tool("generate_image", { prompt: cancelable, waitSeconds: 0 })],
    ];
    for (const [path, headers, body] of asked) {
      const answer = await throughAny(`${path}?client=alice`, { ...headers, ...OPERATOR }, body);
      expect([path, answer.ok]).toEqual([path, true]);
      const { entries } = await logOf("?limit=1");
      expect([path, entries[0]?.action, entries[0]?.who]).toEqual([path, "job.submit", "operator"]);
      const model = path.startsWith("/v1/") ? "z-image-turbo" : MODEL;
      expect(entries[0]?.details).toEqual({ client: "alice", workflow: "image-from-text", model, n: 1 });
      expect((await jobOf(entries[0]?.target ?? "")).model).toBe(model);
      if (path !== "/mcp") continue;
      const id = entries[0]?.target;
      expect((await throughAny("/mcp?client=alice", OPERATOR, tool("cancel_job", { id }))).ok).toBe(true);
      const [newest] = (await logOf("?limit=1")).entries;
      expect([newest?.action, newest?.target]).toEqual(["job.cancel", id]);
    }
    const before = (await logOf()).entries.length;
    for (const [path, headers, body] of asked) {
      expect((await throughAny(path, { ...headers, ...ALICE }, body)).ok).toBe(true);
    }
    expect((await logOf()).entries).toHaveLength(before);
  });
});

describe("the operator's usage", () => {
  it("has every client that a setting names, and names those whose spend could not be read", async () => {
    const vars = { ...settings, CLIENT_BUDGETS: undefined, CLIENT_WEBHOOKS: '{"bound":"https://example.com/"}' };
    const { id } = await submitted();
    await expect.poll(async () => (await jobOf(id)).status).toBe("succeeded");
    const failing = { usage: async () => Promise.reject(new Error("the object is gone")) };
    const CATALOGS = new Proxy(env.CATALOGS, {
      get: (target, name) =>
        name === "getByName"
          ? (client: string) => (client === "bound" ? failing : target.getByName(client))
          : Reflect.get(target, name),
    });
    const broken = { ...vars, CATALOGS };
    const partial = Usage.parse(await (await call("/api/usage", {}, broken)).json());
    expect(partial.missing).toEqual(["bound"]);
    expect(new Set(partial.buckets.flatMap(({ results }) => results.map(({ client }) => client)))).toEqual(
      new Set(["alice"]),
    );
    const csv = await call("/api/usage", { headers: { ...OPERATOR, accept: "text/csv" } }, broken);
    expect([csv.status, Problem.parse(await csv.json()).detail]).toEqual([503, expect.stringContaining("bound")]);
    expect(Usage.parse(await (await call("/api/usage", {}, vars)).json()).missing).toBeUndefined();
  });
});

describe("metrics", () => {
  it("count what the lanes did, across restarts of their objects", async () => {
    const job = await submitted();
    await expect.poll(async () => (await jobOf(job.id)).status).toBe("succeeded");
    await evictDurableObject(laneObject());
    const answer = await call("/api/metrics");
    expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const lines = (await answer.text()).split("\n");
    expect(lines).toContain(`darkroom_attempts_total{model="${MODEL}",outcome="succeeded"} 1`);
    expect(lines).toContain(`darkroom_attempt_seconds_count{model="${MODEL}"} 1`);
    expect(lines).toContain(`darkroom_queue_wait_seconds_count{model="${MODEL}"} 1`);
    expect(lines).toContain(`darkroom_lane_oldest_wait_seconds{model="${MODEL}"} 0`);
    expect(lines).toContain(`darkroom_lane_jobs{model="${MODEL}",state="queued"} 0`);
    expect(lines).toContain(`darkroom_lane_starts_per_minute{model="${MODEL}",kind="quota"} 2`);
  });
});
