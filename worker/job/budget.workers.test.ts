import { beforeEach, describe, expect, it } from "vitest";
import { testJob, withoutJitter } from "./job.fixture.ts";

/** As `vitest.config.ts` sets them. */
const BUDGET_MS = 2_000;
const LATE_ANSWER_MS = 6_000;

beforeEach(withoutJitter);

describe.concurrent("a model that needs longer than the budget", () => {
  it("has the time of two budgets before another image is asked for: one call, one image paid, and the late answer is taken", async () => {
    const job = await (await testJob().spoil({ fault: { type: "hold", at: "arrival" } })).submit();
    const waiting = await job.until("past its budget", ({ status }) => status === "retrying");
    const [attempt] = waiting.attempts;
    expect(Date.parse(attempt?.retryAt ?? "") - Date.parse(attempt?.startedAt ?? "")).toBeGreaterThan(2 * BUDGET_MS);
    await job.release();
    const view = await job.done();
    const { submits, billed } = await job.ledger();
    expect([submits.length, billed.length]).toEqual([1, 1]);
    expect(view).toMatchObject({ status: "succeeded", output: { images: [{ sha256: billed[0]?.sha256 }] } });
    expect(view.attempts).toMatchObject([
      { outcome: "succeeded_late", counted: true, mayBeBilled: true, stillOpen: false, retryAt: null },
    ]);
    expect(view.attempts[0]?.durationMs).toBeGreaterThan(BUDGET_MS);
    expect(await job.eventTypes()).toEqual([
      "job.queued",
      "attempt.started",
      "attempt.finished",
      "job.retrying",
      "attempt.late",
      "job.storing",
      "job.succeeded",
    ]);
  });
});

describe.concurrent("an attempt past its budget", () => {
  it("explains what happened, what is still open, and what comes next and when", async () => {
    const job = await (await testJob().spoil({ fault: { type: "hold", at: "arrival" } })).submit();
    const view = await job.until("past its budget", ({ status }) => status === "retrying");
    expect(view.attempts).toMatchObject([
      { outcome: "timed_out", counted: true, mayBeBilled: true, stillOpen: true, retryAt: expect.any(String) },
    ]);
    expect(view.attempts[0]?.durationMs).toBeGreaterThanOrEqual(BUDGET_MS);
    expect(view.queue).toMatchObject({
      position: null,
      waitingOn: "backoff",
      estimatedStartAt: view.attempts[0]?.retryAt,
      detail: expect.stringContaining("no answer within 2 s"),
    });
    await job.release();
    expect((await job.done()).status).toBe("succeeded");
  });

  it("is hung up when the next attempt delivers first, and its answer changes nothing", async () => {
    const job = await (await testJob().spoil({ fault: { type: "hold", at: "answer" } })).submit();
    const view = await job.done();
    expect(view.attempts).toMatchObject([
      { outcome: "timed_out", mayBeBilled: true, stillOpen: false },
      { outcome: "succeeded" },
    ]);
    const before = await job.events();
    await job.release();
    const { submits, billed } = await job.ledger();
    // The first attempt's image was billed, and the job shows that it may have been.
    expect([submits.length, billed.length]).toEqual([2, 2]);
    const winner = billed.filter(({ requestId }) => requestId === view.attempts[1]?.upstream.requestId);
    expect(view.output?.images.map(({ sha256 }) => sha256)).toEqual(winner.map(({ sha256 }) => sha256));
    expect(await job.events()).toEqual(before);
  });

  it("wins against the next attempt when its answer comes first: that one is called off", async () => {
    const job = testJob();
    await job.spoil({ fault: { type: "hold", at: "answer" } }, { fault: { type: "hang" } });
    await job.submit();
    await job.until("in its second attempt", ({ attempts }) => attempts.length === 2);
    await job.release();
    const view = await job.done();
    expect(view.status).toBe("succeeded");
    expect(view.attempts).toMatchObject([
      { outcome: "succeeded_late", stillOpen: false },
      { outcome: "canceled", mayBeBilled: true, stillOpen: false },
    ]);
    expect((await job.ledger()).billed).toHaveLength(1);
    const finished = (await job.events()).filter(({ type }) => type === "job.succeeded");
    expect(finished).toMatchObject([{ data: { attempt: 1 } }]);
  });

  it("fails the job only once no call is open, when it was the last", async () => {
    const job = await (await testJob({ maxAttempts: 1 }).spoil({ fault: { type: "hang" } })).submit();
    const waiting = await job.until("past its budget", ({ attempts }) => attempts[0]?.outcome === "timed_out");
    expect(waiting).toMatchObject({ status: "running", phase: "generating", done: false });
    const view = await job.done();
    expect(view).toMatchObject({ status: "failed", error: { code: "attempts_exhausted" } });
    const [started, , late, failed] = (await job.events()).filter(({ type }) => type !== "job.queued");
    expect([late?.type, failed?.type]).toEqual(["attempt.late", "job.failed"]);
    expect(Date.parse(late?.at ?? "") - Date.parse(started?.at ?? "")).toBeGreaterThanOrEqual(LATE_ANSWER_MS);
  });

  it("lets the job succeed by a late answer, when it was the last", async () => {
    const job = await (await testJob({ maxAttempts: 1 }).spoil({ fault: { type: "hold", at: "answer" } })).submit();
    await job.until("past its budget", ({ attempts }) => attempts[0]?.outcome === "timed_out");
    await job.release();
    expect(await job.done()).toMatchObject({ status: "succeeded", attempts: [{ outcome: "succeeded_late" }] });
    expect((await job.ledger()).submits).toHaveLength(1);
  });

  it("fails the job at once by a late refusal that no retry can change, and is known to be unbilled", async () => {
    // A wrong size, which the API would have refused. Upstream refuses it once the call is released.
    const job = await (await testJob({ size: "7*7" }).spoil({ fault: { type: "hold", at: "arrival" } })).submit();
    await job.until("past its budget", ({ status }) => status === "retrying");
    await job.release();
    const view = await job.done();
    expect(view).toMatchObject({
      status: "failed",
      error: { code: "invalid_request", upstream: { code: "InvalidParameter" } },
      attempts: [{ outcome: "timed_out", mayBeBilled: false, stillOpen: false }],
    });
  });

  it("is no longer waited for once its connection breaks", async () => {
    const fault = { type: "cut-before-billing", afterMs: BUDGET_MS + 300 } as const;
    const job = await (await testJob().spoil({ fault })).submit();
    const view = await job.done();
    expect(view.attempts).toMatchObject([{ outcome: "timed_out", mayBeBilled: true }, { outcome: "succeeded" }]);
    const late = (await job.events()).find(({ type }) => type === "attempt.late");
    expect(view.attempts[0]?.retryAt).toBe(late?.at);
  });
});

describe.concurrent("onUncertain: fail", () => {
  it("starts no second attempt after a budget ended, and says what may have happened", async () => {
    const job = await (await testJob({ onUncertain: "fail" }).spoil({ fault: { type: "hang" } })).submit();
    const view = await job.done();
    expect(view).toMatchObject({ status: "failed", error: { code: "outcome_uncertain" } });
    expect(view.error?.hint).toMatch(/upstream console/);
    expect((await job.ledger()).submits).toHaveLength(1);
  });

  it("fails at once when the connection was cut, billed or not", async () => {
    const job = await (await testJob({ onUncertain: "fail" }).spoil({ fault: { type: "cut-after-billing" } })).submit();
    const view = await job.done();
    expect(view).toMatchObject({ status: "failed", error: { code: "outcome_uncertain" } });
    const { submits, billed } = await job.ledger();
    expect([submits.length, billed.length]).toEqual([1, 1]);
  });

  it.each([522, 524])("fails at once after a %i, which may follow a sent request", async (status) => {
    const job = await (await testJob({ onUncertain: "fail" }).spoil({ fault: { type: "html", status } })).submit();
    const view = await job.done();
    expect(view).toMatchObject({ status: "failed", error: { code: "outcome_uncertain" } });
    expect(view.attempts).toMatchObject([{ mayBeBilled: true, upstream: { httpStatus: status } }]);
    expect((await job.ledger()).submits).toHaveLength(1);
  });

  it("still takes a late answer", async () => {
    const job = testJob({ onUncertain: "fail" });
    await (await job.spoil({ fault: { type: "hold", at: "answer" } })).submit();
    await job.until("past its budget", ({ attempts }) => attempts[0]?.outcome === "timed_out");
    await job.release();
    expect(await job.done()).toMatchObject({ status: "succeeded", attempts: [{ outcome: "succeeded_late" }] });
  });

  it("repeats a failure that upstream says was not billed", async () => {
    const job = testJob({ onUncertain: "fail" });
    await (await job.spoil({ fault: { type: "error", code: "InternalError" } })).submit();
    expect(await job.done()).toMatchObject({ status: "succeeded", attempts: [{ outcome: "failed" }, {}] });
  });
});

describe.concurrent("the deadline", () => {
  it("ends a job that generates, and hangs up", async () => {
    // A little less than its budget.
    const job = testJob({ deadlineSeconds: 1.9 });
    await (await job.spoil({ fault: { type: "hold", at: "arrival" } })).submit();
    const view = await job.done();
    expect(view).toMatchObject({
      status: "failed",
      error: { code: "deadline_exceeded" },
      attempts: [{ outcome: "canceled", mayBeBilled: true, stillOpen: false }],
    });
    expect(view.error?.hint).toMatch(/deadlineSeconds/);
    await job.release();
  });

  it("ends a job that waits for its retry, and names the last cause", async () => {
    const job = testJob({ deadlineSeconds: 4 });
    const fault = { type: "error", code: "ModelUnavailable", retryAfter: "3600" } as const;
    await (await job.spoil({ fault })).submit();
    const view = await job.done();
    expect(view.error).toMatchObject({
      code: "deadline_exceeded",
      message: expect.stringContaining("ModelUnavailable"),
      upstream: { code: "ModelUnavailable" },
    });
  });

  it("does not end the storing of paid images", async () => {
    const job = testJob({ deadlineSeconds: 4 });
    await (await job.spoil({ fault: { type: "result", how: "slow", delayMs: 5_000 }, times: null })).submit();
    const view = await job.done();
    expect(view.status).toBe("succeeded");
    expect(Date.parse(view.finishedAt ?? "")).toBeGreaterThan(Date.parse(view.deadlineAt));
  });
});

describe.concurrent("Retry-After", () => {
  it("of a failure is honoured by the job", async () => {
    const fault = { type: "error", code: "ModelUnavailable", retryAfter: "2" } as const;
    const job = await (await testJob().spoil({ fault })).submit();
    const view = await job.done();
    const [first, second] = (await job.ledger()).submits;
    expect((second?.atMs ?? 0) - (first?.end?.endedAtMs ?? 0)).toBeGreaterThanOrEqual(2_000);
    expect(Date.parse(view.attempts[0]?.retryAt ?? "") - Date.parse(view.attempts[0]?.finishedAt ?? "")).toBe(2_000);
  });

  it("of a 429 is honoured by the lane", async () => {
    // A lane of its own, since a 429 holds every job of a lane.
    const fault = { type: "error", code: "Throttling.RateQuota", retryAfter: "2" } as const;
    const job = await (
      await testJob({ model: "qwen-image-plus-2026-01-09", size: "1328*1328" }).spoil({ fault })
    ).submit();
    await job.done();
    const [first, second] = (await job.ledger()).submits;
    expect((second?.atMs ?? 0) - (first?.end?.endedAtMs ?? 0)).toBeGreaterThanOrEqual(2_000);
  });
});

describe.concurrent("maxAttempts", () => {
  it("is the request's own, and every attempt shows how it ended", async () => {
    const job = testJob({ maxAttempts: 3 });
    await job.spoil(
      { fault: { type: "cut-before-billing" } },
      { fault: { type: "html", status: 502 } },
      { fault: { type: "error", code: "InternalError" } },
    );
    const view = await (await job.submit()).done();
    expect(view).toMatchObject({ status: "failed", error: { code: "attempts_exhausted" } });
    expect(view.attempts.map(({ upstream, mayBeBilled }) => [upstream.httpStatus, upstream.code, mayBeBilled])).toEqual(
      [
        [null, null, true],
        [502, null, true],
        [500, "InternalError", false],
      ],
    );
    expect((await job.ledger()).submits).toHaveLength(3);
  });
});
