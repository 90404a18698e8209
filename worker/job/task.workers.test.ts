import { beforeEach, describe, expect, it, vi } from "vitest";
import { until } from "../../test/support/until.ts";
import { TASK_MODEL, type TestJob, testJob, withoutJitter } from "./job.fixture.ts";

/** Longer than a budget of two seconds, so that an attempt ends before its task. */
const LONG_TASK = { type: "slow", extraMs: 3_000 } as const;

beforeEach(withoutJitter);

const taskJob = (given: Parameters<typeof testJob>[0] = {}) => testJob({ model: TASK_MODEL, ...given });

const taskIsKnown = (job: TestJob) =>
  job.until("known to have a task", ({ attempts }) => attempts[0]?.upstream.taskId != null);

describe.concurrent("a task", () => {
  it("is stored before anything else: shown with its id, and read on after an eviction", async () => {
    const job = await (await taskJob().spoil({ fault: LONG_TASK })).submit();
    const known = await taskIsKnown(job);
    const [submitted] = (await job.ledger()).submits;
    expect(known.attempts[0]?.upstream).toMatchObject({
      taskId: submitted?.end?.taskId,
      requestId: submitted?.requestId,
    });
    await job.evict();
    const view = await job.done();
    expect(view.status).toBe("succeeded");
    const { submits, billed } = await job.ledger();
    expect([submits.length, billed.length]).toEqual([1, 1]);
    expect(view.attempts.every(({ upstream }) => upstream.taskId === submitted?.end?.taskId)).toBe(true);
    expect(view.attempts.map(({ outcome }) => outcome)).not.toContain("interrupted");
  });

  it("is read by the alarm alone after an eviction: no request to the job is needed", async () => {
    const job = await (await taskJob().spoil({ fault: LONG_TASK })).submit();
    await taskIsKnown(job);
    await job.evict();
    const { looks } = await job.ledger();
    // The task is read until it has ended, and its image fetched, with no request to the job in between.
    await until("the image's download", async () => {
      const { billed } = await job.ledger();
      return billed[0]?.downloads.length === 1 ? true : undefined;
    });
    expect((await job.ledger()).looks.length).toBeGreaterThan(looks.length);
    expect((await job.done()).status).toBe("succeeded");
  });

  it("that runs longer than its attempt is resumed by the next one: uncounted, and paid once", async () => {
    const job = await (await taskJob({ maxAttempts: 1 }).spoil({ fault: LONG_TASK })).submit();
    const view = await job.done();
    expect(view.status).toBe("succeeded");
    expect(view.attempts[0]).toMatchObject({
      outcome: "timed_out",
      counted: false,
      // Only the attempt that saw the task end keeps `mayBeBilled`.
      mayBeBilled: false,
      stillOpen: false,
    });
    expect(view.attempts[1]).toMatchObject({ counted: false });
    expect(view.attempts[1]?.upstream.taskId).toBe(view.attempts[0]?.upstream.taskId);
    const resumed = (await job.events()).filter(({ data }) => data.reason?.startsWith("resumes"));
    expect(resumed[0]).toMatchObject({ type: "attempt.started", data: { attempt: 2 } });
    const { submits, billed } = await job.ledger();
    expect([submits.length, billed.length]).toEqual([1, 1]);
  });

  it("is read at a low rate", async () => {
    const job = await (await taskJob().spoil({ fault: LONG_TASK })).submit();
    await job.done();
    const { submits, looks } = await job.ledger();
    const tookMs = (looks.at(-1)?.atMs ?? 0) - (submits[0]?.atMs ?? 0);
    // Reads are a quarter of the budget apart, less what an alarm may be early: far from 20 a second.
    expect(looks.length).toBeGreaterThan(1);
    expect(tookMs / looks.length).toBeGreaterThan(400);
  });

  it("that cannot be read for now is read again, and nothing new is submitted", async () => {
    const job = taskJob();
    await job.spoil({ fault: LONG_TASK });
    const path = "/tasks/";
    await job.spoil(
      { path, fault: { type: "html", status: 503 } },
      { path, fault: { type: "cut-before-billing" } },
      { path, fault: { type: "error", code: "Throttling.RateQuota" } },
      { path, fault: { type: "bad-json" } },
      { path, fault: { type: "error", code: "InternalError" } },
    );
    const view = await (await job.submit()).done();
    expect(view.status).toBe("succeeded");
    const { submits, looks } = await job.ledger();
    expect(submits).toHaveLength(1);
    expect(looks.slice(0, 5).map(({ end }) => end?.status)).toEqual([503, null, 429, 200, 500]);
    expect(view.attempts.filter(({ outcome }) => outcome === "failed")).toEqual([]);
  });

  it("whose submission was never answered may have been billed, and is submitted again", async () => {
    const job = await (await taskJob().spoil({ fault: { type: "cut-after-billing" } })).submit();
    const view = await job.done();
    expect(view.status).toBe("succeeded");
    expect(view.attempts).toMatchObject([{ outcome: "failed", mayBeBilled: true }, { outcome: "succeeded" }]);
    expect((await job.ledger()).submits).toHaveLength(2);
  });
});

describe.concurrent("a task that fails", () => {
  it("by upstream's own fault is tried again, unbilled", async () => {
    const job = await (await taskJob().spoil({ fault: { type: "task-failed" } })).submit();
    const view = await job.done();
    expect(view.status).toBe("succeeded");
    expect(view.attempts[0]).toMatchObject({
      outcome: "failed",
      counted: true,
      mayBeBilled: false,
      upstream: { code: "InternalError.Algo", taskId: expect.any(String) },
    });
    const { submits, billed } = await job.ledger();
    expect([submits.length, billed.length]).toEqual([2, 1]);
  });

  it("by moderation fails the job", async () => {
    const job = taskJob();
    await (await job.spoil({ fault: { type: "task-failed", code: "DataInspectionFailed" } })).submit();
    expect(await job.done()).toMatchObject({
      status: "failed",
      error: { code: "content_rejected", upstream: { code: "DataInspectionFailed" } },
    });
  });

  it("in part delivers the rest, with a warning", async () => {
    const job = await (await taskJob({ n: 3 }).spoil({ fault: { type: "task-partial", failed: 1 } })).submit();
    const view = await job.done();
    expect(view.status).toBe("succeeded");
    expect(view.output?.images.map(({ index }) => index)).toEqual([0, 1]);
    expect(view.warnings).toMatchObject([
      { code: "fewer_images", message: expect.stringMatching(/^upstream delivered 2 of 3 images/) },
    ]);
    expect((await job.ledger()).billed).toHaveLength(2);
  });
});

describe.concurrent("a task that upstream no longer knows", () => {
  it("may have been billed; the job submits another", async () => {
    const job = await (await taskJob().spoil({ fault: { type: "task-unknown" } })).submit();
    const view = await job.done();
    expect(view.status).toBe("succeeded");
    // Before that it is read by uncounted attempts, since a new task may not be known everywhere yet.
    const counted = view.attempts.filter((attempt) => attempt.counted);
    expect(counted).toMatchObject([{ outcome: "failed", mayBeBilled: true }, { outcome: "succeeded" }]);
    expect(counted[0]?.upstream.taskId).not.toBe(counted[1]?.upstream.taskId);
    expect((await job.ledger()).submits).toHaveLength(2);
  });

  it("soon after it was accepted is read again, and not paid for twice", async () => {
    const fetch = globalThis.fetch.bind(globalThis);
    const job = taskJob();
    let isUnknown = true;
    const reads = vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
      const answer = await fetch(input, init);
      if (!isUnknown || !String(input).includes("/tasks/")) return answer;
      isUnknown = false;
      return Response.json({ request_id: "r", output: { task_id: "t", task_status: "UNKNOWN" } });
    });
    await job.submit();
    const view = await job.done();
    reads.mockRestore();
    expect(isUnknown).toBe(false);
    expect(view).toMatchObject({ status: "succeeded", attempts: [{ outcome: "succeeded" }] });
    const { submits, billed } = await job.ledger();
    expect([submits.length, billed.length]).toEqual([1, 1]);
  });

  it("with onUncertain: fail ends the job", async () => {
    const job = taskJob({ onUncertain: "fail" });
    await (await job.spoil({ fault: { type: "task-unknown" } })).submit();
    expect(await job.done()).toMatchObject({ status: "failed", error: { code: "outcome_uncertain" } });
    expect((await job.ledger()).submits).toHaveLength(1);
  });
});

describe.concurrent("a task of a job that is called off", () => {
  it("is canceled upstream while it is pending; a retry submits a new one", async () => {
    const job = await (await taskJob().spoil({ fault: { type: "task-stuck", status: "PENDING" } })).submit();
    await taskIsKnown(job);
    await job.rpc.cancel(null);
    await until("the cancellation", async () => {
      const { cancels } = await job.ledger();
      return cancels[0]?.end?.status === 200 ? true : undefined;
    });
    expect((await job.view()).status).toBe("canceled");
    await job.rpc.retry(null);
    const view = await job.done();
    expect(view.status).toBe("succeeded");
    const { submits, billed } = await job.ledger();
    expect([submits.length, billed.length]).toEqual([2, 1]);
  });

  it("that already runs cannot be canceled; a retry resumes it and pays nothing again", async () => {
    const job = await (await taskJob().spoil({ fault: LONG_TASK })).submit();
    await taskIsKnown(job);
    await job.rpc.cancel(null);
    await until("the refusal to cancel", async () => {
      const { cancels } = await job.ledger();
      return cancels[0]?.end?.status === 400 ? true : undefined;
    });
    await job.rpc.retry(null);
    const view = await job.done();
    expect(view.status).toBe("succeeded");
    const { submits, billed } = await job.ledger();
    expect([submits.length, billed.length]).toEqual([1, 1]);
  });

  it("is not canceled when the retry follows at once", async () => {
    const job = await (await taskJob().spoil({ fault: LONG_TASK })).submit();
    await taskIsKnown(job);
    await Promise.all([job.rpc.cancel(null), job.rpc.retry(null)]);
    const view = await job.done();
    expect(view.status).toBe("succeeded");
    expect((await job.ledger()).billed).toHaveLength(1);
  });

  it.each([
    ["a cancel", (job: TestJob) => job.rpc.cancel(null)],
    ["a deletion", (job: TestJob) => job.rpc.remove(null)],
  ])("whose id is still on its way when %s comes is canceled once the id is known", async (_what, callOff) => {
    const job = taskJob();
    await job.spoil({ fault: { type: "hold", at: "answer" } });
    await (await job.submit()).held();
    await callOff(job);
    await job.release();
    await until("the cancellation", async () => ((await job.ledger()).cancels.length === 1 ? true : undefined));
    const { submits, cancels } = await job.ledger();
    expect(submits).toHaveLength(1);
    expect(cancels[0]?.path).toContain(submits[0]?.end?.taskId);
  });

  it("whose id is still on its way stays the only one: a retry submits nothing before the id is known", async () => {
    const job = taskJob();
    await job.spoil({ fault: { type: "hold", at: "answer" } });
    await (await job.submit()).held();
    const canceledAtMs = Date.now();
    await job.rpc.cancel(null);
    const retried = job.rpc.retry(null);
    // Gives a retry that does not wait the time to submit again.
    for (let looks = 0; looks < 5; looks++) await job.ledger();
    await job.release();
    expect(await retried).toMatchObject({ ok: true });
    expect((await job.done()).status).toBe("succeeded");
    const { submits, cancels } = await job.ledger();
    // On a machine that stalls for the 2 s of the wait the first submission is hung up, and a second one is right.
    const isInTime = (submits[0]?.end?.endedAtMs ?? 0) < canceledAtMs + 2_000;
    const secondAtMs = submits[1]?.atMs ?? Number.POSITIVE_INFINITY;
    expect(secondAtMs).toBeGreaterThanOrEqual(canceledAtMs + 2_000);
    expect([submits.length, cancels.length]).toEqual(isInTime ? [1, 0] : [2, expect.any(Number)]);
  });

  it("is canceled by the job's deletion too", async () => {
    const job = await (await taskJob().spoil({ fault: { type: "task-stuck", status: "PENDING" } })).submit();
    await taskIsKnown(job);
    await job.rpc.remove(null);
    await until("the cancellation", async () => {
      const { cancels } = await job.ledger();
      return cancels[0]?.end?.status === 200 ? true : undefined;
    });
    expect(await job.rpc.view(null)).toEqual({ ok: false, code: "job_gone" });
  });

  it("that is stuck is read until the deadline, then canceled", async () => {
    const job = taskJob({ deadlineSeconds: 5 });
    await (await job.spoil({ fault: { type: "task-stuck", status: "PENDING" } })).submit();
    const view = await job.done();
    expect(view).toMatchObject({ status: "failed", error: { code: "deadline_exceeded" } });
    expect(view.attempts.filter(({ counted }) => counted)).toEqual([]);
    const { submits } = await job.ledger();
    expect(submits).toHaveLength(1);
    await until("the cancellation", async () => ((await job.ledger()).cancels.length === 1 ? true : undefined));
  });
});
