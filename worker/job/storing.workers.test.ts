import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { until } from "../../test/support/until.ts";
import { framedPng, sha256Hex } from "../results/image.fixture.ts";
import { imageKey } from "../results/job-files.ts";
import { catalogStub } from "../stubs.ts";
import { CLIENT, TASK_MODEL, type TestJob, testJob, withoutJitter } from "./job.fixture.ts";

beforeEach(withoutJitter);

const storing = (job: TestJob) => job.until("storing", ({ phase }) => phase === "storing");
const downloads = async (job: TestJob) => (await job.ledger()).billed.map((image) => image.downloads.length);

/** Expects one call, one bill, and in the bucket exactly the bytes that upstream made. */
async function isWhole(job: TestJob): Promise<void> {
  const { submits, billed } = await job.ledger();
  expect(submits).toHaveLength(1);
  const made = billed.map(({ sha256 }) => sha256);
  expect((await job.view()).output?.images.map(({ sha256 }) => sha256)).toEqual(made);
  expect((await job.images()).map(({ sha256 }) => sha256)).toEqual(made);
}

describe.concurrent("a result that cannot be copied yet", () => {
  it.each([
    ["is truncated, though HTTP says it is whole", "truncated"],
    ["is a sign-in page", "html"],
    ["is empty", "empty"],
    ["is cut off amid the bytes", "cut"],
    ["is answered with 503", "server-error"],
    ["is forbidden, though its link has not ended", "forbidden"],
  ] as const)("%s: copied again, and never made again", async (_name, how) => {
    const job = await (await testJob().spoil({ fault: { type: "result", how, times: 2 }, times: null })).submit();
    const view = await job.done();
    expect(view.status).toBe("succeeded");
    expect(view.attempts).toHaveLength(1);
    expect(await downloads(job)).toEqual([3]);
    await isWhole(job);
  });

  it("is recognized by its bytes, not by its type", async () => {
    const job = await (await testJob().spoil({ fault: { type: "result", how: "wrong-type" }, times: null })).submit();
    expect((await job.done()).output?.images).toMatchObject([{ contentType: "image/png" }]);
    await isWhole(job);
  });

  it("of several images: each is copied until it is stored, and none twice", async () => {
    const job = testJob({ model: TASK_MODEL, n: 3 });
    await (await job.spoil({ fault: { type: "result", how: "truncated", times: 1 }, times: null })).submit();
    expect((await job.done()).status).toBe("succeeded");
    expect(await downloads(job)).toEqual([2, 2, 2]);
    await isWhole(job);
  });

  it("shows what it is doing, and that upstream has delivered", async () => {
    const fault = { type: "result", how: "slow", delayMs: 3_000 } as const;
    const job = await (await testJob().spoil({ fault, times: null })).submit();
    const view = await storing(job);
    expect(view).toMatchObject({ status: "running", phase: "storing", attempts: [{ outcome: "succeeded" }] });
    expect((await job.done()).status).toBe("succeeded");
  });

  it("that takes long is in its client's list as storing, while the copy still runs", async () => {
    const fault = { type: "result", how: "slow", delayMs: 8_000 } as const;
    const job = await (await testJob().spoil({ fault, times: null })).submit();
    const listed = () =>
      catalogStub(env, CLIENT).list({ status: ["running"], workflow: null, limit: 100, cursor: null });
    await until("the list says storing", async () => {
      const answer = await listed();
      return answer.ok && answer.entries.some(({ id, phase }) => id === job.id && phase === "storing")
        ? true
        : undefined;
    });
    expect((await job.view()).phase).toBe("storing");
    expect((await job.done()).status).toBe("succeeded");
  });
});

describe.concurrent("a result that comes inside the answer", () => {
  it.each([
    ["of a call", {}],
    ["of a task", { model: TASK_MODEL, n: 2 }],
  ])("%s is stored, and never made again", async (_name, given) => {
    const job = await testJob(given).spoil({ fault: { type: "result", how: "inline" }, times: null });
    const view = await (await job.submit()).done();
    expect(view).toMatchObject({ status: "succeeded", attempts: [{ outcome: "succeeded" }], warnings: [] });
    expect(new Set(await downloads(job))).toEqual(new Set([0]));
    await isWhole(job);
  });
});

describe.concurrent("a result host that is dead", () => {
  const delayed = async () => {
    const job = await testJob().spoil({ fault: { type: "result", how: "server-error" }, times: null });
    await job.submit();
    const view = await until("a copy that failed", async () => {
      const now = await job.view();
      return now.copyAgainAt === null ? undefined : now;
    });
    return { job, view };
  };

  it("is explained: what is delivered, why it is not stored yet, and when it is tried again", async () => {
    const { job, view } = await delayed();
    expect(view).toMatchObject({
      status: "running",
      phase: "storing",
      error: null,
      attempts: [{ outcome: "succeeded" }],
    });
    const [warning] = view.warnings;
    expect(warning?.code).toBe("storing_delayed");
    const time = view.copyAgainAt?.slice(11, 19);
    expect(warning?.message).toMatch(/1 of 1 images could not be copied yet: .*503.* (copy has|copies have) failed/);
    expect(warning?.message).toContain(`the next is tried at ${time} UTC`);
    const told = (await job.events()).filter(({ type, data }) => type === "job.storing" && data.retryAt !== undefined);
    expect(told.map(({ data }) => data)).toContainEqual(
      expect.objectContaining({
        attempt: 1,
        images: 1,
        retryAt: view.copyAgainAt,
        reason: expect.stringMatching(/503/),
      }),
    );
    await job.rpc.cancel(null);
  });

  it("is not shown any more once the image is stored", async () => {
    const job = testJob();
    await (await job.spoil({ fault: { type: "result", how: "server-error", times: 1 }, times: null })).submit();
    expect(await job.done()).toMatchObject({ status: "succeeded", warnings: [], copyAgainAt: null });
  });
});

describe.concurrent("a result that hangs", () => {
  const hanging = async () => {
    const job = await testJob().spoil({ fault: { type: "result", how: "hang", times: 1 }, times: null });
    await job.submit();
    await storing(job);
    return job;
  };

  it("holds up neither a cancel nor a deletion, and its copy is ended", async () => {
    const job = await hanging();
    expect(await job.rpc.cancel(null)).toMatchObject({ ok: true, view: { status: "canceled" } });
    await job.rpc.remove(null);
    await until("an object at rest", async () => ((await job.images()).length === 0 ? true : undefined));
    // If the copy were still held, the eviction would not end.
    await job.evict();
    expect(await job.rpc.view(null)).toEqual({ ok: false, code: "job_gone" });
  });
});

describe.concurrent("a result that is lost", () => {
  it.each([
    ["because its link has ended", { type: "link-expires", inMs: 0 }],
    ["because the file at its host is damaged", { type: "result", how: "damaged" }],
  ] as const)("%s: the job says so, and only a retry by hand pays again", async (_name, fault) => {
    const job = await (await testJob().spoil({ fault })).submit();
    const view = await job.done();
    expect(view).toMatchObject({ status: "failed", error: { code: "result_lost" } });
    expect(view.error?.hint).toMatch(/billed.*retry makes, and pays for, new ones/);
    expect(view.error?.upstream?.requestId).toBe(view.attempts[0]?.upstream.requestId);
    await job.rpc.retry(null);
    expect((await job.done()).status).toBe("succeeded");
    expect((await job.ledger()).submits).toHaveLength(2);
  });
});

describe.concurrent("a result whose host does not know it yet", () => {
  it("is requested again, and not given up", async () => {
    const job = await testJob().spoil({ fault: { type: "result", how: "not-found", times: 1 }, times: null });
    const view = await (await job.submit()).done();
    expect(view).toMatchObject({ status: "succeeded", attempts: [{ number: 1 }] });
    expect((await job.ledger()).submits).toHaveLength(1);
    const again = (await job.events()).filter(({ type }) => type === "job.storing");
    expect(again.map(({ data }) => data.reason)).toContainEqual(expect.stringContaining("404"));
  });
});

describe.concurrent("storing that is interrupted", () => {
  it("by a crash during a copy continues with the stored links, by the alarm alone", async () => {
    const job = testJob();
    await (await job.spoil({ fault: { type: "result", how: "slow", delayMs: 4_000, times: 1 }, times: null })).submit();
    await storing(job);
    await job.crash();
    await until("the image in the bucket", async () => ((await job.images()).length === 1 ? true : undefined));
    expect((await job.done()).attempts).toHaveLength(1);
    await isWhole(job);
  });

  it("between storing the bytes and recording them uses these bytes", async () => {
    // The state after a process died between the two; the link is dead by now.
    const job = await testJob().spoil({ fault: { type: "result", how: "not-found" }, times: null });
    const bytes = framedPng(1024, 1024, 5_000);
    await env.RESULTS.put(imageKey(job.id, 1, 0), bytes);
    const view = await (await job.submit()).done();
    const sha256 = await sha256Hex(bytes);
    expect(view.output?.images).toMatchObject([{ sha256, width: 1024, height: 1024, bytes: bytes.byteLength }]);
  });

  it("by a cancel keeps the links: a retry copies, and submits nothing new", async () => {
    const job = testJob();
    await (await job.spoil({ fault: { type: "result", how: "server-error", times: 8 }, times: null })).submit();
    await storing(job);
    await job.rpc.cancel(null);
    expect((await job.view()).status).toBe("canceled");
    await job.rpc.retry(null);
    const view = await job.done();
    expect(view.status).toBe("succeeded");
    expect(view.attempts).toHaveLength(1);
    const again = (await job.events()).filter(({ type }) => type === "job.storing");
    expect(again.map(({ data }) => data.reason)).toContainEqual(expect.stringMatching(/copied, not made again/));
    await isWhole(job);
  });
});

describe.concurrent("a file in the bucket", () => {
  it("from elsewhere at the image's key is not taken for the image", async () => {
    const job = testJob();
    await env.RESULTS.put(imageKey(job.id, 1, 0), "<html>not an image</html>");
    await job.submit();
    expect((await job.done()).status).toBe("succeeded");
    await isWhole(job);
  });

  it("of the winning attempt cannot be overwritten by a late attempt", async () => {
    const job = await (await testJob({ seed: null }).spoil({ fault: { type: "hold", at: "answer" } })).submit();
    const view = await job.done();
    expect(view.attempts.map(({ outcome }) => outcome)).toEqual(["timed_out", "succeeded"]);
    await job.release();
    const { billed } = await job.ledger();
    expect(billed).toHaveLength(2);
    const won = billed.find(({ requestId }) => requestId === view.attempts[1]?.upstream.requestId);
    // Without a seed each call makes another picture.
    expect(new Set(billed.map(({ sha256 }) => sha256)).size).toBe(2);
    expect((await job.images()).map(({ sha256 }) => sha256)).toEqual([won?.sha256]);
  });
});
