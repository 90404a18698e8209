import { describe, expect, it } from "vitest";
import { readRefusal, readWatch, refuseWatch, type WatchRequest, watchHeaders } from "./watch-request.ts";

const watch: WatchRequest = {
  mode: "ws",
  viewer: "app",
  origin: "https://darkroom.example",
  linkEndsAtMs: 1_800_000_000_000,
  after: 7,
};

describe("watchHeaders", () => {
  it("carries what http decided to the object", () => {
    expect(readWatch(watchHeaders(new Headers(), watch))).toEqual(watch);
    const all = { ...watch, mode: "sse", viewer: null, after: null } as const;
    expect(readWatch(watchHeaders(new Headers(), all))).toEqual(all);
  });

  it("replaces an internal header that the client forged", () => {
    const forged = watchHeaders(new Headers(), { ...watch, viewer: null });
    forged.set("X-Darkroom-Refusal", "job_gone");
    const headers = watchHeaders(forged, watch);
    expect(readWatch(headers)).toEqual(watch);
    expect(headers.has("x-darkroom-refusal")).toBe(false);
  });

  it("keeps the upgrade and drops the credentials", () => {
    const client = new Headers({ upgrade: "websocket", authorization: "Bearer t", cookie: "a=b" });
    const headers = watchHeaders(client, watch);
    expect(headers.get("upgrade")).toBe("websocket");
    expect(headers.has("authorization")).toBe(false);
    expect(headers.has("cookie")).toBe(false);
  });

  it("reads nothing from a request that did not come through http", () => {
    expect(readWatch(new Headers())).toBeNull();
  });
});

describe("refuseWatch", () => {
  it("differs from the answer to a watcher that is let in", () => {
    expect(readRefusal(refuseWatch("too_many_watchers"))).toBe("too_many_watchers");
    expect(refuseWatch("job_gone").status).toBe(410);
    expect(readRefusal(new Response(null, { status: 204 }))).toBeNull();
  });
});
