import { createExecutionContext, reset, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, inject, it } from "vitest";
import { Job } from "../../schemas/job.ts";
import { type VariantAsk, variantUrl } from "../../schemas/paths.ts";
import { Problem } from "../../schemas/problem.ts";
import { sha256Hex } from "../auth/tokens.ts";
import { readImageHead } from "../results/image-reader.ts";
import { app } from "./app.ts";

const ORIGIN = "https://darkroom.example";
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const ALICE = bearer("token-of-alice");

const settings = {
  ...env,
  AUTH_MODE: "token",
  SIGNING_SECRET: "a secret of many characters",
  CLIENT_TOKENS: JSON.stringify({ alice: sha256Hex("token-of-alice"), bob: sha256Hex("token-of-bob") }),
};

// Provided by test/support/picture-setup.ts, whose declaration is not visible to these types.
const pictures = inject("pictures" as never) as Readonly<Record<string, string>>;
const fileOf = (name: string) => Uint8Array.fromBase64(pictures[name] ?? "");

afterEach(() => reset());

async function call(path: string, init: RequestInit = {}, vars: object = settings): Promise<Response> {
  const context = createExecutionContext();
  const address = path.startsWith("http") ? path : `${ORIGIN}${path}`;
  const answer = await app.fetch(new Request(address, { redirect: "manual", ...init }), vars as Env, context);
  await waitOnExecutionContext(context);
  return answer;
}

/** A finished job of Alice's. `picture` becomes its image's file. */
async function madeJob(
  picture: Uint8Array<ArrayBuffer> | null = fileOf("rgb.png"),
): Promise<{ job: Job; key: string }> {
  const answer = await call("/api/workflows/image-from-text", {
    method: "POST",
    body: JSON.stringify({ prompt: "a red bicycle", model: "z-image-turbo" }),
    headers: { "content-type": "application/json", prefer: "wait=25", ...ALICE },
  });
  expect(answer.status).toBe(200);
  const job = Job.parse(await answer.json());
  const { objects } = await env.RESULTS.list({ prefix: `jobs/${job.id}/` });
  const [object] = objects;
  if (object === undefined) throw new Error("no image was stored");
  if (picture !== null) await env.RESULTS.put(object.key, picture);
  return { job, key: object.key };
}

const pathOf = (job: Job, ask: VariantAsk) => variantUrl(`/api/jobs/${job.id}/images/0`, ask);
const asAlice = (headers: Record<string, string> = {}) => ({ headers: { ...ALICE, ...headers } });

async function keysOf(job: Job): Promise<string[]> {
  return (await env.RESULTS.list({ prefix: `jobs/${job.id}/` })).objects.map(({ key }) => key).toSorted();
}

/** The bucket with its calls recorded. `before` runs before each call. */
function recorded(before: (call: string, key: string) => Promise<void> = async () => undefined) {
  const calls: string[] = [];
  const RESULTS = new Proxy(env.RESULTS, {
    get: (bucket, name) => {
      const method = Reflect.get(bucket, name);
      if (typeof method !== "function") return method;
      return async (...given: unknown[]) => {
        const key = String(given[0]);
        calls.push(`${String(name)} ${key}`);
        await before(String(name), key);
        return Reflect.apply(method, bucket, given);
      };
    },
  });
  return { vars: { ...settings, RESULTS }, calls };
}

describe("a variant of an image", () => {
  it("is made, stored beside the image, and served like the image: inert, cached, with its own tag", async () => {
    const { job, key } = await madeJob(null);
    const first = await call(pathOf(job, { w: 320 }), asAlice());
    expect(first.status).toBe(200);
    const bytes = await first.bytes();
    expect(readImageHead(bytes)).toMatchObject({ kind: "image", type: "image/webp", width: 320, height: 480 });
    expect(Object.fromEntries(first.headers)).toMatchObject({
      "content-type": "image/webp",
      "content-length": String(bytes.byteLength),
      "accept-ranges": "bytes",
      "cache-control": "private, max-age=21600, immutable",
      "x-content-type-options": "nosniff",
      "content-security-policy": "default-src 'none'; sandbox",
      "cross-origin-resource-policy": "same-origin",
      etag: `"${job.output?.images[0]?.sha256}-320w-q75.webp"`,
    });
    expect(first.headers.get("content-disposition")).toMatch(/^inline; filename="a-red-bicycle-.*-1\.webp"$/);
    expect(await keysOf(job)).toEqual([key, `${key}/320w-q75.webp`]);

    const { vars, calls } = recorded();
    const again = await call(pathOf(job, { w: 320 }), asAlice(), vars);
    expect(await again.bytes()).toEqual(bytes);
    expect(calls).toEqual([`head ${key}/320w-q75.webp`, `get ${key}/320w-q75.webp`]);
  });

  it("is answered 304 to a client that has it, without a call to the bucket; and HEAD and ranges like the image", async () => {
    const { job } = await madeJob();
    const path = pathOf(job, { w: 320, format: "jpeg", q: 90 });
    const whole = await call(path, asAlice());
    const bytes = await whole.bytes();
    const { vars, calls } = recorded();
    const same = await call(path, asAlice({ "if-none-match": whole.headers.get("etag") ?? "" }), vars);
    expect([same.status, calls]).toEqual([304, []]);
    const head = await call(path, { method: "HEAD", ...asAlice() });
    expect([head.status, head.headers.get("content-length")]).toEqual([200, String(bytes.byteLength)]);
    const part = await call(path, asAlice({ range: "bytes=2-9" }));
    expect([part.status, part.headers.get("content-range")]).toEqual([206, `bytes 2-9/${bytes.byteLength}`]);
    expect(await part.bytes()).toEqual(bytes.slice(2, 10));
    expect((await call(path, asAlice({ range: `bytes=${bytes.byteLength}-` }))).status).toBe(416);
    expect((await call(path, asAlice({ "if-match": '"another"' }))).status).toBe(412);
  });

  it("leaves the original unchanged", async () => {
    const { job } = await madeJob(null);
    const before = await (await call(`/api/jobs/${job.id}/images/0`, asAlice())).bytes();
    await call(pathOf(job, { format: "png" }), asAlice());
    const after = await call(`/api/jobs/${job.id}/images/0`, asAlice());
    expect(after.headers.get("etag")).toBe(`"${job.output?.images[0]?.sha256}"`);
    expect(await after.bytes()).toEqual(before);
  });

  it.each([
    [{ w: 320 }, "320w-q75.webp"],
    [{ w: 640, q: 71 }, "640w-q75.webp"],
    [{ w: 640, q: 1 }, "640w-q5.webp"],
    [{ w: 1280, format: "jpeg" }, "1280w-q75.jpeg"],
    [{ format: "jpeg", q: 100 }, "full-q100.jpeg"],
    [{ format: "png", w: 320 }, "320w.png"],
    [{ q: 50 }, "full-q50.webp"],
  ] as const)(
    "asked for by %o is the one named %s: qualities are rounded, so that an image has not too many",
    async (ask, name) => {
      const { job, key } = await madeJob();
      expect((await call(pathOf(job, ask), asAlice())).status).toBe(200);
      expect(await keysOf(job)).toEqual([key, `${key}/${name}`]);
    },
  );

  it("is made once for all concurrent requests, while requests for others wait for their turn", async () => {
    const { job, key } = await madeJob();
    const { vars, calls } = recorded();
    const asks: VariantAsk[] = [
      ...Array.from({ length: 12 }, (): VariantAsk => ({ w: 320 })),
      { w: 640 },
      { format: "png" },
    ];
    const answers = await Promise.all(asks.map((ask) => call(pathOf(job, ask), asAlice(), vars)));
    expect(answers.map(({ status }) => status)).toEqual(asks.map(() => 200));
    const bodies = await Promise.all(answers.map((answer) => answer.bytes()));
    expect(new Set(bodies.slice(0, 12).map((body) => body.toHex())).size).toBe(1);
    expect(calls.filter((made) => made.startsWith("put")).toSorted()).toEqual(
      [`put ${key}/320w-q75.webp`, `put ${key}/640w-q75.webp`, `put ${key}/full.png`].toSorted(),
    );
    // One at a time: an image is read only after the previous variant was put.
    const order = calls
      .filter((made) => made.startsWith("put") || made === `get ${key}`)
      .map((made) => made.split(" ")[0]);
    expect(order).toEqual(["get", "put", "get", "put", "get", "put"]);
  });

  it("is completed when its client hangs up", async () => {
    const { job, key } = await madeJob();
    const context = createExecutionContext();
    const leaving = new AbortController();
    const request = new Request(`${ORIGIN}${pathOf(job, { w: 640 })}`, { ...asAlice(), signal: leaving.signal });
    const answer = Promise.resolve(app.fetch(request, settings as Env, context)).catch(() => undefined);
    leaving.abort();
    await answer;
    await waitOnExecutionContext(context);
    expect(await keysOf(job)).toEqual([key, `${key}/640w-q75.webp`]);
  });
});

describe("who may see a variant", () => {
  it("is everyone who may see the image: its signed link opens the variants of this one image and nothing else", async () => {
    const { job } = await madeJob();
    const link = job.output?.images[0]?.url ?? "";
    const opened = await call(variantUrl(link, { w: 320 }));
    expect([opened.status, opened.headers.get("cross-origin-resource-policy")]).toEqual([200, "cross-origin"]);
    expect((await call(variantUrl(link.replace("/images/0", "/images/1"), { w: 320 }))).status).toBe(403);
    expect((await call(variantUrl(link.replace(/signature=./, "signature=!"), { w: 320 }))).status).toBe(403);
    expect((await call(pathOf(job, { w: 320 }))).status).toBe(401);
    expect((await call(pathOf(job, { w: 320 }), { headers: bearer("token-of-bob") })).status).toBe(404);
  });

  it("does not change with a wrong index or an unfinished job", async () => {
    const { job } = await madeJob();
    const missing = await call(variantUrl(`/api/jobs/${job.id}/images/1`, { w: 320 }), asAlice());
    expect(Problem.parse(await missing.json()).code).toBe("image_not_found");
  });
});

describe("a variant that is refused", () => {
  it.each([
    ["w=500", "w", "must be one of 320, 640, 1280"],
    ["w=0320", "w", "must be one of 320, 640, 1280"],
    ["format=gif", "format", "must be one of webp, jpeg, png"],
    ["format=webp&q=0", "q", "must be a whole number from 1 to 100"],
    ["q=101", "q", "must be a whole number from 1 to 100"],
    ["format=png&q=80", "q", "is of webp and jpeg: a png loses nothing"],
    ["width=320", "width", "is not a key of this query"],
    ["w=320&w=640", "w", "is given twice"],
  ])("for ?%s names what is wrong", async (query, key, message) => {
    const { job } = await madeJob();
    const answer = await call(`/api/jobs/${job.id}/images/0?${query}`, asAlice());
    expect(answer.status).toBe(400);
    const { code, errors } = Problem.parse(await answer.json());
    expect([code, errors?.[0]?.path]).toEqual(["invalid_query", key]);
    expect(errors?.[0]?.message).toContain(message);
  });

  it("because of its image is a 422 with the reason, once; the original is still served", async () => {
    const { job, key } = await madeJob(fileOf("rgb.png").slice(0, 300));
    const { vars, calls } = recorded();
    for (const ask of [{ w: 320 }, { w: 320 }, { w: 640, format: "jpeg" }] as const) {
      const answer = await call(pathOf(job, ask), asAlice(), vars);
      expect(answer.status).toBe(422);
      const { code, detail } = Problem.parse(await answer.json());
      expect([code, detail]).toEqual([
        "no_variant",
        expect.stringMatching(/^The image is cut off: .* The original is at/),
      ]);
    }
    expect(calls.filter((made) => made === `get ${key}`)).toHaveLength(1);
    expect(await keysOf(job)).toEqual([key]);
    expect((await call(`/api/jobs/${job.id}/images/0`, asAlice())).status).toBe(200);
  });
});

describe("a variant of an input image", () => {
  it("is made like that of a result, opened by the input's signed link, and removed with the job", async () => {
    const images = [`data:image/png;base64,${pictures["rgb.png"]}`];
    const answer = await call("/api/workflows/image-from-reference", {
      method: "POST",
      body: JSON.stringify({ prompt: "in oil", images }),
      headers: { "content-type": "application/json", ...ALICE },
    });
    const job = Job.parse(await answer.json());
    const [input] = job.request.images;
    const link = input?.kind === "upload" ? input.url : undefined;
    const path = `/api/jobs/${job.id}/inputs/0`;
    for (const [address, init] of [[path, asAlice()] as const, [link ?? "", {}] as const]) {
      const variant = await call(variantUrl(address, { w: 320 }), init);
      expect([variant.status, variant.headers.get("content-type")]).toEqual([200, "image/webp"]);
      expect(readImageHead(await variant.bytes())).toMatchObject({ width: 240, height: 160 });
    }
    expect((await call(`${path}?w=320`, { headers: bearer("token-of-bob") })).status).toBe(404);
    expect((await call(`${path}?w=321`, asAlice())).status).toBe(400);
    expect((await keysOf(job)).filter((key) => key.endsWith(".webp"))).toHaveLength(1);
    expect((await call(`/api/jobs/${job.id}`, { method: "DELETE", ...asAlice() })).status).toBe(204);
    await expect.poll(() => keysOf(job)).toEqual([]);
  });
});

describe("the variants of a job that is removed", () => {
  it("are removed with it", async () => {
    const { job } = await madeJob();
    await call(pathOf(job, { w: 320 }), asAlice());
    expect((await call(`/api/jobs/${job.id}`, { method: "DELETE", ...asAlice() })).status).toBe(204);
    await expect.poll(() => keysOf(job)).toEqual([]);
    expect((await call(pathOf(job, { w: 320 }), asAlice())).status).toBe(410);
  });

  it("are removed even when one is being made meanwhile", async () => {
    const { job, key } = await madeJob();
    const { vars } = recorded(async (made) => {
      if (made === "put") await env.RESULTS.delete(key);
    });
    expect((await call(pathOf(job, { w: 320 }), asAlice(), vars)).status).toBe(404);
    expect(await keysOf(job)).toEqual([]);
  });
});

describe("the Images binding", () => {
  it("makes the variant when it is bound", async () => {
    const { TEST_IMAGES: IMAGES } = env as unknown as { TEST_IMAGES: ImagesBinding };
    let used = 0;
    const counted = {
      input: (stream: ReadableStream<Uint8Array>) => {
        used += 1;
        return IMAGES.input(stream);
      },
    };
    const { job, key } = await madeJob();
    const answer = await call(pathOf(job, { w: 320, format: "jpeg" }), asAlice(), { ...settings, IMAGES: counted });
    expect(answer.status).toBe(200);
    expect(readImageHead(await answer.bytes())).toMatchObject({
      kind: "image",
      type: "image/jpeg",
      width: 240,
      height: 160,
    });
    expect(used).toBe(1);
    expect(await keysOf(job)).toEqual([key, `${key}/320w-q75.jpeg`]);
  });

  it("is replaced by the codecs when it fails", async () => {
    const failing = {
      input: () => {
        throw new Error("IMAGES_TRANSFORM_ERROR 9422: the limit is reached");
      },
    };
    const { job } = await madeJob();
    const answer = await call(pathOf(job, { w: 320 }), asAlice(), { ...settings, IMAGES: failing });
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "image/webp"]);
    await answer.body?.cancel();
  });
});
