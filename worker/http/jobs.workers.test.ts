import {
  createExecutionContext,
  evictDurableObject,
  listDurableObjectIds,
  waitOnExecutionContext,
} from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { EventPage } from "../../schemas/event.ts";
import { Job, JobId, JobList } from "../../schemas/job.ts";
import { Limits } from "../../schemas/limits.ts";
import { Problem } from "../../schemas/problem.ts";
import { framedPng } from "../results/image.fixture.ts";
import { inputKey } from "../results/job-files.ts";
import { jobObject } from "../stubs.ts";
import { app } from "./app.ts";
import { namespaceWith, send } from "./http.fixture.ts";
import { forgetReserved } from "./submit-limits.ts";

const ORIGIN = "http://localhost:8787";
const JSON_ONLY = { headers: { accept: "application/json" } };
const UNKNOWN = "job_000000000000000000000";

function call(path: string, init?: RequestInit) {
  return exports.default.fetch(path.startsWith("http") ? path : `${ORIGIN}${path}`, { redirect: "manual", ...init });
}

function submit(body: unknown, headers: Record<string, string> = {}, workflow = "image-from-text") {
  const init = {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers },
  };
  return call(`/api/workflows/${workflow}`, init);
}

async function jobOf(answer: Response, status: number) {
  expect(answer.status).toBe(status);
  return Job.parse(await answer.json());
}

async function codeOf(answer: Response, status: number) {
  expect(answer.status).toBe(status);
  return Problem.parse(await answer.json());
}

/** A job that cannot end during the test: nothing is delivered within the time of its only attempt. */
async function waitingJob(prompt = "a red bicycle") {
  return await jobOf(await submit({ prompt, priority: "low" }), 202);
}

describe("a submission", () => {
  it("is answered with 202, its address, when to ask again, and the normalised job", async () => {
    const answer = await submit({
      prompt: "a red bicycle",
      size: "1664x928",
      negative_prompt: "rain",
      metadata: { order: 17 },
    });
    const job = await jobOf(answer, 202);
    expect(answer.headers.get("location")).toBe(`${ORIGIN}/api/jobs/${job.id}`);
    expect(answer.headers.get("retry-after")).toMatch(/^\d+$/);
    expect(answer.headers.get("etag")).toMatch(/^W\/"/);
    expect(answer.headers.has("idempotency-replayed")).toBe(false);
    expect(job).toMatchObject({ status: "queued", done: false, model: "qwen-image-max", metadata: { order: 17 } });
    expect(job.request).toMatchObject({
      size: "1664*928",
      negativePrompt: "rain",
      n: 1,
      seed: expect.any(Number),
      priority: "normal",
    });
    expect(job.links.self).toBe(answer.headers.get("location"));
  });

  it("has warnings about what upstream would do without reporting it", async () => {
    const job = await jobOf(await submit({ prompt: "word ".repeat(300) }), 202);
    expect(job.warnings.map((warning) => warning.code)).toEqual(["prompt_too_long"]);
  });

  it("with Prefer: wait answers 202 when the wait ran out", async () => {
    const answer = await submit({ prompt: "a" }, { prefer: "respond-async, wait=0" });
    expect(answer.status).toBe(202);
    expect(answer.headers.get("preference-applied")).toBe("wait=0");
  });
});

describe("a job's id", () => {
  const IDS_OF_OBJECTS = { lanes: () => env.LANES, jobs: () => env.JOBS } as const;

  it("is its object's own id when no key was sent, and leads to the job after the object left memory", async () => {
    const { id } = await waitingJob("no key");
    expect(id).toMatch(/^job_[0-9a-f]{64}$/);
    expect((await listDurableObjectIds(env.JOBS)).map(String)).toContain(id.slice("job_".length));
    await evictDurableObject(jobObject(env.JOBS, id));
    expect(await jobOf(await call(`/api/jobs/${id}`), 200)).toMatchObject({ id, status: "queued" });
    expect((await call(`/api/jobs/${id}`, { method: "DELETE" })).status).toBe(204);
    expect((await codeOf(await call(`/api/jobs/${id}`), 410)).code).toBe("job_gone");
  });

  it.each(Object.keys(IDS_OF_OBJECTS) as (keyof typeof IDS_OF_OBJECTS)[])(
    "that is an id of the %s' objects and of no job is answered like any unknown id",
    async (of) => {
      const unknown = `/api/jobs/job_${IDS_OF_OBJECTS[of]().newUniqueId()}`;
      expect((await codeOf(await call(unknown), 404)).code).toBe("job_not_found");
      expect((await codeOf(await call(unknown, { method: "DELETE" }), 404)).code).toBe("job_not_found");
    },
  );

  it("may have 21 to 64 characters", () => {
    const allowed = [20, 21, 64, 65].filter((length) => JobId.safeParse(`job_${"0".repeat(length)}`).success);
    expect(allowed).toEqual([21, 64]);
  });
});

describe("an Idempotency-Key", () => {
  it("answers the same submission with the same job, with or without quotes, in one spelling or another", async () => {
    const first = await jobOf(
      await submit({ prompt: "a", negativePrompt: "b" }, { "idempotency-key": '"key-1"' }),
      202,
    );
    const again = await submit({ prompt: "a", negative_prompt: "b" }, { "idempotency-key": "key-1" });
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect((await jobOf(again, 202)).id).toBe(first.id);
  });

  it("makes one job when the same submission is sent ten times at once", async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => submit({ prompt: "a" }, { "idempotency-key": "at once" })),
    );
    const jobs = await Promise.all(answers.map((answer) => jobOf(answer, 202)));
    expect(new Set(jobs.map((job) => job.id)).size).toBe(1);
    expect(answers.filter((answer) => answer.headers.get("idempotency-replayed") === "true")).toHaveLength(9);
  });

  it("refuses another submission and names what differs", async () => {
    await submit({ prompt: "a", seed: 1 }, { "idempotency-key": "key-2" });
    const problem = await codeOf(await submit({ prompt: "b", seed: 1 }, { "idempotency-key": "key-2" }), 422);
    expect(problem.code).toBe("idempotency_key_reused");
    expect(problem.errors?.map((error) => error.path)).toEqual(["/prompt"]);
  });

  it("answers the same job after a deploy that changed the defaults of absent fields", async () => {
    const body = { prompt: "a", seed: 1 };
    const first = await jobOf(await submit(body, { "idempotency-key": "key-4" }), 202);
    const deployed = { ...env, MAX_ATTEMPTS: "2", QWEN_IMAGE_MODEL: "qwen-image-plus" };
    const headers = { "content-type": "application/json", "idempotency-key": "key-4" };
    const init = { method: "POST", body: JSON.stringify(body), headers };
    const context = createExecutionContext();
    const again = await app.fetch(new Request(`${ORIGIN}/api/workflows/image-from-text`, init), deployed, context);
    expect((await jobOf(again, 202)).id).toBe(first.id);
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    await waitOnExecutionContext(context);
  });

  it("makes a new job once its job was deleted, and answers that one from then on", async () => {
    const first = await jobOf(await submit({ prompt: "a" }, { "idempotency-key": "key-3" }), 202);
    expect((await call(`/api/jobs/${first.id}`, { method: "DELETE" })).status).toBe(204);
    const second = await jobOf(await submit({ prompt: "b" }, { "idempotency-key": "key-3" }), 202);
    expect(second.id).not.toBe(first.id);
    const again = await submit({ prompt: "b" }, { "idempotency-key": "key-3" });
    expect((await jobOf(again, 202)).id).toBe(second.id);
  });
});

describe("uploaded images", () => {
  const [one, two] = [framedPng(512, 512, 100, 1), framedPng(640, 512, 100, 2)];
  const dataUrl = (bytes: Uint8Array) => `data:image/png;base64,${bytes.toBase64()}`;
  const reference = (body: unknown, headers: Record<string, string> = {}) =>
    submit(body, headers, "image-from-reference");
  const kept = async (id: string) =>
    (await env.RESULTS.list({ prefix: `jobs/${id}/inputs/` })).objects.map((object) => object.key).toSorted();

  it("are stored in R2 under the job, and appear in the job by reference only", async () => {
    const job = await jobOf(await reference({ prompt: "a", images: [dataUrl(one), "https://example.com/a.png"] }), 202);
    const [image, address] = job.request.images;
    expect(image).toMatchObject({
      kind: "upload",
      contentType: "image/png",
      width: 512,
      height: 512,
      bytes: one.length,
    });
    expect(address).toEqual({ kind: "url", url: "https://example.com/a.png" });
    expect(await kept(job.id)).toEqual(image?.kind === "upload" ? [inputKey(job.id, image.sha256)] : []);
  });

  it("are accepted as files of a form too", async () => {
    const form = new FormData();
    form.append("prompt", "a");
    form.append("n", "2");
    form.append("image", new File([one], "one.png", { type: "image/png" }));
    form.append("image", new File([two], "two.txt", { type: "text/plain" }));
    const job = await jobOf(await call("/api/workflows/image-from-reference", { method: "POST", body: form }), 202);
    expect(job.request.n).toBe(2);
    expect(job.request.images.map((image) => (image.kind === "upload" ? image.width : null))).toEqual([512, 640]);
    expect(await kept(job.id)).toHaveLength(2);
  });

  it("of a refused submission are removed, but never those of the job that has its key", async () => {
    const key = { "idempotency-key": "with images" };
    const job = await jobOf(await reference({ prompt: "a", images: [dataUrl(one)] }, key), 202);
    const before = await kept(job.id);
    const problem = await codeOf(await reference({ prompt: "a", images: [dataUrl(one), dataUrl(two)] }, key), 422);
    expect(problem.errors?.map((error) => error.path)).toEqual(["/images"]);
    expect(await kept(job.id)).toEqual(before);
  });
});

describe("polling a job", () => {
  it("answers the version, 304 for the same one, and no-store", async () => {
    const { id } = await waitingJob();
    await call(`/api/jobs/${id}/cancel`, { method: "POST" });
    const first = await call(`/api/jobs/${id}`);
    const job = await jobOf(first, 200);
    expect(job.status).toBe("canceled");
    const etag = first.headers.get("etag") ?? "";
    expect(first.headers.get("cache-control")).toBe("no-store");
    expect(first.headers.get("vary")).toContain("Prefer");
    expect(first.headers.has("retry-after")).toBe(false);
    const same = await call(`/api/jobs/${id}`, { headers: { "if-none-match": `"x", ${etag}` } });
    expect(same.status).toBe(304);
    expect(await same.text()).toBe("");
    expect(same.headers.get("etag")).toBe(etag);
    expect(same.headers.get("vary")).toBe(first.headers.get("vary"));
    expect((await call(`/api/jobs/${id}`, { headers: { "if-none-match": '"x"' } })).status).toBe(200);
    const head = await call(`/api/jobs/${id}`, { method: "HEAD" });
    expect([head.status, head.headers.get("etag"), await head.text()]).toEqual([200, etag, ""]);
  });

  it("waits until anything changes, with If-None-Match", async () => {
    const { id } = await waitingJob();
    const etag = (await call(`/api/jobs/${id}`)).headers.get("etag") ?? "";
    let current = etag;
    let status = "queued";
    const poll = async () => {
      // Places and attempts may change before the cancel arrives.
      while (status !== "canceled") {
        const answer = await call(`/api/jobs/${id}`, { headers: { "if-none-match": current, prefer: "wait=20" } });
        expect(answer.status).toBe(200);
        expect(answer.headers.get("preference-applied")).toBe("wait=20");
        expect(answer.headers.get("etag")).not.toBe(current);
        current = answer.headers.get("etag") ?? "";
        ({ status } = Job.parse(await answer.json()));
      }
    };
    const polling = poll();
    await call(`/api/jobs/${id}/cancel`, { method: "POST" });
    await polling;
    expect(current).not.toBe(etag);
  });

  it("holds the text of a job whose webhook was notified earlier", async () => {
    const webhook = { url: "http://127.0.0.1:9/hook" };
    const { id } = await jobOf(await submit({ prompt: "a red bicycle", priority: "low", webhook }), 202);
    await call(`/api/jobs/${id}/cancel`, { method: "POST" });
    await jobOf(await call(`/api/jobs/${id}/retry`, { method: "POST" }), 200);
    const text = async (headers: Record<string, string>) => {
      const answer = await call(`/api/jobs/${id}`, { headers: { accept: "text/plain", ...headers } });
      return { status: answer.status, etag: answer.headers.get("etag") ?? "", body: await answer.text() };
    };
    let known = await text({});
    expect(known.body).toContain("http://127.0.0.1:9/hook");
    // Its place may change, and a try of its webhook may end.
    for (;;) {
      const askedAtMs = Date.now();
      const next = await text({ "if-none-match": known.etag, prefer: "wait=1" });
      if (next.status === 304) {
        expect(Date.now() - askedAtMs).toBeGreaterThanOrEqual(900);
        break;
      }
      expect(next.etag).not.toBe(known.etag);
      known = next;
    }
  });

  it("waits until the job is done, without If-None-Match", async () => {
    const { id } = await waitingJob();
    const waiting = call(`/api/jobs/${id}`, { headers: { prefer: "wait=20" } });
    await call(`/api/jobs/${id}/cancel`, { method: "POST" });
    expect((await jobOf(await waiting, 200)).done).toBe(true);
  });

  it("answers an outdated version at once, however long the wait", async () => {
    const { id } = await waitingJob();
    const answer = await call(`/api/jobs/${id}`, { headers: { prefer: "wait=60", "if-none-match": 'W/"0.0.j"' } });
    expect(answer.status).toBe(200);
  });
});

describe("the forms of a job", () => {
  it("include text for people, with its own version", async () => {
    const { id, links } = await waitingJob("a \u202ered\u202c bicycle");
    const answer = await call(`/api/jobs/${id}`, { headers: { accept: "text/plain" } });
    expect(answer.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    const text = await answer.text();
    expect(text.startsWith(`${id}  `)).toBe(true);
    expect(text).toContain("\\u{202e}red");
    expect(text).toContain(`curl -X POST '${links.cancel}'`);
    expect(answer.headers.get("etag")).toMatch(/\.t"$/);
  });

  it("include the page for browsers", async () => {
    const { id } = await waitingJob();
    const answer = await call(`/api/jobs/${id}`, { headers: { accept: "text/html,*/*;q=0.8" } });
    expect([answer.status, answer.headers.get("location")]).toEqual([303, `/jobs/${id}`]);
  });

  it("include no others", async () => {
    const { id } = await waitingJob();
    expect((await codeOf(await call(`/api/jobs/${id}`, { headers: { accept: "image/png" } }), 406)).code).toBe(
      "not_acceptable",
    );
  });
});

describe("a patch", () => {
  const patch = (id: string, body: unknown) =>
    call(`/api/jobs/${id}`, {
      method: "PATCH",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json" },
    });

  it("pins a job and replaces its metadata; the version changes, the number of events does not", async () => {
    const job = await waitingJob();
    expect(job.pinned).toBe(false);
    const metadata = { order: "B-2" };
    const answer = await patch(job.id, { pinned: true, metadata });
    expect(answer.headers.get("etag")).toMatch(/^W\/"/);
    expect(await jobOf(answer, 200)).toMatchObject({ id: job.id, pinned: true, metadata });
    expect(await jobOf(await patch(job.id, { pinned: false }), 200)).toMatchObject({ pinned: false, metadata });
    expect(await jobOf(await call(`/api/jobs/${job.id}`), 200)).toMatchObject({ pinned: false, metadata });
  });

  it.each([
    ["nothing", {}],
    ["a field that cannot be changed", { prompt: "another" }],
    ["a value of the wrong kind", { pinned: "yes" }],
    ["metadata of metadata", { metadata: { a: { b: 1 } } }],
  ])("of %s is refused, and changes nothing", async (_what, body) => {
    const job = await waitingJob();
    expect((await codeOf(await patch(job.id, body), 400)).code).toBe("invalid_request");
    expect(await jobOf(await call(`/api/jobs/${job.id}`), 200)).toMatchObject({ pinned: false, metadata: {} });
  });

  it("of a job that does not exist or was deleted is refused with the reason", async () => {
    expect((await codeOf(await patch(UNKNOWN, { pinned: true }), 404)).code).toBe("job_not_found");
    const { id } = await waitingJob();
    await call(`/api/jobs/${id}`, { method: "DELETE" });
    expect((await codeOf(await patch(id, { pinned: true }), 410)).code).toBe("job_gone");
  });
});

describe("a precondition", () => {
  it("that names a version prevents every action, because a job's versions are weak", async () => {
    const { id } = await waitingJob();
    const etag = (await call(`/api/jobs/${id}`)).headers.get("etag") ?? "";
    for (const [path, method] of [
      [`/api/jobs/${id}`, "GET"],
      [`/api/jobs/${id}/cancel`, "POST"],
      [`/api/jobs/${id}/retry`, "POST"],
      [`/api/jobs/${id}`, "DELETE"],
    ] as const) {
      const answer = await call(path, { method, headers: { "if-match": etag } });
      expect((await codeOf(answer, 412)).code, `${method} ${path}`).toBe("precondition_failed");
    }
    expect((await jobOf(await call(`/api/jobs/${id}`), 200)).done).toBe(false);
    const missing = await call(`/api/jobs/${UNKNOWN}`, { method: "DELETE", headers: { "if-match": etag } });
    expect(missing.status).toBe(404);
  });

  it("that any version meets prevents nothing", async () => {
    const { id } = await waitingJob();
    const headers = { "if-match": "*" };
    expect((await jobOf(await call(`/api/jobs/${id}/cancel`, { method: "POST", headers }), 200)).status).toBe(
      "canceled",
    );
    expect((await call(`/api/jobs/${id}`, { method: "DELETE", headers })).status).toBe(204);
  });
});

describe("cancel, retry, delete", () => {
  it("refuses the retry of a job that was read as unfinished, even if the job is canceled right after", async () => {
    const { id } = await waitingJob();
    const JOBS = namespaceWith(env.JOBS, "view", async (job, ...viewer) => {
      const running = await job.view?.(...viewer);
      await job.cancel?.(...viewer);
      return running;
    });
    const { answer } = send(new Request(`${ORIGIN}/api/jobs/${id}/retry`, { method: "POST" }), { JOBS });
    expect((await codeOf(await answer, 409)).code).toBe("job_not_finished");
    expect((await jobOf(await call(`/api/jobs/${id}`), 200)).status).toBe("canceled");
  });

  it("change a job as the contract says", async () => {
    const { id } = await waitingJob();
    const act = (verb: string) => call(`/api/jobs/${id}/${verb}`, { method: "POST" });
    expect((await codeOf(await act("retry"), 409)).code).toBe("job_not_finished");
    expect((await jobOf(await act("cancel"), 200)).status).toBe("canceled");
    expect((await jobOf(await act("cancel"), 200)).status).toBe("canceled");
    expect((await jobOf(await act("retry"), 200)).done).toBe(false);
    expect((await call(`/api/jobs/${id}`, { method: "DELETE" })).status).toBe(204);
    for (const [path, method] of [
      [`/api/jobs/${id}`, "GET"],
      [`/api/jobs/${id}`, "DELETE"],
      [`/api/jobs/${id}/cancel`, "POST"],
      [`/api/jobs/${id}/retry`, "POST"],
      [`/api/jobs/${id}/events`, "GET"],
      [`/api/jobs/${id}/images/0`, "GET"],
    ] as const) {
      expect((await codeOf(await call(path, { method }), 410)).code, `${method} ${path}`).toBe("job_gone");
    }
  });
});

describe("a retry with an Idempotency-Key", () => {
  it("is one retry however often it is sent, until another one is made", async () => {
    const { id } = await waitingJob();
    const cancel = async () => void (await jobOf(await call(`/api/jobs/${id}/cancel`, { method: "POST" }), 200));
    const retry = (key?: string) =>
      call(`/api/jobs/${id}/retry`, { method: "POST", headers: key === undefined ? {} : { "idempotency-key": key } });
    const retries = async () => {
      const { events } = EventPage.parse(await (await call(`/api/jobs/${id}/events`, JSON_ONLY)).json());
      return events.filter(({ type }) => type === "job.retried").length;
    };
    await cancel();
    expect((await jobOf(await retry("first"), 200)).done).toBe(false);
    expect((await jobOf(await retry('"first"'), 200)).done).toBe(false);
    await cancel();
    const replayed = await retry("first");
    expect(replayed.headers.get("idempotency-replayed")).toBe("true");
    expect((await jobOf(replayed, 200)).status).toBe("canceled");
    expect(await retries()).toBe(1);
    // The limit on unfinished jobs refuses a new retry, and no repetition.
    const other = await waitingJob();
    const atLimit = (key: string) => {
      const init = { method: "POST", headers: { "idempotency-key": key } };
      const vars = { ...env, MAX_PENDING_JOBS: "1" };
      return app.fetch(new Request(`${ORIGIN}/api/jobs/${id}/retry`, init), vars, createExecutionContext());
    };
    const listed = async () => JobList.parse(await (await call("/api/jobs")).json()).jobs.map((job) => job.id);
    await expect.poll(listed).toContain(other.id);
    forgetReserved("local");
    expect((await codeOf(await atLimit("another"), 429)).code).toBe("too_many_pending_jobs");
    expect((await jobOf(await atLimit("first"), 200)).status).toBe("canceled");
    await call(`/api/jobs/${other.id}`, { method: "DELETE" });

    expect((await jobOf(await retry("second"), 200)).done).toBe(false);
    expect((await codeOf(await retry("first"), 409)).code).toBe("job_not_finished");
    await cancel();
    expect((await jobOf(await retry(), 200)).done).toBe(false);
    await cancel();
    expect(await retries()).toBe(3);
    expect((await jobOf(await retry("second"), 200)).done).toBe(false);
    expect(await retries()).toBe(4);
    expect((await codeOf(await retry("é"), 400)).code).toBe("invalid_idempotency_key");
    await call(`/api/jobs/${id}`, { method: "DELETE" });
  });
});

describe("an unknown job", () => {
  it.each([UNKNOWN, "job_1", "x", "job_V1StGXR8_Z5jdHi6B-myT%00", "..%2f..%2fhealth", "%F0%9F%9A%B2"])(
    "%s is 404 everywhere",
    async (id) => {
      for (const [path, method] of [
        [`/api/jobs/${id}`, "GET"],
        [`/api/jobs/${id}`, "DELETE"],
        [`/api/jobs/${id}/cancel`, "POST"],
        [`/api/jobs/${id}/retry`, "POST"],
        [`/api/jobs/${id}/events`, "GET"],
        [`/api/jobs/${id}/images/0`, "GET"],
      ] as const) {
        expect((await codeOf(await call(path, { method }), 404)).code, `${method} ${path}`).toBe("job_not_found");
      }
    },
  );

  it("has no image of a strange number", async () => {
    const { id } = await waitingJob();
    for (const index of ["0", "00", "-1", "1e3", "x", "99999"]) {
      expect((await codeOf(await call(`/api/jobs/${id}/images/${index}`), 404)).code).toBe("image_not_found");
    }
  });
});

describe("the list", () => {
  it("shows jobs newest first, in pages that neither repeat nor skip, with places and links", async () => {
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) ids.unshift((await waitingJob(`list ${n}`)).id);
    const seen: string[] = [];
    let cursor: string | null = null;
    // Until all five are in the catalog, which is notified just after they are stored.
    await expect
      .poll(async () => JobList.parse(await (await call("/api/jobs?limit=5")).json()).jobs.map((job) => job.id))
      .toEqual(ids);
    do {
      const page: JobList = JobList.parse(
        await (await call(`/api/jobs?limit=2${cursor === null ? "" : `&cursor=${cursor}`}`)).json(),
      );
      expect(page.jobs.length).toBeLessThanOrEqual(2);
      seen.push(...page.jobs.map((job) => job.id));
      cursor = page.nextCursor;
    } while (cursor !== null && seen.length < 6);
    expect(seen.slice(0, 5)).toEqual(ids);
    expect(new Set(seen).size).toBe(seen.length);
  });

  it("is filtered by status and workflow", async () => {
    const { id } = await waitingJob("to be filtered");
    await call(`/api/jobs/${id}/cancel`, { method: "POST" });
    const listed = async (query: string) => JobList.parse(await (await call(`/api/jobs?${query}`)).json()).jobs;
    await expect.poll(async () => (await listed("status=canceled")).map((job) => job.id)).toContain(id);
    expect((await listed("status=queued,running&limit=100")).map((job) => job.id)).not.toContain(id);
    expect((await listed("status=canceled&status=failed")).map((job) => job.id)).toContain(id);
    expect((await listed("workflow=image-from-reference&limit=100")).map((job) => job.id)).not.toContain(id);
  });

  it.each([
    "status=done",
    "workflow=x",
    "limit=0",
    "limit=101",
    "limit=x",
    "cursor=nonsense",
    "client=other",
    "client=a%20b",
  ])("refuses ?%s by name", async (query) => {
    const problem = await codeOf(await call(`/api/jobs?${query}`), 400);
    expect([problem.code, problem.errors?.[0]?.path]).toEqual(["invalid_query", query.split("=")[0]]);
  });
});

describe("events as JSON", () => {
  it("are pages by number", async () => {
    const { id } = await waitingJob();
    await call(`/api/jobs/${id}/cancel`, { method: "POST" });
    const page = EventPage.parse(await (await call(`/api/jobs/${id}/events`)).json());
    expect(page.events[0]).toMatchObject({ seq: 1, type: "job.queued" });
    expect(page.events.at(-1)).toMatchObject({ type: "job.canceled", seq: page.nextAfter });
    const rest = EventPage.parse(await (await call(`/api/jobs/${id}/events?after=1&limit=1`)).json());
    expect(rest.events.map((event) => event.seq)).toEqual([2]);
    const resumed = await call(`/api/jobs/${id}/events`, { headers: { "last-event-id": "1" } });
    expect(EventPage.parse(await resumed.json()).events[0]?.seq).toBe(2);
    expect((await codeOf(await call(`/api/jobs/${id}/events?after=x`), 400)).code).toBe("invalid_query");
    const head = await call(`/api/jobs/${id}/events`, { method: "HEAD", headers: { accept: "text/event-stream" } });
    expect([head.status, await head.text()]).toEqual([200, ""]);
  });
});

describe("streams", () => {
  it("give frames over SSE until the job is done, and 204 afterwards", async () => {
    const { id, links } = await waitingJob();
    await call(`/api/jobs/${id}/cancel`, { method: "POST" });
    const answer = await call(links.events, { headers: { accept: "text/event-stream" } });
    expect(answer.headers.get("content-type")).toMatch(/^text\/event-stream/);
    expect(answer.headers.get("x-request-id")).not.toBeNull();
    const text = await answer.text();
    expect(text).toMatch(/^event: job$/m);
    const last = /^id: (\d+)$/m.exec(text)?.[1] ?? "";
    const again = await call(links.events, { headers: { accept: "text/event-stream", "last-event-id": last } });
    expect([again.status, await again.text()]).toEqual([204, ""]);
  });

  it("give frames over WebSocket, and have the request's id", async () => {
    const { id, links } = await waitingJob();
    const answer = await call(links.events, { headers: { upgrade: "websocket", origin: ORIGIN } });
    expect(answer.status).toBe(101);
    expect(answer.headers.get("x-request-id")).not.toBeNull();
    const socket = answer.webSocket;
    if (socket === null) throw new Error("no socket");
    const frames: string[] = [];
    const closed = new Promise<number>((resolve) => socket.addEventListener("close", (event) => resolve(event.code)));
    socket.addEventListener("message", (event) => frames.push(String(event.data)));
    socket.accept();
    await call(`/api/jobs/${id}/cancel`, { method: "POST" });
    expect(await closed).toBe(1000);
    expect(JSON.parse(frames.at(-1) ?? "{}").job).toMatchObject({
      id,
      status: "canceled",
      links: { self: links.self },
    });
  });

  it("are refused by HTTP before any upgrade", async () => {
    const { links } = await waitingJob();
    const upgrade = { upgrade: "websocket" };
    expect((await codeOf(await call(`/api/jobs/${UNKNOWN}/events`, { headers: upgrade }), 404)).code).toBe(
      "job_not_found",
    );
    const foreign = { ...upgrade, origin: "https://evil.example" };
    expect((await codeOf(await call(links.events, { headers: foreign }), 403)).code).toBe("forbidden_origin");
    expect((await codeOf(await call("/api/events", { headers: foreign }), 403)).code).toBe("forbidden_origin");
    const old = { ...upgrade, "sec-websocket-version": "8" };
    const refused = await call(links.events, { headers: old });
    expect(refused.headers.get("sec-websocket-version")).toBe("13");
    expect((await codeOf(refused, 426)).code).toBe("upgrade_required");
    expect((await codeOf(await call("/api/events", { headers: { accept: "application/json" } }), 406)).code).toBe(
      "not_acceptable",
    );
  });

  it("ignore internal headers that a client forges", async () => {
    const forged = {
      "x-darkroom-watch": encodeURIComponent(
        '{"mode":"sse","viewer":null,"origin":"https://evil.example","after":null}',
      ),
    };
    const { id } = await waitingJob();
    await call(`/api/jobs/${id}/cancel`, { method: "POST" });
    const answer = await call(`/api/jobs/${id}/events`, { headers: { accept: "text/event-stream", ...forged } });
    expect(await answer.text()).not.toContain("evil.example");
  });
});

describe("limits", () => {
  it("show the lanes and what every model takes", async () => {
    const limits = Limits.parse(await (await call("/api/limits")).json());
    expect(limits.lanes.map((lane) => lane.model)).toContain("qwen-image-max");
    expect(limits.models.find((model) => model.model === "qwen-image-max")?.default).toEqual(["image-from-text"]);
  });
});

describe("a stored image", () => {
  const made = async () => {
    const job = await jobOf(
      await submit({ prompt: "Un vélo rouge!", model: "z-image-turbo" }, { prefer: "wait=25" }),
      200,
    );
    const [image] = job.output?.images ?? [];
    if (image === undefined) throw new Error(JSON.stringify(job.error));
    return { job, image };
  };

  it("is served inert, cached privately, with its checksum as tag, and named after its prompt", async () => {
    const { image } = await made();
    const answer = await call(image.url);
    expect(answer.status).toBe(200);
    const bytes = await answer.bytes();
    expect(bytes.length).toBe(image.bytes);
    expect(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex()).toBe(image.sha256);
    expect(answer.headers.get("content-type")).toBe(image.contentType);
    expect(answer.headers.get("cache-control")).toMatch(/^private, max-age=\d+, immutable$/);
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
    expect(answer.headers.get("content-security-policy")).toBe("default-src 'none'; sandbox");
    expect(answer.headers.get("content-disposition")).toMatch(
      /^inline; filename="un-velo-rouge-\w+-1\.\w+"; filename\*=UTF-8''un-v%C3%A9lo-rouge-/,
    );
  });

  it("answers conditions, ranges and HEAD", async () => {
    const { image } = await made();
    const etag = (await call(image.url, { method: "HEAD" })).headers.get("etag") ?? "";
    expect(etag).toContain(image.sha256);
    expect((await call(image.url, { headers: { "if-none-match": etag } })).status).toBe(304);
    const part = await call(image.url, { headers: { range: "bytes=0-9" } });
    expect([part.status, part.headers.get("content-range")]).toEqual([206, `bytes 0-9/${image.bytes}`]);
    expect((await part.bytes()).length).toBe(10);
    const past = await call(image.url, { headers: { range: `bytes=${image.bytes}-` } });
    expect(past.headers.get("content-range")).toBe(`bytes */${image.bytes}`);
    expect((await codeOf(past, 416)).code).toBe("range_not_satisfiable");
  });

  it("is removed with its job", async () => {
    const { job, image } = await made();
    await call(job.links.self, { method: "DELETE" });
    expect((await codeOf(await call(image.url), 410)).code).toBe("job_gone");
    await expect.poll(async () => (await env.RESULTS.list({ prefix: `jobs/${job.id}/` })).objects).toEqual([]);
  });
});
