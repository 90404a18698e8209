// biome-ignore-all format: a table is read by its columns.
import { createExecutionContext, evictDurableObject, reset, runInDurableObject, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, describe, expect, it, vi } from "vitest";
import { Job, JobCounts, JobList, Share } from "../../schemas/job.ts";
import { Identity, Session } from "../../schemas/limits.ts";
import { Problem } from "../../schemas/problem.ts";
import { shareLink } from "../auth/links.ts";
import { sha256Hex } from "../auth/tokens.ts";
import { linkSettingsOf } from "../env.ts";
import type { JobRecord } from "../job/core/record.ts";
import { jobObject } from "../stubs.ts";
import { app } from "./app.ts";

const ORIGIN = "https://darkroom.example";
const ALLOWED = "https://app.example";
const FOREIGN = "https://evil.example";

const settings = {
  ...env,
  AUTH_MODE: "token",
  SIGNING_SECRET: "a secret of many characters",
  CLIENT_TOKENS: JSON.stringify({ alice: sha256Hex("token-of-alice"), bob: sha256Hex("token-of-bob") }),
  ADMIN_TOKEN_SHA256: sha256Hex("token-of-the-operator"),
  ALLOWED_ORIGINS: ALLOWED,
  MAX_PENDING_JOBS: "100000",
  SUBMIT_LIMITER: { limit: async () => ({ success: true }) },
};

// Hundreds of jobs wait by the end. None may continue during the next file.
afterAll(async () => {
  await Promise.all(beside);
  await reset();
});

const beside: Promise<void>[] = [];

async function call(path: string, init: RequestInit = {}, vars: object = settings): Promise<Response> {
  const context = createExecutionContext();
  const address = path.startsWith("http") ? path : `${ORIGIN}${path}`;
  const answer = await app.fetch(new Request(address, { redirect: "manual", ...init }), vars as Env, context);
  // Work beside the answers (notifying the catalog) is awaited once at the end, not for a quarter of a second each time.
  beside.push(waitOnExecutionContext(context));
  return answer;
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const ALICE = bearer("token-of-alice");
const BOB = bearer("token-of-bob");
const OPERATOR = bearer("token-of-the-operator");

async function sessionOf(token: string) {
  const answer = await call("/api/session", { method: "POST", headers: bearer(token) });
  return (answer.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
}

const submission = { method: "POST", body: '{"prompt":"a red bicycle"}', headers: { "content-type": "application/json" } };

async function newJob(headers: Record<string, string> = ALICE): Promise<Job> {
  const answer = await call("/api/workflows/image-from-text", { ...submission, headers: { ...submission.headers, ...headers } });
  return Job.parse(await answer.json());
}

const WHO = [
  "nobody",
  "a wrong token",
  "alice",
  "bob",
  "operator",
  "operator for alice",
  "alice's session",
  "alice's session from an allowed origin",
  "alice's session from a foreign origin",
  "alice's session without an origin",
  "bob's session",
  "the job's links",
  "the job's links from a foreign origin",
] as const;
type Who = (typeof WHO)[number];

interface Asked {
  readonly path: string;
  readonly init: RequestInit;
}

/** The same request as each of `WHO` sends it. */
async function asWho(who: Who, path: string, signed: string | null, method: string, extra: Record<string, string>): Promise<Asked> {
  const session = async (token: string, origin: Record<string, string>) => ({ cookie: await sessionOf(token), ...origin });
  const as: Record<Who, () => Promise<Record<string, string>> | Record<string, string>> = {
    nobody: () => ({}),
    "a wrong token": () => bearer("token-of-nobody"),
    alice: () => ALICE,
    bob: () => BOB,
    operator: () => OPERATOR,
    "operator for alice": () => OPERATOR,
    "alice's session": () => session("token-of-alice", { origin: ORIGIN }),
    "alice's session from an allowed origin": () => session("token-of-alice", { origin: ALLOWED }),
    "alice's session from a foreign origin": () => session("token-of-alice", { origin: FOREIGN }),
    "alice's session without an origin": () => session("token-of-alice", {}),
    "bob's session": () => session("token-of-bob", { origin: ORIGIN }),
    "the job's links": () => ({ origin: ALLOWED }),
    "the job's links from a foreign origin": () => ({ origin: FOREIGN }),
  };
  const headers = { ...extra, ...(await as[who]()) };
  const base = who.startsWith("the job's links") && signed !== null ? signed : path;
  const address = who === "operator for alice" && !base.includes("client=") ? `${base}${base.includes("?") ? "&" : "?"}client=alice` : base;
  return { path: address, init: { method, headers, ...(method === "POST" && extra["content-type"] ? { body: submission.body } : {}) } };
}

const sharedBy = (job: Job) => shareLink(linkSettingsOf(settings), ORIGIN, job.id, Date.now() + 3_600_000);

/** The statuses that `WHO` get, in that order. */
type Row = [name: string, method: string, path: (job: Job) => string, signed: ((job: Job) => string) | null, extra: Record<string, string>, statuses: number[]];

const JSON_BODY = { "content-type": "application/json" };
const UPGRADE = { upgrade: "websocket" };
const query = (address: string) => new URL(address).search;

const ROWS: Row[] = [
  //                                                                                         -    wrong A    B    op   op:A sA   sA+  sA!  sA-  sB   link link!
  ["health", "GET", () => "/api/health", null, {},                                          [200, 200, 200, 200, 200, 400, 200, 200, 200, 200, 200, 200, 200]],
  ["doctor", "GET", () => "/api/doctor", null, {},                                          [401, 401, 403, 403, 200, 400, 403, 403, 403, 403, 403, 401, 401]],
  ["metrics", "GET", () => "/api/metrics", null, {},                                        [401, 401, 403, 403, 200, 400, 403, 403, 403, 403, 403, 401, 401]],
  ["operator's log", "GET", () => "/api/operator/log", null, {},                            [401, 401, 403, 403, 200, 400, 403, 403, 403, 403, 403, 401, 401]],
  // Without a body, so it is refused: a pause and a limit require a reason.
  ["pause a lane", "POST", () => "/api/lanes/qwen-image-max/pause", null, {},               [401, 401, 403, 403, 400, 400, 403, 403, 403, 403, 403, 401, 401]],
  ["resume a lane", "POST", () => "/api/lanes/qwen-image-max/resume", null, {},             [401, 401, 403, 403, 200, 400, 403, 403, 403, 403, 403, 401, 401]],
  ["limit a lane", "PATCH", () => "/api/lanes/qwen-image-max", null, {},                    [401, 401, 403, 403, 400, 400, 403, 403, 403, 403, 403, 401, 401]],
  ["pause a client", "POST", () => "/api/clients/alice/pause", null, {},                    [401, 401, 403, 403, 400, 400, 403, 403, 403, 403, 403, 401, 401]],
  ["resume a client", "POST", () => "/api/clients/alice/resume", null, {},                  [401, 401, 403, 403, 200, 400, 403, 403, 403, 403, 403, 401, 401]],
  ["openapi", "GET", () => "/api/openapi.json", null, {},                                   [200, 200, 200, 200, 200, 400, 200, 200, 200, 200, 200, 200, 200]],
  ["docs", "GET", () => "/api/docs", null, {},                                              [200, 200, 200, 200, 200, 400, 200, 200, 200, 200, 200, 200, 200]],
  ["limits", "GET", () => "/api/limits", null, {},                                          [401, 401, 200, 200, 200, 200, 200, 200, 200, 200, 200, 401, 401]],
  ["submit", "POST", () => "/api/workflows/image-from-text", null, JSON_BODY,               [401, 401, 202, 202, 400, 202, 202, 202, 403, 403, 202, 401, 401]],
  ["list", "GET", () => "/api/jobs", null, {},                                              [401, 401, 200, 200, 200, 200, 200, 200, 200, 200, 200, 401, 401]],
  ["list of alice", "GET", () => "/api/jobs?client=alice", null, {},                        [401, 401, 200, 400, 200, 200, 200, 200, 200, 200, 400, 401, 401]],
  ["usage", "GET", () => "/api/usage", null, {},                                            [401, 401, 200, 200, 200, 200, 200, 200, 200, 200, 200, 401, 401]],
  ["usage of alice", "GET", () => "/api/usage?client=alice", null, {},                      [401, 401, 200, 400, 200, 200, 200, 200, 200, 200, 400, 401, 401]],
  ["job", "GET", (job) => `/api/jobs/${job.id}`, (job) => `/api/jobs/${job.id}${query(job.links.events)}`, {}, [401, 401, 200, 404, 200, 200, 200, 200, 200, 200, 404, 403, 403]],
  ["job as text", "GET", (job) => `/api/jobs/${job.id}`, null, { accept: "text/plain" },     [401, 401, 200, 404, 200, 200, 200, 200, 200, 200, 404, 401, 401]],
  ["events", "GET", (job) => `/api/jobs/${job.id}/events`, (job) => job.links.events, {},   [401, 401, 200, 404, 200, 200, 200, 200, 200, 200, 404, 200, 200]],
  ["events by SSE", "GET", (job) => `/api/jobs/${job.id}/events`, (job) => job.links.events, { accept: "text/event-stream" }, [401, 401, 200, 404, 200, 200, 200, 200, 200, 200, 404, 200, 200]],
  ["events by WebSocket", "GET", (job) => `/api/jobs/${job.id}/events`, (job) => job.links.events, UPGRADE, [401, 401, 101, 404, 101, 101, 101, 101, 403, 403, 404, 101, 403]],
  // There is no image yet, so the 404 only shows that access is allowed.
  ["image", "GET", (job) => `/api/jobs/${job.id}/images/0`, (job) => `/api/jobs/${job.id}/images/0${query(job.links.events)}`, {}, [401, 401, 404, 404, 404, 404, 404, 404, 404, 404, 404, 403, 403]],
  ["job by its share link", "GET", (job) => `/api/jobs/${job.id}`, (job) => `/api/jobs/${job.id}${query(sharedBy(job))}`, {}, [401, 401, 200, 404, 200, 200, 200, 200, 200, 200, 404, 200, 200]],
  ["input", "GET", (job) => `/api/jobs/${job.id}/inputs/0`, (job) => `/api/jobs/${job.id}/inputs/0${query(job.links.events)}`, {}, [401, 401, 404, 404, 404, 404, 404, 404, 404, 404, 404, 403, 403]],
  ["share", "POST", (job) => `/api/jobs/${job.id}/share`, (job) => `/api/jobs/${job.id}/share${query(job.links.events)}`, { "content-type": "application/json" }, [401, 401, 400, 404, 400, 400, 400, 400, 403, 403, 404, 401, 401]],
  ["cancel", "POST", (job) => `/api/jobs/${job.id}/cancel`, (job) => `/api/jobs/${job.id}/cancel${query(job.links.events)}`, {}, [401, 401, 200, 404, 200, 200, 200, 200, 403, 403, 404, 401, 401]],
  ["retry", "POST", (job) => `/api/jobs/${job.id}/retry`, (job) => `/api/jobs/${job.id}/retry${query(job.links.events)}`, {}, [401, 401, 409, 404, 409, 409, 409, 409, 403, 403, 404, 401, 401]],
  // Without a body, so it is refused: a patch requires a change.
  ["patch", "PATCH", (job) => `/api/jobs/${job.id}`, (job) => `/api/jobs/${job.id}${query(job.links.events)}`, {}, [401, 401, 400, 400, 400, 400, 400, 400, 403, 403, 400, 401, 401]],
  ["delete", "DELETE", (job) => `/api/jobs/${job.id}`, (job) => `/api/jobs/${job.id}${query(job.links.events)}`, {}, [401, 401, 204, 404, 204, 204, 204, 204, 403, 403, 404, 401, 401]],
  ["deliveries", "GET", (job) => `/api/jobs/${job.id}/deliveries`, (job) => `/api/jobs/${job.id}/deliveries${query(job.links.events)}`, {}, [401, 401, 200, 404, 200, 200, 200, 200, 200, 200, 404, 401, 401]],
  // The job has no webhook, so the 404 only shows that access is allowed.
  ["resend", "POST", (job) => `/api/jobs/${job.id}/deliveries/1/resend`, (job) => `/api/jobs/${job.id}/deliveries/1/resend${query(job.links.events)}`, {}, [401, 401, 404, 404, 404, 404, 404, 404, 403, 403, 404, 401, 401]],
  // Without an address, so the 400 only shows that access is allowed.
  ["webhook test", "POST", () => "/api/webhooks/test", null, {},                            [401, 401, 400, 400, 400, 400, 400, 400, 403, 403, 400, 401, 401]],
  ["webhook secret", "GET", () => "/api/webhooks/secret", null, {},                         [401, 401, 200, 200, 400, 200, 200, 200, 200, 200, 200, 401, 401]],
  ["feed by SSE", "GET", () => "/api/events", null, { accept: "text/event-stream" },         [401, 401, 200, 200, 400, 200, 200, 200, 200, 200, 200, 401, 401]],
  ["feed by WebSocket", "GET", () => "/api/events", null, UPGRADE,                          [401, 401, 101, 101, 400, 101, 101, 101, 403, 403, 101, 401, 401]],
  // The body is that of a submission, which no bulk call accepts.
  ["bulk", "POST", () => "/api/jobs/bulk", null, JSON_BODY,                                 [401, 401, 400, 400, 400, 400, 400, 400, 403, 403, 400, 401, 401]],
  ["counts", "GET", () => "/api/jobs/counts", null, {},                                     [401, 401, 200, 200, 200, 200, 200, 200, 200, 200, 200, 401, 401]],
  ["who asks", "GET", () => "/api/session", null, {},                                       [401, 401, 200, 200, 200, 400, 200, 200, 200, 200, 200, 401, 401]],
  ["sign in", "POST", () => "/api/session", null, {},                                       [401, 401, 200, 200, 200, 400, 401, 401, 403, 401, 401, 401, 403]],
  ["sign out", "DELETE", () => "/api/session", null, {},                                    [204, 204, 204, 204, 204, 400, 204, 204, 403, 204, 204, 204, 403]],
];

const CODES: Readonly<Record<number, readonly string[]>> = {
  400: ["invalid_query", "malformed_json", "invalid_request"],
  401: ["unauthorized"],
  403: ["forbidden_origin", "invalid_link", "operator_only"],
  404: ["job_not_found", "image_not_found", "delivery_not_found"],
  409: ["job_not_finished"],
};

describe.each(ROWS)("%s", (_name, method, path, signed, extra, statuses) => {
  it.each(WHO.map((who, index) => [who, statuses[index] ?? 0] as const))("%s → %d", async (who, status) => {
    const job = await newJob();
    const asked = await asWho(who, path(job), signed?.(job) ?? null, method, extra);
    const answer = await call(asked.path, asked.init);
    expect(answer.status).toBe(status);
    if (status < 400) {
      answer.webSocket?.accept();
      answer.webSocket?.close();
      await answer.body?.cancel();
      return;
    }
    const problem = Problem.parse(await answer.json());
    expect(CODES[status]).toContain(problem.code);
    expect(answer.headers.has("www-authenticate")).toBe(status === 401);
  });
});

it("every cell of every route is asserted", () => {
  const rows = new Set(ROWS.map(([, method, path]) => `${method} ${path({ id: ":id" } as Job).split("?")[0]}`));
  const routes = app.routes.filter((route) => route.method !== "ALL").map(({ method, path }) => `${method} ${path.replace(":index", "0").replace(":number", "1").replace(":model", "qwen-image-max").replace(":client", "alice")}`);
  // Both workflows have the same access rules.
  const missing = routes.filter((route) => !rows.has(route) && route !== "POST /api/workflows/image-from-reference");
  expect(missing).toEqual([]);
  expect(ROWS.every(([, , , , , statuses]) => statuses.length === WHO.length)).toBe(true);
});

describe("another client's job", () => {
  it("is answered exactly like an unknown job", async () => {
    const job = await newJob();
    const answerOf = async (id: string) => {
      const answer = await call(`/api/jobs/${id}`, { headers: { ...BOB, "x-request-id": "same" } });
      const headers = [...answer.headers].filter(([name]) => name !== "date");
      return { status: answer.status, headers, body: await answer.text() };
    };
    expect(await answerOf(job.id)).toEqual(await answerOf("job_000000000000000000000"));
  });

  it("does not share an Idempotency-Key", async () => {
    const key = { "idempotency-key": "shared" };
    const [mine, theirs] = [await newJob({ ...ALICE, ...key }), await newJob({ ...BOB, ...key })];
    expect(mine.id).not.toBe(theirs.id);
    expect((await newJob({ ...ALICE, ...key })).id).toBe(mine.id);
  });
});

describe("the operator", () => {
  it("counts every client's jobs together, or those of one client", async () => {
    const countOf = async (query: string) => {
      const answer = await call(`/api/jobs/counts?metadata.batch=counted&${query}`, { headers: OPERATOR });
      return JobCounts.parse(await answer.json()).models;
    };
    for (const who of [ALICE, BOB]) {
      const headers = { "content-type": "application/json", ...who };
      const body = JSON.stringify({ prompt: "counted", metadata: { batch: "counted" } });
      await call("/api/workflows/image-from-text", { method: "POST", headers, body });
    }
    await expect.poll(() => countOf("")).toEqual([{ model: "qwen-image-max", jobs: 2 }]);
    expect(await countOf("client=bob")).toEqual([{ model: "qwen-image-max", jobs: 1 }]);
  });

  it("sees every client's jobs in one list, newest first, page by page", async () => {
    const ids = [await newJob(ALICE), await newJob(BOB), await newJob(ALICE), await newJob(BOB)].map((job) => job.id).reverse();
    const pageOf = async (cursor: string | null) => {
      const answer = await call(`/api/jobs?limit=3${cursor === null ? "" : `&cursor=${cursor}`}`, { headers: OPERATOR });
      return JobList.parse(await answer.json());
    };
    await expect.poll(async () => (await pageOf(null)).jobs.map((job) => job.id)).toEqual(ids.slice(0, 3));
    const first = await pageOf(null);
    expect(first.jobs.map((job) => job.client)).toEqual(["bob", "alice", "bob"]);
    expect((await pageOf(first.nextCursor)).jobs[0]?.id).toBe(ids[3]);
    const own = await call("/api/jobs?limit=1", { headers: BOB });
    expect(JobList.parse(await own.json()).jobs[0]?.client).toBe("bob");
  });
});

describe("the operator's submission", () => {
  it.each(["alicia", "null", "constructor"])("is refused for %s, who has no token, because no list would show the job", async (name) => {
    const answer = await call(`/api/workflows/image-from-text?client=${name}`, {
      method: "POST",
      headers: { ...OPERATOR, "content-type": "application/json" },
      body: JSON.stringify({ prompt: "a red bicycle" }),
    });
    const problem = Problem.parse(await answer.json());
    expect([answer.status, problem.code, problem.errors?.[0]?.path]).toEqual([400, "invalid_query", "client"]);
  });
});

describe("a shared job", () => {
  const share = async (job: Job, body: unknown) => {
    const init = { method: "POST", headers: { ...ALICE, "content-type": "application/json" }, body: JSON.stringify(body) };
    return call(`/api/jobs/${job.id}/share`, init);
  };

  it("is read by everyone with its link, without its metadata and without a link to its events", async () => {
    const job = await newJob();
    const shared = Share.parse(await (await share(job, { hours: 1 })).json());
    expect(new URL(shared.url).pathname).toBe(`/shared/${job.id}`);
    const read = await call(`/api/jobs/${job.id}${query(shared.url)}`);
    const seen = Job.parse(await read.json());
    expect([read.status, seen.id, seen.metadata]).toEqual([200, job.id, {}]);
    expect(seen.links.events).toBe(`${ORIGIN}/api/jobs/${job.id}/events`);
    for (const action of ["cancel", "retry", "share"]) {
      expect((await call(`/api/jobs/${job.id}/${action}${query(shared.url)}`, { method: "POST" })).status).toBe(401);
    }
    const other = await newJob();
    expect((await call(`/api/jobs/${other.id}${query(shared.url)}`)).status).toBe(403);
    const longer = query(shared.url).replace(/end=(\d+)/, (_, seconds) => `end=${Number(seconds) + 60}`);
    expect((await call(`/api/jobs/${job.id}${longer}`)).status).toBe(403);
  });

  it("does not show the operator's reason for a pause", async () => {
    const command = (what: string, body: object) => call(`/api/lanes/qwen-image-max/${what}`, { method: "POST", headers: { ...OPERATOR, "content-type": "application/json" }, body: JSON.stringify(body) });
    expect((await command("pause", { reason: "an unpaid bill" })).status).toBe(200);
    const job = await newJob();
    const own = async () => Job.parse(await (await call(`/api/jobs/${job.id}`, { headers: ALICE })).json());
    await expect.poll(async () => (await own()).queue?.reason.pausedBecause).toBe("an unpaid bill");
    const text = await (await call(`/api/jobs/${job.id}${query(sharedBy(job))}`)).text();
    expect(Job.parse(JSON.parse(text)).queue).toMatchObject({ waitingOn: "paused", reason: { pausedBecause: null } });
    expect(text).not.toContain("an unpaid bill");
    expect((await command("resume", {})).status).toBe(200);
  });

  it("does not show its client's spend", async () => {
    const limited = { ...settings, CLIENT_BUDGETS: '{"alice":{"monthly":987654321,"alertAt":0}}' };
    const made = await call("/api/workflows/image-from-text", { ...submission, headers: { ...submission.headers, ...ALICE } }, limited);
    const job = Job.parse(await made.json());
    expect(job.warnings.map(({ code }) => code)).toEqual(["budget_alert"]);
    const read = async () => (await call(`/api/jobs/${job.id}${query(sharedBy(job))}`)).text();
    expect(await read()).not.toMatch(/987654321|budget_alert/);

    // As a job is that found no money for its next attempt.
    const object = jobObject(env.JOBS, job.id);
    await runInDurableObject(object, (_job, { storage }) => {
      const record = storage.kv.get<JobRecord>("record");
      if (record?.kind !== "job") throw new Error("there is no job");
      const error = { code: "budget_exceeded", message: "the limit of 987654321 USD has no room", hint: "Up to 987654321 USD may have been paid.", upstream: null } as const;
      storage.kv.put("record", { ...record, state: { status: "failed", finishedAtMs: Date.now(), error } });
    });
    await evictDurableObject(object);
    const text = await read();
    expect(Job.parse(JSON.parse(text)).error).toMatchObject({ code: "budget_exceeded" });
    expect(text).not.toContain("987654321");
  });

  it.each([{}, { hours: 0 }, { hours: 721 }, { hours: 1, for: "ever" }])("is not shared with %j", async (body) => {
    const answer = await share(await newJob(), body);
    const problem = Problem.parse(await answer.json());
    expect([answer.status, problem.code, problem.errors?.[0]?.path]).toEqual([400, "invalid_request", "/hours"]);
  });
});

describe("a client whose token was revoked", () => {
  const revoked = { ...settings, CLIENT_TOKENS: JSON.stringify({ bob: sha256Hex("token-of-bob") }) };
  const forms: [string, Record<string, string>][] = [["JSON", {}], ["SSE", { accept: "text/event-stream" }], ["WebSocket", UPGRADE]];

  it("gets by its events link no link that lasts longer, and nothing after that link's end", async () => {
    const job = await newJob();
    const { events } = job.links;
    for (const [, headers] of forms) {
      expect((await call(`/api/jobs/${job.id}/events`, { headers: { ...headers, ...ALICE } }, revoked)).status).toBe(401);
    }
    const endOf = (address: string) => Number(new URL(address).searchParams.get("end"));
    const stream = await call(events, { headers: { accept: "text/event-stream" } }, revoked);
    expect(stream.status).toBe(200);
    const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
    let frames = "";
    while (!/^data: .*\n/m.test(frames)) frames += (await reader?.read())?.value;
    await reader?.cancel();
    const ends = [...frames.matchAll(/end=(\d+)/g)].map(([, end]) => Number(end));
    expect(frames).toContain(job.id);
    expect(ends.filter((end) => end > endOf(events))).toEqual([]);
    try {
      vi.setSystemTime(endOf(events) * 1000 + 1);
      for (const [form, headers] of forms) {
        expect([form, (await call(events, { headers }, revoked)).status]).toEqual([form, 403]);
      }
      expect((await call(`/api/jobs/${job.id}${query(events)}`, {}, revoked)).status).toBe(403);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("a session", () => {
  it("answers the asker's name, and to an operator the names of all clients", async () => {
    const identityOf = async (headers: Record<string, string>) =>
      Identity.parse(await (await call("/api/session", { headers })).json());
    const session = { cookie: await sessionOf("token-of-alice"), origin: ORIGIN };
    expect(await identityOf(session)).toEqual({ client: "alice", role: "client", clients: ["alice"] });
    expect(await identityOf(OPERATOR)).toMatchObject({ client: "operator", role: "operator", clients: expect.arrayContaining(["alice", "bob"]) });
  });

  it("is opened with a token and closed again", async () => {
    const opened = await call("/api/session", { method: "POST", headers: { ...ALICE, origin: ORIGIN } });
    expect(Session.parse(await opened.json()).client).toBe("alice");
    expect(opened.headers.get("set-cookie")).toMatch(/^__Host-darkroom=.+; Path=\/; HttpOnly; Secure; SameSite=Strict$/);
    const json = { method: "POST", headers: { "content-type": "application/json", origin: ORIGIN } };
    const byBody = await call("/api/session", { ...json, body: '{"token":"token-of-bob"}' });
    expect(Session.parse(await byBody.json()).client).toBe("bob");
    expect((await call("/api/session", { ...json, body: '{"token":"token-of-nobody"}' })).status).toBe(401);
    const broken = Problem.parse(await (await call("/api/session", { ...json, body: "{" })).json());
    expect(broken.code).toBe("malformed_json");
    const form = await call("/api/session", { method: "POST", body: new URLSearchParams({ token: "token-of-bob" }) });
    expect([form.status, form.headers.get("accept-post")]).toEqual([415, "application/json"]);
    expect((await call("/api/session", { ...json, body: JSON.stringify({ token: "a".repeat(20_000) }) })).status).toBe(413);
    const closed = await call("/api/session", { method: "DELETE", headers: { origin: ORIGIN } });
    expect(closed.headers.get("set-cookie")).toMatch(/^__Host-darkroom=; .*Max-Age=0/);
  });
});

describe("CORS", () => {
  const preflight = (origin: string, path = "/api/workflows/image-from-text") =>
    call(path, { method: "OPTIONS", headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization" } });

  it("lets pages of allowed origins send and read what they need", async () => {
    const answer = await preflight(ALLOWED);
    expect(answer.status).toBe(204);
    expect(answer.headers.get("access-control-allow-origin")).toBe(ALLOWED);
    expect(answer.headers.get("access-control-allow-methods")).toBe("POST");
    for (const name of ["Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Prefer", "Last-Event-ID"]) {
      expect(answer.headers.get("access-control-allow-headers")).toContain(name);
    }
    const read = await call("/api/jobs", { headers: { ...ALICE, origin: ALLOWED } });
    expect(read.headers.get("access-control-allow-origin")).toBe(ALLOWED);
    expect(read.headers.get("access-control-allow-credentials")).toBe("true");
    expect(read.headers.get("vary")).toContain("Origin");
    for (const name of ["ETag", "Location", "Retry-After", "X-Request-Id", "Idempotency-Replayed", "RateLimit"]) {
      expect(read.headers.get("access-control-expose-headers")).toContain(name);
    }
    const problem = await call("/api/jobs", { headers: { origin: ALLOWED } });
    expect([problem.status, problem.headers.get("access-control-allow-origin")]).toEqual([401, ALLOWED]);
  });

  it("lets them read the health, as its preflight allows", async () => {
    expect((await preflight(ALLOWED, "/api/health")).headers.get("access-control-allow-methods")).toBe("GET, HEAD");
    const read = await call("/api/health", { headers: { origin: ALLOWED } });
    expect([read.status, read.headers.get("access-control-allow-origin")]).toEqual([200, ALLOWED]);
    expect(read.headers.get("vary")).toContain("Origin");
  });

  it("lets no other page read an answer", async () => {
    for (const answer of [await preflight(FOREIGN), await preflight("null"), await call("/api/jobs", { headers: { ...ALICE, origin: FOREIGN } })]) {
      expect([...answer.headers.keys()].filter((name) => name.startsWith("access-control-"))).toEqual([]);
    }
  });

  it("has no preflight answer for a path that does not exist", async () => {
    expect((await preflight(ALLOWED, "/api/nowhere")).status).toBe(404);
  });
});

describe("open mode", () => {
  it("is refused on a public host name, with the reason", async () => {
    const open = { ...settings, AUTH_MODE: "open" };
    const answer = await call("/api/jobs", {}, open);
    const problem = Problem.parse(await answer.json());
    expect([answer.status, problem.code]).toEqual([403, "open_mode_refused"]);
    const meant = { ...open, ALLOW_PUBLIC_OPEN_MODE: "yes, anyone may spend my money" };
    expect((await call("/api/jobs", {}, meant)).status).toBe(200);
    expect((await call("http://localhost:8787/api/jobs", {}, open)).status).toBe(200);
  });
});

describe("PUBLIC_ORIGIN", () => {
  const PUBLIC = "https://images.example";
  const vars = { ...settings, PUBLIC_ORIGIN: PUBLIC };

  it("is the start of every link, whatever host the request came to", async () => {
    const answer = await call("/api/workflows/image-from-text", { ...submission, headers: { ...submission.headers, ...ALICE } }, vars);
    const job = Job.parse(await answer.json());
    expect(answer.headers.get("location")).toBe(`${PUBLIC}/api/jobs/${job.id}`);
    for (const link of Object.values(job.links)) expect(link).toMatch(/^https:\/\/images\.example\//);
    const read = Job.parse(await (await call(`/api/jobs/${job.id}`, { headers: ALICE }, vars)).json());
    // The objects of these tests have their own settings, without a signing secret.
    expect(read.links).toEqual({ ...job.links, events: job.links.events.split("?")[0] });
    const missing = Problem.parse(await (await call("/api/jobs/nothing", { headers: ALICE }, vars)).json());
    expect(missing.type).toMatch(/^https:\/\/images\.example\/api\/docs#/);
  });

  it("is trusted like the request's own origin", async () => {
    const signIn = { method: "POST", headers: { ...ALICE, origin: PUBLIC } };
    expect((await call("/api/session", signIn, vars)).status).toBe(200);
    expect((await call("/api/session", signIn)).status).toBe(403);
  });
});

describe("pages of other origins in open mode", () => {
  const open = { ...settings, AUTH_MODE: "open" };
  const list = async (origin: string) => {
    const answer = await call("http://localhost:8787/api/jobs", { headers: { origin } }, open);
    return answer.headers.get("access-control-allow-origin");
  };

  it("may read answers when this machine serves the page, and not otherwise", async () => {
    expect(await list("http://localhost:3000")).toBe("http://localhost:3000");
    expect(await list("http://[::1]:5173")).toBe("http://[::1]:5173");
    expect(await list("https://evil.example")).toBeNull();
    const inTokenMode = await call("/api/jobs", { headers: { ...ALICE, origin: "http://localhost:3000" } });
    expect(inTokenMode.headers.get("access-control-allow-origin")).toBeNull();
  });
});

describe("limits on submissions", () => {
  const submit = (vars: object, headers: Record<string, string> = ALICE) =>
    call("/api/workflows/image-from-text", { ...submission, headers: { ...submission.headers, ...headers } }, vars);

  it("bound the number of unfinished jobs with a 429, and still answer a repetition", async () => {
    const vars = { ...settings, MAX_PENDING_JOBS: "3", CLIENT_TOKENS: JSON.stringify({ carol: sha256Hex("token-of-carol") }) };
    const carol = bearer("token-of-carol");
    const statuses: number[] = [];
    const first = await submit(vars, { ...carol, "idempotency-key": "first" });
    statuses.push(first.status);
    for (let n = 0; n < 4; n++) statuses.push((await submit(vars, carol)).status);
    expect(statuses).toEqual([202, 202, 202, 429, 429]);
    const refused = await submit(vars, carol);
    expect(Problem.parse(await refused.json()).code).toBe("too_many_pending_jobs");
    expect(refused.headers.get("retry-after")).toMatch(/^\d+$/);
    expect(refused.headers.get("ratelimit-policy")).toContain("q=3");
    const again = await submit(vars, { ...carol, "idempotency-key": "first" });
    expect([again.status, again.headers.get("idempotency-replayed")]).toEqual([202, "true"]);
  });

  const limitTo = (pending: number, client: string) => ({
    ...settings,
    MAX_PENDING_JOBS: String(pending),
    CLIENT_TOKENS: JSON.stringify({ [client]: sha256Hex(`token-of-${client}`) }),
  });
  /** Repeats the request until there is room: a canceled or deleted job is still counted for a moment. */
  const onceThereIsRoom = (ask: () => Promise<Response>) =>
    vi.waitFor(async () => {
      const answer = await ask();
      expect(answer.status).not.toBe(429);
      return answer;
    }, 60_000);
  const idOf = async (answer: Response) => Job.parse(await answer.json()).id;

  it("answer a repetition with the key's newest job when the earlier ones were deleted", async () => {
    const vars = limitTo(1, "erin");
    const erin = { ...bearer("token-of-erin"), "idempotency-key": "once" };
    for (let generation = 0; generation < 2; generation++) {
      const id = await idOf(await onceThereIsRoom(() => submit(vars, erin)));
      expect((await call(`/api/jobs/${id}`, { method: "DELETE", headers: erin }, vars)).status).toBe(204);
    }
    const id = await idOf(await onceThereIsRoom(() => submit(vars, erin)));
    expect((await submit(vars, bearer("token-of-erin"))).status).toBe(429);
    const again = await submit(vars, erin);
    expect([again.status, again.headers.get("idempotency-replayed")]).toEqual([202, "true"]);
    expect(await idOf(again)).toBe(id);
  });

  it.each(["frank", "the operator"])("apply to a retry by %s as to a submission", async (who) => {
    const client = who === "frank" ? "frank" : "grace";
    const vars = limitTo(1, client);
    const own = bearer(`token-of-${client}`);
    const as = who === "frank" ? own : OPERATOR;
    const post = (id: string, what: string) => call(`/api/jobs/${id}/${what}`, { method: "POST", headers: as }, vars);
    const first = await idOf(await submit(vars, own));
    expect((await post(first, "cancel")).status).toBe(200);
    const second = await idOf(await onceThereIsRoom(() => submit(vars, own)));
    const refused = await post(first, "retry");
    expect(refused.status).toBe(429);
    expect(Problem.parse(await refused.json()).code).toBe("too_many_pending_jobs");
    expect(refused.headers.get("retry-after")).toMatch(/^\d+$/);
    expect(refused.headers.get("ratelimit")).toBe(`"pending-jobs";r=0;t=${refused.headers.get("retry-after")}`);
    expect(refused.headers.get("ratelimit-policy")).toContain("q=1");
    // An unfinished job cannot be retried in any case, and that is the answer.
    expect((await post(second, "retry")).status).toBe(409);
    expect((await post(second, "cancel")).status).toBe(200);
    const retried = await onceThereIsRoom(() => post(first, "retry"));
    expect(Job.parse(await retried.json())).toMatchObject({ id: first, status: "queued" });
    expect((await submit(vars, own)).status).toBe(429);
  });

  it("slow down a client that submits too fast", async () => {
    let asked = 0;
    const limiter = { limit: async () => ({ success: ++asked <= 2 }) };
    const vars = { ...settings, SUBMIT_LIMITER: limiter, CLIENT_TOKENS: JSON.stringify({ dave: sha256Hex("token-of-dave") }) };
    const statuses: number[] = [];
    for (let n = 0; n < 31; n++) statuses.push((await submit(vars, bearer("token-of-dave"))).status);
    // The limiter counts in tens, beside the submission: it refuses the thirtieth, which is noticed afterwards.
    expect(statuses).toEqual([...Array<number>(30).fill(202), 429]);
    const refused = await submit(vars, bearer("token-of-dave"));
    expect(Problem.parse(await refused.json()).code).toBe("rate_limited");
    expect(refused.headers.get("ratelimit")).toBe(`"submit";r=0;t=${refused.headers.get("retry-after")}`);
  });
});
