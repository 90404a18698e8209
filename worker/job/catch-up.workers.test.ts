import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { JobFrame } from "../../schemas/event.ts";
import { type WatchRequest, watchHeaders } from "../watch/watch-request.ts";
import { newJobRecord } from "./core/record.ts";
import { type TestJob, testJob } from "./job.fixture.ts";
import { JobStore } from "./job-store.ts";

/** More than any buffer, batch or page holds. */
const LONG = 6_000;

/**
 * Stores a job with a log of that many events, as years of retries by hand would leave it. The job continues with the first
 * request.
 */
async function withLog(job: TestJob, events: number): Promise<TestJob> {
  await runInDurableObject(job.object, (_object, { storage }) => {
    const store = new JobStore(storage);
    let record = newJobRecord(job.submission, Date.now());
    store.create(record);
    for (let seq = 2; seq <= events; seq += 1) {
      const event = { seq, at: new Date().toISOString(), type: "job.retrying" as const, data: {} };
      store.save({ ...record, seq, log: [...record.log, event] });
      const saved = store.load();
      if (saved?.kind !== "job") throw new Error("no job");
      record = saved;
    }
  });
  await job.evict();
  return job;
}

function open(job: TestJob, mode: WatchRequest["mode"], after: number): Promise<Response> {
  const upgrade = mode === "ws" ? new Headers({ Upgrade: "websocket" }) : new Headers();
  const headers = watchHeaders(upgrade, {
    mode,
    viewer: null,
    origin: "https://darkroom.test",
    linkEndsAtMs: null,
    after,
  });
  return job.object.fetch(new Request("https://object/events", { headers }));
}

/** The seqs of all frames with an event, until the server ends the stream. `onFrame` is called with each frame. */
async function heard(response: Response, onFrame: (frame: JobFrame) => void = () => {}) {
  const seqs: number[] = [];
  const take = (text: string) => {
    const frame = JobFrame.parse(JSON.parse(text));
    // A new place in the queue is no event.
    if (frame.event !== null) seqs.push(frame.seq);
    onFrame(frame);
  };
  const socket = response.webSocket;
  if (socket === null) {
    let text = "";
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const blocks = (text + chunk).split("\n\n");
      text = blocks.pop() ?? "";
      for (const data of blocks.flatMap((block) => block.split("\n")).filter((line) => line.startsWith("data: "))) {
        take(data.slice("data: ".length));
      }
    }
    return { seqs, code: null };
  }
  const closed = Promise.withResolvers<number>();
  socket.addEventListener("message", ({ data }) => take(String(data)));
  socket.addEventListener("close", ({ code }) => closed.resolve(code));
  socket.accept();
  return { code: await closed.promise, seqs };
}

const upTo = (from: number, last: number) => Array.from({ length: last - from + 1 }, (_, index) => from + index);

describe.each(["ws", "sse"] as const)("a watcher that missed thousands of events, by %s", (mode) => {
  it("gets all of them once and in order, with those that happen meanwhile, to the last", async () => {
    const job = await withLog(testJob(), LONG);
    const watched = await heard(await open(job, mode, 3));
    const { seq, status } = await job.view();
    expect(status).toBe("succeeded");
    expect(seq).toBeGreaterThan(LONG);
    expect(watched).toEqual({ seqs: upTo(4, seq), code: mode === "ws" ? 1000 : null });
  });

  it("gets events as they happen once it has caught up", async () => {
    const job = await withLog(await testJob().spoil({ fault: { type: "hold", at: "answer" } }), 450);
    const response = await open(job, mode, 0);
    await job.held();
    const { seq: before } = await job.view();
    const caughtUp = Promise.withResolvers<void>();
    const watching = heard(response, (frame) => {
      if (frame.seq === before) caughtUp.resolve();
    });
    await caughtUp.promise;
    await job.release();
    const { seqs } = await watching;
    const { seq } = await job.view();
    expect(seq).toBeGreaterThan(before);
    expect(seqs).toEqual(upTo(1, seq));
  });

  it("gets the job after a patch, without an event", async () => {
    const job = await (await testJob().spoil({ fault: { type: "hold", at: "answer" } })).submit();
    await job.held();
    const response = await open(job, mode, 0);
    const patched = Promise.withResolvers<number>();
    const watching = heard(response, ({ seq, event, job: shown }) => {
      if (event === null && "note" in shown.metadata) patched.resolve(seq);
    });
    const { seq } = await job.view();
    await job.rpc.patch(null, { metadata: { note: "seen" } });
    expect(await patched.promise).toBe(seq);
    await job.release();
    await watching;
  });

  it("gets all events of a job that is long done, and is closed", async () => {
    const job = await withLog(testJob(), 400);
    const { seq } = await job.done();
    await job.evict();
    expect((await heard(await open(job, mode, 0))).seqs).toEqual(upTo(1, seq));
  });
});
