import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { FeedFrame } from "../../schemas/event.ts";
import { configOf } from "../env.ts";
import { laneName } from "../lane/lane-name.ts";
import { catalogStub, laneStub } from "../stubs.ts";
import { readRefusal, type WatchRequest, watchHeaders } from "../watch/watch-request.ts";
import { catalogEntry, jobId } from "./catalog-entry.fixture.ts";
import { PlaceWatch } from "./feed.ts";

const ORIGIN = "https://darkroom.test";

let names = 0;
function newCatalog() {
  const name = `watched-${++names}`;
  const object = env.CATALOGS.getByName(name);
  const catalog = catalogStub(env, name);
  const open = (mode: WatchRequest["mode"], after: number | null) => {
    const upgrade = mode === "ws" ? new Headers({ Upgrade: "websocket" }) : new Headers();
    const headers = watchHeaders(upgrade, { mode, viewer: name, origin: ORIGIN, linkEndsAtMs: null, after });
    return catalog.fetch(new Request("https://object/api/events", { headers }));
  };
  return { name, catalog, object, open };
}

/** A socket's texts, one after the other, and how it was closed. */
function listen(response: Response) {
  const socket = response.webSocket;
  if (socket === null) throw new Error(`no socket: ${response.status}`);
  const texts: string[] = [];
  const waiting: (() => void)[] = [];
  let closed: { code: number; reason: string } | null = null;
  const wake = () => {
    for (const resolve of waiting.splice(0)) resolve();
  };
  socket.addEventListener("message", ({ data }) => {
    texts.push(String(data));
    wake();
  });
  socket.addEventListener("close", ({ code, reason }) => {
    closed = { code, reason };
    wake();
  });
  socket.accept();
  const text = async (): Promise<string> => {
    for (;;) {
      const found = texts.shift();
      if (found !== undefined) return found;
      if (closed !== null) throw new Error(`closed with ${closed.code}`);
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
  };
  return {
    socket,
    text,
    frame: async () => FeedFrame.parse(JSON.parse(await text())),
    closing: async () => {
      while (closed === null) await new Promise<void>((resolve) => waiting.push(resolve));
      return closed;
    },
  };
}

/** Frames up to and with `ready`, each as a short text. */
async function untilReady(frame: () => Promise<FeedFrame>): Promise<string[]> {
  const notes: string[] = [];
  for (;;) {
    const next = await frame();
    notes.push(noteOf(next));
    if (next.type === "ready") return notes;
  }
}

function noteOf(frame: FeedFrame): string {
  if (frame.type === "ready") return "ready";
  return frame.type === "deleted" ? `${frame.id} gone` : `${frame.job.id} ${frame.job.status} ${frame.seq}`;
}

function streamFrames(response: Response) {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (reader === undefined) throw new Error("no body");
  let text = "";
  const block = async (): Promise<string> => {
    for (;;) {
      const end = text.indexOf("\n\n");
      if (end !== -1) {
        const found = text.slice(0, end);
        text = text.slice(end + 2);
        return found;
      }
      const { done, value } = await reader.read();
      if (done) throw new Error("ended");
      text += value;
    }
  };
  const frame = async () => {
    for (;;) {
      const lines = (await block()).split("\n");
      const data = lines.find((line) => line.startsWith("data: "));
      if (data !== undefined) return { lines, frame: FeedFrame.parse(JSON.parse(data.slice(6))) };
    }
  };
  return { frame, cancel: () => reader.cancel() };
}

describe("the live feed over a socket", () => {
  it("begins with the cursor only, then sends every change as it happens", async () => {
    const { catalog, open, name } = newCatalog();
    await catalog.record(catalogEntry({ n: 1 }));
    const watcher = listen(await open("ws", null));
    const ready = await watcher.frame();
    expect(ready).toMatchObject({ type: "ready" });
    await catalog.record(catalogEntry({ n: 1, seq: 2, status: "running" }));
    await catalog.record(catalogEntry({ n: 1, seq: 2, status: "running" }));
    await catalog.forget(jobId(1));
    const [changed, gone] = [await watcher.frame(), await watcher.frame()];
    expect(changed).toMatchObject({ type: "job", seq: 2, job: { id: jobId(1), status: "running", client: name } });
    expect(gone).toMatchObject({ type: "deleted", id: jobId(1) });
    expect(changed.cursor).toBeGreaterThan(ready.cursor);
    expect(gone.cursor).toBeGreaterThan(changed.cursor);
  });

  it("puts links that start with the watcher's own address into frames", async () => {
    const { catalog, open } = newCatalog();
    const watcher = listen(await open("ws", 0));
    await watcher.frame();
    const image = { index: 0, contentType: "image/png", width: 1, height: 1, bytes: 1, sha256: "" };
    await catalog.record(catalogEntry({ n: 1, status: "succeeded", output: { images: [image] } }));
    const frame = await watcher.frame();
    if (frame.type !== "job") throw new Error(frame.type);
    expect(frame.job.links.self).toBe(`${ORIGIN}/api/jobs/${jobId(1)}`);
    expect(frame.job.output?.images[0]?.url).toMatch(`${ORIGIN}/api/jobs/${jobId(1)}/images/0`);
  });

  it("on resume sends each job that changed, once and in its current state, and each deletion, in order", async () => {
    const { catalog, open } = newCatalog();
    for (const n of [1, 2, 3, 4]) await catalog.record(catalogEntry({ n }));
    const { cursor } = await listen(await open("ws", null)).frame();
    await catalog.record(catalogEntry({ n: 2, seq: 2, status: "running" }));
    await catalog.record(catalogEntry({ n: 5 }));
    await catalog.record(catalogEntry({ n: 2, seq: 3, status: "succeeded" }));
    await catalog.forget(jobId(3));
    const resumed = listen(await open("ws", cursor));
    expect(await untilReady(resumed.frame)).toEqual([
      `${jobId(5)} queued 1`,
      `${jobId(2)} succeeded 3`,
      `${jobId(3)} gone`,
      "ready",
    ]);
  });

  it("continues over an eviction with its sockets attached, and resumes from any frame's cursor", async () => {
    const { catalog, object, open } = newCatalog();
    const watcher = listen(await open("ws", null));
    await watcher.frame();
    await catalog.record(catalogEntry({ n: 1 }));
    const first = await watcher.frame();
    await evictDurableObject(object, { webSockets: "hibernate" });
    await catalog.record(catalogEntry({ n: 2 }));
    const second = await watcher.frame();
    expect([noteOf(first), noteOf(second)]).toEqual([`${jobId(1)} queued 1`, `${jobId(2)} queued 1`]);
    expect(second.cursor).toBeGreaterThan(first.cursor);
    const resumed = listen(await open("ws", first.cursor));
    expect(await untilReady(resumed.frame)).toEqual([`${jobId(2)} queued 1`, "ready"]);
  });

  it("catches up over more changes than one batch while new ones come, missing and repeating none", async () => {
    const { catalog, open } = newCatalog();
    for (let n = 0; n < 450; n++) await catalog.record(catalogEntry({ n, status: n % 2 ? "queued" : "failed" }));
    const watcher = listen(await open("ws", 0));
    const heard = new Map<string, number[]>();
    let cursor = -1;
    let more = 450;
    for (let ready = false; !ready || heard.size < 470; ) {
      const frame = await watcher.frame();
      expect(frame.cursor).toBeGreaterThanOrEqual(cursor);
      cursor = frame.cursor;
      if (frame.type === "ready") ready = true;
      if (frame.type === "job") heard.set(frame.job.id, [...(heard.get(frame.job.id) ?? []), frame.seq]);
      if (more < 470) await catalog.record(catalogEntry({ n: more++ }));
    }
    expect(heard.size).toBe(470);
    for (const seqs of heard.values()) expect(seqs).toEqual([1]);
  });

  it("catches up at the next change a watcher that was behind when the object was evicted", async () => {
    const { catalog, object, open } = newCatalog();
    for (const n of [1, 2]) await catalog.record(catalogEntry({ n, status: "failed" }));
    const watcher = listen(await open("ws", null));
    await watcher.frame();
    await runInDurableObject(object, (_catalog, state) => {
      for (const socket of state.getWebSockets()) socket.serializeAttachment({ origin: ORIGIN, cursor: 0 });
    });
    await evictDurableObject(object, { webSockets: "hibernate" });
    await catalog.record(catalogEntry({ n: 3, status: "failed" }));
    expect(await untilReady(watcher.frame)).toEqual([...[1, 2, 3].map((n) => `${jobId(n)} failed 1`), "ready"]);
  });

  it("answers ping, and gives each wrong message its own close code", async () => {
    const { open } = newCatalog();
    const watcher = listen(await open("ws", null));
    await watcher.text();
    watcher.socket.send("ping");
    expect(await watcher.text()).toBe("pong");
    const wrong = [
      ["{}", 1008],
      ["x".repeat(5_000), 1009],
      [new Uint8Array([1, 2]), 1003],
    ] as const;
    for (const [message, code] of wrong) {
      const victim = listen(await open("ws", null));
      await victim.text();
      for (let times = 0; times < 100; times++) victim.socket.send(message);
      expect((await victim.closing()).code).toBe(code);
    }
    watcher.socket.send("ping");
    expect(await watcher.text()).toBe("pong");
  });

  it("answers a watcher's close, and forgets the watcher", async () => {
    const { object, open } = newCatalog();
    const watcher = listen(await open("ws", null));
    await watcher.text();
    watcher.socket.close(1000, "enough");
    expect((await watcher.closing()).code).toBe(1000);
    const left = await runInDurableObject(
      object,
      (_catalog, state) => state.getWebSockets().filter(({ readyState }) => readyState === WebSocket.OPEN).length,
    );
    expect(left).toBe(0);
  });

  it("refuses a request that did not come through http", async () => {
    const { catalog } = newCatalog();
    const answer = await catalog.fetch(new Request("https://object/api/events", { headers: { Upgrade: "websocket" } }));
    expect(answer.status).toBe(400);
  });
});

describe("the live feed as an event stream", () => {
  it("has the frames of a socket, each with its cursor as id", async () => {
    const { catalog, open } = newCatalog();
    await catalog.record(catalogEntry({ n: 1 }));
    const answer = await open("sse", 0);
    expect(answer.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(answer.headers.get("cache-control")).toBe("no-store");
    const stream = streamFrames(answer);
    const job = await stream.frame();
    expect(noteOf(job.frame)).toBe(`${jobId(1)} queued 1`);
    expect(job.lines.slice(0, 2)).toEqual(["event: job", `id: ${job.frame.cursor}`]);
    expect((await stream.frame()).lines[0]).toBe("event: ready");
    await catalog.forget(jobId(1));
    expect((await stream.frame()).lines[0]).toBe("event: deleted");
    await stream.cancel();
  });

  it("cuts off a reader that does not read, which then resumes without a gap", async () => {
    const { catalog, open } = newCatalog();
    const slow = streamFrames(await open("sse", null));
    // Together well above the backlog that a stream keeps for a reader.
    const jobs = 300;
    const prompt = "long ".repeat(1_200);
    for (let n = 0; n < jobs; n++) await catalog.record(catalogEntry({ n, status: "failed", prompt }));
    const heard: string[] = [];
    let cursor = 0;
    try {
      for (;;) {
        const { frame } = await slow.frame();
        cursor = frame.cursor;
        if (frame.type === "job") heard.push(frame.job.id);
      }
    } catch (error) {
      expect(String(error)).toContain("ended");
    }
    expect(heard.length).toBeLessThan(jobs);
    const resumed = streamFrames(await open("sse", cursor));
    for (let frame = (await resumed.frame()).frame; frame.type === "job"; frame = (await resumed.frame()).frame) {
      heard.push(frame.job.id);
    }
    await resumed.cancel();
    expect(heard).toEqual(Array.from({ length: jobs }, (_, n) => jobId(n)));
  });

  it("refuses more readers than it can hold, and takes one again after another left", async () => {
    const { open } = newCatalog();
    const streams = [];
    for (let n = 0; n < 200; n++) streams.push(streamFrames(await open("sse", null)));
    const refused = await open("sse", null);
    expect(readRefusal(refused)).toBe("too_many_watchers");
    await streams[0]?.cancel();
    const taken = await open("sse", null);
    expect(taken.status).toBe(200);
    await taken.body?.cancel();
    for (const stream of streams.slice(1)) await stream.cancel();
  });

  it("forgets a reader that left", async () => {
    const { catalog, open } = newCatalog();
    const stream = streamFrames(await open("sse", null));
    await stream.frame();
    await stream.cancel();
    const other = streamFrames(await open("sse", null));
    await other.frame();
    await catalog.record(catalogEntry({ n: 1 }));
    expect(noteOf((await other.frame()).frame)).toBe(`${jobId(1)} queued 1`);
    await other.cancel();
  });
});

describe("places in the queue", () => {
  it("are asked for while somebody watches and jobs wait, and otherwise no alarm is set", async () => {
    const { catalog, object, open } = newCatalog();
    const alarm = () => runInDurableObject(object, (_catalog, state) => state.storage.getAlarm());
    await catalog.record(catalogEntry({ n: 1, status: "queued" }));
    expect(await alarm()).toBeNull();
    const watcher = listen(await open("ws", null));
    expect(await alarm()).not.toBeNull();
    // The first alarm fires within half a second, also by itself; the next is seconds away.
    await runDurableObjectAlarm(object);
    await catalog.record(catalogEntry({ n: 1, seq: 2, status: "succeeded" }));
    expect(await runDurableObjectAlarm(object)).toBe(true);
    expect(await alarm()).toBeNull();
    await catalog.record(catalogEntry({ n: 2, status: "queued" }));
    expect(await alarm()).not.toBeNull();
    watcher.socket.close(1000);
    await watcher.closing();
    await runDurableObjectAlarm(object);
    expect(await alarm()).toBeNull();
  });

  it("come as frames with an unchanged seq, one for each job whose place differs from the one sent last", async () => {
    const { catalog, object, open } = newCatalog();
    const lane = laneStub(env, laneName(configured(), "qwen-image-max"));
    const inLine: string[] = [];
    for (let n = 1; inLine.length < 3; n++) {
      const answer = await lane.enqueue({ jobId: jobId(n), client: "ann", priority: "normal", round: 1 }, false);
      if (answer.place === null) continue;
      inLine.push(jobId(n));
      await catalog.record(catalogEntry({ n, seq: 3, status: "queued" }));
    }
    const watcher = listen(await open("ws", null));
    const ready = await watcher.frame();
    const places = async (count: number) => {
      const found: [string, number | null | undefined, number][] = [];
      while (found.length < count) {
        const frame = await watcher.frame();
        if (frame.type !== "job") throw new Error(frame.type);
        expect(frame.cursor).toBe(ready.cursor);
        found.push([frame.job.id, frame.job.queue?.position, frame.seq]);
      }
      return found.sort();
    };
    await runDurableObjectAlarm(object);
    expect(await places(3)).toEqual(inLine.map((id, index) => [id, index + 1, 3]));
    await runDurableObjectAlarm(object);
    await lane.leave(inLine[0] ?? "");
    await runDurableObjectAlarm(object);
    expect(await places(2)).toEqual(inLine.slice(1).map((id, index) => [id, index + 1, 3]));
    const resumed = listen(await open("ws", ready.cursor - 1));
    const frame = await resumed.frame();
    expect(frame).toMatchObject({ type: "job", job: { id: inLine[2], queue: { position: 2 } } });
  });
});

/** Jobs that wait in a lane of their own model and are in the catalog; the next to start is first. */
async function inLine(catalog: ReturnType<typeof newCatalog>["catalog"], model: string, count: number, prompt = "a") {
  const lane = laneStub(env, laneName(configured(), model));
  const ids: string[] = [];
  for (let n = 1; ids.length < count; n++) {
    const answer = await lane.enqueue({ jobId: jobId(n), client: "ann", priority: "normal", round: 1 }, false);
    if (answer.place === null) continue;
    ids.push(jobId(n));
    await catalog.record(catalogEntry({ n, seq: 3, status: "queued", model, prompt }));
  }
  return { ids, leave: (id: string) => lane.leave(id) };
}

describe("a watcher that resumes", () => {
  it("gets the current places of waiting jobs, because they changed while it was away", async () => {
    const { catalog, object, open } = newCatalog();
    const { ids, leave } = await inLine(catalog, "qwen-image-edit-max", 3);
    // The watcher's computer sleeps: the server does not know that it gets nothing.
    const asleep = listen(await open("ws", null));
    const { cursor } = await asleep.frame();
    await runDurableObjectAlarm(object);
    await leave(ids[0] ?? "");
    await catalog.forget(ids[0] ?? "");
    await runDurableObjectAlarm(object);
    const awake = listen(await open("ws", cursor));
    const heard: unknown[] = [];
    for (let frame = await awake.frame(); frame.type !== "ready"; frame = await awake.frame()) {
      heard.push(frame.type === "job" ? [frame.job.id, frame.job.queue?.position] : `${frame.id} gone`);
    }
    expect(heard.shift()).toBe(`${ids[0]} gone`);
    expect(heard.sort()).toEqual([
      [ids[1], 1],
      [ids[2], 2],
    ]);
  });

  it("by a stream that it reads slowly gets all places before `ready`, and again those of the first jobs that change meanwhile", async () => {
    const { catalog, object, open } = newCatalog();
    // Together well above the backlog that a stream keeps for a reader.
    const { ids, leave } = await inLine(catalog, "wan2.5-t2i-preview", 250, "long ".repeat(1_200));
    const { cursor } = await listen(await open("ws", null)).frame();
    await runDurableObjectAlarm(object);
    const stream = streamFrames(await open("sse", cursor));
    const heard = new Map<string, number | null | undefined>();
    const first = await stream.frame();
    expect(first.frame.type).toBe("job");
    await leave(ids[0] ?? "");
    await catalog.forget(ids[0] ?? "");
    await runDurableObjectAlarm(object);
    for (let { frame } = first; frame.type !== "ready"; frame = (await stream.frame()).frame) {
      if (frame.type === "job") heard.set(frame.job.id, frame.job.queue?.position);
      else heard.delete(frame.id);
    }
    await stream.cancel();
    const places = [...heard].sort().map(([, position]) => position);
    expect([...heard.keys()].sort()).toEqual(ids.slice(1));
    expect(places.slice(0, 5)).toEqual([1, 2, 3, 4, 5]);
    // A place further back is sent again after 30 s.
    const late = places.map((position, index) => (position ?? Number.NaN) - (index + 1));
    expect(new Set(late).difference(new Set([0, 1]))).toEqual(new Set());
  });
});

describe("PlaceWatch", () => {
  it("leaves out jobs that their lane does not know", async () => {
    const places = new PlaceWatch(env);
    expect(await places.moved([{ id: jobId(1), model: "qwen-image-plus" }])).toEqual([]);
    expect(places.placeOf(jobId(1))).toBeNull();
  });
});

function configured() {
  const config = configOf(env);
  if (!config.ok) throw new Error(JSON.stringify(config.errors));
  return config.config;
}
