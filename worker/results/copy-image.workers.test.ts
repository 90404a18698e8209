import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import { type CopyAnswer, STORED_LINK } from "./contract.ts";
import { createImageCopier, storeEmbeddedImage } from "./copy-image.ts";
import { byteStream, framedPng, sha256Hex } from "./image.fixture.ts";
import type { Fetch } from "./result-link.ts";

const DELIVERED = Date.parse("2026-11-23T12:00:00Z");
const SIGNED = `Expires=${DELIVERED / 1000 + 3600}&Signature=top-secret`;
const LINK = `https://results.example/a.png?${SIGNED}`;
const KEY = "jobs/job_a/1/0";
const HOUR = 3_600_000;

afterEach(() => reset());

interface Copy {
  link?: string;
  baseUrl?: string;
  afterMs?: number;
  signal?: AbortSignal;
  bucket?: R2Bucket;
  storageBoundMs?: number;
}

function copy(fetch: Fetch, given: Copy = {}): Promise<CopyAnswer> {
  const { link = LINK, baseUrl = "https://dashscope-intl.aliyuncs.com", afterMs = 0 } = given;
  const settings = { baseUrl, ...(given.storageBoundMs === undefined ? {} : { storageBoundMs: given.storageBoundMs }) };
  const copier = createImageCopier(given.bucket ?? env.RESULTS, settings, fetch, () => DELIVERED + afterMs);
  const signal = given.signal ?? new AbortController().signal;
  return copier({ link, deliveredAtMs: DELIVERED }, { key: KEY, index: 0 }, signal);
}

/** Streams the bytes in chunks, with their length unless another is given; null for no length. */
function serves(
  bytes: Uint8Array,
  length: number | null = bytes.byteLength,
  status = 200,
  headers: Record<string, string> = {},
): Fetch {
  return async () => {
    let at = 0;
    const body = byteStream(() => {
      const chunk = bytes.slice(at, at + 16_384);
      at += chunk.byteLength;
      return chunk.byteLength === 0 ? null : chunk;
    });
    const sized = length === null ? {} : { "content-length": String(length) };
    return new Response(body, { status, headers: { ...sized, ...headers } });
  };
}

const says = (status: number, text = ""): Fetch => serves(new TextEncoder().encode(text), text.length, status);

async function keys(): Promise<string[]> {
  return (await env.RESULTS.list()).objects.map((object) => object.key);
}

async function failure(answer: Promise<CopyAnswer>) {
  const settled = await answer;
  if (settled.kind !== "failed") throw new Error(`was ${settled.kind}`);
  return settled;
}

describe("copying an image", () => {
  it.each([
    ["of one chunk", 100],
    ["of many chunks", 1_500_000],
  ])("stores one %s, with facts read from its bytes", async (_what, filler) => {
    const png = framedPng(1664, 928, filler);
    const sha256 = await sha256Hex(png);
    const facts = { contentType: "image/png", width: 1664, height: 928, bytes: png.byteLength, sha256 };
    expect(await copy(serves(png))).toEqual({ kind: "stored", image: { key: KEY, index: 0, ...facts } });
    const object = await env.RESULTS.get(KEY);
    expect(object?.httpMetadata?.contentType).toBe("image/png");
    expect(await sha256Hex(new Uint8Array((await object?.arrayBuffer()) ?? new ArrayBuffer(0)))).toBe(sha256);
  });

  it.each([
    ["less than a part", 1_000_000],
    ["a part exactly", 5 * 1024 * 1024 - 45],
    ["several parts", 12_000_000],
  ])("stores one of unknown length, %s", async (_what, filler) => {
    const png = framedPng(10, 20, filler);
    const sha256 = await sha256Hex(png);
    expect(await copy(serves(png, null))).toMatchObject({ image: { bytes: png.byteLength, sha256 } });
    const object = await env.RESULTS.get(KEY);
    expect(await sha256Hex(new Uint8Array((await object?.arrayBuffer()) ?? new ArrayBuffer(0)))).toBe(sha256);
    expect(object?.httpMetadata?.contentType).toBe("image/png");
  });

  it("requests uncompressed bytes and sends nothing else", async () => {
    const seen: RequestInit[] = [];
    const inner = serves(framedPng(1, 1, 100));
    await copy(async (url, init) => {
      seen.push(init);
      return inner(url, init);
    });
    expect(seen[0]).toMatchObject({ redirect: "manual", cache: "no-store" });
    expect([...new Headers(seen[0]?.headers).keys()]).toEqual(["accept-encoding"]);
  });

  const png = framedPng(1664, 928, 200_000);
  it.each<[string, Fetch]>([
    ["that ends before its announced length", serves(png.subarray(0, 100_000), png.byteLength)],
    ["that continues past its announced length", serves(png, 100_000)],
    ["without its end", serves(png.subarray(0, png.byteLength - 5))],
    ["without its end, of unknown length", serves(png.subarray(0, png.byteLength - 5), null)],
    ["without its end, of several parts", serves(framedPng(1, 1, 6_000_000).subarray(0, 6_000_000), null)],
    ["cut off within its header", serves(png.subarray(0, 20))],
    ["that is a page", serves(new TextEncoder().encode("<!doctype html><p>Sorry</p>"))],
    ["that is empty", serves(new Uint8Array(0))],
    ["whose connection breaks", breaksOff(png)],
  ])("never stores an object for one %s, and can copy it later", async (_what, fetch) => {
    expect(await failure(copy(fetch))).toMatchObject({ dead: false });
    expect(await keys()).toEqual([]);
    expect(await copy(serves(png))).toMatchObject({ kind: "stored" });
  });

  function breaksOff(bytes: Uint8Array): Fetch {
    return async () => {
      let sent = false;
      const body = byteStream(() => {
        if (sent) return Promise.reject(new Error(`reset while reading ${LINK}`));
        sent = true;
        return bytes.slice(0, 50_000);
      });
      return new Response(body, { headers: { "content-length": String(bytes.byteLength) } });
    };
  }

  it("reports what arrived instead of an image", async () => {
    expect((await failure(copy(serves(new TextEncoder().encode("<?xml version='1.0'?><Error/>"))))).reason).toContain(
      "XML",
    );
    expect((await failure(copy(serves(png.subarray(0, 100_000), png.byteLength)))).reason).toContain(
      `100000 of ${png.byteLength} bytes`,
    );
  });

  it("keeps the link's signature out of every reason", async () => {
    const networkError: Fetch = async () => {
      throw new Error(`cannot load ${LINK}`);
    };
    for (const fetch of [networkError, breaksOff(png), says(403), says(500), says(200, "<html>")]) {
      expect((await failure(copy(fetch))).reason).not.toContain("top-secret");
    }
  });

  it("accepts no image larger than 64 MB, with or without a named length", async () => {
    const announced = await failure(copy(serves(png, 70_000_000)));
    expect(announced).toMatchObject({ dead: true });
    const start = png.slice(0, 41);
    new DataView(start.buffer).setUint32(33, 0x7fffffff);
    const filler = new Uint8Array(1024 * 1024);
    let sentBytes = 0;
    const endless: Fetch = async () =>
      new Response(
        byteStream(() => {
          const chunk = sentBytes === 0 ? start : filler.slice();
          sentBytes += chunk.byteLength;
          return chunk;
        }),
      );
    expect(await failure(copy(endless))).toMatchObject({ dead: true, reason: expect.stringContaining("larger") });
    expect(sentBytes).toBeLessThan(80_000_000);
    expect(await keys()).toEqual([]);
  });
});

describe("bytes that continue after the image", () => {
  const png = framedPng(1664, 928, 200_000);
  const joined = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

  it.each([
    ["1 byte", 1],
    ["1100 bytes", 1_100],
    ["50 kB", 50_000],
    ["3 MB", 3_000_000],
  ])("are stored as they came: %s after the end", async (_what, extra) => {
    const bytes = joined(png, new Uint8Array(extra).fill(0x41));
    for (const length of [bytes.byteLength, null]) {
      await reset();
      const answer = await copy(serves(bytes, length));
      expect(answer).toMatchObject({ kind: "stored", image: { width: 1664, bytes: bytes.byteLength } });
      expect((await env.RESULTS.head(KEY))?.size).toBe(bytes.byteLength);
    }
  });

  it("are stored from a 206 that has the whole file", async () => {
    const range = (first: number, last: number, size: number) => ({
      "content-range": `bytes ${first}-${last}/${size}`,
    });
    const end = png.byteLength - 1;
    expect(await copy(serves(png, png.byteLength, 206, range(0, end, png.byteLength)))).toMatchObject({
      kind: "stored",
    });
    await reset();
    expect(await copy(serves(png, png.byteLength, 206))).toMatchObject({ kind: "stored" });
    await reset();
    const part = await failure(copy(serves(png.slice(0, 100), 100, 206, range(0, 99, png.byteLength))));
    expect(part).toMatchObject({ dead: false, reason: expect.stringContaining("a part of the image") });
  });
});

describe("an image inside upstream's answer", () => {
  const png = framedPng(1664, 928, 40_000);
  const none: Fetch = async () => {
    throw new Error("nothing is to be fetched");
  };

  it.each([
    ["base64", `data:image/png;base64,${Buffer.from(png).toString("base64")}`],
    ["base64 in capitals", `DATA:IMAGE/PNG;BASE64,${Buffer.from(png).toString("base64")}`],
    ["base64 under another type", `data:application/octet-stream;base64,${Buffer.from(png).toString("base64")}`],
    [
      "percent escapes",
      `data:image/png,${Array.from(png, (byte) => `%${byte.toString(16).padStart(2, "0")}`).join("")}`,
    ],
  ])("is stored from a data URL: %s", async (_what, link) => {
    const image = { contentType: "image/png", width: 1664, height: 928, sha256: await sha256Hex(png) };
    expect(await copy(none, { link })).toMatchObject({ kind: "stored", image });
  });

  it.each([
    ["that is cut off", `data:image/png;base64,${Buffer.from(png.slice(0, 1000)).toString("base64")}`],
    ["in capitals that is cut off", `DATA:image/png;base64,${Buffer.from(png.slice(0, 1000)).toString("base64")}`],
    ["that holds a page", "data:text/html,<p>sorry</p>"],
    ["without data", "data:image/png;base64"],
    ["that is empty", "data:image/png;base64,"],
  ])("is given up at once when it is a data URL %s, because it cannot change", async (_what, link) => {
    expect(await failure(copy(none, { link }))).toMatchObject({ dead: true });
    expect(await keys()).toEqual([]);
  });

  it("is found at its own key, where it was stored when the answer came", async () => {
    const link = await storeEmbeddedImage(env.RESULTS, "jobs/job_a/7/0", png);
    expect(link).toBe(`${STORED_LINK}jobs/job_a/7/0`);
    const image = { key: "jobs/job_a/7/0", index: 0, width: 1664, sha256: await sha256Hex(png) };
    expect(await copy(none, { link })).toMatchObject({ kind: "stored", image });
  });

  it("is given up when the stored bytes are no image, or no longer exist", async () => {
    const link = await storeEmbeddedImage(env.RESULTS, "jobs/job_a/7/0", new Uint8Array([1, 2, 3]));
    expect(await failure(copy(none, { link }))).toMatchObject({ dead: true });
    expect(await failure(copy(none, { link }))).toMatchObject({ dead: true });
  });

  it("is read again later while the bucket cannot be read", async () => {
    const link = await storeEmbeddedImage(env.RESULTS, "jobs/job_a/7/0", png);
    const bucket = brokenBucket({ get: async () => Promise.reject(new Error("internal error (10001)")) });
    expect(await failure(copy(none, { link, bucket }))).toMatchObject({ dead: false });
  });

  it("is put again when the bucket fails, and given up after the third failure", async () => {
    let puts = 0;
    const failing = (times: number) =>
      brokenBucket({
        put: async (...given: Parameters<R2Bucket["put"]>) => {
          puts += 1;
          if (puts <= times) throw new Error("internal error (10001)");
          return env.RESULTS.put(...given);
        },
      });
    await storeEmbeddedImage(failing(2), KEY, png);
    expect((await env.RESULTS.head(KEY))?.size).toBe(png.byteLength);
    puts = 0;
    await expect(storeEmbeddedImage(failing(3), KEY, png)).rejects.toThrow("10001");
  });
});

/** The bucket with some of its methods replaced. */
function brokenBucket(calls: object): R2Bucket {
  return new Proxy(env.RESULTS, {
    get: (bucket, name) => Reflect.get(calls, name) ?? Reflect.get(bucket, name).bind?.(bucket),
  });
}

describe("a file that is damaged at its source", () => {
  const damaged = framedPng(1664, 928, 200_000).slice(0, 150_000);

  async function md5(bytes: Uint8Array<ArrayBuffer>): Promise<Buffer> {
    return Buffer.from(await crypto.subtle.digest("MD5", bytes));
  }

  it("is given up once the host's own checksum proves it, because no repetition helps", async () => {
    const sum = await md5(damaged);
    for (const headers of [
      { etag: `"${sum.toString("hex").toUpperCase()}"` },
      { "content-md5": sum.toString("base64") },
    ]) {
      const answer = await failure(copy(serves(damaged, damaged.byteLength, 200, headers)));
      expect(answer).toMatchObject({ dead: true, reason: expect.stringContaining("cut off") });
    }
  });

  it("is tried again when the checksum differs or is missing", async () => {
    for (const headers of [{ etag: `"${"0".repeat(32)}"` }, { etag: '"a-2"' }, {}] as Record<string, string>[]) {
      expect(await failure(copy(serves(damaged, damaged.byteLength, 200, headers)))).toMatchObject({ dead: false });
    }
  });

  it("is stored when the second download is whole", async () => {
    const headers = { etag: `"${(await md5(damaged)).toString("hex")}"` };
    let asked = 0;
    const mending: Fetch = async (url, init) => {
      asked += 1;
      const bytes = asked === 1 ? damaged : framedPng(1664, 928, 200_000);
      return serves(bytes, bytes.byteLength, 200, headers)(url, init);
    };
    expect(await copy(mending)).toMatchObject({ kind: "stored" });
  });
});

describe("a bucket that never answers", () => {
  const png = framedPng(1664, 928, 600_000);
  const never = () => new Promise<never>(() => undefined);

  it.each<[string, object, number | null]>([
    ["a put", { put: never }, png.byteLength],
    ["a put of unknown length", { put: never }, null],
    ["a get", { get: never, put: () => Promise.reject(new Error("internal error (10001)")) }, png.byteLength],
    ["the beginning of a multipart upload", { createMultipartUpload: never }, null],
  ])("does not delay the copy: %s that never settles", async (name, calls, length) => {
    const bytes = name.includes("multipart") ? framedPng(1, 1, 6_000_000) : png;
    const answer = await failure(copy(serves(bytes, length), { bucket: brokenBucket(calls), storageBoundMs: 50 }));
    expect(answer.dead).toBe(false);
    expect(await copy(serves(bytes, length))).toMatchObject({ kind: "stored" });
  });

  it.each<[string, (body: R2ObjectBody) => object]>([
    ["never gives a byte", (body) => ({ ...body, body: byteStream(() => never()) })],
  ])("does not delay the search for an earlier copy whose object %s", async (_what, spoilt) => {
    await copy(serves(png));
    const bucket = brokenBucket({
      get: async (key: string) => spoilt((await env.RESULTS.get(key)) as R2ObjectBody),
    });
    expect(await failure(copy(says(500), { bucket, storageBoundMs: 50 }))).toMatchObject({ dead: false });
  });
});

describe("a link that does not deliver", () => {
  it.each([
    ["404 in the moment of delivery", says(404), 0, false],
    ["404 while the link lasts", says(404), HOUR - 1, false],
    ["404 past the link's end", says(404), HOUR, true],
    ["410", says(410), 0, true],
    ["403 while the link lasts", says(403, "<Error/>"), HOUR - 1, false],
    ["403 past the link's end", says(403, "<Error/>"), HOUR, true],
    ["500 while the link lasts", says(500), HOUR - 1, false],
    ["503 past the link's end", says(503), HOUR, true],
    ["a page with 200", says(200, "<html>"), HOUR - 1, false],
    ["a page with 200 past the link's end", says(200, "<html>"), HOUR, true],
    ["no connection", unreachable, HOUR - 1, false],
    ["no connection past the link's end", unreachable, HOUR, true],
  ])("%s: dead or not", async (_what, fetch, afterMs, dead) => {
    expect(await failure(copy(fetch, { afterMs }))).toMatchObject({ dead });
  });

  it.each([
    ["for 24 hours where it names no end", "https://results.example/a.png", 24],
    ["for as long as it says", `https://results.example/a.png?Expires=${(DELIVERED + 168 * HOUR) / 1000}`, 168],
  ])("is tried %s", async (_what, link, hours) => {
    for (const fetch of [says(404), says(403)]) {
      expect(await failure(copy(fetch, { link, afterMs: hours * HOUR - 1 }))).toMatchObject({ dead: false });
      expect(await failure(copy(fetch, { link, afterMs: hours * HOUR }))).toMatchObject({ dead: true });
    }
  });

  it("is not dead after its end when it delivers and the bucket fails", async () => {
    const bucket = brokenBucket({ put: () => Promise.reject(new Error("internal error (10001)")) });
    const png = framedPng(1, 1, 100);
    expect(await failure(copy(serves(png), { bucket, afterMs: 2 * HOUR }))).toMatchObject({ dead: false });
    expect(await failure(copy(serves(png), { bucket, afterMs: 26 * HOUR }))).toMatchObject({ dead: true });
  });

  async function unreachable(): Promise<Response> {
    throw new Error("Network connection lost.");
  }

  it("still delivers after 24 hours when the host does", async () => {
    expect(await copy(serves(framedPng(1, 1, 100)), { afterMs: 48 * HOUR })).toMatchObject({ kind: "stored" });
  });
});

describe("the address of a link", () => {
  const emulator = "http://127.0.0.1:9000";
  const png = framedPng(2, 2, 100);

  it("is opened as https when it is plain http, except between this machine and itself", async () => {
    const opened: string[] = [];
    const fetch: Fetch = async (url, init) => {
      opened.push(url);
      return serves(png)(url, init);
    };
    const link = `http://dashscope-result-bj.oss-cn-beijing.aliyuncs.com/a.png?${SIGNED}`;
    expect(await copy(fetch, { link })).toMatchObject({ kind: "stored" });
    await reset();
    const local = { link: "http://127.0.0.1:9000/a.png", baseUrl: emulator };
    expect(await copy(fetch, local)).toMatchObject({ kind: "stored" });
    expect(opened).toEqual([link.replace("http:", "https:"), "http://127.0.0.1:9000/a.png"]);
  });

  it("is given up when it is no address", async () => {
    for (const link of ["ftp://results.example/a.png", "nonsense", ""]) {
      expect(await failure(copy(serves(png), { link }))).toMatchObject({ dead: true });
    }
  });

  /** Each address redirects to the next. The last one delivers. */
  function leads(addresses: readonly string[]): { fetch: Fetch; opened: string[] } {
    const opened: string[] = [];
    const fetch: Fetch = async (url, init) => {
      opened.push(url);
      const next = addresses[opened.length - 1];
      if (next === undefined) return serves(png)(url, init);
      return new Response(null, { status: 302, headers: { location: next } });
    };
    return { fetch, opened };
  }

  it("may redirect a few times, also by relative addresses", async () => {
    const { fetch, opened } = leads(["/b.png", "https://nearer.example/c.png"]);
    expect(await copy(fetch)).toMatchObject({ kind: "stored" });
    expect(opened).toEqual([LINK, "https://results.example/b.png", "https://nearer.example/c.png"]);
  });

  it("may redirect to plain http, which is opened as https, but to no other scheme", async () => {
    const secure = leads(["http://results.example/b.png"]);
    expect(await copy(secure.fetch)).toMatchObject({ kind: "stored" });
    expect(secure.opened).toEqual([LINK, "https://results.example/b.png"]);
    await reset();
    const away = leads(["http://results.example/b.png"]);
    expect(await copy(away.fetch, { link: "http://localhost:9000/a.png", baseUrl: emulator })).toMatchObject({
      kind: "stored",
    });
    expect(away.opened.at(-1)).toBe("https://results.example/b.png");
    await reset();
    for (const next of ["ftp://results.example/a.png", "data:image/png;base64,AAAA"]) {
      const { fetch, opened } = leads([next]);
      expect(await failure(copy(fetch))).toMatchObject({ dead: false });
      expect(opened).toEqual([LINK]);
    }
  });

  it("may not redirect endlessly", async () => {
    const { fetch, opened } = leads(Array.from({ length: 50 }, () => LINK));
    expect(await failure(copy(fetch))).toMatchObject({ dead: false });
    expect(opened).toHaveLength(4);
  });
});

describe("a copy that runs again or is ended", () => {
  const first = framedPng(3, 3, 50_000, 1);
  const second = framedPng(4, 4, 60_000, 2);

  it("keeps the first image whatever comes second, and answers with it", async () => {
    const stored = await copy(serves(first));
    expect(await copy(serves(second))).toEqual(stored);
    expect(await copy(serves(second, null))).toEqual(stored);
    expect(await copy(serves(framedPng(5, 5, 6_000_000), null))).toEqual(stored);
    expect((await env.RESULTS.head(KEY))?.size).toBe(first.byteLength);
  });

  it("finds the image of a copy whose record was lost, even when the link is dead by now", async () => {
    const stored = await copy(serves(first));
    expect(await copy(says(404))).toEqual(stored);
    expect(await copy(says(403), { afterMs: 48 * HOUR })).toEqual(stored);
  });

  it("removes an object at its key that is no image", async () => {
    await env.RESULTS.put(KEY, "not an image");
    expect(await failure(copy(says(500)))).toMatchObject({ dead: false });
    expect(await keys()).toEqual([]);
  });

  it("ends with the signal while a body stalls, and leaves nothing", async () => {
    const controller = new AbortController();
    const hanging: Fetch = async () => {
      let sent = false;
      const body = byteStream(() => {
        if (sent) {
          queueMicrotask(() => controller.abort());
          return new Promise<never>(() => undefined);
        }
        sent = true;
        return first.slice(0, 40_000);
      });
      return new Response(body, { headers: { "content-length": String(first.byteLength) } });
    };
    const answer = await failure(copy(hanging, { signal: controller.signal }));
    expect(answer).toMatchObject({ dead: false, reason: "the copy was ended before the image was whole" });
    expect(await keys()).toEqual([]);
  });

  it("can be repeated when the bucket refuses", async () => {
    const refuse = () => Promise.reject(new Error("internal error (10001)"));
    const broken = brokenBucket({ put: refuse, get: refuse });
    expect(await failure(copy(serves(first), { bucket: broken }))).toMatchObject({ dead: false });
    expect(await failure(copy(serves(first, null), { bucket: broken }))).toMatchObject({ dead: false });
  });
});
