import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { until } from "../../test/support/until.ts";
import { checkInputImage, putInputImage } from "../results/input-image.ts";
import { catalogStub, laneStub } from "../stubs.ts";
import { CLIENT, EDIT_MODEL, laneOf, SYNC_MODEL, TASK_MODEL, testJob, withoutJitter } from "./job.fixture.ts";

beforeEach(withoutJitter);

const goneImage = {
  kind: "upload",
  contentType: "image/png",
  bytes: 9,
  sha256: "ab".repeat(32),
  width: 9,
  height: 9,
} as const;

describe("a patch", () => {
  it("changes pin and metadata of a job in any place, without an event, and its client's list shows it", async () => {
    const job = await testJob().submit();
    const done = await job.done();
    const metadata = { order: "B-2", paid: true };
    const answer = await job.rpc.patch(CLIENT, { pinned: true, metadata });
    expect(answer).toMatchObject({ ok: true, view: { pinned: true, metadata, seq: done.seq } });
    const list = async () => {
      const listed = await catalogStub(env, CLIENT).list({ status: null, workflow: null, limit: 100, cursor: null });
      const entry = listed.ok ? listed.entries.find(({ id }) => id === job.id) : undefined;
      return entry?.pinned === true ? entry : undefined;
    };
    expect(await until("its entry", list)).toMatchObject({ metadata, seq: done.seq, status: "succeeded" });
    // The same patch again changes nothing, and an absent field stays as it is.
    const again = await job.rpc.patch(CLIENT, { pinned: true });
    expect(again).toEqual(answer);
    expect(await job.rpc.patch("other", { pinned: false })).toEqual({ ok: false, code: "job_not_found" });
    await job.rpc.remove(null);
    expect(await job.rpc.patch(CLIENT, { pinned: false })).toEqual({ ok: false, code: "job_gone" });
  });

  it("ends a request that waits for a change at once", async () => {
    const job = await (await testJob().spoil({ fault: { type: "hold", at: "answer" } })).submit();
    await job.held();
    const { tag } = await job.view();
    const waiting = job.rpc.wait(null, tag, 20_000);
    await job.rpc.patch(null, { metadata: { note: "seen" } });
    expect(await waiting).toMatchObject({ ok: true, view: { metadata: { note: "seen" }, status: "running" } });
    await job.rpc.remove(null);
  });
});

describe("a job that goes well", () => {
  it("is queued, runs, stores and succeeds, with one call, one bill and exactly the bytes that upstream made", async () => {
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

  it("sends uploaded images to upstream, in their order, and removes them with the job", async () => {
    // The upload is an image that upstream made, so upstream can read it.
    const source = await testJob().submit();
    await source.done();
    const [stored] = await source.images();
    const bytes = await (await env.RESULTS.get(stored?.key ?? ""))?.bytes();
    if (bytes === undefined) throw new Error("no image to edit");
    const input = new Uint8Array(bytes);
    const checked = await checkInputImage(input);
    if (!checked.ok) throw new Error(checked.message);
    const job = testJob({ images: [checked.image, checked.image], n: 2 });
    await putInputImage(env.RESULTS, job.id, checked.image, input);
    const view = await (await job.submit()).done();
    expect(view).toMatchObject({ status: "succeeded", workflow: "image-from-reference" });
    expect(view.output?.images).toHaveLength(2);
    await job.rpc.remove(null);
    await expect.poll(() => job.images()).toEqual([]);
  });

  it("fails unbilled and names the image when its uploaded image is gone", async () => {
    const job = await testJob({ images: [goneImage] }).submit();
    expect(await job.done()).toMatchObject({
      status: "failed",
      error: { code: "invalid_image", hint: "Submit the job again with its image." },
      attempts: [],
    });
    expect((await job.ledger()).submits).toEqual([]);
  });

  it("reports no upstream failure to the lane when its uploaded image is gone, since it never called upstream", async () => {
    const lane = laneStub(env, laneOf(EDIT_MODEL));
    const breaks = { kind: "failed", fault: "upstream", durationMs: 50 } as const;
    for (let i = 0; i < 5; i += 1) await lane.observe(breaks);
    await (await testJob({ images: [goneImage] }).submit()).done();
    await expect.poll(async () => (await lane.report()).inProgress).toBe(0);
    expect((await lane.report()).mode).toBe("one_at_a_time");
    await lane.observe({ kind: "succeeded", durationMs: 50 });
  });

  it("notifies the catalog, and gives its lease back", async () => {
    const job = await testJob().submit();
    const view = await job.done();
    const lane = laneStub(env, laneOf(SYNC_MODEL));
    await expect.poll(async () => (await lane.report()).inProgress).toBe(0);
    const query = { status: null, workflow: null, limit: 100, cursor: null };
    await expect
      .poll(async () => {
        const answer = await catalogStub(env, CLIENT).list(query);
        return answer.ok ? answer.entries.find(({ id }) => id === job.id)?.seq : answer.code;
      })
      .toBe(view.seq);
  });
});

describe("submitting again", () => {
  it("the same request gets the same job, whatever its status", async () => {
    const job = await testJob().submit();
    const first = await job.rpc.submit(job.submission);
    expect(first).toMatchObject({ ok: true, replayed: true, view: { id: job.id } });
    await job.done();
    expect(await job.rpc.submit(job.submission)).toMatchObject({
      ok: true,
      replayed: true,
      view: { status: "succeeded" },
    });
    expect((await job.ledger()).submits).toHaveLength(1);
  });

  it("another request under the same key gets the names of the fields that differ", async () => {
    const job = await testJob().submit();
    const { request } = job.submission;
    const other = { ...job.submission, metadata: { a: 1 }, request: { ...request, seed: 8, n: 2 } };
    expect(await job.rpc.submit(other)).toEqual({
      ok: false,
      code: "idempotency_key_reused",
      fields: ["/metadata", "/n", "/seed"],
    });
  });

  it("as another client finds nothing", async () => {
    const job = await testJob().submit();
    expect(await job.rpc.submit({ ...job.submission, client: "someone-else" })).toEqual({
      ok: false,
      code: "job_not_found",
    });
    for (const answer of [
      await job.rpc.view("someone-else"),
      await job.rpc.cancel("someone-else"),
      await job.rpc.retry("someone-else"),
      await job.rpc.remove("someone-else"),
      await job.rpc.image("someone-else", 0),
      await job.rpc.events("someone-else", 0, 10),
    ]) {
      expect(answer).toEqual({ ok: false, code: "job_not_found" });
    }
  });
});

describe("a retry whose answer was lost", () => {
  const failing = async (times: number) => {
    const job = await testJob().spoil({ fault: { type: "error", code: "InvalidParameter" }, times });
    await (await job.submit()).done();
    return job;
  };

  it("is answered with the succeeded job when it is repeated", async () => {
    const job = await failing(1);
    expect(await job.rpc.retry(null, "a key")).toMatchObject({ ok: true, view: { done: false } });
    await job.done();
    expect(await job.rpc.retry(null, "a key")).toMatchObject({
      ok: true,
      replayed: true,
      view: { status: "succeeded" },
    });
    expect(await job.rpc.retry(null, "another key")).toMatchObject({ ok: false, code: "job_finished" });
    expect(await job.rpc.retry(null)).toMatchObject({ ok: false, code: "job_finished" });
  });

  it("runs the job no second time when it failed again meanwhile, also after the object's end", async () => {
    const job = await failing(2);
    const answers = await Promise.all([job.rpc.retry(null, "a key"), job.rpc.retry(null, "a key")]);
    expect(answers).toMatchObject([{ ok: true }, { ok: true, replayed: true }]);
    await job.done();
    await job.evict();
    expect(await job.rpc.retry(null, "a key")).toMatchObject({ ok: true, replayed: true, view: { status: "failed" } });
    expect((await job.ledger()).submits).toHaveLength(2);
    expect(await job.rpc.retry(null, "another key")).toMatchObject({ ok: true, view: { done: false } });
    expect((await job.done()).status).toBe("succeeded");
  });
});

describe("the log lines of a job", () => {
  it("have the trace id of its submission, those of its attempts and webhooks included", async () => {
    const written = vi.spyOn(console, "log");
    onTestFinished(() => written.mockRestore());
    const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
    // Its webhook's address is this service's own and refused: a try without a call.
    const origin = "https://darkroom.example";
    const webhook = { url: `${origin}/`, events: ["job.succeeded"], origin, hops: 0 } as const;
    const job = testJob();
    await job.rpc.submit({ ...job.submission, webhook, traceparent: `00-${traceId}-00f067aa0ba902b7-01` });
    const lines = () =>
      written.mock.calls
        .map(([line]) => JSON.parse(String(line)) as { event: string; jobId?: string; traceId?: string })
        .filter(({ jobId }) => jobId === job.id);
    await until("the webhook's line", () => lines().find(({ event }) => event === "webhook_tried"));
    const events = ["attempt.started", "attempt.finished", "job.storing", "job.succeeded", "webhook_tried"];
    expect(lines().map(({ event }) => event)).toEqual(expect.arrayContaining(events));
    expect(new Set(lines().map((line) => line.traceId))).toEqual(new Set([traceId]));
    await job.rpc.remove(null);
    await until("the line of its removal", () => lines().find(({ event }) => event === "job_deleted"));
  });
});
