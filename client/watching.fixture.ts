import { afterEach, expect } from "vitest";
import type { FeedFrame, JobFrame } from "../schemas/event.ts";
import { type Script, type ScriptedRequest, startScriptedServer } from "../test/support/scripted-server.ts";
import type { ClientOptions, ClientTiming } from "./client-options.ts";
import { createDarkroomClient } from "./darkroom-client.ts";
import { JOB_ID, jobAt, jobEvent, problem, summary } from "./job.fixture.ts";

/** Test support: a client with short waits, against a server that follows a script. */

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
/** Polls after two failures. */
export const pollSoon = { reconnect: { ...reconnect, failuresBeforePolling: 2 } };
/** The same, and a connection that lasts until it sends a ping counts as good. */
export const livedLong = { reconnect: { ...pollSoon.reconnect, goodAfterMs: 5 }, pingAfterMs: 20 };
const running: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const server of running.splice(0)) await server.close();
});

export async function start(script: Partial<Script>, options: ClientOptions = {}) {
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

export async function collect<Frame>(frames: AsyncIterable<Frame>): Promise<Frame[]> {
  const found: Frame[] = [];
  for await (const frame of frames) found.push(frame);
  return found;
}

export async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.unreachable("it did not fail"),
    (error: unknown) => error,
  );
}

export const text = (frame: JobFrame | FeedFrame) => JSON.stringify(frame);
export const afterOf = ({ url }: ScriptedRequest) => url.searchParams.get("after");
export const eventSeqs = (frames: JobFrame[]) => frames.flatMap(({ event }) => (event === null ? [] : [event.seq]));

/** A job's server over HTTP. Each time the job is read, it has one more event. */
export function pollable(last: number): Script["answer"] {
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

export const changed = (cursor: number, seq = 1): FeedFrame => ({ type: "job", cursor, seq, job: summary({ seq }) });
export const ready = (cursor: number): FeedFrame => ({ type: "ready", cursor });
export const gone = (cursor: number): FeedFrame => ({ type: "deleted", cursor, id: JOB_ID });

/** The first `count` frames. */
export async function take(frames: AsyncIterable<FeedFrame>, count: number): Promise<FeedFrame[]> {
  const found: FeedFrame[] = [];
  for await (const frame of frames) {
    found.push(frame);
    if (found.length === count) break;
  }
  return found;
}
