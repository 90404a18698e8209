import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import type { CopyAnswer } from "./contract.ts";
import { createImageCopier } from "./copy-image.ts";
import type { Fetch } from "./fetch-link.ts";
import { byteStream, framedPng, sha256Hex } from "./test-image.ts";

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
}

function copy(fetch: Fetch, given: Copy = {}): Promise<CopyAnswer> {
  const { link = LINK, baseUrl = "https://dashscope-intl.aliyuncs.com", afterMs = 0 } = given;
  const copier = createImageCopier(
    given.bucket ?? env.RESULTS,
    { baseUrl, missingForMs: 60_000 },
    fetch,
    () => DELIVERED + afterMs,
  );
  const signal = given.signal ?? new AbortController().signal;
  return copier({ link, deliveredAtMs: DELIVERED }, { key: KEY, index: 0 }, signal);
}

/** Streams the bytes in chunks, with their length unless another is told; null for none. */
function serves(bytes: Uint8Array, length: number | null = bytes.byteLength, status = 200): Fetch {
  return async () => {
    let at = 0;
    const body = byteStream(() => {
      const chunk = bytes.slice(at, at + 16_384);
      at += chunk.byteLength;
      return chunk.byteLength === 0 ? null : chunk;
    });
    return new Response(body, { status, headers: length === null ? {} : { "content-length": String(length) } });
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
  ])("stores one %s, with facts taken from its bytes", async (_what, filler) => {
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

  it("asks for the bytes as they are, and sends nothing of ours along", async () => {
    const seen: RequestInit[] = [];
    const inner = serves(framedPng(1, 1, 10));
    await copy(async (url, init) => {
      seen.push(init);
      return inner(url, init);
    });
    expect(seen[0]?.redirect).toBe("manual");
    expect([...new Headers(seen[0]?.headers).keys()]).toEqual(["accept-encoding"]);
  });

  const png = framedPng(1664, 928, 200_000);
  it.each<[string, Fetch]>([
    ["that ends before its told length", serves(png.subarray(0, 100_000), png.byteLength)],
    ["that goes on past its told length", serves(png, 100_000)],
    ["without its end", serves(png.subarray(0, png.byteLength - 5))],
    ["without its end, of unknown length", serves(png.subarray(0, png.byteLength - 5), null)],
    ["without its end, of several parts", serves(framedPng(1, 1, 6_000_000).subarray(0, 6_000_000), null)],
    ["cut off amid its header", serves(png.subarray(0, 20))],
    ["that is a page", serves(new TextEncoder().encode("<!doctype html><p>Sorry</p>"))],
    ["that is empty", serves(new Uint8Array(0))],
    ["whose connection breaks", breaksOff(png)],
  ])("never makes an object of one %s, and can copy it later", async (_what, fetch) => {
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

  it("says what came instead of an image", async () => {
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

  it("takes no image larger than 64 MB, told or not", async () => {
    const told = await failure(copy(serves(png, 70_000_000)));
    expect(told).toMatchObject({ dead: true });
    const filler = new Uint8Array(1024 * 1024);
    let sentBytes = 0;
    const endless: Fetch = async () =>
      new Response(
        byteStream(() => {
          const chunk = sentBytes === 0 ? png.slice(0, 40) : filler.slice();
          sentBytes += chunk.byteLength;
          return chunk;
        }),
      );
    expect((await failure(copy(endless))).reason).toContain("larger");
    expect(sentBytes).toBeLessThan(80_000_000);
    expect(await keys()).toEqual([]);
  });
});

describe("a link that does not deliver", () => {
  it.each([
    ["404 in the moment of delivery", says(404), 0, false],
    ["404 a minute after delivery", says(404), 60_000, true],
    ["410", says(410), 0, true],
    ["403 while its signature lasts", says(403, "<Error/>"), 0, false],
    ["403 past its signature", says(403, "<Error/>"), HOUR, true],
    ["500", says(500), HOUR, false],
    ["503 past its signature", says(503), HOUR, false],
    ["500 after 24 hours", says(500), 24 * HOUR, true],
    ["a page with 200", says(200, "<html>"), HOUR, false],
    ["a page with 200 after 24 hours", says(200, "<html>"), 24 * HOUR, true],
    ["no connection", unreachable, HOUR, false],
    ["no connection after 24 hours", unreachable, 24 * HOUR, true],
  ])("%s: dead or not", async (_what, fetch, afterMs, dead) => {
    expect(await failure(copy(fetch, { afterMs }))).toMatchObject({ dead });
  });

  async function unreachable(): Promise<Response> {
    throw new Error("Network connection lost.");
  }

  it("still delivers after 24 hours where the host does", async () => {
    expect(await copy(serves(framedPng(1, 1, 1)), { afterMs: 48 * HOUR })).toMatchObject({ kind: "stored" });
  });
});

describe("where a link may lead", () => {
  const emulator = "http://127.0.0.1:9000";
  const png = framedPng(2, 2, 100);

  it("never opens plain http, save between this machine and itself", async () => {
    const opened: string[] = [];
    const fetch: Fetch = async (url, init) => {
      opened.push(url);
      return serves(png)(url, init);
    };
    expect(await failure(copy(fetch, { link: "http://results.example/a.png" }))).toMatchObject({ dead: true });
    expect(await failure(copy(fetch, { link: "http://127.0.0.1:9000/a.png" }))).toMatchObject({ dead: true });
    expect(opened).toEqual([]);
    const local = { link: "http://127.0.0.1:9000/a.png", baseUrl: emulator };
    expect(await copy(fetch, local)).toMatchObject({ kind: "stored" });
  });

  /** Each address leads to the next; the last delivers. */
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

  it("follows a few redirects, relative ones too", async () => {
    const { fetch, opened } = leads(["/b.png", "https://nearer.example/c.png"]);
    expect(await copy(fetch)).toMatchObject({ kind: "stored" });
    expect(opened).toEqual([LINK, "https://results.example/b.png", "https://nearer.example/c.png"]);
  });

  it("follows none to another scheme or out of this machine in the clear", async () => {
    for (const next of ["http://results.example/a.png", "ftp://results.example/a.png", "data:image/png;base64,AAAA"]) {
      const { fetch, opened } = leads([next]);
      expect(await failure(copy(fetch))).toMatchObject({ dead: true });
      expect(opened).toEqual([LINK]);
    }
    const { fetch } = leads(["http://results.example/a.png"]);
    const local = { link: "http://localhost:9000/a.png", baseUrl: emulator };
    expect(await failure(copy(fetch, local))).toMatchObject({ dead: true });
  });

  it("does not follow for ever", async () => {
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

  it("finds the image of a copy whose record was lost, though the link is dead by now", async () => {
    const stored = await copy(serves(first));
    expect(await copy(says(404))).toEqual(stored);
    expect(await copy(says(403), { afterMs: 48 * HOUR })).toEqual(stored);
  });

  it("removes what lies at its key and is no image", async () => {
    await env.RESULTS.put(KEY, "not an image");
    expect(await failure(copy(says(500)))).toMatchObject({ dead: false });
    expect(await keys()).toEqual([]);
  });

  it("ends by the signal, amid a body that never ends, leaving nothing", async () => {
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

  it("is worth repeating when the bucket refuses", async () => {
    const refuse = async () => {
      throw new Error("internal error (10001)");
    };
    const broken = new Proxy(env.RESULTS, {
      get: (bucket, name) => (name === "put" || name === "get" ? refuse : Reflect.get(bucket, name)),
    });
    expect(await failure(copy(serves(first), { bucket: broken }))).toMatchObject({ dead: false });
    expect(await failure(copy(serves(first, null), { bucket: broken }))).toMatchObject({ dead: false });
  });
});
