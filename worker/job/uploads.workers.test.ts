import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import { until } from "../../test/support/until.ts";
import { DIRECT_BEGIN_MS } from "../lane/core/lane.ts";
import { storedState } from "../lane/lane.fixture.ts";
import { checkInputImage, putInputImage } from "../results/input-image.ts";
import { laneStub } from "../stubs.ts";
import { EDIT_MODEL, type GivenJob, laneOf, type TestJob, testJob, withoutJitter } from "./job.fixture.ts";

afterEach(() => {
  Reflect.deleteProperty(env.RESULTS, "get");
  Reflect.deleteProperty(env.RESULTS, "list");
});

/** A job with an upload that is stored in the bucket; the job is not submitted yet. */
async function editJob(given: GivenJob = {}): Promise<TestJob> {
  const source = await testJob().submit();
  await source.done();
  const [stored] = await source.images();
  const bytes = await (await env.RESULTS.get(stored?.key ?? ""))?.bytes();
  if (bytes === undefined) throw new Error("no image to edit");
  const input = new Uint8Array(bytes);
  const checked = await checkInputImage(input);
  if (!checked.ok) throw new Error(checked.message);
  const job = testJob({ ...given, images: [checked.image] });
  await putInputImage(env.RESULTS, job.id, checked.image, input);
  return job;
}

/** The bucket answers no read before `release` is called. */
function heldBucket() {
  const bucket = env.RESULTS;
  const get = bucket.get.bind(bucket);
  const released = Promise.withResolvers<void>();
  const reads: string[] = [];
  Object.defineProperty(bucket, "get", {
    configurable: true,
    value: async (key: string) => {
      reads.push(key);
      await released.promise;
      return get(key);
    },
  });
  return { reads, release: () => released.resolve() };
}

describe("an upload that takes longer to open than a lease waits", () => {
  it("is opened before the attempt begins, once, so that the call goes out when the lane counts it", async () => {
    withoutJitter();
    const job = await editJob();
    const bucket = heldBucket();
    await job.submit();
    await until("the read", () => (bucket.reads.length > 0 ? true : undefined));
    const askedAtMs = Date.now();
    await until("the lease's last moment", () => (Date.now() > askedAtMs + DIRECT_BEGIN_MS ? true : undefined));
    expect((await job.view()).attempts).toEqual([]);
    const openedAtMs = Date.now();
    bucket.release();
    const view = await job.done();
    expect(view).toMatchObject({ status: "succeeded", attempts: [{ number: 1, outcome: "succeeded" }] });
    expect(Date.parse(view.attempts[0]?.startedAt ?? "")).toBeGreaterThanOrEqual(openedAtMs);
    expect(bucket.reads.filter((key) => key.includes("/inputs/"))).toHaveLength(1);
    expect((await job.ledger()).submits).toHaveLength(1);
    await expect.poll(async () => (await laneStub(env, laneOf(EDIT_MODEL)).report()).inProgress).toBe(0);
  });

  it("does not keep the job from being canceled", async () => {
    const job = await editJob();
    const bucket = heldBucket();
    await job.submit();
    await until("the read", () => (bucket.reads.length > 0 ? true : undefined));
    expect(await job.rpc.cancel(null)).toMatchObject({ ok: true, view: { status: "canceled", attempts: [] } });
    bucket.release();
    await expect.poll(async () => (await laneStub(env, laneOf(EDIT_MODEL)).report()).inProgress).toBe(0);
    expect((await job.ledger()).submits).toEqual([]);
  });
});

/** Every read of an upload fails until `mend` is called. */
function brokenBucket() {
  const bucket = env.RESULTS;
  const get = bucket.get.bind(bucket);
  let reads = 0;
  let isBroken = true;
  Object.defineProperty(bucket, "get", {
    configurable: true,
    value: async (key: string) => {
      if (!isBroken || !key.includes("/inputs/")) return get(key);
      reads += 1;
      throw new Error("R2 is not available (10043)");
    },
  });
  return {
    reads: () => reads,
    mend: () => {
      isBroken = false;
    },
  };
}

describe("a bucket that fails before the call", () => {
  it("uses up no attempt and no start: the job shows why it waits, and starts by itself later", async () => {
    withoutJitter();
    const starts = async () => (await storedState(laneOf(EDIT_MODEL))).starts.length;
    const job = await editJob();
    const bucket = brokenBucket();
    await job.submit();
    const view = await job.until("waiting for the bucket", ({ queue }) => queue?.waitingOn === "backoff");
    expect(view).toMatchObject({ status: "queued", attempts: [], queue: { position: null } });
    expect(view.queue?.reason.failure).toContain("R2 is not available");
    expect(view.queue?.detail).toMatch(/^waits until .* UTC before the next try: an uploaded image cannot be read/);
    await until("more reads than one lease allows", () => (bucket.reads() > 12 ? true : undefined));
    // Between two tries the lane has the lease and the start back.
    await expect.poll(async () => (await laneStub(env, laneOf(EDIT_MODEL)).report()).inProgress).toBe(0);
    expect(await starts()).toBe(0);
    bucket.mend();
    const done = await job.done();
    expect(done).toMatchObject({ status: "succeeded", attempts: [{ number: 1, counted: true }] });
    expect((await job.ledger()).submits).toHaveLength(1);
  });

  it("does not keep the job beyond its deadline, which names the reason", async () => {
    const job = await editJob({ deadlineSeconds: 2 });
    brokenBucket();
    await job.submit();
    const view = await job.done();
    expect(view).toMatchObject({ status: "failed", error: { code: "deadline_exceeded" }, attempts: [] });
    expect(view.error?.message).toContain("an uploaded image cannot be read from storage");
    await expect.poll(async () => (await laneStub(env, laneOf(EDIT_MODEL)).report()).inProgress).toBe(0);
  });
});

describe("uploads whose submission does not come", () => {
  it("are removed before another submission with the same key is stored, which then stays", async () => {
    const bucket = env.RESULTS;
    const list = bucket.list.bind(bucket);
    const [asked, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    Object.defineProperty(bucket, "list", {
      configurable: true,
      value: async (options: R2ListOptions) => {
        asked.resolve();
        await released.promise;
        return list(options);
      },
    });
    const job = testJob();
    expect(await job.rpc.expectUploads("the refused request", Date.now() + 60_000)).toBe("new");
    const dropped = job.rpc.dropUploads("the refused request");
    await asked.promise;
    const submitted = job.submit();
    const expected = job.rpc.expectUploads("a third request", Date.now() + 60_000);
    expect(await job.rpc.view(null)).toEqual({ ok: false, code: "job_not_found" });
    released.resolve();
    await Promise.all([dropped, submitted]);
    expect(await expected).toBe("exists");
    const isStored = await runInDurableObject(
      job.object,
      (_job, { storage }) => storage.kv.get("record") !== undefined,
    );
    expect(isStored).toBe(true);
    await job.done();
  });

  it("are removed when another request with the same key has made the job, which keeps its own", async () => {
    const job = await editJob();
    const untilMs = Date.now() + 60_000;
    await job.rpc.expectUploads("the first request", untilMs);
    await job.rpc.expectUploads("the refused request", untilMs);
    await env.RESULTS.put(`jobs/${job.id}/inputs/another-image`, "an image");
    Object.assign(job.submission, { uploadsUntilMs: untilMs });
    await job.submit();
    await job.rpc.dropUploads("the refused request");
    const inputs = async () =>
      (await env.RESULTS.list({ prefix: `jobs/${job.id}/inputs/` })).objects.map(({ key }) => key);
    expect(await inputs()).toEqual([expect.not.stringContaining("another-image")]);
    await job.done();
    expect(await inputs()).toHaveLength(1);
  });

  it("are removed also after the submission was refused because its reservation had expired", async () => {
    const job = await editJob();
    const untilMs = Date.now() + 60_000;
    expect(await job.rpc.expectUploads("this request", untilMs)).toBe("new");
    Object.assign(job.submission, { uploadsUntilMs: untilMs, grantUntilMs: Date.now() - 1 });
    expect(await job.rpc.submit(job.submission)).toEqual({ ok: false, code: "grant_expired" });
    expect((await env.RESULTS.list({ prefix: `jobs/${job.id}/` })).objects).toHaveLength(1);
    await job.rpc.dropUploads("this request");
    expect((await env.RESULTS.list({ prefix: `jobs/${job.id}/` })).objects).toEqual([]);
  });
});
