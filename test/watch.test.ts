import { createHash } from "node:crypto";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { EventSourceParserStream } from "eventsource-parser/stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ClientOptions, WebSocket } from "ws";
import { createDarkroomClient } from "../client/darkroom-client.ts";
import { EventPage, JobFrame } from "../schemas/event.ts";
import { Job } from "../schemas/job.ts";
import { paths } from "../schemas/paths.ts";
import { type Product, startProduct } from "./support/product.ts";
import { until } from "./support/until.ts";

const CLIENTS = ["anna", "bert", "carl", "dora"] as const;
type Client = (typeof CLIENTS)[number];
const tokenOf = (client: Client) => `token-of-${client}`;
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

let product: Product;
beforeAll(async () => {
  product = await startProduct({
    env: {
      // Longer than the test needs to kill a running attempt.
      QWEN_TIMEOUT_MS: "15000",
      LATE_ANSWER_MS: "25000",
      MAX_PENDING_JOBS: "1000",
      // Several clients, because the rate limit on submissions is per client.
      AUTH_MODE: "token",
      SIGNING_SECRET: "a secret of this test alone",
      CLIENT_TOKENS: JSON.stringify(Object.fromEntries(CLIENTS.map((name) => [name, sha256(tokenOf(name))]))),
    },
  });
}, 120_000);
afterAll(() => product.stop());

const bearer = (client: Client) => ({ authorization: `Bearer ${tokenOf(client)}` });

async function submit(prompt: string, client: Client = "anna"): Promise<Job> {
  const response = await fetch(product.baseUrl + paths.workflow("image-from-text"), {
    method: "POST",
    headers: { ...bearer(client), "content-type": "application/json" },
    body: JSON.stringify({ prompt, maxAttempts: 10 }),
  });
  if (response.status !== 202) throw new Error(`${response.status} ${await response.text()}`);
  return Job.parse(await response.json());
}

async function logOf(id: string): Promise<EventPage["events"]> {
  const response = await fetch(`${product.baseUrl}${paths.jobEvents(id)}?limit=1000`, {
    headers: { ...bearer("anna"), accept: "application/json" },
  });
  return EventPage.parse(await response.json()).events;
}

/** The job's signed link to its events, which needs no token, from after the known events. */
function linkAfter(job: Job, after: number | null): URL {
  const link = new URL(job.links.events);
  if (after !== null) link.searchParams.set("after", String(after));
  return link;
}

/**
 * The end is the close frame: workerd keeps the connection itself for another ten seconds (its issue #2569). The option is
 * newer than its types.
 */
const CLOSED_SOON: ClientOptions & { readonly closeTimeout: number } = { closeTimeout: 100 };

/** One socket from its opening to its end; rejects when it never opened. */
async function* framesOfSocket(job: Job, after: number | null): AsyncGenerator<JobFrame, number, void> {
  const link = linkAfter(job, after);
  link.protocol = "ws:";
  const socket = new WebSocket(link, CLOSED_SOON);
  const texts: string[] = [];
  let closed: number | null = null;
  let wake = () => {};
  socket.on("message", (data) => {
    texts.push(String(data));
    wake();
  });
  socket.on("close", (code) => {
    closed = code;
    wake();
  });
  await once(socket, "open");
  for (;;) {
    const text = texts.shift();
    if (text !== undefined) yield JobFrame.parse(JSON.parse(text));
    else if (closed !== null) return closed;
    else
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  }
}

/** Connects again, from the last seq seen, until the server closes with 1000. As an app's own client would. */
async function watchBySocket(job: Job, frames: JobFrame[]): Promise<void> {
  for (;;) {
    try {
      const connection = framesOfSocket(job, frames.findLast(({ event }) => event !== null)?.seq ?? 0);
      for (;;) {
        const { done, value } = await connection.next();
        if (!done) frames.push(value);
        else if (value === 1000) return;
        else break;
      }
    } catch {
      // The server cannot be reached.
    }
    await pause(50);
  }
}

async function watchByStream(job: Job, frames: JobFrame[]): Promise<void> {
  let lastId = "0";
  for (;;) {
    try {
      const response = await fetch(job.links.events, {
        headers: { accept: "text/event-stream", "last-event-id": lastId },
      });
      if (response.status === 204) return;
      if (response.body === null || response.status !== 200) throw new Error(`${response.status}`);
      const messages = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
      for await (const { event, id, data } of messages) {
        expect(event).toBe("job");
        const frame = JobFrame.parse(JSON.parse(data));
        expect(id).toBe(String(frame.seq));
        lastId = id ?? lastId;
        frames.push(frame);
      }
    } catch (error) {
      if (error instanceof Error && error.name === "AssertionError") throw error;
    }
    await pause(50);
  }
}

/** Long-polls the job, and reads the log from where it stopped whenever the job has changed. */
async function watchByPolling(job: Job, events: EventPage["events"]): Promise<void> {
  let etag: string | null = null;
  for (;;) {
    try {
      const response: Response = await fetch(job.links.self, {
        headers: { ...bearer("anna"), prefer: "wait=5", ...(etag === null ? {} : { "if-none-match": etag }) },
      });
      if (response.status === 304) continue;
      if (response.status !== 200) throw new Error(`${response.status}`);
      const now = Job.parse(await response.json());
      while ((events.at(-1)?.seq ?? 0) < now.seq) {
        const path = `${paths.jobEvents(job.id)}?after=${events.at(-1)?.seq ?? 0}&limit=3`;
        const page = await fetch(product.baseUrl + path, {
          headers: { ...bearer("anna"), accept: "application/json" },
        });
        events.push(...EventPage.parse(await page.json()).events);
      }
      etag = response.headers.get("etag");
      if (now.done) return;
    } catch {
      await pause(50);
    }
  }
}

const eventsOf = (frames: readonly JobFrame[]) => frames.flatMap(({ event }) => (event === null ? [] : [event]));

describe("a watcher of a job", () => {
  it("sees the same events as every other, none missing and none twice, through retries, a kill and a restart", async () => {
    const prompt = "watched through thick and thin";
    await product.emulator.addFault({
      match: { prompt },
      times: 1,
      fault: { type: "error", code: "ModelUnavailable" },
    });
    await product.emulator.addFault({ match: { prompt }, times: 1, fault: { type: "hold", at: "arrival" } });
    await product.emulator.addFault({
      match: { prompt },
      times: null,
      fault: { type: "result", how: "server-error", times: 1 },
    });
    const job = await submit(prompt);
    const socket: JobFrame[] = [];
    const stream: JobFrame[] = [];
    const polled: EventPage["events"] = [];
    const client: JobFrame[] = [];
    const byClient = async () => {
      const darkroom = createDarkroomClient({ baseUrl: product.baseUrl, token: tokenOf("anna") });
      for await (const frame of darkroom.watch(job, { after: 0 })) client.push(frame);
    };
    const watching = Promise.all([
      watchBySocket(job, socket),
      watchByStream(job, stream),
      watchByPolling(job, polled),
      byClient(),
    ]);
    await product.emulator.untilHeld(prompt);
    await until("everyone to have seen the second attempt begin", () => {
      const seen = [eventsOf(socket), eventsOf(stream), polled, eventsOf(client)];
      return seen.every((events) => events.filter(({ type }) => type === "attempt.started").length === 2) || undefined;
    });
    await product.kill("worker");
    await product.emulator.release(prompt);
    await product.restart();
    await watching;

    const log = await logOf(job.id);
    expect(log.map(({ seq }) => seq)).toEqual(log.map((_, index) => index + 1));
    expect(log.map(({ type }) => type)).toEqual([
      "job.queued",
      "attempt.started",
      "attempt.finished",
      "job.retrying",
      "job.queued",
      "attempt.started",
      "attempt.finished",
      "job.retrying",
      "job.queued",
      "attempt.started",
      "attempt.finished",
      "job.storing",
      // The first copy failed.
      "job.storing",
      "job.succeeded",
    ]);
    expect(log[6]?.data).toMatchObject({ outcome: "interrupted", mayBeBilled: true });
    expect(eventsOf(socket)).toEqual(log);
    expect(eventsOf(stream)).toEqual(log);
    expect(polled).toEqual(log);
    expect(eventsOf(client)).toEqual(log);
    for (const frames of [socket, stream, client]) {
      expect(frames.at(-1)).toMatchObject({ seq: log.length, job: { done: true, status: "succeeded" } });
      // No state is older than the event in its frame, and none goes back.
      for (const [index, frame] of frames.entries()) {
        expect(frame.job.seq).toBeGreaterThanOrEqual(frame.seq);
        expect(frame.seq).toBeGreaterThanOrEqual(frames[index - 1]?.seq ?? 0);
      }
    }
  }, 120_000);

  it("that connects after the job's end gets the whole log, or only the end, and its connection is closed", async () => {
    const job = await submit("over before anyone came");
    await watchByPolling(job, []);
    const log = await logOf(job.id);
    const everything: JobFrame[] = [];
    const last = async () => {
      const connection = framesOfSocket(job, null);
      expect((await connection.next()).value).toMatchObject({ event: null, seq: log.length, job: { done: true } });
      expect(await connection.next()).toEqual({ done: true, value: 1000 });
    };
    await Promise.all([watchBySocket(job, everything), last()]);
    expect(eventsOf(everything)).toEqual(log);
    const known = await fetch(job.links.events, {
      headers: { accept: "text/event-stream", "last-event-id": String(log.length) },
    });
    expect(known.status).toBe(204);
  });
});

/** The last frame of a socket, and the code with which the server closed it. */
async function lastFrame(job: Job, opened: () => void = () => {}): Promise<{ frame: JobFrame | null; code: number }> {
  const connection = framesOfSocket(job, null);
  let frame: JobFrame | null = null;
  for (;;) {
    const { done, value } = await connection.next();
    if (done) return { frame, code: value };
    if (frame === null) opened();
    frame = value;
  }
}

/** Runs `work` in portions: a thousand handshakes at once would test the machine's backlog, not our code. */
async function inPortions<Item, Answer>(
  items: readonly Item[],
  size: number,
  work: (item: Item) => Promise<Answer>,
): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let at = 0; at < items.length; at += size) {
    answers.push(...(await Promise.all(items.slice(at, at + size).map(work))));
  }
  return answers;
}

/** `WATCH=long`: a thousand of each, as in the benchmark's row of sockets. */
const LONG = process.env.WATCH === "long";
const many = (count: number) => Array.from({ length: LONG ? 1000 : count }, (_, index) => index);

describe("many watchers", () => {
  it("of one job each get its final frame, and are closed with 1000", async () => {
    const prompt = "watched by many";
    await product.emulator.addFault({ match: { prompt }, fault: { type: "hold", at: "arrival" }, times: null });
    const job = await submit(prompt);
    const ends = await inPortions(many(300), 50, async () => {
      const open = Promise.withResolvers<void>();
      const end = lastFrame(job, open.resolve);
      await Promise.race([open.promise, end]);
      return { end };
    });
    await product.emulator.clearFaults();
    await until("the job to go on", async () => {
      await product.emulator.release(prompt);
      const response = await fetch(job.links.self, { headers: bearer("anna") });
      return Job.parse(await response.json()).done || undefined;
    });
    const last = await Promise.all(ends.map(({ end }) => end));
    const wrong = last.filter(({ frame, code }) => frame?.job.status !== "succeeded" || code !== 1000);
    expect(wrong.map(({ frame, code }) => ({ code, seq: frame?.seq, status: frame?.job.status }))).toEqual([]);
    const seqs = new Set(last.map(({ frame }) => frame?.seq));
    expect(seqs.size).toBe(1);
  }, 240_000);

  it("of as many jobs each get the final frame of their own job", async () => {
    const jobs = await inPortions(many(150), 50, async (index) => {
      const client = CLIENTS[index % CLIENTS.length] ?? "anna";
      const job = await submit(`one of many, number ${index}`, client);
      return { job, end: lastFrame(job) };
    });
    const last = await Promise.all(jobs.map(async ({ job, end }) => ({ job, ...(await end) })));
    const wrong = last.filter(({ job, frame, code }) => {
      const own = frame?.job.id === job.id && frame.job.request.prompt === job.request.prompt;
      return !(own && frame.job.status === "succeeded" && code === 1000);
    });
    expect(wrong.map(({ frame, code }) => ({ code, seq: frame?.seq, job: frame?.job }))).toEqual([]);
  }, 300_000);
});
