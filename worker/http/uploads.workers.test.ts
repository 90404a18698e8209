import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Job } from "../../schemas/job.ts";
import { Problem } from "../../schemas/problem.ts";
import { sha256Hex } from "../auth/tokens.ts";
import { framedPng, turnedPng } from "../results/image.fixture.ts";
import { jobObject, jobStub } from "../stubs.ts";
import { type Methods, namespaceWith, type Sent, send } from "./http.fixture.ts";

const ORIGIN = "http://localhost:8787";
const PATH = "/api/workflows/image-from-reference";
const MODEL = "qwen-image-edit-plus";

/** Images with different bytes. */
const png = (seed: number, side = 512) => framedPng(side, side, 400, seed);
const dataUrl = (bytes: Uint8Array) => `data:image/png;base64,${bytes.toBase64()}`;

function json(body: unknown, headers: Record<string, string> = {}): Request {
  const init = {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers },
  };
  return new Request(`${ORIGIN}${PATH}`, init);
}

async function jobOf(sent: Sent, status = 202): Promise<Job> {
  const answer = await sent.answer;
  expect(answer.status).toBe(status);
  return Job.parse(await answer.json());
}

const keys = async () => (await env.RESULTS.list()).objects.map(({ key }) => key);

/** A form that is sent piece by piece. */
function slowForm() {
  const pipe = new TransformStream<Uint8Array, Uint8Array>();
  const writer = pipe.writable.getWriter();
  const text = new TextEncoder();
  const request = new Request(`${ORIGIN}${PATH}`, {
    method: "POST",
    body: pipe.readable,
    headers: { "content-type": 'multipart/form-data; boundary="edge"' },
  });
  const part = (disposition: string) => text.encode(`--edge\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n`);
  return {
    request,
    image: async (bytes: Uint8Array) => {
      await writer.write(part('name="image[]"; filename="a.png"'));
      await writer.write(bytes);
      // A part ends where the next boundary begins.
      await writer.write(text.encode("\r\n--edge\r\n"));
    },
    end: async (prompt: string) => {
      await writer.write(text.encode(`Content-Disposition: form-data; name="prompt"\r\n\r\n${prompt}\r\n--edge--\r\n`));
      await writer.write(text.encode("\r\n"));
      await writer.close();
    },
    breakOff: () => writer.abort(new Error("the client hung up")),
  };
}

/** The platform's error when an object has more calls than it can handle. */
const shed = () => Promise.reject(Object.assign(new Error("Durable Object is overloaded."), { overloaded: true }));

afterEach(async () => {
  vi.useRealTimers();
  for (const key of await keys()) await env.RESULTS.delete(key);
});

describe("the images of a submission", () => {
  it("are stored one by one while the rest of the body is still arriving", async () => {
    const form = slowForm();
    const sent = send(form.request);
    await form.image(png(1));
    await expect.poll(keys).toHaveLength(1);
    await form.image(png(2));
    await expect.poll(keys).toHaveLength(2);
    await form.end("put 1 on 2");
    const job = await jobOf(sent);
    await sent.settled();
    expect(job.request.images.map((image) => image.kind)).toEqual(["upload", "upload"]);
    expect((await keys()).every((key) => key.startsWith(`jobs/${job.id}/inputs/`))).toBe(true);
  });

  it.each([
    ["too small", 100, 100],
    ["too large", 12_000, 9_000],
  ])("are refused when the model's documented sides exclude them: %s", async (_what, width, height) => {
    const body = { prompt: "mend it", model: "wan2.7-image", images: [dataUrl(framedPng(width, height, 400))] };
    const answer = await send(json(body)).answer;
    expect(answer.status).toBe(400);
    const problem = Problem.parse(await answer.json());
    expect(problem.errors).toEqual([
      { path: "/images/0", message: `has ${width}*${height} pixels; wan2.7-image takes sides of 240 to 8000 pixels` },
    ]);
  });

  it("are accepted with a warning when the vendor only advises sides, or ignores a photo's orientation", async () => {
    const images = [dataUrl(framedPng(100, 100, 400)), dataUrl(turnedPng(3024, 2016, 6))];
    const job = await jobOf(send(json({ prompt: "mend it", model: MODEL, images })));
    expect(job.warnings.map(({ code }) => code)).toEqual(["input_image_size", "image_orientation"]);
  });

  it("are stored once when a body has one twice", async () => {
    const image = dataUrl(png(3));
    const sent = send(json({ prompt: "in oil", images: [image, dataUrl(png(4)), image] }));
    const job = await jobOf(sent);
    await sent.settled();
    const shas = job.request.images.map((input) => (input.kind === "upload" ? input.sha256 : null));
    expect(shas[0]).toBe(shas[2]);
    expect(await keys()).toHaveLength(2);
  });

  it("are removed at once when the rest of the submission is refused", async () => {
    const sent = send(json({ prompt: "in oil", images: [dataUrl(png(5))], n: "many" }));
    expect((await sent.answer).status).toBe(400);
    await sent.settled();
    expect(await keys()).toEqual([]);
  });

  it("are removed by the object that expects them when the client hangs up", async () => {
    const form = slowForm();
    const sent = send(form.request);
    await form.image(png(6));
    await expect.poll(keys).toHaveLength(1);
    const [key = ""] = await keys();
    const object = jobObject(env.JOBS, key.split("/")[1] ?? "");
    // Nothing else of the request continues; only the object is left.
    const answer = sent.answer.catch(() => null);
    expect(await runDurableObjectAlarm(object)).toBe(true);
    expect(await keys()).toEqual([key]);
    vi.setSystemTime(Date.now() + 12 * 60_000);
    expect(await runDurableObjectAlarm(object)).toBe(true);
    expect(await keys()).toEqual([]);
    vi.useRealTimers();
    await form.breakOff();
    await answer;
    await sent.settled();
  });

  it("are removed when the job's object sheds the submission", async () => {
    const sent = send(json({ prompt: "in oil", images: [dataUrl(png(7))] }), {
      JOBS: namespaceWith(env.JOBS, "submit", shed),
    });
    const answer = await sent.answer;
    expect([answer.status, Problem.parse(await answer.json()).code]).toEqual([503, "overloaded"]);
    await sent.settled();
    expect(await keys()).toEqual([]);
  });

  it("are removed even when the bucket stores one after its request was refused", async () => {
    const late = Promise.withResolvers<void>();
    const stored = Promise.withResolvers<void>();
    const bucket = new Proxy(env.RESULTS, {
      get: (target, name) => {
        if (name === "put") {
          return async (...put: Parameters<R2Bucket["put"]>) => {
            late.promise.then(() => target.put(...put)).then(() => stored.resolve(), stored.reject);
            throw new Error("put: Network connection lost. (10001)");
          };
        }
        const value = Reflect.get(target, name) as unknown;
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const request = json({ prompt: "in oil", images: [dataUrl(png(11))] }, { "idempotency-key": "k11" });
    const sent = send(request, { RESULTS: bucket });
    expect((await sent.answer).status).toBe(503);
    await sent.settled();
    late.resolve();
    await stored.promise;
    const [key = ""] = await keys();
    vi.setSystemTime(Date.now() + 12 * 60_000);
    expect(await runDurableObjectAlarm(jobObject(env.JOBS, key.split("/")[1] ?? ""))).toBe(true);
    expect(await keys()).toEqual([]);
  });

  it("are not stored again when the same key is sent again", async () => {
    let puts = 0;
    const bucket = new Proxy(env.RESULTS, {
      get: (target, name) => {
        if (name === "put") puts += 1;
        const value = Reflect.get(target, name) as unknown;
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const request = () =>
      json({ prompt: "in oil", model: MODEL, images: [dataUrl(png(8))] }, { "idempotency-key": "k8" });
    const first = send(request(), { RESULTS: bucket });
    const job = await jobOf(first);
    await first.settled();
    const again = send(request(), { RESULTS: bucket });
    const replay = await again.answer;
    expect(replay.headers.get("idempotency-replayed")).toBe("true");
    expect(Job.parse(await replay.json()).id).toBe(job.id);
    await again.settled();
    expect(puts).toBe(1);
    const removed = await jobStub(env, job.id).remove(null);
    expect(removed.ok).toBe(true);
    const next = send(request(), { RESULTS: bucket });
    const made = await jobOf(next);
    await next.settled();
    expect(made.id).not.toBe(job.id);
    expect(puts).toBe(2);
    expect(await keys()).toContain(`jobs/${made.id}/inputs/${await digest(png(8))}`);
  });

  it("are kept when another request of the same key is refused meanwhile", async () => {
    const form = slowForm();
    form.request.headers.set("idempotency-key", "k9");
    const sent = send(form.request);
    await form.image(png(9));
    await expect.poll(keys).toHaveLength(1);
    const wrong = { prompt: "in oil", images: [dataUrl(png(9))], n: 0 };
    const refused = send(json(wrong, { "idempotency-key": "k9" }));
    expect((await refused.answer).status).toBe(400);
    await refused.settled();
    expect(await keys()).toHaveLength(1);
    await form.end("in oil");
    await jobOf(sent);
    await sent.settled();
    expect(await keys()).toHaveLength(1);
  });

  it("are refused with their job when they come too late", async () => {
    const id = "job_too_late_000000000000";
    const job = jobStub(env, id.slice(0, 25));
    const template = (await jobOf(send(json({ prompt: "in oil", images: ["https://example.com/a.png"] })))).request;
    const submission = {
      id: id.slice(0, 25),
      client: "local",
      workflow: "image-from-reference" as const,
      model: MODEL,
      request: template,
      leftOut: [],
      metadata: {},
      warnings: [],
      idempotencyKey: null,
    };
    expect(await job.submit({ ...submission, uploadsUntilMs: Date.now() - 1 })).toEqual({
      ok: false,
      code: "upload_timed_out",
    });
    expect((await job.submit({ ...submission, uploadsUntilMs: Date.now() + 60_000 })).ok).toBe(true);
  });
});

async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

describe("a link of our own in `images`", () => {
  const settings = {
    ...env,
    AUTH_MODE: "token",
    SIGNING_SECRET: "a secret of many characters",
    CLIENT_TOKENS: JSON.stringify({ alice: sha256Hex("token-of-alice"), bob: sha256Hex("token-of-bob") }),
  };
  const as = (name: string) => ({ authorization: `Bearer token-of-${name}` });

  it("uses the stored image of the same client, and of no other", async () => {
    const text = new Request(`${ORIGIN}/api/workflows/image-from-text`, {
      method: "POST",
      body: JSON.stringify({ prompt: "a red bicycle", model: "z-image-turbo", size: "512*512" }),
      headers: { "content-type": "application/json", prefer: "wait=25", ...as("alice") },
    });
    const made = send(text, settings);
    const first = await jobOf(made, 200);
    await made.settled();
    const [output] = first.output?.images ?? [];
    const url = `${ORIGIN}/api/jobs/${first.id}/images/0`;

    const edited = send(json({ prompt: "in oil", model: MODEL, images: [output?.url] }, as("alice")), settings);
    const second = await jobOf(edited);
    await edited.settled();
    expect(second.request.images).toMatchObject([{ kind: "upload", sha256: output?.sha256, bytes: output?.bytes }]);
    expect(await keys()).toContain(`jobs/${second.id}/inputs/${output?.sha256}`);

    const input = `${ORIGIN}/api/jobs/${second.id}/inputs/0`;
    const third = await jobOf(send(json({ prompt: "in chalk", model: MODEL, images: [input] }, as("alice")), settings));
    expect(third.request.images).toMatchObject([{ kind: "upload", sha256: output?.sha256 }]);

    for (const link of [url, output?.url, input]) {
      const foreign = await send(json({ prompt: "in oil", images: [link] }, as("bob")), settings).answer;
      expect(foreign.status).toBe(400);
      const { errors } = Problem.parse(await foreign.json());
      expect(errors).toEqual([{ path: "/images/0", message: "is no stored image of this client" }]);
    }
  });
});

describe("a submission whose object fails", () => {
  it("is made once when the object's answer is lost", async () => {
    let calls = 0;
    const loses = async (stub: Methods, ...given: never[]) => {
      const answer = (await stub.submit?.(...given)) as { ok: boolean };
      // On a busy machine the room of the submission may have ended; then it takes room again.
      if (!answer.ok) return answer;
      calls += 1;
      if (calls === 1) throw Object.assign(new Error("Network connection lost."), { retryable: true });
      return answer;
    };
    const sent = send(json({ prompt: "in oil", images: ["https://example.com/a.png"] }), {
      JOBS: namespaceWith(env.JOBS, "submit", loses),
    });
    const job = await jobOf(sent);
    expect(calls).toBe(2);
    expect((await sent.answer).headers.has("idempotency-replayed")).toBe(false);
    expect((await jobStub(env, job.id).view("local")).ok).toBe(true);
    await sent.settled();
  });

  it.each([
    ["throws", () => Promise.reject(new Error("The object was reset because its code was updated."))],
    ["never answers", () => new Promise<never>(() => undefined)],
  ])("is answered with 202 when waiting %s after it was stored", async (_name, wait) => {
    const request = json({ prompt: "in oil", images: ["https://example.com/a.png"] }, { prefer: "wait=1" });
    const sent = send(request, { JOBS: namespaceWith(env.JOBS, "wait", wait) });
    const job = await jobOf(sent);
    expect((await sent.answer).headers.get("preference-applied")).toBe("wait=1");
    expect((await jobStub(env, job.id).view("local")).ok).toBe(true);
    await sent.settled();
  });
});
