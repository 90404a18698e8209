import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { until } from "../../test/support/until.ts";
import { LaneDispatcher } from "../lane/lane-dispatcher.ts";
import { framedPng } from "../results/image.fixture.ts";
import { jobPrefix } from "../results/job-files.ts";
import { laneStub } from "../stubs.ts";
import { laneOf, TASK_MODEL, testJob, withoutJitter } from "./job.fixture.ts";

/* Calls to R2, to another object and to upstream that never settle, whatever their signal says. */

afterEach(() => {
  vi.restoreAllMocks();
  Reflect.deleteProperty(env.RESULTS, "put");
});

/** The `put` of the first image does not end. `land` stores the image later. */
function firstPutHangs() {
  const bucket = env.RESULTS;
  const put = bucket.put.bind(bucket);
  const held: string[] = [];
  Object.defineProperty(bucket, "put", {
    configurable: true,
    value: async (key: string, value: ReadableStream, options: R2PutOptions) => {
      if (held.length > 0) return put(key, value, options);
      held.push(key);
      return await new Promise(() => undefined);
    },
  });
  return { held, land: async () => void (await put(held[0] ?? "", framedPng(1024, 1024, 500))) };
}

describe("a bucket that never answers a put", () => {
  it("does not keep a canceled job from being stored after a retry", async () => {
    withoutJitter();
    const bucket = firstPutHangs();
    const job = await testJob().submit();
    await until("the put", () => bucket.held[0]);
    expect(await job.rpc.cancel(null)).toMatchObject({ ok: true, view: { status: "canceled" } });
    expect(await job.rpc.retry(null)).toMatchObject({ ok: true, view: { phase: "storing" } });
    expect(await job.done()).toMatchObject({ status: "succeeded", attempts: [{ number: 1 }] });
    expect((await job.ledger()).submits).toHaveLength(1);
  });

  it("does not keep a deleted job's files from being removed, also when the put ends after the removal", async () => {
    const job = testJob();
    await env.RESULTS.put(`${jobPrefix(job.id)}inputs/a`, "an upload");
    const bucket = firstPutHangs();
    await job.submit();
    await until("the put", () => bucket.held[0]);
    await job.rpc.remove(null);
    await until("an empty bucket", async () => ((await job.images()).length === 0 ? true : undefined));
    await bucket.land();
    await until("an empty bucket again", async () => ((await job.images()).length === 0 ? true : undefined));
  });
});

describe("an upstream that never answers", () => {
  it("is asked again for the task, whose images are then stored", async () => {
    const fetch = globalThis.fetch.bind(globalThis);
    let isFirst = true;
    vi.spyOn(globalThis, "fetch").mockImplementation((input, init) => {
      const isRead = String(input).includes("/tasks/");
      if (!isRead || !isFirst) return fetch(input, init);
      isFirst = false;
      return new Promise(() => undefined);
    });
    const job = await testJob({ model: TASK_MODEL }).submit();
    expect((await job.done()).status).toBe("succeeded");
    expect(isFirst).toBe(false);
    expect((await job.ledger()).submits).toHaveLength(1);
  });
});

describe("a lane that never answers", () => {
  it("is asked again for a place", async () => {
    vi.spyOn(LaneDispatcher.prototype, "enqueue").mockImplementationOnce(() => new Promise(() => undefined));
    const job = await testJob().submit();
    expect((await job.done()).status).toBe("succeeded");
    expect((await job.ledger()).submits).toHaveLength(1);
  });

  it("does not delay readers: the last known place is shown, and a wait ends in time", async () => {
    const model = "wan2.2-t2i-flash";
    const lane = laneStub(env, laneOf(model));
    await lane.observe({ kind: "blocked", code: "InvalidApiKey", hint: "by a test" });
    const job = await testJob({ model, size: "1024*1024" }).submit();
    await job.until("in line", ({ queue }) => queue?.position === 1);
    await job.evict();
    const places = vi.spyOn(LaneDispatcher.prototype, "place").mockImplementation(() => new Promise(() => undefined));
    expect(await job.rpc.view(null)).toMatchObject({ ok: true, view: { status: "queued" } });
    expect(await job.rpc.show(null, "https://d.example")).toMatchObject({ ok: true });
    expect(await job.rpc.wait(null, null, 100)).toMatchObject({ ok: true, view: { status: "queued" } });
    expect(places).toHaveBeenCalled();
    places.mockRestore();
    await job.rpc.remove(null);
  });
});
