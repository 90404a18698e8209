import { beforeEach, describe, expect, it } from "vitest";
import { TASK_MODEL, testJob, withoutJitter } from "./job.fixture.ts";

beforeEach(withoutJitter);

describe("a job that goes well", () => {
  it("is queued, runs, stores and succeeds, with one call, one bill and the very bytes that upstream made", async () => {
    const job = await testJob().submit();
    const view = await job.done();
    expect(view).toMatchObject({ status: "succeeded", error: null, phase: null, queue: null });
    expect(await job.eventTypes()).toEqual([
      "job.queued",
      "attempt.started",
      "attempt.finished",
      "job.storing",
      "job.succeeded",
    ]);
    const { submits, billed } = await job.ledger();
    expect(submits).toHaveLength(1);
    expect(billed).toHaveLength(1);
    expect(view.attempts).toMatchObject([
      {
        number: 1,
        outcome: "succeeded",
        counted: true,
        mayBeBilled: true,
        stillOpen: false,
        upstream: { httpStatus: 200, requestId: submits[0]?.requestId },
      },
    ]);
    const stored = await job.images();
    expect(stored.map(({ sha256 }) => sha256)).toEqual(billed.map(({ sha256 }) => sha256));
    expect(view.output?.images).toMatchObject([
      { index: 0, contentType: "image/png", width: 1024, height: 1024, sha256: stored[0]?.sha256 },
    ]);
  });

  it("takes a task, reads it until it is done, and stores each of its images", async () => {
    const job = await testJob({ model: TASK_MODEL, n: 3 }).submit();
    const view = await job.done();
    expect(view.status).toBe("succeeded");
    const { submits, looks, billed } = await job.ledger();
    expect(submits).toHaveLength(1);
    expect(looks.length).toBeGreaterThan(0);
    expect(view.attempts[0]?.upstream.taskId).toBe(submits[0]?.end?.taskId);
    expect(view.output?.images.map(({ index, sha256 }) => [index, sha256])).toEqual(
      billed.map(({ index, sha256 }) => [index, sha256]),
    );
  });
});
