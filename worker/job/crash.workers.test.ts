import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { until } from "../../test/support/until.ts";
import { laneStub } from "../stubs.ts";
import type { JobRecord } from "./core/record.ts";
import { laneOf, SYNC_MODEL, type TestJob, testJob, withoutJitter } from "./job.fixture.ts";

beforeEach(withoutJitter);

const HOLD = { type: "hold", at: "arrival" } as const;
const HANG = { type: "hang" } as const;

async function heldJob(given: Parameters<typeof testJob>[0] = {}): Promise<TestJob> {
  const job = await testJob(given).spoil({ fault: HOLD });
  await job.submit();
  await job.held();
  return job;
}

/** Waits until upstream has seen that many submissions. No request goes to the job, so only its alarm continues it. */
const submissions = (job: TestJob, count: number) =>
  until(`${count} submissions`, async () => ((await job.ledger()).submits.length >= count ? true : undefined));

describe.concurrent("a crash after which only the alarm continues the job", () => {
  it("of a job that was just stored: it asks its lane again", async () => {
    const job = await testJob().submit();
    await job.crash();
    await runDurableObjectAlarm(job.object);
    await submissions(job, 1);
    expect((await job.done()).status).toBe("succeeded");
  });

  it("of a job that generates: interrupted, may be billed, and tried again", async () => {
    const job = await heldJob();
    await job.crash();
    await submissions(job, 2);
    const view = await job.done();
    expect(view.status).toBe("succeeded");
    expect(view.attempts).toMatchObject([
      { outcome: "interrupted", counted: true, mayBeBilled: true, stillOpen: false, upstream: { httpStatus: null } },
      { outcome: "succeeded" },
    ]);
    await job.release();
  });

  it("of a job that generates: a repeated offer of its lease is answered with the attempt's start", async () => {
    const job = await heldJob();
    const [attempt] = (await job.view()).attempts;
    const nowMs = Date.now();
    const lease = await runInDurableObject(
      job.object,
      (_object, { storage }) => storage.kv.get<JobRecord>("record")?.attempts.at(0)?.lease,
    );
    const again = {
      leaseId: lease?.leaseId ?? "",
      lane: laneOf(SYNC_MODEL),
      jobId: job.id,
      round: 1,
      notBeforeMs: nowMs,
      beginByMs: nowMs + 60_000,
      endsAtMs: nowMs + 90_000,
    };
    const answer = { accepted: true, startedAtMs: Date.parse(attempt?.startedAt ?? "") };
    expect(await job.rpc.begin(again)).toEqual(answer);
    await job.crash();
    await submissions(job, 2);
    expect((await job.done()).attempts).toMatchObject([{ outcome: "interrupted" }, { outcome: "succeeded" }]);
    expect(await job.rpc.begin(again)).toEqual(answer);
    // Another lease of the same ticket, a lease of another lane, and one of an unknown ticket are not used.
    expect(await job.rpc.begin({ ...again, leaseId: `${again.leaseId}0` })).toEqual({ accepted: false });
    expect(await job.rpc.begin({ ...again, lane: "elsewhere.example|z-image-turbo" })).toEqual({ accepted: false });
    expect(await job.rpc.begin({ ...again, round: 9 })).toEqual({ accepted: false });
    await job.release();
  });

  it("of a job that generates, with onUncertain: fail: nothing is asked for again", async () => {
    const job = await heldJob({ onUncertain: "fail" });
    await job.crash();
    const view = await job.done();
    expect(view).toMatchObject({ status: "failed", error: { code: "outcome_uncertain" } });
    expect((await job.ledger()).submits).toHaveLength(1);
    await job.release();
  });

  it("of a job with its last attempt under way: it fails, and gives the reason", async () => {
    const job = await heldJob({ maxAttempts: 1 });
    await job.crash();
    const view = await job.done();
    expect(view.error).toMatchObject({
      code: "attempts_exhausted",
      message: expect.stringContaining("the process that held the call ended"),
    });
    await job.release();
  });

  it("of a job that waits with an open call: the call is lost, and the retry no longer waits for it", async () => {
    const job = await heldJob();
    const before = await job.until("past its budget", ({ status }) => status === "retrying");
    await job.crash();
    await runDurableObjectAlarm(job.object);
    await submissions(job, 2);
    const view = await job.done();
    expect(view.attempts).toMatchObject([{ outcome: "timed_out", stillOpen: false }, { outcome: "succeeded" }]);
    const late = (await job.events()).find(({ type }) => type === "attempt.late");
    expect(late?.data).toMatchObject({ attempt: 1, reason: "the open call was lost with its process" });
    expect(Date.parse(view.attempts[0]?.retryAt ?? "")).toBeLessThan(Date.parse(before.attempts[0]?.retryAt ?? ""));
    await job.release();
  });

  it("of a job that generates beside an open call: both are lost, and a third attempt delivers", async () => {
    const job = testJob();
    await (await job.spoil({ fault: HANG, times: 2 })).submit();
    await submissions(job, 2);
    await job.crash();
    await submissions(job, 3);
    const view = await job.done();
    expect(view.attempts.map(({ outcome, stillOpen }) => [outcome, stillOpen])).toEqual([
      ["timed_out", false],
      ["interrupted", false],
      ["succeeded", false],
    ]);
  });

  it("of a job that only waits for an open call: it fails", async () => {
    const job = await heldJob({ maxAttempts: 1 });
    await job.until("past its budget", ({ attempts }) => attempts[0]?.outcome === "timed_out");
    await job.crash();
    const view = await job.done();
    expect(view).toMatchObject({ status: "failed", error: { code: "attempts_exhausted" } });
    await job.release();
  });

  it("of a job that was just deleted: its files are removed", async () => {
    const job = await testJob().submit();
    await job.done();
    await Promise.all([job.rpc.remove(null), job.crash()]).catch(() => undefined);
    // The removal may have been lost in the crash, so it is repeated.
    await job.rpc.remove(null);
    await job.crash();
    await runDurableObjectAlarm(job.object);
    await until("an empty bucket", async () => ((await job.images()).length === 0 ? true : undefined));
    expect(await job.rpc.view(null)).toEqual({ ok: false, code: "job_gone" });
  });

  it("three times in a row costs three attempts, and no more", async () => {
    const job = testJob();
    await (await job.spoil({ fault: HANG, times: 3 })).submit();
    for (const count of [1, 2, 3]) {
      await submissions(job, count);
      await job.crash();
    }
    const view = await job.done();
    expect(view.attempts.map(({ outcome }) => outcome)).toEqual([
      "interrupted",
      "interrupted",
      "interrupted",
      "succeeded",
    ]);
    expect((await job.ledger()).billed).toHaveLength(1);
  });
});

describe.concurrent("an eviction of an object at rest, after which the job continues", () => {
  it("queued: by a lease from its lane", async () => {
    // A lane of its own, blocked.
    const model = "wan2.2-t2i-plus";
    const lane = laneStub(env, laneOf(model));
    await lane.observe({ kind: "blocked", code: "InvalidApiKey", hint: "by a test" });
    const job = await testJob({ model, size: "1024*1024" }).submit();
    await job.until("in line", ({ queue }) => queue?.position === 1);
    await job.evict();
    await lane.observe({ kind: "succeeded", durationMs: 0 });
    await submissions(job, 1);
    expect((await job.done()).status).toBe("succeeded");
  });

  it("finished: it sets no alarm again when it is read, unless it has lost it", async () => {
    const job = await testJob().submit();
    const { expiresAt } = await job.done();
    const expiresAtMs = Date.parse(expiresAt ?? "");
    const alarmAtMs = () => runInDurableObject(job.object, (_object, { storage }) => storage.getAlarm());
    await until("its last alarm", async () => ((await alarmAtMs()) === expiresAtMs ? true : undefined));
    const read = () =>
      runInDurableObject(job.object, async (object, { storage }) => {
        const setAlarm = vi.spyOn(storage, "setAlarm");
        expect((await object.view(null)).ok).toBe(true);
        // The object has asked by now, and has its answer before this one.
        await storage.getAlarm();
        await scheduler.wait(0);
        return setAlarm.mock.calls.length;
      });
    await job.evict();
    expect(await read()).toBe(0);
    await job.evict();
    await runInDurableObject(job.object, (_object, { storage }) => storage.deleteAlarm());
    expect(await read()).toBe(1);
    expect(await alarmAtMs()).toBe(expiresAtMs);
  });

  it("in its backoff: at the time of the retry, by its alarm", async () => {
    const fault = { type: "error", code: "ModelUnavailable", retryAfter: "1" } as const;
    const job = await (await testJob().spoil({ fault })).submit();
    await job.until("waiting", ({ status }) => status === "retrying");
    await job.evict();
    await submissions(job, 2);
    expect((await job.done()).attempts).toMatchObject([{ outcome: "failed" }, { outcome: "succeeded" }]);
  });

  it("put back by a 429: in its old place", async () => {
    const model = "wanx2.1-t2i-turbo";
    const fault = { type: "error", code: "Throttling.RateQuota" } as const;
    const job = await (await testJob({ model, size: "1024*1024", maxAttempts: 1 }).spoil({ fault })).submit();
    await job.until("put back", ({ status, attempts }) => status === "queued" && attempts.length === 1);
    await job.evict();
    expect((await job.done()).attempts).toMatchObject([{ outcome: "throttled" }, { outcome: "succeeded" }]);
    expect((await job.ledger()).submits).toHaveLength(2);
  });

  it("between two tries to copy: with the links that are stored", async () => {
    const fault = { type: "result", how: "server-error", times: 2 } as const;
    const job = await (await testJob().spoil({ fault, times: null })).submit();
    await until("the first copy", async () => ((await job.ledger()).billed[0]?.downloads.length ? true : undefined));
    await job.evict();
    const view = await job.done();
    expect([view.status, view.attempts.length]).toEqual(["succeeded", 1]);
    expect((await job.ledger()).submits).toHaveLength(1);
  });

  it.each<readonly [string, () => Promise<TestJob>]>([
    ["succeeded", async () => testJob().submit()],
    [
      "failed",
      async () => (await testJob().spoil({ fault: { type: "error", code: "DataInspectionFailed" } })).submit(),
    ],
    [
      "canceled",
      async () => {
        const job = await heldJob();
        await job.rpc.cancel(null);
        await job.release();
        return job;
      },
    ],
  ])("%s: the same view, log and image", async (status, jobOf) => {
    const job = await jobOf();
    const before = await job.done();
    const [events, image] = [await job.events(), await job.rpc.image(null, 0)];
    await job.evict();
    expect(await job.view()).toEqual(before);
    expect(before.status).toBe(status);
    expect(await job.events()).toEqual(events);
    expect(await job.rpc.image(null, 0)).toEqual(image);
    expect(image.ok).toBe(status === "succeeded");
  });

  it("deleted: it stays removed", async () => {
    const job = await testJob().submit();
    await job.done();
    await job.rpc.remove(null);
    await until("an empty bucket", async () => ((await job.images()).length === 0 ? true : undefined));
    await job.evict();
    expect(await job.rpc.view(null)).toEqual({ ok: false, code: "job_gone" });
    expect(await job.rpc.submit(job.submission)).toEqual({ ok: false, code: "job_gone" });
  });
});

describe("an open call", () => {
  it("is held by waitUntil, which keeps the object in memory, until its answer is stored", async () => {
    const job = await testJob().spoil({ fault: HOLD });
    const held = new Set<Promise<unknown>>();
    await runInDurableObject(job.object, (_object, state) => {
      const waitUntil = state.waitUntil.bind(state);
      Object.defineProperty(state, "waitUntil", {
        value: (work: Promise<unknown>) => {
          held.add(work);
          void work.finally(() => held.delete(work));
          waitUntil(work);
        },
      });
    });
    await job.submit();
    await job.held();
    await job.until("past its budget", ({ attempts }) => attempts[0]?.stillOpen === true);
    // All other work is soon over.
    await until("nothing else held", () => (held.size <= 1 ? true : undefined));
    expect(held.size).toBe(1);
    await job.release();
    await job.done();
    await until("nothing held", () => (held.size === 0 ? true : undefined));
  });
});

it("leaves no lease behind after all of these tests", async () => {
  const lane = laneStub(env, laneOf(SYNC_MODEL));
  await until("an empty lane", async () => {
    const { queued, inProgress } = await lane.report();
    return queued + inProgress === 0 ? true : undefined;
  });
});
