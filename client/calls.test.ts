import { afterEach, describe, expect, it } from "vitest";
import { JobStatus } from "../schemas/job.ts";
import { type Script, type ScriptedAnswer, startScriptedServer } from "../test/support/scripted-server.ts";
import { type ClientOptions, type ClientTiming, settingsOf } from "./client-options.ts";
import { createDarkroomClient } from "./darkroom-client.ts";
import { DarkroomProblem, DarkroomUnexpectedAnswer, DarkroomUnreachable } from "./errors.ts";
import { JOB_ID, job, problem, summary } from "./job.fixture.ts";
import { DEFAULT_RETRY_POLICY } from "./retry.ts";

const quick: Partial<ClientTiming> = {
  retry: { maxTries: 4, baseDelayMs: 1, maxDelayMs: 2, maxRetryAfterMs: 1_000 },
  pollEveryMs: 1,
};
const running: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const server of running.splice(0)) await server.close();
});

async function start(answer: Script["answer"], options: ClientOptions = {}) {
  const server = await startScriptedServer({ answer });
  running.push(server);
  const client = createDarkroomClient({ baseUrl: server.baseUrl, timing: quick, ...options });
  return { ...server, client };
}

/** Gives the answers in order, then the last one again and again. */
function inTurn(...answers: ScriptedAnswer[]): Script["answer"] {
  return (_request, number) => answers[Math.min(number, answers.length) - 1] ?? "cut";
}

const accepted = { status: 202, body: job() };
const request = { prompt: "a red bicycle" };

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.unreachable("it did not fail"),
    (error: unknown) => error,
  );
}

describe("submit", () => {
  it("repeats a lost or refused call with the key of its first try, and resolves to the job", async () => {
    const busy = { status: 503, headers: { "retry-after": "0" }, body: problem(503, "overloaded") };
    const { client, requests } = await start(inTurn("cut", busy, accepted));
    expect(await client.submit("image-from-text", request)).toEqual(job());
    const keys = requests.map(({ headers }) => headers["idempotency-key"]);
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/^"[0-9a-f]{32}"$/);
  });

  it("uses a new key for each call, or the given key", async () => {
    const { client, requests } = await start(inTurn(accepted));
    await client.submit("image-from-text", request);
    await client.submit("image-from-text", request);
    await client.submit("image-from-text", request, { idempotencyKey: 'order "7"' });
    const keys = requests.map(({ headers }) => headers["idempotency-key"]);
    expect(keys[0]).not.toBe(keys[1]);
    expect(keys[2]).toBe('"order \\"7\\""');
  });

  it("sends the number of webhooks that led to it, and no header when there were none", async () => {
    const { client, requests } = await start(inTurn(accepted));
    await client.submit("image-from-text", request, { hops: "2" });
    await client.submit("image-from-text", request, { hops: null });
    expect(requests.map(({ headers }) => headers["darkroom-hops"])).toEqual(["2", undefined]);
  });

  it("sends the request as JSON with the token and the requested wait", async () => {
    const { client, requests } = await start(inTurn(accepted), { token: "secret-token" });
    await client.submit("image-from-text", request, { waitSeconds: 20 });
    const [sent] = requests;
    expect(sent?.method).toBe("POST");
    expect(sent?.url.pathname).toBe("/api/workflows/image-from-text");
    expect(JSON.parse(String(sent?.body))).toEqual(request);
    expect(sent?.headers).toMatchObject({
      authorization: "Bearer secret-token",
      prefer: "wait=20",
      "content-type": "application/json",
    });
  });

  it("sends the client that an operator submits for, with JSON and with files", async () => {
    const { client, requests } = await start(inTurn(accepted));
    await client.submit("image-from-text", request, { client: "studio" });
    await client.submitFiles(request, [new Blob(["x"])], { client: "studio" });
    expect(requests.map(({ url }) => url.pathname + url.search)).toEqual([
      "/api/workflows/image-from-text?client=studio",
      "/api/workflows/image-from-reference?client=studio",
    ]);
  });

  it("does not repeat a refused call, and rejects with the reason, the request and the key", async () => {
    const { client, requests } = await start(inTurn({ status: 422, body: problem(422, "idempotency_key_reused") }));
    const error = await failure(client.submit("image-from-text", request, { idempotencyKey: "k" }));
    expect(error).toBeInstanceOf(DarkroomProblem);
    expect(error).toMatchObject({
      code: "idempotency_key_reused",
      status: 422,
      call: { method: "POST", idempotencyKey: "k", jobId: null },
    });
    expect(requests).toHaveLength(1);
  });

  it("does not wait longer than its bound, and rejects with the wait that the server asked for", async () => {
    const full = { status: 429, headers: { "retry-after": "60" }, body: problem(429, "too_many_pending_jobs") };
    const { client, requests } = await start(inTurn(full));
    const error = await failure(client.submit("image-from-text", request));
    expect(error).toMatchObject({ code: "too_many_pending_jobs", retryAfterMs: 60_000 });
    expect(requests).toHaveLength(1);
  });

  it("accepts a problem code that is newer than the client", async () => {
    const { client } = await start(inTurn({ status: 409, body: problem(409, "tea_time") }));
    expect(await failure(client.submit("image-from-text", request))).toMatchObject({ code: "tea_time" });
  });

  it("gives up when the network stays down, and the error has the key for another try", async () => {
    const { client, requests } = await start(inTurn("cut"));
    const error = await failure(client.submit("image-from-text", request, { idempotencyKey: "k" }));
    expect(error).toBeInstanceOf(DarkroomUnreachable);
    expect(error).toMatchObject({ call: { idempotencyKey: "k" } });
    expect(requests).toHaveLength(4);
  });

  it("gives up a try that is never answered", async () => {
    const timing = { ...quick, callTimeoutMs: 1_000 };
    const { client } = await start(inTurn("hang", "hang", accepted), { timing });
    expect(await client.submit("image-from-text", request)).toEqual(job());
  });

  it("stops at once when aborted, during a call and between tries", async () => {
    const onWire = new AbortController();
    const first = await start(() => {
      onWire.abort(new Error("changed my mind"));
      return "hang";
    });
    const submitted = first.client.submit("image-from-text", request, { signal: onWire.signal });
    expect(await failure(submitted)).toEqual(new Error("changed my mind"));

    const between = new AbortController();
    const retry = { maxTries: 4, baseDelayMs: 3_600_000, maxDelayMs: 3_600_000, maxRetryAfterMs: 3_600_000 };
    const busy = { status: 503, headers: { "retry-after": "3600" }, body: problem(503, "overloaded") };
    const second = await start(inTurn(busy), {
      timing: { ...quick, retry },
      fetch: async (input, init) => {
        const answer = await fetch(input, init);
        setTimeout(() => between.abort(new Error("enough")), 0);
        return answer;
      },
    });
    const repeated = second.client.submit("image-from-text", request, { signal: between.signal });
    expect(await failure(repeated)).toEqual(new Error("enough"));
    expect(second.requests).toHaveLength(1);
  });

  it("refuses a key that no header can carry, before anything is sent", async () => {
    const { client, requests } = await start(inTurn(accepted));
    for (const idempotencyKey of ["", "ключ", "a".repeat(256), "a\nb"]) {
      expect(await failure(client.submit("image-from-text", request, { idempotencyKey }))).toBeInstanceOf(TypeError);
    }
    expect(requests).toHaveLength(0);
  });
});

describe("submitFiles", () => {
  it("sends files in order beside the other fields, also on a retry", async () => {
    const { client, requests } = await start(inTurn("cut", accepted));
    const files = [new Blob(["one"], { type: "image/png" }), new File(["two"], "two.webp", { type: "image/webp" })];
    await client.submitFiles({ prompt: "blend", n: 2, metadata: { order: 7 } }, files);
    const [, sent] = requests;
    if (sent === undefined) throw new Error("sent once only");
    expect(sent.url.pathname).toBe("/api/workflows/image-from-reference");
    const form = await new Response(new Uint8Array(sent.body), {
      headers: { "content-type": String(sent.headers["content-type"]) },
    }).formData();
    expect([form.get("prompt"), form.get("n"), form.get("metadata")]).toEqual(["blend", "2", '{"order":7}']);
    const images = form.getAll("images").filter((part) => part instanceof File);
    expect(images.map(({ name, type }) => [name, type])).toEqual([
      ["image-1", "image/png"],
      ["two.webp", "image/webp"],
    ]);
    expect(await Promise.all(images.map((image) => image.text()))).toEqual(["one", "two"]);
  });
});

describe("a submission that carries images", () => {
  it("keeps the order of addresses among files", async () => {
    const { client, requests } = await start(inTurn(accepted));
    const address = "https://example.com/a.png";
    await client.submitFiles({ prompt: "blend" }, [new Blob(["one"]), address, new Blob(["three"])]);
    const [sent] = requests;
    if (sent === undefined) throw new Error("nothing was sent");
    const form = await new Response(new Uint8Array(sent.body), {
      headers: { "content-type": String(sent.headers["content-type"]) },
    }).formData();
    const parts = form.getAll("images").map((part) => (part instanceof File ? part.text() : part));
    expect(await Promise.all(parts)).toEqual(["one", address, "three"]);
  });

  it("has the timeout of an upload, also with data URLs", async () => {
    const timing = { ...quick, callTimeoutMs: 3_600_000, uploadTimeoutMs: 300 };
    const { client, requests } = await start(inTurn("hang", accepted, "hang", accepted), { timing });
    const images = ["https://example.com/a.png", "data:image/png;base64,eA=="];
    expect(await client.submit("image-from-reference", { prompt: "blend", images })).toEqual(job());
    expect(await client.submitFiles({ prompt: "blend" }, [new Blob(["x"]), ...images])).toEqual(job());
    expect(requests).toHaveLength(4);
  });
});

describe("answers", () => {
  it("may have fields that are newer than the client", async () => {
    const { client } = await start(inTurn({ body: { ...job(), mood: "good" } }));
    expect(await client.get(JOB_ID)).toEqual(job());
  });

  it("that are not Darkroom's are reported as unexpected, after retries of a proxy's failure", async () => {
    const { client, requests } = await start(inTurn({ status: 502, body: "<html>Bad gateway</html>" }));
    const error = await failure(client.get(JOB_ID));
    expect(error).toBeInstanceOf(DarkroomUnexpectedAnswer);
    expect(error).toMatchObject({ status: 502, call: { jobId: JOB_ID } });
    expect(requests).toHaveLength(4);
    const busy = { status: 503, headers: { "retry-after": "60" }, body: "<html>Unavailable</html>" };
    const asked = await failure((await start(inTurn(busy))).client.get(JOB_ID));
    expect(asked).toBeInstanceOf(DarkroomUnexpectedAnswer);
    expect(asked).toMatchObject({ status: 503, retryAfterMs: 60_000 });
    const other = await start(inTurn({ body: { hello: "world" } }));
    expect(await failure(other.client.get(JOB_ID))).toBeInstanceOf(DarkroomUnexpectedAnswer);
  });

  it("that are web pages are reported with the usual cause, a wrong baseUrl", async () => {
    const page = { headers: { "content-type": "text/html; charset=utf-8" }, body: "<!doctype html>" };
    for (const status of [200, 404]) {
      const { client } = await start(inTurn({ status, ...page }));
      const error = await failure(client.get(JOB_ID));
      expect(error).toBeInstanceOf(DarkroomUnexpectedAnswer);
      expect(String(error)).toContain("is baseUrl the address of Darkroom?");
    }
  });

  it("are requested by an id that is always one path segment, with any characters", async () => {
    const { client, requests } = await start(inTurn({ status: 404, body: problem(404, "job_not_found") }));
    expect(await failure(client.get("../limits?x=1"))).toMatchObject({ code: "job_not_found" });
    expect(requests[0]?.url.pathname).toBe("/api/jobs/..%2Flimits%3Fx%3D1");
  });
});

describe("list", () => {
  it("sends its filters, and fetches further pages only as they are read", async () => {
    const pages: Record<string, { ids: string[]; nextCursor: string | null }> = {
      first: { ids: ["a", "b"], nextCursor: "second" },
      second: { ids: ["c"], nextCursor: "third" },
      third: { ids: ["d"], nextCursor: null },
    };
    const idOf = (letter: string) => `job_${letter.repeat(21)}`;
    const { client, requests } = await start(({ url }) => {
      const page = pages[url.searchParams.get("cursor") ?? "first"];
      const jobs = page?.ids.map((id) => summary({ id: idOf(id) }));
      return { body: { jobs, nextCursor: page?.nextCursor, feedCursor: 7 } };
    });
    const ids: string[] = [];
    for await (const { id } of client.listAll({ status: ["queued", "running"], workflow: "image-from-text" })) {
      ids.push(id);
    }
    expect(ids).toEqual(["a", "b", "c", "d"].map(idOf));
    expect(requests.map(({ url }) => url.search)).toEqual([
      "?status=queued%2Crunning&workflow=image-from-text",
      "?status=queued%2Crunning&workflow=image-from-text&cursor=second",
      "?status=queued%2Crunning&workflow=image-from-text&cursor=third",
    ]);
    for await (const _job of client.listAll()) break;
    expect(requests).toHaveLength(4);
  });

  it("filters by words, model, time and metadata, and counts by the same filters", async () => {
    const { client, requests } = await start(({ url }) => ({
      body: url.pathname.endsWith("/counts")
        ? {
            isAll: true,
            status: Object.fromEntries(JobStatus.options.map((name) => [name, 0])),
            models: [],
            metadata: [],
          }
        : { jobs: [], nextCursor: null, feedCursor: null },
    }));
    const filter = {
      q: "雨 red",
      model: "qwen-image-max",
      before: "2026-11-23T12:00:00.000Z",
      pinned: true,
      metadata: { "a b": "1&2" },
    };
    await client.list(filter);
    await client.counts(filter);
    const asked = "q=%E9%9B%A8+red&before=2026-11-23T12%3A00%3A00.000Z";
    for (const { url } of requests) {
      expect(Object.fromEntries(url.searchParams)).toEqual({
        q: filter.q,
        model: filter.model,
        before: filter.before,
        pinned: "true",
        "metadata.a b": "1&2",
      });
      expect(url.search).toContain(asked);
    }
    expect(requests.map(({ url }) => url.pathname)).toEqual(["/api/jobs", "/api/jobs/counts"]);
  });
});

describe("wait", () => {
  it("long-polls until the job is done, through transient refusals", async () => {
    const busy = { status: 503, body: problem(503, "overloaded") };
    const timing = { ...quick, retry: { ...DEFAULT_RETRY_POLICY, maxTries: 1 } };
    const unfinished = { body: job({ status: "running" }) };
    const done = { body: job({ status: "succeeded", seq: 4 }) };
    const { client, requests } = await start(inTurn(unfinished, busy, unfinished, done), { timing });
    expect(await client.wait(JOB_ID)).toMatchObject({ status: "succeeded", done: true });
    expect(requests.map(({ headers }) => headers.prefer)).toEqual(Array(4).fill("wait=25"));
  });

  it("ends with an error that waiting cannot fix", async () => {
    const { client } = await start(inTurn({ status: 410, body: problem(410, "job_gone") }));
    expect(await failure(client.wait(JOB_ID))).toMatchObject({ code: "job_gone" });
  });
});

describe("actions", () => {
  it("treat the refusal of a repeated retry as a success of the first try, whose answer was lost", async () => {
    const refused = { status: 409, body: problem(409, "job_not_finished") };
    const lost = await start(inTurn("cut", refused, { body: job() }));
    expect(await lost.client.retry(JOB_ID)).toEqual(job());
    expect(lost.requests.map(({ method }) => method)).toEqual(["POST", "POST", "GET"]);
    const genuine = await start(inTurn(refused));
    expect(await failure(genuine.client.retry(JOB_ID))).toMatchObject({ code: "job_not_finished" });
  });

  it("take the key of a retry whose answer was lost from its error", async () => {
    const { client, requests } = await start(
      inTurn({ status: 402, body: problem(402, "budget_exceeded") }, { body: job() }),
    );
    const error = await failure(client.retry(JOB_ID));
    expect(error).toBeInstanceOf(DarkroomProblem);
    const { idempotencyKey } = (error as DarkroomProblem).call;
    await client.retry(JOB_ID, { idempotencyKey: idempotencyKey ?? "" });
    const [first, second] = requests.map(({ headers }) => headers["idempotency-key"]);
    expect(second).toBe(first);
    expect(await failure(client.retry(JOB_ID, { idempotencyKey: "" }))).toBeInstanceOf(TypeError);
  });

  it.each(["succeeded", "failed", "queued"] as const)(
    "send one key with every try of a retry, so that a lost answer's job is not retried again: now %s",
    async (status) => {
      const { client, requests } = await start(inTurn("cut", { body: job({ status }) }));
      expect(await client.retry(JOB_ID)).toEqual(job({ status }));
      await client.retry(JOB_ID);
      const [first, second, third, ...others] = requests.map(({ headers }) => headers["idempotency-key"]);
      expect(first).toMatch(/^"[0-9a-f]{32}"$/);
      expect(second).toBe(first);
      expect(third).not.toBe(first);
      expect(others).toEqual([]);
    },
  );

  it("count a job that no longer exists as removed", async () => {
    const { client, requests } = await start(inTurn({ status: 204 }, { status: 410, body: problem(410, "job_gone") }));
    await client.remove(JOB_ID);
    await client.remove(JOB_ID);
    expect(requests.map(({ method }) => method)).toEqual(["DELETE", "DELETE"]);
  });
});

describe("health", () => {
  it("resolves even when the server is misconfigured", async () => {
    const health = {
      status: "misconfigured",
      service: "darkroom",
      version: "1",
      time: "2026-11-23T12:00:00.000Z",
      upstream: { region: null, host: null, keyConfigured: false },
      lanes: [],
      authMode: null,
    };
    const { client } = await start(inTurn({ status: 503, body: health }));
    expect(await client.health()).toMatchObject({ status: "misconfigured" });
  });
});

describe("createDarkroomClient", () => {
  it.each([
    [{}, "baseUrl is needed"],
    [{ baseUrl: "darkroom.example.com" }, 'baseUrl must be an http(s) address, got "darkroom.example.com"'],
    [{ baseUrl: "ftp://x" }, "baseUrl must be an http(s) address"],
    [{ baseUrl: "https://x.example/v1" }, 'baseUrl must end with the host, like "https://x.example"'],
    [{ baseUrl: "https://x.example/?a=1" }, "baseUrl must end with the host"],
    [{ baseUrl: "https://x.example/#a" }, "baseUrl must end with the host"],
    [{ baseUrl: "http://x", token: "a b" }, "token must be printable"],
  ])("refuses %j by name", (options, message) => {
    expect(() => createDarkroomClient(options)).toThrow(message);
  });
});

describe("bulk", () => {
  const result = (patch: object = {}) => ({
    status: 200,
    body: { matched: 2, done: 2, refused: [], nextCursor: null, ...patch },
  });

  it("has a timeout of its own, longer than that of other calls", async () => {
    const timing = { ...quick, callTimeoutMs: 3_600_000, bulkTimeoutMs: 300 };
    const { client, requests } = await start(inTurn("hang", result()), { timing });
    expect(await Array.fromAsync(client.bulk("cancel", { ids: [JOB_ID] }))).toHaveLength(1);
    expect(requests).toHaveLength(2);
    const defaults = settingsOf({ baseUrl: "http://localhost" }).timing;
    expect(defaults.bulkTimeoutMs).toBeGreaterThan(defaults.callTimeoutMs);
  });

  it("sends one key with every try of a call, so that no job is retried twice, and another with the next call", async () => {
    const { client, requests } = await start(inTurn("cut", result({ nextCursor: "further" }), result()));
    await Array.fromAsync(client.bulk("retry", { filter: { status: ["failed"] } }));
    const [first, second, third] = requests.map(({ headers }) => headers["idempotency-key"]);
    expect(first).toMatch(/^"[0-9a-f]{32}"$/);
    expect(second).toBe(first);
    expect(third).not.toBe(first);
  });

  it("repeats the call with the server's cursor until there is none", async () => {
    const { client, requests } = await start(inTurn(result({ nextCursor: "further" }), result()));
    const results = await Array.fromAsync(
      client.bulk("retry", { filter: { status: ["failed"] } }, { client: "studio" }),
    );
    expect(results.map(({ done }) => done)).toEqual([2, 2]);
    expect(requests.map(({ url }) => url.pathname + url.search)).toEqual(Array(2).fill("/api/jobs/bulk?client=studio"));
    expect(requests.map(({ body }) => JSON.parse(String(body)))).toEqual([
      { action: "retry", filter: { status: ["failed"] } },
      { action: "retry", filter: { status: ["failed"] }, cursor: "further" },
    ]);
  });

  it("sends at most a hundred ids a call, and no further calls after it is stopped", async () => {
    const ids = Array.from({ length: 250 }, (_, at) => `job_${String(at).padStart(21, "0")}`);
    const { client, requests } = await start(inTurn(result()));
    for await (const _ of client.bulk("cancel", { ids }, { dryRun: true })) if (requests.length === 2) break;
    expect(requests.map(({ body }) => JSON.parse(String(body)).ids.length)).toEqual([100, 100]);
    expect(requests.every(({ body }) => JSON.parse(String(body)).dryRun === true)).toBe(true);
  });
});

describe("share", () => {
  it("requests a link for the given hours, and resolves to it", async () => {
    const share = {
      url: `https://d.example/shared/${JOB_ID}?end=1&signature=a`,
      expiresAt: "2026-11-24T12:00:00.000Z",
    };
    const { client, requests } = await start(inTurn({ status: 200, body: share }));
    expect(await client.share(JOB_ID, 24)).toEqual(share);
    expect(requests.map(({ method, url, body }) => [method, url.pathname, body.toString()])).toEqual([
      ["POST", `/api/jobs/${JOB_ID}/share`, '{"hours":24}'],
    ]);
  });
});

describe("usage", () => {
  it("requests the given period, and resolves to the spend", async () => {
    const usage = { currency: "USD", buckets: [], budget: null, budgets: [] };
    const { client, requests } = await start(inTurn({ status: 200, body: usage }));
    expect(await client.usage({ from: "2026-11-01", bucket: "month", client: "studio" })).toEqual(usage);
    expect(requests.map(({ url }) => url.pathname + url.search)).toEqual([
      "/api/usage?from=2026-11-01&bucket=month&client=studio",
    ]);
  });
});

describe("update", () => {
  it("sends only the changes, and resolves to the job", async () => {
    const { client, requests } = await start(inTurn("cut", { status: 200, body: job({ pinned: true }) }));
    expect((await client.update(JOB_ID, { pinned: true })).pinned).toBe(true);
    const sent = ["PATCH", `/api/jobs/${JOB_ID}`, '{"pinned":true}'];
    expect(requests.map(({ method, url, body }) => [method, url.pathname, body.toString()])).toEqual([sent, sent]);
  });
});
