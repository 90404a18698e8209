import { createHash } from "node:crypto";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Fetch } from "../client/client-options.ts";
import { createDarkroomClient, type DarkroomClient } from "../client/darkroom-client.ts";
import { DarkroomProblem } from "../client/errors.ts";
import type { ConnectionState } from "../client/follow.ts";
import type { FaultRuleInput } from "../emulator/core/fault.ts";
import type { FeedFrame, JobFrame } from "../schemas/event.ts";
import type { Job } from "../schemas/job.ts";
import { sign } from "../worker/auth/signing-keys.ts";
import { OPEN_LANES, type Product, startProduct } from "./support/product.ts";
import { until } from "./support/until.ts";

const sha256 = (bytes: string | Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const eventSeqs = (frames: readonly JobFrame[]) => frames.flatMap(({ event }) => (event === null ? [] : [event.seq]));

let product: Product;
beforeAll(async () => {
  // A killed attempt is found when its budget ends, so the budget is short, but longer than a test needs to kill or cancel one.
  product = await startProduct({ env: { QWEN_TIMEOUT_MS: "8000", LATE_ANSWER_MS: "12000" } });
});
afterAll(async () => {
  await product.stop();
});

function newClient(options: Parameters<typeof createDarkroomClient>[0] = {}): DarkroomClient {
  return createDarkroomClient({ baseUrl: product.baseUrl, ...options });
}

/** A rule: upstream holds calls with this text in their prompt until they are released; `times` null: all of them. */
function hold(prompt: string, times: number | null): FaultRuleInput {
  return { match: { prompt }, times, fault: { type: "hold", at: "arrival" } };
}

async function collect<Frame>(frames: AsyncIterable<Frame>): Promise<Frame[]> {
  const found: Frame[] = [];
  for await (const frame of frames) found.push(frame);
  return found;
}

/** Every frame of one connection, until the job is done or the server ends it. */
async function framesOf(mode: "ws" | "sse", link: string): Promise<JobFrame[]> {
  if (mode === "ws") {
    const frames: JobFrame[] = [];
    const socket = new WebSocket(link.replace(/^http/, "ws"));
    await new Promise((resolve) => {
      socket.addEventListener("close", resolve);
      socket.addEventListener("message", ({ data }) => {
        frames.push(JSON.parse(String(data)) as JobFrame);
        if (frames.at(-1)?.job.done === true) resolve(undefined);
      });
    });
    socket.close();
    return frames;
  }
  const answer = await fetch(link, { headers: { accept: "text/event-stream" } });
  expect(answer.status).toBe(200);
  const data = (await answer.text()).split("\n").filter((line) => line.startsWith("data: "));
  return data.map((line) => JSON.parse(line.slice("data: ".length)) as JobFrame);
}

/** Follows the feed in the background; `frames` grows with each frame. */
function followFeed(client: DarkroomClient) {
  const leaving = new AbortController();
  const frames: FeedFrame[] = [];
  const states: ConnectionState[] = [];
  const ended = (async () => {
    try {
      const onState = (state: ConnectionState) => states.push(state);
      for await (const frame of client.watchAll({ signal: leaving.signal, onState })) frames.push(frame);
    } catch (error) {
      if (!leaving.signal.aborted) throw error;
    }
  })();
  return {
    frames,
    states,
    async leave() {
      leaving.abort(new Error("the test has seen enough"));
      await ended;
    },
  };
}

/** First, because room that other tests' submissions have left over counts for half a minute. */
describe("the limit on unfinished jobs", () => {
  const LIMIT = 5;

  beforeAll(async () => {
    await product.kill("worker");
    await product.restart({ MAX_PENDING_JOBS: String(LIMIT) });
  });
  afterAll(async () => {
    await product.kill("worker");
    await product.restart({ MAX_PENDING_JOBS: "200" });
  });

  it("holds against simultaneous submissions, and allows more as jobs end", async () => {
    const client = newClient({
      timing: { retry: { maxTries: 1, baseDelayMs: 1, maxDelayMs: 1, maxRetryAfterMs: 0 } },
    });
    await product.emulator.addFault(hold("crowded", null));
    const submit = () =>
      client.submit("image-from-text", { prompt: "crowded" }).catch((error: unknown) => {
        if (error instanceof DarkroomProblem && error.code === "too_many_pending_jobs") return null;
        throw error;
      });
    const taken: Job[] = [];
    // Near the limit the catalog grants one at a time, so reaching the limit takes more than one round.
    await until("a full house", async () => {
      for (const job of await Promise.all(Array.from({ length: 8 }, submit))) if (job !== null) taken.push(job);
      return taken.length >= LIMIT || undefined;
    });
    expect(taken.length).toBe(LIMIT);
    expect(await submit()).toBeNull();
    await client.cancel(taken[0]?.id ?? "");
    await until("room for one", async () => (await submit()) ?? undefined);
    expect(await submit()).toBeNull();
    await product.emulator.clearFaults();
    await product.emulator.release();
  });
});

describe("the client against the running product", () => {
  it("makes an image of a prompt, and the image's link alone opens it", async () => {
    const client = newClient();
    const submitted = await client.submit("image-from-text", { prompt: "a red bicycle" });
    const job = await client.wait(submitted.id);
    expect(job).toMatchObject({ id: submitted.id, status: "succeeded", error: null });
    const [image] = job.output?.images ?? [];
    const answer = await fetch(image?.url ?? "");
    const bytes = new Uint8Array(await answer.arrayBuffer());
    expect(answer.headers.get("content-type")).toBe(image?.contentType);
    expect([bytes.length, sha256(bytes)]).toEqual([image?.bytes, image?.sha256]);
  });

  it("makes one job, paid for once, from a submission whose answers were lost", async () => {
    let sent = 0;
    const lossy: Fetch = async (input, init) => {
      const answer = await fetch(input, init);
      sent += 1;
      if (sent <= 2) throw new TypeError("the answer was lost");
      return answer;
    };
    const client = newClient({ fetch: lossy });
    const job = await client.submit("image-from-text", { prompt: "answers get lost" });
    await client.wait(job.id);
    const { summary, images } = await product.emulator.ledger("answers get lost");
    expect(sent).toBeGreaterThan(2);
    expect(images.length, JSON.stringify(summary)).toBe(1);
    const { jobs } = await client.list({ limit: 100 });
    expect(jobs.filter(({ prompt }) => prompt === "answers get lost").map(({ id }) => id)).toEqual([job.id]);
  });

  it("sends files, which the job then names by their content", async () => {
    const png = await sharp({ create: { width: 512, height: 512, channels: 3, background: "teal" } })
      .png()
      .toBuffer();
    const file = new File([new Uint8Array(png)], "teal.png", { type: "image/png" });
    const job = await newClient().submitFiles({ prompt: "in winter", n: 1, metadata: { order: 7 } }, [file]);
    expect(job.metadata).toEqual({ order: 7 });
    expect(job.request.images).toMatchObject([{ kind: "upload", sha256: sha256(png), width: 512, height: 512 }]);
    expect(await newClient().wait(job.id)).toMatchObject({ status: "succeeded" });
  });

  it("cancels, retries and removes a job, and the feed has each change", async () => {
    const client = newClient();
    const feed = followFeed(client);
    await until("the feed", () => feed.frames.find(({ type }) => type === "ready"));
    await product.emulator.addFault(hold("to and fro", 1));
    const { id } = await client.submit("image-from-text", { prompt: "to and fro" });
    await product.emulator.untilHeld("to and fro");
    expect(await client.cancel(id)).toMatchObject({ status: "canceled", done: true });
    expect(await client.cancel(id)).toMatchObject({ status: "canceled" });
    expect(await client.retry(id)).toMatchObject({ done: false });
    expect(await client.wait(id)).toMatchObject({ status: "succeeded" });
    await expect(client.cancel(id)).rejects.toMatchObject({ code: "job_finished" });
    await client.remove(id);
    await client.remove(id);
    await expect(client.get(id)).rejects.toMatchObject({ code: "job_gone", status: 410 });
    await until("the removal", () => feed.frames.find((frame) => frame.type === "deleted" && frame.id === id));
    const framed = feed.frames.flatMap((frame) => (frame.type === "job" && frame.job.id === id ? [frame] : []));
    expect(framed.map(({ job }) => job.status)).toEqual(expect.arrayContaining(["canceled", "succeeded"]));
    expect(framed.map(({ seq }) => seq)).toEqual(framed.map(({ seq }) => seq).toSorted((a, b) => a - b));
    await feed.leave();
  });

  it("lists every job once over pages, while jobs are unfinished", async () => {
    const client = newClient();
    const sent = await Promise.all(
      Array.from({ length: 12 }, (_, n) => client.submit("image-from-text", { prompt: `page ${n}` })),
    );
    // A job is listed once its outbox has sent the entry.
    await until("every job in the list", async () => {
      const { jobs } = await client.list({ limit: 100 });
      return sent.every(({ id }) => jobs.some((job) => job.id === id)) || undefined;
    });
    const listed = await collect(client.listAll({ limit: 5 }));
    const ids = listed.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(expect.arrayContaining(sent.map(({ id }) => id)));
    const created = listed.map(({ createdAt }) => createdAt);
    expect(created).toEqual(created.toSorted().reverse());
  });

  it("shows the same events to a socket, a poller and the job's log, through a retry, a kill of the server and a restart", async () => {
    const client = newClient();
    const polling = newClient({ WebSocket: null });
    const feed = followFeed(client);
    await until("the feed", () => feed.frames.find(({ type }) => type === "ready"));
    await product.emulator.addFault("500 x1 prompt=storm");
    await product.emulator.addFault(hold("storm", 1));
    const job = await client.submit("image-from-text", { prompt: "storm" });
    const states: ConnectionState[] = [];
    const bySocket = collect(client.watch(job, { after: 0, onState: (state) => states.push(state) }));
    const byPoll = collect(polling.watch(job.id, { after: 0 }));
    await product.emulator.untilHeld("storm");
    await product.kill("worker");
    await until("a lost connection", () => states.includes("reconnecting") || undefined);
    await product.restart();
    const frames = await bySocket;
    const polled = await byPoll;
    const log = await client.events(job.id);
    const seqs = log.events.map(({ seq }) => seq);
    expect(seqs).toEqual(seqs.map((_, index) => index + 1));
    expect(eventSeqs(frames)).toEqual(seqs);
    expect(eventSeqs(polled)).toEqual(seqs);
    expect(frames.flatMap(({ event }) => event ?? [])).toEqual(log.events);
    expect(log.events.map(({ data }) => data.outcome).filter(Boolean)).toEqual(["failed", "interrupted", "succeeded"]);
    expect(states).toContain("live");
    expect(states.at(-1)).toBe("closed");
    await until("the end in the feed", () =>
      feed.frames.find((frame) => frame.type === "job" && frame.job.id === job.id && frame.job.done),
    );
    const framed = feed.frames.flatMap((frame) => (frame.type === "job" && frame.job.id === job.id ? [frame.seq] : []));
    expect(framed).toEqual(framed.toSorted((a, b) => a - b));
    expect(framed.at(-1)).toBe(seqs.at(-1));
    expect(feed.states).toContain("reconnecting");
    await feed.leave();
  });

  it("keeps a feed over a kill, with every job's end once", async () => {
    const client = newClient();
    const feed = followFeed(client);
    await until("the feed", () => feed.frames.find(({ type }) => type === "ready"));
    const jobs = await Promise.all(
      Array.from({ length: 10 }, (_, n) => client.submit("image-from-text", { prompt: `crowd ${n}` })),
    );
    await product.kill("worker");
    await product.restart();
    const ends = (job: Job) =>
      feed.frames.filter((frame) => frame.type === "job" && frame.job.id === job.id && frame.job.done);
    await until("every end", () => jobs.every((job) => ends(job).length > 0) || undefined);
    for (const job of jobs) expect(ends(job)).toMatchObject([{ job: { status: "succeeded" } }]);
    const cursors = feed.frames.map(({ cursor }) => cursor);
    expect(cursors).toEqual(cursors.toSorted((a, b) => a - b));
    await feed.leave();
  });
});

describe.concurrent("with tokens", () => {
  const tokens = { app: "token-of-the-app", other: "token-of-another" };
  const SIGNING_SECRET = "a secret of at least sixteen characters";
  /** The signed link to a job's events with this end. */
  const eventsLink = (jobId: string, endsAtMs: number) => {
    const end = endsAtMs / 1000;
    const signature = sign(SIGNING_SECRET, "events link", `${jobId}/events?${end}`);
    return `${product.baseUrl}/api/jobs/${jobId}/events?end=${end}&signature=${signature}`;
  };

  beforeAll(async () => {
    await product.kill("worker");
    await product.restart({
      AUTH_MODE: "token",
      CLIENT_TOKENS: JSON.stringify({ app: sha256(tokens.app), other: sha256(tokens.other) }),
      SIGNING_SECRET,
      MAX_PENDING_JOBS: "200",
      LANE_LIMITS: OPEN_LANES,
    });
  });

  it("watches a job through its signed link, and all jobs as a stream", async () => {
    const client = newClient({ token: tokens.app });
    const feed = followFeed(client);
    await until("the feed", () => feed.frames.find(({ type }) => type === "ready"));
    const job = await client.submit("image-from-text", { prompt: "signed" });
    const frames = await collect(client.watch(job.id, { after: 0 }));
    expect(frames.at(-1)?.job).toMatchObject({ status: "succeeded" });
    expect(eventSeqs(frames)).toEqual(eventSeqs(frames).map((_, index) => index + 1));
    const image = await fetch(frames.at(-1)?.job.output?.images[0]?.url ?? "");
    expect(image.status).toBe(200);
    await image.body?.cancel();
    await until("the end in the feed", () =>
      feed.frames.find((frame) => frame.type === "job" && frame.job.id === job.id && frame.job.done),
    );
    await feed.leave();
  });

  it.each(["ws", "sse"] as const)(
    "sends no link by %s that lives longer than the link with which the watcher connected",
    async (mode) => {
      const client = newClient({ token: tokens.app });
      const job = await client.submit("image-from-text", { prompt: `bounded ${mode}` });
      const endsAtMs = Math.ceil(Date.now() / 1000) * 1000 + 90_000;
      const frames = await framesOf(mode, eventsLink(job.id, endsAtMs));
      expect(frames.at(-1)?.job.status).toBe("succeeded");
      const signed = frames.flatMap((frame) => JSON.stringify(frame).match(/end=\d+/g) ?? []);
      expect(new Set(signed)).toEqual(new Set([`end=${endsAtMs / 1000}`]));
      expect(frames.at(-1)?.job.output?.images[0]?.url).toContain(`end=${endsAtMs / 1000}&`);
    },
  );

  it.each(["ws", "sse"] as const)(
    "sends nothing by %s after the end of the link with which the watcher connected",
    async (mode) => {
      const client = newClient({ token: tokens.app });
      const prompt = `ended ${mode}`;
      await product.emulator.addFault(hold(prompt, 1));
      const job = await client.submit("image-from-text", { prompt });
      await product.emulator.untilHeld(prompt);
      const endsAtMs = Math.ceil(Date.now() / 1000) * 1000 + 2_000;
      const watched = framesOf(mode, eventsLink(job.id, endsAtMs));
      await until("the link's end", () => Date.now() > endsAtMs || undefined);
      await product.emulator.release(prompt);
      expect((await client.wait(job.id)).status).toBe("succeeded");
      expect((await watched).map((frame) => frame.job.status)).not.toContain("succeeded");
    },
  );

  it("shows no client another client's jobs", async () => {
    const [client, other] = [newClient({ token: tokens.app }), newClient({ token: tokens.other })];
    const feed = followFeed(other);
    await until("the feed", () => feed.frames.find(({ type }) => type === "ready"));
    const job = await client.submit("image-from-text", { prompt: "private" });
    await client.wait(job.id);
    for (const attempt of [other.get, other.cancel, (id: string) => collect(other.watch(id))]) {
      await expect(attempt(job.id)).rejects.toMatchObject({ code: "job_not_found", status: 404 });
    }
    const own = await other.submit("image-from-text", { prompt: "mine" });
    await until("the own job's end", () =>
      feed.frames.find((frame) => frame.type === "job" && frame.job.id === own.id && frame.job.done),
    );
    const framed = new Set(feed.frames.flatMap((frame) => (frame.type === "job" ? [frame.job.id] : [])));
    expect([...framed]).toEqual([own.id]);
    await feed.leave();
  });

  it("rejects a call and a watcher whose token belongs to no client", async () => {
    const stranger = newClient({ token: "nobody" });
    await expect(stranger.list()).rejects.toMatchObject({ code: "unauthorized", status: 401 });
    await expect(collect(stranger.watchAll())).rejects.toMatchObject({ code: "unauthorized" });
    await expect(newClient().signIn("nobody")).rejects.toMatchObject({ code: "unauthorized" });
    expect(await newClient().signIn(tokens.app)).toMatchObject({ client: "app" });
  });
});
