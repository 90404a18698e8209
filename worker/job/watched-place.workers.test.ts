import { afterEach, expect, it, vi } from "vitest";
import { JobFrame } from "../../schemas/event.ts";
import { until } from "../../test/support/until.ts";
import { watchHeaders } from "../watch/watch-request.ts";
import { testJob } from "./job.fixture.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

const SIZE = { model: "qwen-image-max", size: "1328*1328" };

it("is sent to a socket after a retry, without a request for it", async () => {
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
  // Both starts of the minute are used: after its failure the job waits in line.
  const requeued = () => frames.findIndex(({ event }) => event?.type === "job.queued" && event.seq > 1);
  const placed = await until("its place after the retry", () =>
    requeued() < 0 ? undefined : frames.slice(requeued()).find(({ job: { queue } }) => queue?.position === 1),
  );
  expect(placed).toMatchObject({ event: null, job: { status: "queued", queue: { waitingOn: "quota" } } });
  socket.close();
  await job.rpc.remove(null);
  await other.release();
});
