import { exports } from "cloudflare:workers";
import { beforeAll, describe, expect, it, vi } from "vitest";
import type { Fetch } from "../client/client-options.ts";
import { createDarkroomClient } from "../client/darkroom-client.ts";
import type { FeedFrame, JobFrame } from "../schemas/event.ts";

const BASE = "http://localhost:8787";
const request = { prompt: "a red bicycle" };

/** The Worker itself, called as an app in another Worker would call it through a service binding. */
const own: Fetch = (input, init) => exports.default.fetch(new Request(input, init));
const client = createDarkroomClient({ baseUrl: BASE, fetch: own, WebSocket: null });

async function first<Frame>(frames: AsyncIterable<Frame>, wanted: (frame: Frame) => boolean): Promise<Frame[]> {
  const found: Frame[] = [];
  for await (const frame of frames) {
    found.push(frame);
    if (wanted(frame)) break;
  }
  return found;
}

describe("the client inside a Worker", () => {
  // Two starts a minute are allowed. Once they are used up, jobs stay queued for the whole test.
  beforeAll(async () => {
    for (const _start of [1, 2]) {
      const { id } = await client.submit("image-from-text", request);
      await vi.waitUntil(async () => (await client.get(id)).attempts.length > 0, { timeout: 10_000 });
      await client.remove(id);
    }
  });

  it("submits once for a repeated key, and reads, lists, cancels and removes", async () => {
    const job = await client.submit("image-from-text", request, { idempotencyKey: "k1" });
    expect(await client.submit("image-from-text", request, { idempotencyKey: "k1" })).toMatchObject({ id: job.id });
    expect(await client.get(job.id)).toMatchObject({ id: job.id, workflow: "image-from-text" });
    await expect.poll(async () => (await client.list()).jobs.map(({ id }) => id)).toContain(job.id);
    expect(await client.cancel(job.id)).toMatchObject({ status: "canceled", done: true });
    await client.remove(job.id);
    await client.remove(job.id);
    await expect(client.get(job.id)).rejects.toMatchObject({ name: "DarkroomProblem", code: "job_gone" });
  });

  it("says what is wrong with a request, by field", async () => {
    const wrong = client.submit("image-from-text", { ...request, size: "7*7" }, { idempotencyKey: "k2" });
    await expect(wrong).rejects.toMatchObject({
      code: "invalid_request",
      problem: { errors: [{ path: "/size" }] },
      call: { idempotencyKey: "k2" },
    });
  });

  it("watches a job to its end by poll", async () => {
    const job = await client.submit("image-from-text", request);
    await client.cancel(job.id);
    const frames: JobFrame[] = await first(client.watch(job.id, { after: 0 }), () => false);
    const seqs = frames.flatMap(({ event }) => (event === null ? [] : [event.seq]));
    expect(seqs).toEqual(seqs.map((_, index) => index + 1));
    expect(frames.at(-1)).toMatchObject({ event: { type: "job.canceled" }, job: { done: true } });
  });

  it("follows the feed as a stream, and resumes it by cursor", async () => {
    const streaming = createDarkroomClient({ baseUrl: BASE, fetch: own, WebSocket: null });
    const [ready] = await first<FeedFrame>(streaming.watchAll(), ({ type }) => type === "ready");
    const job = await client.submit("image-from-text", request);
    await client.cancel(job.id);
    const isEnd = (frame: FeedFrame) => frame.type === "job" && frame.job.id === job.id && frame.job.done;
    const frames = await first<FeedFrame>(streaming.watchAll({ after: ready?.cursor }), isEnd);
    expect(frames.at(-1)).toMatchObject({ type: "job", job: { status: "canceled" } });
  });
});
