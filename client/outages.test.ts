import { describe, expect, it } from "vitest";
import type { DarkroomClient } from "./darkroom-client.ts";
import type { ConnectionState } from "./follow.ts";
import { eventFrame, JOB_ID, jobAt, jobEvent, problem } from "./job.fixture.ts";
import {
  changed,
  collect,
  eventSeqs,
  failure,
  livedLong,
  pollable,
  pollSoon,
  ready,
  start,
  take,
  text,
} from "./watching.fixture.ts";

describe.each([
  ["wait", {}, (client: DarkroomClient) => client.wait(JOB_ID)],
  ["watch", {}, (client: DarkroomClient) => collect(client.watch(JOB_ID))],
  ["watch without sockets", { WebSocket: null }, (client: DarkroomClient) => collect(client.watch(JOB_ID))],
  ["watchAll", {}, (client: DarkroomClient) => take(client.watchAll(), 1)],
  ["watchAll without sockets", { WebSocket: null }, (client: DarkroomClient) => take(client.watchAll(), 1)],
] as const)("%s", (_name, options, follow) => {
  it.each([
    ["the server", { type: "application/problem+json", body: problem(503, "overloaded") }],
    ["a proxy in front of it", { type: "text/html", body: "<html>Service unavailable</html>" }],
  ])("asks again no sooner than %s allows, even when that is longer than a call waits", async (_by, { type, body }) => {
    const askedAtMs: number[] = [];
    const { client } = await start(
      {
        answer: ({ url, headers }) => {
          askedAtMs.push(Date.now());
          if (askedAtMs.length === 1)
            return { status: 503, headers: { "retry-after": "1", "content-type": type }, body };
          if (headers.accept === "text/event-stream") {
            return {
              stream: (response) => {
                response.writeHead(200, { "content-type": "text/event-stream" });
                response.write(`data: ${text(ready(1))}\n\n`);
              },
            };
          }
          if (!url.pathname.includes(JOB_ID)) return { status: 406, body: problem(406, "not_acceptable") };
          return { headers: { etag: '"2"' }, body: jobAt(2, 2) };
        },
        takesUpgrade: () => askedAtMs.length > 1,
        socket: (socket, { url }) => {
          socket.send(text(url.pathname.includes(JOB_ID) ? eventFrame(2, 2) : ready(1)));
        },
      },
      { ...options, timing: { reconnect: { ...pollSoon.reconnect, failuresBeforePolling: 1 } } },
    );
    await follow(client);
    const [first = 0, second = 0] = askedAtMs;
    // A timer may fire slightly early.
    expect(second - first).toBeGreaterThanOrEqual(990);
  });

  it("ends when the server is misconfigured, because only an operator can fix that", async () => {
    const { client } = await start({ answer: () => ({ status: 503, body: problem(503, "misconfigured") }) }, options);
    expect(await failure(follow(client))).toMatchObject({ name: "DarkroomProblem", code: "misconfigured" });
  });
});

describe("watch, while live connections fail", () => {
  it("falls back to long-polls while sockets fail, misses no event, and reports its state", async () => {
    const { client, requests, upgrades } = await start({ answer: pollable(5) }, { timing: pollSoon });
    const states: ConnectionState[] = [];
    const frames = await collect(client.watch(JOB_ID, { after: 0, onState: (state) => states.push(state) }));
    expect(eventSeqs(frames)).toEqual([1, 2, 3, 4, 5]);
    expect(frames.at(-1)?.job.done).toBe(true);
    expect(states).toEqual(["connecting", "reconnecting", "polling", "closed"]);
    // Two failures end the use of sockets, and there is one more try after a poll was answered.
    expect(upgrades).toHaveLength(3);
    expect(requests.some(({ headers }) => headers.prefer === "wait=25" && headers["if-none-match"] !== undefined)).toBe(
      true,
    );
  });

  it.each([5, 6, 7, 8])(
    "is live again at once after an outage of %i calls, and does not poll before that",
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

  it("continues by polls exactly where a socket stopped", async () => {
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

  it("keeps polling while sockets open and close at once, however often they open", async () => {
    const { client, upgrades } = await start(
      { answer: pollable(6), socket: (socket) => socket.close(1012) },
      { timing: pollSoon },
    );
    const states: ConnectionState[] = [];
    const frames = await collect(client.watch(JOB_ID, { after: 0, onState: (state) => states.push(state) }));
    expect(eventSeqs(frames)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(upgrades).toHaveLength(3);
    expect(states.slice(-2)).toEqual(["polling", "closed"]);
  });

  it.each([1, 2, 3, 4, 5, 6])(
    "is live at once after a second outage of %i calls, even when its earlier polls failed",
    async (outage) => {
      const poll = pollable(99);
      const every = Array.from({ length: 99 }, (_, index) => index + 1);
      let callsAway = Number.POSITIVE_INFINITY;
      const isAway = () => callsAway++ < outage;
      const { client } = await start(
        {
          answer: (request, number) => (isAway() ? "cut" : poll(request, number)),
          takesUpgrade: (number) => number > 2 && !isAway(),
          socket: (socket, _request, number) => {
            if (number > 3) for (const seq of every) socket.send(text(eventFrame(seq, 99)));
            // The good connection: the server closes it.
            else
              socket.on("message", () => {
                callsAway = 0;
                socket.terminate();
              });
          },
        },
        { timing: livedLong },
      );
      const states: ConnectionState[] = [];
      const frames = await collect(client.watch(JOB_ID, { after: 0, onState: (state) => states.push(state) }));
      expect(eventSeqs(frames)).toEqual(every);
      expect(states.slice(0, 4)).toEqual(["connecting", "reconnecting", "polling", "live"]);
      expect(states.slice(-2)).toEqual(["live", "closed"]);
    },
  );

  it("requests the state without a wait in a second outage, and waits for a change only once it has the state", async () => {
    const { client, requests } = await start(
      {
        answer: pollable(7),
        takesUpgrade: (number) => number === 3,
        socket: (socket) => socket.on("message", () => socket.terminate()),
      },
      { timing: livedLong },
    );
    await collect(client.watch(JOB_ID, { after: 0 }));
    const asked = requests.filter(({ url }) => !url.pathname.endsWith("/events"));
    // Three calls read the job for its link after a refused connection: the first, the third and the fifth. The others are
    // polls.
    expect(asked.map(({ headers }) => headers["if-none-match"] ?? "at once")).toEqual([
      "at once",
      "at once",
      "at once",
      "at once",
      "at once",
      '"4"',
      '"6"',
    ]);
  });
});

describe("watch, without sockets", () => {
  it("requests the state without a wait after a failed round", async () => {
    const poll = pollable(4);
    const { client, requests } = await start(
      { answer: (request, number) => ([3, 4].includes(number) ? "cut" : poll(request, number)) },
      { WebSocket: null },
    );
    await collect(client.watch(JOB_ID, { after: 0 }));
    const polls = requests.filter(({ url }) => !url.pathname.endsWith("/events"));
    expect(polls.map(({ headers }) => headers["if-none-match"])).toEqual([
      undefined,
      // Cut, in both tries.
      '"1"',
      '"1"',
      undefined,
      '"2"',
      '"3"',
    ]);
  });

  it("yields the end of a job whose log could not be read when the state arrived", async () => {
    let cuts = 0;
    const { client } = await start(
      {
        answer: ({ url, headers }) => {
          if (url.pathname.endsWith("/events")) {
            return ++cuts <= 2 ? "cut" : { body: { events: [jobEvent(1, 2), jobEvent(2, 2)], nextAfter: 2 } };
          }
          // As the server answers when nothing changes while it holds the answer.
          if (headers["if-none-match"] === '"2"') return { status: 304 };
          return { headers: { etag: '"2"' }, body: jobAt(2, 2) };
        },
      },
      { WebSocket: null },
    );
    const frames = await collect(client.watch(JOB_ID, { after: 0 }));
    expect(eventSeqs(frames)).toEqual([1, 2]);
  });
});

describe("watchAll, while live connections fail", () => {
  it("polls by short streams while sockets fail, and reports its state", async () => {
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

  it("is live again as soon as a poll was answered, and reports until then that it polls", async () => {
    const { client } = await start(
      {
        answer: ({ headers }) => {
          if (headers.accept !== "text/event-stream") return { status: 406, body: problem(406, "not_acceptable") };
          return {
            stream: (response) => {
              response.writeHead(200, { "content-type": "text/event-stream" });
              for (const frame of [changed(1), ready(1)]) response.write(`data: ${text(frame)}\n\n`);
            },
          };
        },
        takesUpgrade: (number) => number > 2,
        socket: (socket) => {
          for (const frame of [ready(1), changed(2)]) socket.send(text(frame));
        },
      },
      // A pause between polls would be longer than the test.
      { timing: { ...pollSoon, pollEveryMs: 3_600_000 } },
    );
    let state: ConnectionState | null = null;
    const seen: [ConnectionState | null, number][] = [];
    for await (const { cursor } of client.watchAll({ onState: (now) => (state = now) })) {
      seen.push([state, cursor]);
      if (cursor === 2) break;
    }
    expect(seen).toEqual([
      ["polling", 1],
      ["polling", 1],
      ["live", 1],
      ["live", 2],
    ]);
  });
});
