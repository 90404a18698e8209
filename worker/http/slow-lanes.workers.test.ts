import { env } from "cloudflare:workers";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { Job, JobList } from "../../schemas/job.ts";
import { Health, type LaneReport, Limits } from "../../schemas/limits.ts";
import { configOf } from "../env.ts";
import { jobStub } from "../stubs.ts";
import { namespaceWith, neverAnswers, send } from "./http.fixture.ts";

/** No other test uses this model, and its quota leaves jobs waiting. */
const MODEL = "qwen-image-2.0-pro";
const ORIGIN = "http://localhost:8787";

function configured() {
  const read = configOf(env);
  if (!read.ok) throw new Error("the settings of the tests are wrong");
  return read.config;
}

const get = (path: string) => new Request(`${ORIGIN}${path}`, { headers: { accept: "application/json" } });
const submitted: string[] = [];

afterAll(async () => {
  for (const id of submitted) await jobStub(env, id).remove(null);
});

// Two jobs start at once, and the others wait during this file.
beforeAll(async () => {
  for (let count = 0; count < 5; count++) await submit();
});
afterEach(() => void vi.useRealTimers());

async function submit(): Promise<string> {
  const request = new Request(`${ORIGIN}/api/workflows/image-from-text`, {
    method: "POST",
    body: JSON.stringify({ prompt: "a red bicycle", model: MODEL }),
    headers: { "content-type": "application/json" },
  });
  const sent = send(request);
  const { id } = Job.parse(await (await sent.answer).json());
  submitted.push(id);
  await sent.settled();
  return id;
}

const stopped = (method: string) => ({ LANES: namespaceWith(env.LANES, method, neverAnswers) });

describe("while a lane does not answer", () => {
  it("health and limits show the last known lanes", async () => {
    const limitsOf = async (bindings: object) =>
      Limits.parse(await (await send(get("/api/limits"), bindings).answer).json());
    const known = await limitsOf({});
    const lane = known.lanes.find(({ model }) => model === MODEL);
    expect(lane).toBeDefined();
    vi.setSystemTime(Date.now() + 60_000);
    expect((await limitsOf(stopped("report"))).lanes.map(({ model }) => model)).toContain(MODEL);
    const health = await send(get("/api/health"), stopped("report")).answer;
    expect(health.status).toBe(200);
    expect(Health.parse(await health.json()).lanes.map(({ model }) => model)).toContain("qwen-image-max");
  });

  it("a list shows its jobs with their last known places", async () => {
    const listOf = async (bindings: object) => {
      const answer = await send(get(`/api/jobs?model=${MODEL}`), bindings).answer;
      expect(answer.status).toBe(200);
      const { jobs } = JobList.parse(await answer.json());
      return new Map(jobs.map(({ id, queue }) => [id, queue?.position ?? null]));
    };
    const positions = async () => [...(await listOf({})).values()].filter((position) => position !== null).length;
    await expect.poll(positions).toBeGreaterThanOrEqual(2);
    const known = await listOf({});
    const shown = await listOf(stopped("places"));
    // One may have started meanwhile, and has no place any more.
    const placed = [...shown].filter(([, position]) => position !== null);
    expect(placed.length).toBeGreaterThan(0);
    for (const [id, position] of placed) expect(known.get(id)).toBe(position);
  });

  it("a list shows the last known places also after another list, of other jobs, was answered", async () => {
    const placesOf = async (page: string, bindings: object = {}) => {
      const answer = await send(get(`/api/jobs?model=${MODEL}&status=queued&limit=1${page}`), bindings).answer;
      const { jobs, nextCursor } = JobList.parse(await answer.json());
      return { nextCursor, places: jobs.map(({ queue }) => queue?.position ?? null) };
    };
    // The newest jobs are the last in line, so they wait during the whole test.
    await expect.poll(async () => (await placesOf("")).places[0] ?? null).not.toBeNull();
    const { nextCursor } = await placesOf("");
    const other = `&cursor=${encodeURIComponent(nextCursor ?? "")}`;
    expect((await placesOf(other)).places).toEqual([expect.any(Number)]);
    expect((await placesOf("", stopped("places"))).places).toEqual([expect.any(Number)]);
    expect((await placesOf(other, stopped("places"))).places).toEqual([expect.any(Number)]);
  });

  it("limits are shown even when the catalog does not answer either", async () => {
    const bindings = { ...stopped("report"), CATALOGS: namespaceWith(env.CATALOGS, "list", neverAnswers) };
    const answer = await send(get("/api/limits"), bindings).answer;
    expect(answer.status).toBe(200);
    expect(Limits.parse(await answer.json()).models.length).toBeGreaterThan(10);
  });

  it("health probes of several seconds call it once, even when none of its reports is known", async () => {
    const { modelTable } = configured();
    // Later than any report or failed call of the tests before.
    vi.setSystemTime(Date.now() + 120_000);
    let asked = 0;
    const counted = () => {
      asked += 1;
      return neverAnswers();
    };
    const silent = { LANES: namespaceWith(env.LANES, "report", counted) };
    for (let second = 0; second < 4; second++) {
      expect((await send(get("/api/health"), silent).answer).status).toBe(200);
      vi.setSystemTime(Date.now() + 1000);
    }
    expect(asked).toBe(modelTable.names.length);
    vi.setSystemTime(Date.now() + 5000);
    await send(get("/api/health"), silent).answer;
    expect(asked).toBe(2 * modelTable.names.length);
  });

  it("the next request shows its answer when it is too late for the first", async () => {
    vi.setSystemTime(Date.now() + 240_000);
    const late = Promise.withResolvers<void>();
    let asked = 0;
    const slow = {
      LANES: namespaceWith(env.LANES, "report", async (stub) => {
        asked += 1;
        await late.promise;
        return { ...((await stub.report?.()) as LaneReport), queued: 77 };
      }),
    };
    const first = send(get("/api/health"), slow);
    await first.answer;
    late.resolve();
    await first.settled();
    expect(asked).toBeGreaterThan(0);
    // After `ASK_AGAIN_MS`, so that the lane is asked again.
    vi.setSystemTime(Date.now() + 6_000);
    const next = await send(get("/api/health"), stopped("report")).answer;
    expect(Health.parse(await next.json()).lanes.map(({ queued }) => queued)).toContain(77);
  });
});
