import { type IncomingHttpHeaders, request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Job, JobList } from "../schemas/job.ts";
import { Problem } from "../schemas/problem.ts";
import { type Product, startProduct } from "./support/product.ts";

/** An answer as `curl -i` shows it: not unpacked, and redirects are not followed. */
interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

let product: Product;
let job: Job;

beforeAll(async () => {
  product = await startProduct();
  const answer = await fetch(`${product.baseUrl}/api/workflows/image-from-text`, {
    method: "POST",
    headers: { "content-type": "application/json", prefer: "wait=30" },
    body: JSON.stringify({ prompt: "read with curl" }),
  });
  job = Job.parse(await answer.json());
  expect(job.status).toBe("succeeded");
});
afterAll(() => product?.stop());

/** `headOnly`: closes the connection once the head has arrived, for a stream. */
function ask(method: string, path: string, headers: Record<string, string> = {}, headOnly = false): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(`${product.baseUrl}${path}`, { method, headers, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      const finish = () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) });
      if (headOnly) {
        finish();
        asked.destroy();
      } else answer.on("data", (chunk: Buffer) => chunks.push(chunk)).on("end", finish);
    });
    asked.on("error", reject);
    asked.end();
  });
}

/** The headers without those that differ from answer to answer. */
function lasting({ headers }: Answer): IncomingHttpHeaders {
  const { date, "x-request-id": _id, "content-length": _length, "transfer-encoding": _chunked, ...rest } = headers;
  expect(Number.isNaN(Date.parse(date ?? "")), `Date: ${date}`).toBe(false);
  return rest;
}

type Row = [
  name: string,
  path: (job: Job) => string,
  headers: (etag: string) => Record<string, string>,
  status: number,
];
const plain = () => ({});
const SELF = ({ id }: Job) => `/api/jobs/${id}`;
const IMAGE = ({ id }: Job) => `/api/jobs/${id}/images/0`;

const ROWS: Row[] = [
  ["the list", () => "/api/jobs", plain, 200],
  ["the API's document", () => "/api/openapi.json", plain, 200],
  ["the API's page", () => "/api/docs", plain, 200],
  ["a job", SELF, plain, 200],
  ["a job for a program", SELF, () => ({ accept: "application/json" }), 200],
  ["a job as text", SELF, () => ({ accept: "text/plain" }), 200],
  ["a job for a browser", SELF, () => ({ accept: "text/html" }), 303],
  ["a job that the client has", SELF, (etag) => ({ "if-none-match": etag }), 304],
  ["a job in no form there is", SELF, () => ({ accept: "image/png" }), 406],
  ["a job waited for", SELF, () => ({ prefer: "wait=5" }), 200],
  ["a log", (done) => `${SELF(done)}/events`, plain, 200],
  ["an image", IMAGE, plain, 200],
  ["an image of another version", IMAGE, () => ({ "if-match": '"other"' }), 412],
  ["an image that is not there", (done) => `${SELF(done)}/images/7`, plain, 404],
  ["an unknown job", () => "/api/jobs/job_000000000000000000000", plain, 404],
  ["an unknown path", () => "/api/nowhere", plain, 404],
  ["a path with a slash too many", (done) => `${SELF(done)}/`, plain, 308],
  ["a query that is wrong", () => "/api/jobs?limit=x", plain, 400],
];

describe("every answer to GET", () => {
  it.each(ROWS)(
    "%s has the same head for HEAD, with the body's length and without the body",
    async (_name, path, headers, status) => {
      const { etag = "" } = (await ask("HEAD", SELF(job))).headers;
      const before = await ask("GET", path(job), headers(etag));
      const head = await ask("HEAD", path(job), headers(etag));
      // A text says how long ago events were, so its length may have changed: HEAD has the length of one of the two answers.
      const after = await ask("GET", path(job), headers(etag));
      expect(before.status).toBe(status);
      expect(head.status).toBe(status);
      expect(head.body.byteLength).toBe(0);
      expect([lasting(before), lasting(after)]).toContainEqual(lasting(head));
      const lengths = [before, after].map(({ body }) => String(body.byteLength));
      // An empty body needs no length.
      if (before.body.byteLength > 0) expect(lengths).toContain(head.headers["content-length"]);
    },
  );

  it.each(["/api/health", "/api/limits"])("%s answers HEAD with a length too, though it changes", async (path) => {
    const head = await ask("HEAD", path);
    expect(Number(head.headers["content-length"])).toBeGreaterThan(100);
    expect(head.body.byteLength).toBe(0);
  });

  it("names in Vary the headers that decide its form", async () => {
    for (const [name, path, headers] of ROWS.filter(([, , , status]) => status !== 308)) {
      if (path === IMAGE) continue;
      const { vary = "" } = (await ask("GET", path(job), headers("x"))).headers;
      expect(vary.split(", "), name).toContain("Accept");
    }
  });
});

describe("a stream", () => {
  it.each([
    ["a job's", ({ id }: Job) => `/api/jobs/${id}/events`],
    ["the feed", () => "/api/events"],
  ])("%s has the same head for HEAD, which opens none", async (_name, path) => {
    const accept = { accept: "text/event-stream" };
    const got = await ask("GET", path(job), accept, true);
    const head = await ask("HEAD", path(job), accept);
    expect([head.status, head.headers["content-type"]]).toEqual([200, "text/event-stream; charset=utf-8"]);
    expect(lasting(head)).toEqual(lasting(got));
    expect(head.headers["content-length"]).toBeUndefined();
  });

  it("of a finished job with no further event is a 204 for both", async () => {
    const path = `/api/jobs/${job.id}/events?after=${job.seq}`;
    for (const method of ["GET", "HEAD"]) {
      expect((await ask(method, path, { accept: "text/event-stream" })).status).toBe(204);
    }
    expect((await ask("HEAD", "/api/jobs/job_000000000000000000000/events")).status).toBe(404);
  });
});

describe("a query", () => {
  it("treats an empty value as absent", async () => {
    const all = JobList.parse(JSON.parse(String((await ask("GET", "/api/jobs")).body)));
    const answer = await ask("GET", "/api/jobs?status=&workflow=&limit=&cursor=");
    expect(JobList.parse(JSON.parse(String(answer.body))).jobs.map(({ id }) => id)).toEqual(
      all.jobs.map(({ id }) => id),
    );
    expect((await ask("GET", `/api/jobs/${job.id}/events?after=&limit=`)).status).toBe(200);
  });

  it("that is wrong is answered with the allowed values and the given one", async () => {
    for (const [query, path, given] of [
      ["status=queued,Done", "status", '"Done"'],
      ["workflow=text", "workflow", '"text"'],
    ] as const) {
      const answer = await ask("GET", `/api/jobs?${query}`);
      const { errors } = Problem.parse(JSON.parse(String(answer.body)));
      expect(errors).toEqual([
        { path, message: expect.stringMatching(new RegExp(`^must be one of .*got the text ${given}$`)) },
      ]);
    }
  });
});

it("an event number from the future is not returned as `nextAfter`", async () => {
  const answer = await ask("GET", `${SELF(job)}/events?after=99999`);
  expect(JSON.parse(String(answer.body))).toEqual({ events: [], nextAfter: job.seq });
});

describe("a part of the page", () => {
  it("that this version has is cached for a year", async () => {
    const page = await ask("GET", "/");
    const [script] = /\/assets\/[\w.-]+\.js/.exec(String(page.body)) ?? [];
    const answer = await ask("GET", script ?? "/none");
    expect(answer.status).toBe(200);
    expect(answer.headers["content-type"]).toMatch(/javascript/);
    expect(answer.headers["cache-control"]).toBe("public, max-age=31536000, immutable");
    expect(answer.headers["content-security-policy"]).toContain("default-src 'none'");
  });

  it("that this version does not have is 404, and that is not cached", async () => {
    const answer = await ask("GET", "/assets/viewer-OLDHASH.js");
    expect(answer.status).toBe(404);
    expect(answer.headers["cache-control"]).toBe("no-store");
    expect(Problem.parse(JSON.parse(String(answer.body)))).toMatchObject({ code: "not_found" });
  });
});
