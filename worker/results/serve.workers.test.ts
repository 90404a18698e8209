import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { framedPng, sha256Hex } from "./image.fixture.ts";
import { serveImage } from "./serve.ts";

const png = framedPng(8, 8, 1000);
const image = { key: "jobs/job_a/1/0", contentType: "image/png", bytes: png.byteLength, sha256: "" };

beforeEach(async () => {
  image.sha256 = await sha256Hex(png);
  await env.RESULTS.put(image.key, png);
});
afterEach(() => reset());

function ask(headers: Record<string, string> = {}, method = "GET", given: Partial<typeof image> = {}) {
  const request = new Request("https://darkroom.example/image", { method, headers });
  const options = { fileName: { full: "a-red-bicycle-1.png", ascii: "a-red-bicycle-1.png" }, maxAgeSeconds: 3600 };
  const { key, contentType, bytes, sha256 } = { ...image, ...given };
  const served = { contentType, version: sha256, locate: async () => ({ key, bytes }) };
  return serveImage(env.RESULTS, served, request, options);
}

async function responseTo(...given: Parameters<typeof ask>): Promise<Response> {
  const answer = await ask(...given);
  if (answer.kind !== "response") throw new Error(`was ${answer.kind}`);
  return answer.response;
}

async function bytesOf(response: Response): Promise<number[]> {
  return Array.from(new Uint8Array(await response.arrayBuffer()));
}

describe("serveImage", () => {
  it("sends the whole image as inert content that a private cache may keep", async () => {
    const response = await responseTo();
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toEqual({
      "accept-ranges": "bytes",
      "cache-control": "private, max-age=3600, immutable",
      "content-disposition": 'inline; filename="a-red-bicycle-1.png"',
      "content-length": String(png.byteLength),
      "content-security-policy": "default-src 'none'; sandbox",
      "content-type": "image/png",
      etag: `"${image.sha256}"`,
      "x-content-type-options": "nosniff",
    });
    expect(await bytesOf(response)).toEqual(Array.from(png));
  });

  it("answers HEAD with the same headers and no body", async () => {
    const head = await responseTo({}, "HEAD");
    expect(Object.fromEntries(head.headers)).toEqual(Object.fromEntries((await responseTo()).headers));
    expect(await bytesOf(head)).toEqual([]);
  });

  it.each([
    ["bytes=0-9", 0, 10],
    ["bytes=1000-", 1000, png.byteLength - 1000],
    ["bytes=-12", png.byteLength - 12, 12],
  ])("sends the part %s", async (range, offset, length) => {
    const response = await responseTo({ range });
    expect(response.status).toBe(206);
    expect(response.headers.get("content-range")).toBe(`bytes ${offset}-${offset + length - 1}/${png.byteLength}`);
    expect(response.headers.get("content-length")).toBe(String(length));
    expect(await bytesOf(response)).toEqual(Array.from(png.subarray(offset, offset + length)));
  });

  it("reports a range after the end, with the size for the 416", async () => {
    expect(await ask({ range: `bytes=${png.byteLength}-` })).toEqual({
      kind: "range_not_satisfiable",
      bytes: png.byteLength,
      headers: { "content-range": `bytes */${png.byteLength}` },
    });
  });

  it("sends everything when the range is for another version, has several parts, or is none", async () => {
    for (const headers of [
      { range: "bytes=0-9", "if-range": '"another"' },
      { range: "bytes=0-9", "if-range": "Mon, 23 Nov 2026 12:00:00 GMT" },
      { range: "bytes=0-9,20-29" },
      { range: "lines=1-2" },
    ]) {
      const response = await responseTo(headers);
      expect(response.status).toBe(200);
      expect(await bytesOf(response)).toHaveLength(png.byteLength);
    }
    expect((await responseTo({ range: "bytes=0-9", "if-range": `"${image.sha256}"` })).status).toBe(206);
  });

  it("answers 304 to a client that has it, before any range and without a call to the bucket", async () => {
    await env.RESULTS.delete(image.key);
    for (const method of ["GET", "HEAD"]) {
      const headers = { "if-none-match": `"old", W/"${image.sha256}"`, range: "bytes=0-9" };
      const response = await responseTo(headers, method);
      expect(response.status).toBe(304);
      expect(response.headers.get("etag")).toBe(`"${image.sha256}"`);
      expect(response.headers.get("cache-control")).toContain("private");
      expect(response.body).toBeNull();
    }
  });

  it("reports that an image is no longer in the bucket", async () => {
    await env.RESULTS.delete(image.key);
    expect(await ask()).toEqual({ kind: "gone" });
    expect(await ask({ range: "bytes=0-9" })).toEqual({ kind: "gone" });
    expect(await ask({}, "HEAD")).toEqual({ kind: "gone" });
  });

  it.each(["image/svg+xml", "text/html", "image/tiff"])("gives %s for download only", async (contentType) => {
    const response = await responseTo({}, "GET", { contentType });
    expect(response.headers.get("content-type")).toBe("application/octet-stream");
    expect(response.headers.get("content-disposition")).toMatch(/^attachment;/);
    await response.body?.cancel();
  });
});
