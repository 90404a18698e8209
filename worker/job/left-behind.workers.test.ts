import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { until } from "../../test/support/until.ts";
import { laneStub } from "../stubs.ts";
import { laneOf, TASK_MODEL, testJob, withoutJitter } from "./job.fixture.ts";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("a task whose acceptance came late", () => {
  it("while the job was queued is resumed: one submission, one image paid", async () => {
    withoutJitter();
    const lane = laneStub(env, laneOf(TASK_MODEL));
    const job = await testJob({ model: TASK_MODEL }).spoil({ fault: { type: "hold", at: "arrival" } });
    await job.submit();
    await job.held();
    await job.until("past its budget", ({ status }) => status === "retrying");
    // Makes the second attempt wait for its turn.
    await lane.observe({ kind: "blocked", code: "Arrearage", hint: "a test of waiting" });
    await job.until("in line", ({ status }) => status === "queued");
    await job.release();
    const view = await job.done();
    expect(view.status).toBe("succeeded");
    expect(view.attempts).toMatchObject([
      { outcome: "timed_out", mayBeBilled: false },
      { outcome: "succeeded", mayBeBilled: true },
    ]);
    const { submits, billed } = await job.ledger();
    expect([submits.length, billed.length]).toEqual([1, 1]);
    await until("the line to be left", async () => ((await lane.report()).queued === 0 ? true : undefined));
    await lane.observe({ kind: "succeeded", durationMs: 100 });
  });
});

describe("a place in the queue", () => {
  it("is not left behind by a job that is canceled after an eviction", async () => {
    const lane = laneStub(env, laneOf("qwen-image-max"));
    const others = ["a", "b"].map((letter) => `job_${letter.repeat(21)}`);
    for (const jobId of others) await lane.enqueue({ jobId, client: "others", priority: "normal", round: 1 }, false);
    const job = await testJob({ model: "qwen-image-max", size: "1664*928" }).submit();
    await until("a place", async () => ((await job.view()).queue?.position === 1 ? true : undefined));
    await job.evict();
    expect(await job.rpc.cancel(null)).toMatchObject({ ok: true });
    await until("nobody in line", async () => ((await lane.report()).queued === 0 ? true : undefined));
  });
});

describe("a ticket that its lane has lost", () => {
  it("is found missing by the job's own alarm a minute later, without a reader", async () => {
    const model = "wan2.2-t2i-flash";
    const lane = laneStub(env, laneOf(model));
    // A paused lane estimates no start, and probes nothing.
    await lane.control({ kind: "pause", reason: "a test", untilMs: null });
    const job = await testJob({ model, size: "1024*1024" }).submit();
    await job.until("in line", ({ queue }) => queue?.position === 1);
    await lane.leave(job.id);
    expect((await lane.report()).queued).toBe(0);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 61_000 });
    await until("in line again", async () => {
      await runDurableObjectAlarm(job.object);
      return (await lane.report()).queued === 1 ? true : undefined;
    });
    vi.useRealTimers();
    await job.rpc.remove(null);
    await lane.control({ kind: "resume" });
  });

  it("is found missing by the next reader, and the job is queued again", async () => {
    const model = "wan2.2-t2i-plus";
    const lane = laneStub(env, laneOf(model));
    await lane.observe({ kind: "blocked", code: "InvalidApiKey", hint: "by a test" });
    const job = await testJob({ model, size: "1024*1024" }).submit();
    await job.until("in line", ({ queue }) => queue?.position === 1);
    await lane.leave(job.id);
    expect((await lane.report()).queued).toBe(0);
    await until("in line again", async () => {
      await job.view();
      return (await lane.report()).queued === 1 ? true : undefined;
    });
    await job.rpc.remove(null);
  });
});
