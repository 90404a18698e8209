import { createExecutionContext, reset, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import { BulkResult } from "../../schemas/bulk.ts";
import { Job, JobList } from "../../schemas/job.ts";
import { Problem } from "../../schemas/problem.ts";
import { sha256Hex } from "../auth/tokens.ts";
import { app } from "./app.ts";

const ORIGIN = "https://darkroom.example";
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const ALICE = bearer("token-of-alice");
const BOB = bearer("token-of-bob");
const CAROL = bearer("token-of-carol");
const OPERATOR = bearer("token-of-the-operator");

const settings = {
  ...env,
  AUTH_MODE: "token",
  SIGNING_SECRET: "a secret of many characters",
  CLIENT_TOKENS: JSON.stringify({
    alice: sha256Hex("token-of-alice"),
    bob: sha256Hex("token-of-bob"),
    carol: sha256Hex("token-of-carol"),
  }),
  ADMIN_TOKEN_SHA256: sha256Hex("token-of-the-operator"),
};

afterEach(() => reset());

async function call(path: string, init: RequestInit = {}, vars: object = settings): Promise<Response> {
  const context = createExecutionContext();
  const answer = await app.fetch(new Request(`${ORIGIN}${path}`, init), vars as Env, context);
  await waitOnExecutionContext(context);
  return answer;
}

const post = (path: string, body: unknown, who = ALICE, vars: object = settings) =>
  call(
    path,
    { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json", ...who } },
    vars,
  );

async function bulk(body: unknown, who = ALICE, query = "", vars: object = settings): Promise<BulkResult> {
  const answer = await post(`/api/jobs/bulk${query}`, body, who, vars);
  expect(answer.status).toBe(200);
  return BulkResult.parse(await answer.json());
}

/** Jobs that wait, because the first uses up the lane's quota of two a minute. */
async function waiting(count: number, who = ALICE, body: object = {}, vars: object = settings): Promise<string[]> {
  const ids: string[] = [];
  for (let at = 0; at < count; at++) {
    const answer = await post(
      "/api/workflows/image-from-text",
      { prompt: `[fault:hang] picture ${at}`, ...body },
      who,
      vars,
    );
    expect(answer.status).toBe(202);
    ids.push(Job.parse(await answer.json()).id);
  }
  await expect.poll(async () => (await listed(who)).filter((id) => ids.includes(id)).length).toBe(count);
  return ids;
}

async function listed(who = ALICE): Promise<string[]> {
  const answer = await call("/api/jobs?limit=100", { headers: who });
  return JobList.parse(await answer.json()).jobs.map(({ id }) => id);
}

async function statusOf(id: string, who = ALICE): Promise<string | number> {
  const answer = await call(`/api/jobs/${id}`, { headers: who });
  return answer.status === 200 ? Job.parse(await answer.json()).status : answer.status;
}

describe("acting on many jobs", () => {
  it("cancels by ids, retries by a filter, and deletes, each like its own route", async () => {
    const ids = await waiting(3);
    expect(await bulk({ action: "cancel", ids })).toEqual({ matched: 3, done: 3, refused: [], nextCursor: null });
    expect(await Promise.all(ids.map((id) => statusOf(id)))).toEqual(["canceled", "canceled", "canceled"]);
    await expect
      .poll(async () => (await bulk({ action: "retry", filter: { status: ["canceled"] }, dryRun: true })).matched)
      .toBe(3);
    const keyed = { ...ALICE, "idempotency-key": "a key" };
    expect(await bulk({ action: "retry", filter: { status: ["canceled"] } }, keyed)).toMatchObject({
      matched: 3,
      done: 3,
    });
    // The same call again, whose first answer was lost, is the same retry of each job.
    expect(await bulk({ action: "retry", ids }, keyed)).toMatchObject({ done: 3, refused: [] });
    expect(await statusOf(ids[0] ?? "")).toMatch(/queued|running/);
    expect(await bulk({ action: "delete", ids })).toMatchObject({ done: 3 });
    expect(await Promise.all(ids.map((id) => statusOf(id)))).toEqual([410, 410, 410]);
  });

  it("pins and unpins", async () => {
    const ids = await waiting(2);
    const pinned = async () => {
      const answer = await call("/api/jobs?limit=100", { headers: ALICE });
      return JobList.parse(await answer.json()).jobs.filter((job) => ids.includes(job.id) && job.pinned).length;
    };
    expect(await bulk({ action: "pin", ids })).toMatchObject({ done: 2, refused: [] });
    await expect.poll(pinned).toBe(2);
    const [other = ""] = await waiting(1);
    expect(await bulk({ action: "delete", filter: { pinned: false } })).toMatchObject({ matched: 1, done: 1 });
    expect(await statusOf(other)).toBe(410);
    expect(await bulk({ action: "unpin", filter: { pinned: true } })).toMatchObject({ matched: 2, done: 2 });
    await expect.poll(pinned).toBe(0);
    expect(await bulk({ action: "pin", ids })).toMatchObject({ done: 2, refused: [] });
    expect(await bulk({ action: "unpin", ids })).toMatchObject({ done: 2, refused: [] });
    await expect.poll(pinned).toBe(0);
  });

  it("names each refused job with the reason, and acts on the others", async () => {
    const [mine = "", gone = ""] = await waiting(2);
    const [bobs = ""] = await waiting(1, BOB);
    await bulk({ action: "delete", ids: [gone] });
    const unknown = "job_000000000000000000000";
    const result = await bulk({ action: "retry", ids: [mine, bobs, gone, unknown, mine] });
    expect(result).toEqual({
      matched: 4,
      done: 0,
      refused: [
        { id: mine, code: "job_not_finished" },
        { id: bobs, code: "job_not_found" },
        { id: gone, code: "job_gone" },
        { id: unknown, code: "job_not_found" },
      ],
      nextCursor: null,
    });
    expect(await statusOf(bobs, BOB)).not.toBe(410);
  });

  it("selects by a filter the same jobs as the list: the asker's own; for the operator everyone's or one client's", async () => {
    await waiting(2, ALICE, { metadata: { shop: "north" } });
    const [south = ""] = await waiting(1, ALICE, { metadata: { shop: "south" } });
    const [bobs = ""] = await waiting(1, BOB, { metadata: { shop: "south" } });
    const counted = async (filter: object, who = ALICE, query = "") =>
      (await bulk({ action: "cancel", filter, dryRun: true }, who, query)).matched;
    expect(await counted({ metadata: { shop: "north" } })).toBe(2);
    expect(await counted({ q: "PICTURE 1" })).toBe(1);
    expect(await counted({ before: "2020-01-01T00:00:00.000Z" })).toBe(0);
    expect(await counted({ metadata: { shop: "south" } }, OPERATOR)).toBe(2);
    expect(await counted({ metadata: { shop: "south" } }, OPERATOR, "?client=bob")).toBe(1);
    expect(await bulk({ action: "cancel", filter: { metadata: { shop: "south" } } })).toMatchObject({ done: 1 });
    expect([await statusOf(south), await statusOf(bobs, BOB)]).toEqual([
      "canceled",
      expect.stringMatching(/queued|running/),
    ]);
  });

  it("retries no more than the client's limit on unfinished jobs allows", async () => {
    // Uses its own client, because this isolate remembers for a moment what a client was granted.
    const strict = { ...settings, MAX_PENDING_JOBS: "2" };
    const ids: string[] = [];
    for (const count of [2, 1]) {
      const few = await waiting(count, CAROL, {}, strict);
      await bulk({ action: "cancel", ids: few }, CAROL, "", strict);
      ids.push(...few);
      const canceled = { action: "retry", filter: { status: ["canceled"] }, dryRun: true };
      await expect.poll(async () => (await bulk(canceled, CAROL, "", strict)).matched).toBe(ids.length);
    }
    const result = await bulk({ action: "retry", ids }, CAROL, "", strict);
    expect([result.done, result.refused.map(({ code }) => code)]).toEqual([2, ["too_many_pending_jobs"]]);
  });
});

describe("a bulk retry", () => {
  it("is slowed down like single retries when a client retries too fast", async () => {
    // Uses its own client, because the limiter counts in tens.
    const vars = {
      ...settings,
      SUBMIT_LIMITER: { limit: async () => ({ success: false }) },
      CLIENT_TOKENS: JSON.stringify({ dave: sha256Hex("token-of-dave") }),
    };
    const ids = Array.from({ length: 15 }, (_, at) => `job_${String(at).padStart(21, "0")}`);
    const { refused } = await bulk({ action: "retry", ids }, bearer("token-of-dave"), "", vars);
    const codes = [...Array<string>(10).fill("job_not_found"), ...Array<string>(5).fill("rate_limited")];
    expect(refused).toEqual(ids.map((id, at) => ({ id, code: codes[at] })));
  });
});

describe("a bulk call that is refused", () => {
  it.each<[unknown, string]>([
    [{ action: "cancel" }, "/ids"],
    [{ action: "cancel", filter: {} }, "/filter"],
    [{ action: "cancel", ids: ["x"] }, "/ids/0"],
    [{ action: "cancel", ids: [] }, "/ids"],
    [{ action: "cancel", ids: ["job_000000000000000000000"], filter: { q: "a" } }, "/ids"],
    [{ action: "cancel", ids: Array.from({ length: 101 }, (_, at) => `job_${String(at).padStart(21, "0")}`) }, "/ids"],
    [{ action: "explode", filter: { q: "a" } }, "/action"],
    [{ action: "cancel", filter: { colour: "red" } }, "/filter"],
    [{ action: "cancel", ids: ["job_000000000000000000000"], cursor: "x" }, "/cursor"],
  ])("%o names what is wrong and does nothing", async (body, path) => {
    const answer = await post("/api/jobs/bulk", body);
    expect(answer.status).toBe(400);
    const { code, errors } = Problem.parse(await answer.json());
    expect([code, errors?.[0]?.path]).toEqual(["invalid_request", path]);
  });
});
