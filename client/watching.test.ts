import { afterEach, describe, expect, it } from "vitest";
import type { FeedFrame, JobFrame } from "../schemas/event.ts";
import { type Script, type ScriptedRequest, startScriptedServer } from "../test/support/scripted-server.ts";
import type { ClientOptions, ClientTiming } from "./client-options.ts";
import { createDarkroomClient } from "./darkroom-client.ts";
import type { ConnectionState } from "./follow.ts";
import { eventFrame, JOB_ID, job, jobAt, jobEvent, problem, stateFrame, summary } from "./job.fixture.ts";

const reconnect = {
  baseDelayMs: 1,
  maxDelayMs: 2,
  goodAfterMs: 3_600_000,
  failuresBeforePolling: 20,
  pollingMs: 3_600_000,
};
const timing: Partial<ClientTiming> = {
  retry: { maxTries: 2, baseDelayMs: 1, maxDelayMs: 2, maxRetryAfterMs: 10 },
  reconnect,
  pollEveryMs: 1,
};
const pollSoon = { reconnect: { ...reconnect, failuresBeforePolling: 2 } };
const running: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const server of running.splice(0)) await server.close();
});

async function start(script: Partial<Script>, options: ClientOptions = {}) {
  const server = await startScriptedServer({
    answer: () => ({ status: 404, body: problem(404, "not_found") }),
    ...script,
  });
  running.push(server);
  const client = createDarkroomClient({
    baseUrl: server.baseUrl,
    ...options,
    timing: { ...timing, ...options.timing },
  });
  return { ...server, client };
}

async function collect<Frame>(frames: AsyncIterable<Frame>): Promise<Frame[]> {
  const found: Frame[] = [];
  for await (const frame of frames) found.push(frame);
  return found;
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.unreachable("it did not fail"),
    (error: unknown) => error,
  );
}

const text = (frame: JobFrame | FeedFrame) => JSON.stringify(frame);
const afterOf = ({ url }: ScriptedRequest) => url.searchParams.get("after");
const eventSeqs = (frames: JobFrame[]) => frames.flatMap(({ event }) => (event === null ? [] : [event.seq]));

/** A job's server over HTTP, which shows one more event each time it is asked for the job. */
function pollable(last: number): Script["answer"] {
  let seq = 0;
  return ({ url }) => {
    if (url.pathname.endsWith("/events")) {
      const after = Number(url.searchParams.get("after"));
      const events = Array.from({ length: Math.max(0, seq - after) }, (_, index) => jobEvent(after + index + 1, last));
      return { body: { events, nextAfter: seq } };
    }
    seq = Math.min(last, seq + 1);
    return { headers: { etag: `"${seq}"` }, body: jobAt(seq, last) };
  };
}

describe("watch", () => {
  it("tells the state now, then every event, and ends with the job", async () => {
    const { client, upgrades, openSockets } = await start({
      socket: (socket) => {
        socket.send(text(stateFrame(1, 3)));
        socket.send(text(eventFrame(2, 3)));
        socket.send(text(eventFrame(3, 3)));
        socket.close(1000);
      },
    });
    const states: ConnectionState[] = [];
    const frames = await collect(client.watch(JOB_ID, { onState: (state) => states.push(state) }));
    expect(frames).toEqual([stateFrame(1, 3), eventFrame(2, 3), eventFrame(3, 3)]);
    expect(states).toEqual(["connecting", "live", "closed"]);
    expect(upgrades.map(({ url }) => url.pathname)).toEqual([`/api/jobs/${JOB_ID}/events`]);
    await expect.poll(openSockets).toBe(0);
  });

  it("resumes after the last event it has, and neither repeats nor misses one, however often it is cut off", async () => {
    const last = 9;
    const { client, upgrades } = await start({
      // Each connection repeats an event and brings two new ones, then dies in one of the ways there are.
      socket: (socket, request, number) => {
        const after = Number(afterOf(request) ?? 0);
        for (const seq of [after, after + 1, after + 2]) {
          if (seq >= 1 && seq <= last) socket.send(text(eventFrame(seq, last, last)));
        }
        if (number % 3 === 0) socket.close(1012);
        else if (number % 3 === 1) setTimeout(() => socket.terminate(), 5);
        else socket.close(1011);
      },
    });
    const frames = await collect(client.watch(JOB_ID, { after: 0 }));
    expect(eventSeqs(frames)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    // What a dying connection still delivered decides where the next one begins.
    expect(upgrades.length).toBeGreaterThanOrEqual(5);
  });

  it("asks again for what a stream left out", async () => {
    const { client, upgrades } = await start({
      socket: (socket, request) => {
        for (const seq of afterOf(request) === "1" ? [2, 4] : [3, 4]) socket.send(text(eventFrame(seq, 4)));
      },
    });
    expect(eventSeqs(await collect(client.watch(JOB_ID, { after: 1 })))).toEqual([2, 3, 4]);
    expect(upgrades.map(afterOf)).toEqual(["1", "2"]);
  });

  it("tells a new place in line, which has no event", async () => {
    const moved: JobFrame = { type: "job", seq: 1, event: null, job: job({ queue: null, model: "qwen-image-plus" }) };
    const { client } = await start({
      socket: (socket) => {
        for (const frame of [stateFrame(1, 2), moved, eventFrame(2, 2)]) socket.send(text(frame));
      },
    });
    expect((await collect(client.watch(JOB_ID)))[1]).toEqual(moved);
  });

  it("notices a socket that has gone silent, and connects again", async () => {
    const { client, upgrades } = await start(
      {
        socket: (socket, _request, number) => {
          if (number === 1) return;
          socket.on("message", () => {
            socket.send("pong");
            socket.send(text(eventFrame(1, 1)));
          });
        },
      },
      { timing: { pingAfterMs: 5, pongTimeoutMs: 300 } },
    );
    expect(eventSeqs(await collect(client.watch(JOB_ID, { after: 0 })))).toEqual([1]);
    expect(upgrades.length).toBeGreaterThan(1);
  });

  it("ends where the server says that nothing follows", async () => {
    const { client } = await start({ socket: (socket) => socket.close(1000) });
    expect(await collect(client.watch(JOB_ID, { after: 7 }))).toEqual([]);
  });

  it("says why it may not watch", async () => {
    const { client } = await start({ answer: () => ({ status: 410, body: problem(410, "job_gone") }) });
    expect(await failure(collect(client.watch(JOB_ID)))).toMatchObject({ code: "job_gone", call: { jobId: JOB_ID } });
  });

  it("falls back to long-polls while sockets fail, with every event, and says so", async () => {
    const { client, requests, upgrades } = await start({ answer: pollable(5) }, { timing: pollSoon });
    const states: ConnectionState[] = [];
    const frames = await collect(client.watch(JOB_ID, { after: 0, onState: (state) => states.push(state) }));
    expect(eventSeqs(frames)).toEqual([1, 2, 3, 4, 5]);
    expect(frames.at(-1)?.job.done).toBe(true);
    expect(states).toEqual(["connecting", "reconnecting", "polling", "closed"]);
    // Two that give sockets up, and one more once a poll has shown that the server is there.
    expect(upgrades).toHaveLength(3);
    expect(requests.some(({ headers }) => headers.prefer === "wait=25" && headers["if-none-match"] !== undefined)).toBe(
      true,
    );
  });

  it.each([5, 6, 7, 8])(
    "is live again at once after an outage of %i calls, and does not poll for a while first",
    async (outage) => {
      const poll = pollable(3);
      let calls = 0;
      const { client } = await start(
        {
          answer: (request, number) => (++calls <= outage ? "cut" : poll(request, number)),
          socket: (socket) => {
            if (++calls <= outage) socket.terminate();
            else for (const seq of [1, 2, 3]) socket.send(text(eventFrame(seq, 3)));
          },
        },
        { timing: pollSoon },
      );
      const states: ConnectionState[] = [];
      const frames = await collect(client.watch(JOB_ID, { after: 0, onState: (state) => states.push(state) }));
      expect(eventSeqs(frames)).toEqual([1, 2, 3]);
      expect(states.slice(-2)).toEqual(["live", "closed"]);
    },
  );

  it("goes on by poll exactly where a socket left off", async () => {
    const poll = pollable(6);
    const { client } = await start(
      {
        answer: poll,
        socket: (socket, _request, number) => {
          if (number === 1) for (const seq of [1, 2, 3]) socket.send(text(eventFrame(seq, 6)));
          socket.close(1013);
        },
      },
      { timing: pollSoon },
    );
    expect(eventSeqs(await collect(client.watch(JOB_ID, { after: 0 })))).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("polls where there are no sockets at all, through outages", async () => {
    const poll = pollable(4);
    const { client } = await start(
      { answer: (request, number) => (number % 3 === 0 ? "cut" : poll(request, number)) },
      { WebSocket: null },
    );
    const frames = await collect(client.watch(JOB_ID));
    expect(frames[0]?.event).toBeNull();
    expect(frames.at(-1)?.job).toMatchObject({ done: true, seq: 4 });
    expect(eventSeqs(frames)).toEqual([2, 3, 4]);
  });

  it("goes through the job's own link when it has a token, which no socket can send", async () => {
    const { client, requests, upgrades } = await start(
      { answer: () => ({ body: job() }), socket: (socket) => socket.send(text(stateFrame(3, 3))) },
      { token: "secret" },
    );
    await collect(client.watch(JOB_ID));
    await collect(client.watch(job()));
    expect(requests.map(({ headers }) => headers.authorization)).toEqual(["Bearer secret"]);
    expect(upgrades.map(({ url }) => url.search)).toEqual(["?signature=s", "?signature=s"]);
    expect(upgrades.every(({ headers }) => headers.authorization === undefined)).toBe(true);
  });

  it("stops when aborted, and when its reader stops, and leaves no socket behind", async () => {
    const { client, openSockets } = await start({ socket: (socket) => socket.send(text(stateFrame(1, 3))) });
    const controller = new AbortController();
    const aborted = (async () => {
      for await (const _frame of client.watch(JOB_ID, { signal: controller.signal })) {
        setTimeout(() => controller.abort(new Error("enough")), 0);
      }
    })();
    expect(await failure(aborted)).toEqual(new Error("enough"));
    for await (const _frame of client.watch(JOB_ID)) break;
    await expect.poll(openSockets).toBe(0);
  });
});

const changed = (cursor: number, seq = 1): FeedFrame => ({ type: "job", cursor, seq, job: summary({ seq }) });
const ready = (cursor: number): FeedFrame => ({ type: "ready", cursor });
const gone = (cursor: number): FeedFrame => ({ type: "deleted", cursor, id: JOB_ID });

/** The first `count` frames. */
async function take(frames: AsyncIterable<FeedFrame>, count: number): Promise<FeedFrame[]> {
  const found: FeedFrame[] = [];
  for await (const frame of frames) {
    found.push(frame);
    if (found.length === count) break;
  }
  return found;
}

describe("watchAll", () => {
  it("resumes from the last cursor over a socket, and is live again when it has caught up", async () => {
    const { client, upgrades } = await start({
      answer: () => ({ body: { jobs: [], nextCursor: null } }),
      socket: (socket, _request, number) => {
        const frames = number === 1 ? [ready(5), changed(6), gone(8)] : [changed(9), ready(9)];
        for (const frame of frames) socket.send(text(frame));
        if (number === 1) socket.close(1012);
      },
    });
    const states: ConnectionState[] = [];
    const frames = await take(client.watchAll({ onState: (state) => states.push(state) }), 5);
    expect(frames).toEqual([ready(5), changed(6), gone(8), changed(9), ready(9)]);
    expect(upgrades.map(({ url }) => url.pathname + url.search)).toEqual(["/api/events", "/api/events?after=8"]);
    expect(states).toEqual(["connecting", "live", "reconnecting", "live", "closed"]);
  });

  it("passes over kinds of frames and fields that are newer than itself", async () => {
    const { client } = await start({
      socket: (socket) => {
        socket.send(JSON.stringify({ type: "weather", cursor: 4, sky: "blue" }));
        socket.send(JSON.stringify({ ...ready(5), mood: "good" }));
      },
    });
    expect(await take(client.watchAll(), 1)).toEqual([ready(5)]);
  });

  it("ends with a frame that cannot be read, and says what is wrong with it", async () => {
    const { client } = await start({ socket: (socket) => socket.send('{"type":"job","cursor":"x"}') });
    expect(await failure(take(client.watchAll(), 1))).toMatchObject({
      name: "DarkroomUnexpectedAnswer",
      message: expect.stringContaining("cursor"),
    });
  });

  it("drops what comes out of order within a connection", async () => {
    const { client } = await start({
      socket: (socket) => {
        for (const frame of [changed(6), changed(5), ready(7)]) socket.send(text(frame));
      },
    });
    expect(await take(client.watchAll({ after: 3 }), 2)).toEqual([changed(6), ready(7)]);
  });

  it("comes as an event stream when there is a token, which a stream can send", async () => {
    const { client, requests, upgrades } = await start(
      {
        answer: ({ url }) => ({
          stream: (response) => {
            response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
            const frames = url.searchParams.has("after") ? [changed(4), ready(4)] : [ready(3)];
            for (const frame of frames)
              response.write(`event: ${frame.type}\nid: ${frame.cursor}\ndata: ${text(frame)}\n\n`);
            response.end();
          },
        }),
      },
      { token: "secret" },
    );
    expect(await take(client.watchAll({ client: "app" }), 3)).toEqual([ready(3), changed(4), ready(4)]);
    expect(upgrades).toHaveLength(0);
    expect(requests.map(({ url }) => url.search)).toEqual(["?client=app", "?after=3&client=app"]);
    expect(requests.every(({ headers }) => headers.authorization === "Bearer secret")).toBe(true);
  });

  it("polls by short streams while sockets fail, and says so", async () => {
    let cursor = 0;
    const { client } = await start(
      {
        answer: ({ headers }) => {
          if (headers.accept !== "text/event-stream") return { status: 406, body: problem(406, "not_acceptable") };
          cursor++;
          return {
            stream: (response) => {
              response.writeHead(200, { "content-type": "text/event-stream" });
              for (const frame of [changed(cursor), ready(cursor)]) response.write(`data: ${text(frame)}\n\n`);
            },
          };
        },
      },
      { timing: pollSoon },
    );
    const states: ConnectionState[] = [];
    const frames = await take(client.watchAll({ onState: (state) => states.push(state) }), 4);
    expect(frames).toEqual([changed(1), ready(1), changed(2), ready(2)]);
    expect(states).toEqual(["connecting", "reconnecting", "polling", "closed"]);
  });

  it("says why it may not watch", async () => {
    const { client } = await start({ answer: () => ({ status: 401, body: problem(401, "unauthorized") }) });
    expect(await failure(take(client.watchAll(), 1))).toMatchObject({ code: "unauthorized" });
  });

  it("says that there is no feed for the operator, who may list everyone's jobs but must name a client to watch", async () => {
    const { client } = await start({
      answer: ({ url }) =>
        url.pathname === "/api/events"
          ? { status: 400, body: problem(400, "invalid_query") }
          : { body: { jobs: [], nextCursor: null } },
    });
    expect(await failure(take(client.watchAll(), 1))).toMatchObject({ code: "invalid_query" });
  });
});
