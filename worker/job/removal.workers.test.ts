import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { until } from "../../test/support/until.ts";
import { laneStub } from "../stubs.ts";
import type { JobRecord } from "./core/record.ts";
import type { GenerationJob } from "./generation-job.ts";
import { laneOf, SYNC_MODEL, type TestJob, testJob, withoutJitter } from "./job.fixture.ts";

const DAY_MS = 86_400_000;
const RETENTION_MS = 30 * DAY_MS;
const GONE = { ok: false, code: "job_gone" };

beforeEach(withoutJitter);
afterEach(() => {
  vi.useRealTimers();
});

/** Moves the clock that objects read. Their alarms follow the machine's own clock, so they are run by hand. */
async function later(job: TestJob, byMs: number): Promise<void> {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + byMs });
  await runDurableObjectAlarm(job.object);
}

const rows = (job: TestJob) =>
  runInDurableObject(job.object, async (_object, state) => ({
    keys: [...state.storage.kv.list()].map(([key]) => key),
    alarmAtMs: await state.storage.getAlarm(),
  }));

const emptyBucket = (job: TestJob) =>
  until("an empty bucket", async () => ((await job.images()).length === 0 ? true : undefined));

describe("retention", () => {
  it("keeps a job for its time, then removes it with its images; a tombstone answers 410 for as long again", async () => {
    const job = await testJob().submit();
    const view = await job.done();
    expect(Date.parse(view.expiresAt ?? "") - Date.parse(view.finishedAt ?? "")).toBe(RETENTION_MS);
    await later(job, RETENTION_MS - DAY_MS);
    expect(await job.view()).toEqual(view);
    expect(await job.images()).toHaveLength(1);
    await later(job, 2 * DAY_MS);
    expect(await job.rpc.view(null)).toEqual(GONE);
    await emptyBucket(job);
    await later(job, RETENTION_MS - DAY_MS);
    expect(await job.rpc.view(null)).toEqual(GONE);
    expect(await job.rpc.remove(null)).toEqual(GONE);
    await later(job, 2 * DAY_MS);
    await until("empty storage", async () => ((await rows(job)).keys.length === 0 ? true : undefined));
    expect((await rows(job)).alarmAtMs).toBeNull();
    expect(await job.rpc.view(null)).toEqual({ ok: false, code: "job_not_found" });
  });

  it("keeps a pinned job and its images, and removes them once it is unpinned", async () => {
    const job = await testJob().submit();
    const { seq, tag } = await job.done();
    const pinned = await job.rpc.patch(null, { pinned: true });
    expect(pinned).toMatchObject({ ok: true, view: { pinned: true, seq } });
    expect(pinned.ok && pinned.view.tag).not.toBe(tag);
    await until("no alarm", async () => ((await rows(job)).alarmAtMs === null ? true : undefined));
    await later(job, 3 * RETENTION_MS);
    await evictDurableObject(job.object);
    expect(await job.view()).toMatchObject({ status: "succeeded", pinned: true });
    expect(await job.images()).toHaveLength(1);
    expect(await job.rpc.patch(null, { pinned: false })).toMatchObject({ ok: true, view: { pinned: false } });
    await until("its removal", async () => ((await job.rpc.view(null)).ok ? undefined : true));
    await emptyBucket(job);
  });

  it("removes at the tombstone's end a file that was put after the removal", async () => {
    const job = await testJob().submit();
    await job.done();
    await job.rpc.remove(null);
    await emptyBucket(job);
    await env.RESULTS.put(`jobs/${job.id}/1/0`, "a put that outlived its object");
    await later(job, RETENTION_MS + DAY_MS);
    await emptyBucket(job);
    await until("empty storage", async () => ((await rows(job)).keys.length === 0 ? true : undefined));
  });

  it("ends on time when a reader comes before the alarm", async () => {
    const job = await testJob().submit();
    await job.done();
    await job.evict();
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + RETENTION_MS + DAY_MS });
    expect(await job.rpc.view(null)).toEqual(GONE);
  });

  it("does not remove a job that was retried before its retention ended", async () => {
    const job = await testJob().spoil({ fault: { type: "error", code: "DataInspectionFailed" } });
    await (await job.submit()).done();
    await later(job, RETENTION_MS - 1_000);
    const retried = await job.rpc.retry(null);
    expect(retried).toMatchObject({ ok: true, view: { expiresAt: null } });
    vi.useRealTimers();
    expect((await job.done()).status).toBe("succeeded");
  });

  it("removes a job whose call is still open, and a late answer brings nothing back", async () => {
    const job = await testJob().spoil({ fault: { type: "hold", at: "answer" } });
    await job.submit();
    await job.held();
    await job.rpc.cancel(null);
    await later(job, RETENTION_MS + DAY_MS);
    expect(await job.rpc.view(null)).toEqual(GONE);
    await job.release();
    await until("the end of the call", async () => ((await job.ledger()).submits[0]?.end == null ? undefined : true));
    expect(await job.rpc.view(null)).toEqual(GONE);
    expect(await job.images()).toEqual([]);
  });
});

describe("a deletion", () => {
  it("cancels, removes and answers 410 for as long as a job is kept; then nothing is left", async () => {
    const job = await testJob().spoil({ fault: { type: "hold", at: "arrival" } });
    await job.submit();
    await job.held();
    expect(await job.rpc.remove(null)).toEqual({ ok: true });
    expect(await job.rpc.remove(null)).toEqual(GONE);
    expect(await job.rpc.cancel(null)).toEqual(GONE);
    expect(await job.rpc.events(null, 0, 10)).toEqual(GONE);
    expect(await job.rpc.image(null, 0)).toEqual(GONE);
    await job.release();
    await later(job, RETENTION_MS - DAY_MS);
    expect(await job.rpc.view(null)).toEqual(GONE);
    await later(job, 2 * DAY_MS);
    await until("empty storage", async () => ((await rows(job)).keys.length === 0 ? true : undefined));
  });

  it("answers 410 for as long as the job that took over its key is kept", async () => {
    const job = await testJob().submit();
    await job.done();
    await job.rpc.remove(null);
    await later(job, RETENTION_MS - DAY_MS);
    // The submitter then asks for the key's next job, which is kept for its retention after its end.
    expect(await job.rpc.submit(job.submission)).toEqual(GONE);
    await later(job, RETENTION_MS);
    expect(await job.rpc.submit(job.submission)).toEqual(GONE);
    await later(job, RETENTION_MS + 3 * DAY_MS);
    await until("empty storage", async () => ((await rows(job)).keys.length === 0 ? true : undefined));
  });

  it("stays as long as the job that its key now names, however often that is retried", async () => {
    const job = await testJob().submit();
    await job.done();
    await job.rpc.remove(null);
    const rejected = { type: "error", code: "DataInspectionFailed" } as const;
    const next = await testJob().spoil({ fault: rejected, times: null });
    expect(await job.rpc.submit({ ...job.submission, nextId: next.id })).toEqual(GONE);
    await (await next.submit()).done();
    // Its tombstone would be over now, but the next job was retried a day before its own end.
    await later(next, RETENTION_MS - DAY_MS);
    expect(await next.rpc.retry(null)).toMatchObject({ ok: true });
    await next.done();
    await later(job, 2 * DAY_MS);
    await until(
      "the answer of the next job",
      async () => ((await rows(job)).alarmAtMs ?? 0) > Date.now() + DAY_MS || undefined,
    );
    expect(await job.rpc.view(null)).toEqual(GONE);
    // Nor does it stay longer than that job's own tombstone.
    await next.rpc.remove(null);
    await later(next, RETENTION_MS + DAY_MS);
    await until("no next job", async () => ((await rows(next)).keys.length === 0 ? true : undefined));
    await later(job, RETENTION_MS);
    await until("empty storage", async () => {
      await runDurableObjectAlarm(job.object);
      return (await rows(job)).keys.length === 0 ? true : undefined;
    });
  });

  it("keeps nothing of the job's content: no prompt, no link, no log", async () => {
    const job = await testJob().submit();
    await job.done();
    await job.rpc.remove(null);
    const stored = await runInDurableObject(job.object, (_object, state) =>
      JSON.stringify([...state.storage.kv.list()]),
    );
    expect(stored).not.toContain("test picture");
    expect(stored).not.toContain("http");
    expect(stored).not.toContain("attempt.started");
  });

  it("of an unknown job finds nothing, and stores nothing", async () => {
    const job = testJob();
    expect(await job.rpc.remove(null)).toEqual({ ok: false, code: "job_not_found" });
    expect(await rows(job)).toEqual({ keys: [], alarmAtMs: null });
  });
});

describe("a deletion that has not reached the lane yet", () => {
  it("answers a repeated offer of a used lease that it was used", async () => {
    const job = await testJob().spoil({ fault: { type: "hold", at: "arrival" } });
    await job.submit();
    await job.held();
    const answers = await runInDurableObject(job.object, async (object: GenerationJob, { storage }) => {
      const lease = storage.kv.get<JobRecord>("record")?.attempts[0]?.lease;
      const nowMs = Date.now();
      const terms = { jobId: job.id, round: 1, notBeforeMs: nowMs, beginByMs: nowMs + 5_000, endsAtMs: nowMs + 60_000 };
      const again = { ...terms, lane: lease?.lane ?? "", leaseId: lease?.leaseId ?? "" };
      void object.remove(null);
      const used = object.begin(again);
      const unknown = object.begin({ ...again, leaseId: `${job.id}.999` });
      return { nowMs, used: await used, unknown: await unknown };
    });
    expect(answers.used).toEqual({ accepted: true, startedAtMs: answers.nowMs });
    expect(answers.unknown).toEqual({ accepted: false });
    await expect.poll(async () => (await laneStub(env, laneOf(SYNC_MODEL)).report()).inProgress).toBe(0);
    await job.release();
  });
});
