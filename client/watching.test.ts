import { describe, expect, it } from "vitest";
import type { JobFrame } from "../schemas/event.ts";
import type { ConnectionState } from "./follow.ts";
import { eventFrame, JOB_ID, job, problem, stateFrame } from "./job.fixture.ts";
import {
  afterOf,
  changed,
  collect,
  eventSeqs,
  failure,
  gone,
  pollable,
  ready,
  start,
  take,
  text,
} from "./watching.fixture.ts";

describe("watch", () => {
  it("yields the state now, then every event, and ends with the job", async () => {
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

  it("resumes after the last event it has, without repeating or missing one, however often it is cut off", async () => {
    const last = 9;
    const { client, upgrades } = await start({
      // Each connection repeats an event and brings two new ones, then ends in one of the possible ways.
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
    // What an ending connection still delivered decides where the next one begins.
    expect(upgrades.length).toBeGreaterThanOrEqual(5);
  });

  it("reconnects for an event that a stream omitted", async () => {
    const { client, upgrades } = await start({
      socket: (socket, request) => {
        for (const seq of afterOf(request) === "1" ? [2, 4] : [3, 4]) socket.send(text(eventFrame(seq, 4)));
      },
    });
    expect(eventSeqs(await collect(client.watch(JOB_ID, { after: 1 })))).toEqual([2, 3, 4]);
    expect(upgrades.map(afterOf)).toEqual(["1", "2"]);
  });

  it("yields a new place in line, which has no event", async () => {
    const moved: JobFrame = { type: "job", seq: 1, event: null, job: job({ queue: null, model: "qwen-image-plus" }) };
    const { client } = await start({
      socket: (socket) => {
        for (const frame of [stateFrame(1, 2), moved, eventFrame(2, 2)]) socket.send(text(frame));
      },
    });
    expect((await collect(client.watch(JOB_ID)))[1]).toEqual(moved);
  });

  it("notices a silent socket, and connects again", async () => {
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

  it("ends when the server ends the stream", async () => {
    const { client } = await start({ socket: (socket) => socket.close(1000) });
    expect(await collect(client.watch(JOB_ID, { after: 7 }))).toEqual([]);
  });

  it("rejects with the reason when watching is refused", async () => {
    const { client } = await start({ answer: () => ({ status: 410, body: problem(410, "job_gone") }) });
    expect(await failure(collect(client.watch(JOB_ID)))).toMatchObject({ code: "job_gone", call: { jobId: JOB_ID } });
  });

  it("polls without sockets, through outages", async () => {
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

  it("uses the job's own link when it has a token, because no socket can send one", async () => {
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

  it("stops when aborted and when its reader stops, and leaves no socket open", async () => {
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

describe("watchAll", () => {
  it("resumes from the last cursor over a socket, and is live again once it has all changes", async () => {
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

  it("ignores kinds of frames and fields that are newer than the client", async () => {
    const { client } = await start({
      socket: (socket) => {
        socket.send(JSON.stringify({ type: "weather", cursor: 4, sky: "blue" }));
        socket.send(JSON.stringify({ ...ready(5), mood: "good" }));
      },
    });
    expect(await take(client.watchAll(), 1)).toEqual([ready(5)]);
  });

  it("ends at a frame that cannot be read, with what is wrong in it", async () => {
    const { client } = await start({ socket: (socket) => socket.send('{"type":"job","cursor":"x"}') });
    expect(await failure(take(client.watchAll(), 1))).toMatchObject({
      name: "DarkroomUnexpectedAnswer",
      message: expect.stringContaining("cursor"),
    });
  });

  it("drops frames that are out of order within a connection", async () => {
    const { client } = await start({
      socket: (socket) => {
        for (const frame of [changed(6), changed(5), ready(7)]) socket.send(text(frame));
      },
    });
    expect(await take(client.watchAll({ after: 3 }), 2)).toEqual([changed(6), ready(7)]);
  });

  it("uses an event stream when there is a token, because a stream can send one", async () => {
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

  it("rejects with the reason when watching is refused", async () => {
    const { client } = await start({ answer: () => ({ status: 401, body: problem(401, "unauthorized") }) });
    expect(await failure(take(client.watchAll(), 1))).toMatchObject({ code: "unauthorized" });
  });

  it("rejects for the operator, who may list everyone's jobs but must name a client to watch", async () => {
    const { client } = await start({
      answer: ({ url }) =>
        url.pathname === "/api/events"
          ? { status: 400, body: problem(400, "invalid_query") }
          : { body: { jobs: [], nextCursor: null } },
    });
    expect(await failure(take(client.watchAll(), 1))).toMatchObject({ code: "invalid_query" });
  });
});
