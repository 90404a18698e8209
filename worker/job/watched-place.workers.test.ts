import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, it, vi } from "vitest";
import { JobFrame } from "../../schemas/event.ts";
import { until } from "../../test/support/until.ts";
import { laneStub } from "../stubs.ts";
import { watchHeaders } from "../watch/watch-request.ts";
import { laneOf, type TestJob, testJob } from "./job.fixture.ts";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const SIZE = { model: "qwen-image-max", size: "1328*1328" };

it("a watched place is sent to a socket after a retry, without a request for it", async () => {
  vi.spyOn(Math, "random").mockReturnValue(0.99);
  const other = await testJob(SIZE).spoil({ fault: { type: "hold", at: "arrival" } });
  await other.submit();
  const job = await testJob(SIZE).spoil({ fault: { type: "html", status: 503 } });
  await job.submit();
  const watch = { mode: "ws", viewer: null, origin: "https://d.example", linkEndsAtMs: null, after: null } as const;
  const answer = await job.object.fetch(
    new Request("https://object/", { headers: watchHeaders(new Headers({ Upgrade: "websocket" }), watch) }),
  );
  const socket = answer.webSocket;
  if (socket === null) throw new Error("a watcher gets a socket");
  const frames: JobFrame[] = [];
  socket.addEventListener("message", ({ data }) => frames.push(JobFrame.parse(JSON.parse(String(data)))));
  socket.accept();
  // Both starts of the minute are used: after its failure the job is queued.
  const requeued = () => frames.findIndex(({ event }) => event?.type === "job.queued" && event.seq > 1);
  const placed = await until("its place after the retry", () =>
    requeued() < 0 ? undefined : frames.slice(requeued()).find(({ job: { queue } }) => queue?.position === 1),
  );
  expect(placed).toMatchObject({ event: null, job: { status: "queued", queue: { waitingOn: "quota" } } });
  socket.close();
  await job.rpc.remove(null);
  await other.release();
});

it("a watched place beyond the first five is asked for by a reader, because the lane sends it late", async () => {
  // No other test in this file uses this model. While its lane is paused a place has no estimate, so only its number changes.
  const model = "qwen-image-2.0-pro";
  const lane = laneStub(env, laneOf(model));
  const isWatched = () =>
    runInDurableObject(env.LANES.getByName(laneOf(model)), (_lane, { storage }) =>
      storage.sql.exec("SELECT job_id AS jobId FROM waiting WHERE watched = 1").toArray(),
    );
  await lane.control({ kind: "pause", reason: "a test", untilMs: null });
  const jobs: TestJob[] = [];
  for (let count = 0; count < 7; count++) jobs.push(await testJob({ model }).submit());
  const [first, last] = [jobs[0], jobs.at(-1)];
  if (first === undefined || last === undefined) throw new Error("seven jobs wait");
  const positionOf = async (job: TestJob) => (await job.view()).queue?.position;
  await expect.poll(() => positionOf(last)).toBe(7);
  const watch = { mode: "ws", viewer: null, origin: "https://d.example", linkEndsAtMs: null, after: null } as const;
  const answer = await last.object.fetch(
    new Request("https://object/", { headers: watchHeaders(new Headers({ Upgrade: "websocket" }), watch) }),
  );
  const socket = answer.webSocket;
  if (socket === null) throw new Error("a watcher gets a socket");
  socket.accept();
  // The lane knows that somebody watches once it has been asked for the place of the socket's first frame.
  await expect.poll(isWatched).toEqual([{ jobId: last.submission.id }]);
  await first.rpc.cancel(null);
  await expect.poll(async () => (await lane.places([last.submission.id]))[last.submission.id]?.position).toBe(6);
  // From here on the clock stands still: the lane, which sends such a change after 30 s, never sends it.
  vi.setSystemTime(Date.now() + 5_000);
  await expect.poll(() => positionOf(last)).toBe(6);
  socket.close();
  for (const job of jobs) await job.rpc.remove(null);
  await lane.control({ kind: "resume" });
});
