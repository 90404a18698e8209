import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { job } from "../../client/job.fixture.ts";
import { lastTickMs, learnServerTime, serverNowMs } from "./server-clock.ts";
import { readShared } from "./shared-job.ts";

/** The server's clock, while the device's is ten minutes ahead. */
const SERVER_MS = Date.parse("2026-11-23T12:00:00.000Z");
const DEVICE_MS = SERVER_MS + 600_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: DEVICE_MS });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function answerWith(body: unknown, init: ResponseInit): void {
  vi.stubGlobal("fetch", async () => Response.json(body, init));
}

const read = () => readShared("/api/jobs/job_1?signature=s", new AbortController().signal);

describe("a shared job that is read", () => {
  it("brings the server's time, by which its start is counted down", async () => {
    answerWith(job(), { headers: { Date: new Date(SERVER_MS).toUTCString() } });
    expect(await read()).toMatchObject({ kind: "here" });
    // A Date header has whole seconds.
    expect([serverNowMs(), lastTickMs()]).toEqual([SERVER_MS + 500, SERVER_MS + 500]);
  });
  it("keeps the time that is known within the second of the answer", async () => {
    learnServerTime(new Date(SERVER_MS + 900).toISOString(), DEVICE_MS, DEVICE_MS);
    answerWith(job(), { headers: { Date: new Date(SERVER_MS).toUTCString() } });
    await read();
    expect(serverNowMs()).toBe(SERVER_MS + 900);
    answerWith(job(), {});
    await read();
    expect(serverNowMs()).toBe(SERVER_MS + 900);
  });
  it.each([
    [403, "This link is over"],
    [410, "This job is gone"],
    [503, "The server cannot be reached"],
  ])("is not shown after an answer %d: %s", async (status, title) => {
    answerWith({}, { status });
    expect(await read()).toMatchObject({ kind: "none", title });
  });
});

describe("the time that views show", () => {
  it("is the server's from the first drawing on, also while no view counts seconds", () => {
    learnServerTime(new Date(SERVER_MS - 5_000).toISOString(), DEVICE_MS, DEVICE_MS);
    expect(lastTickMs()).toBe(SERVER_MS - 5_000);
  });
});
