import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import { framedPng, sha256Hex, turnedPng } from "./image.fixture.ts";
import { checkInputImage, openInputImage, putInputImage, type UploadedImage } from "./input-image.ts";

afterEach(() => reset());

const JOB = "job_V1StGXR8_Z5jdHi6B-myT";

async function checked(bytes: Uint8Array<ArrayBuffer>): Promise<UploadedImage> {
  const check = await checkInputImage(bytes);
  if (!check.ok) throw new Error(check.message);
  return check.image;
}

describe("checkInputImage", () => {
  it("reads its facts from the bytes", async () => {
    const bytes = framedPng(640, 480, 10000);
    expect(await checkInputImage(bytes)).toEqual({
      ok: true,
      image: {
        kind: "upload",
        contentType: "image/png",
        bytes: bytes.byteLength,
        sha256: await sha256Hex(bytes),
        width: 640,
        height: 480,
      },
      warnings: [],
    });
  });

  it("accepts 10 MB and not a byte more", async () => {
    const frame = framedPng(640, 480, 0).byteLength;
    const limit = 10 * 1024 * 1024;
    expect(await checkInputImage(framedPng(640, 480, limit - frame))).toMatchObject({ ok: true });
    expect(await checkInputImage(framedPng(640, 480, limit - frame + 1))).toMatchObject({ code: "too_large" });
  });

  it.each([
    ["text", "just some words in a file", "is text"],
    ["a page", "<!doctype html><title>x</title>", "is HTML"],
    ["an SVG", "<svg xmlns='http://www.w3.org/2000/svg'/>", "is SVG"],
    ["nothing", "", "is empty"],
    ["a word", "hello!", "is no image: it has 6 bytes"],
  ])("refuses %s, whatever its name", async (_what, text, message) => {
    const check = await checkInputImage(new Uint8Array(new TextEncoder().encode(text)));
    expect(check).toMatchObject({ ok: false, code: "not_an_image", message: expect.stringContaining(message) });
  });

  it("refuses an image that was cut off", async () => {
    const check = await checkInputImage(framedPng(640, 480, 10000).slice(0, 300));
    const message = "is cut off: 300 bytes of image/png without the image's end";
    expect(check).toEqual({ ok: false, code: "not_an_image", message });
  });

  it("warns of an image that upstream will see turned", async () => {
    expect(await checkInputImage(turnedPng(4032, 3024, 1))).toMatchObject({ ok: true, warnings: [] });
    const check = await checkInputImage(turnedPng(4032, 3024, 6));
    expect(check).toMatchObject({ ok: true, image: { width: 4032, height: 3024 } });
    expect(check).toMatchObject({ warnings: [{ code: "image_orientation", message: expect.stringContaining("6") }] });
  });
});

describe("a stored input image", () => {
  it("is read back with the same bytes, however often it was put", async () => {
    const bytes = framedPng(640, 480, 300_000);
    const image = await checked(bytes);
    await putInputImage(env.RESULTS, JOB, image, bytes);
    await putInputImage(env.RESULTS, JOB, image, bytes);
    const opened = await openInputImage(env.RESULTS, JOB, image);
    expect(opened).toMatchObject({ contentType: "image/png", bytes: bytes.byteLength });
    const read = new Uint8Array(await new Response(opened?.body ?? null).arrayBuffer());
    expect(await sha256Hex(read)).toBe(image.sha256);
    const { objects } = await env.RESULTS.list();
    expect(objects.map((object) => object.key)).toEqual([`jobs/${JOB}/inputs/${image.sha256}`]);
  });

  it("belongs to its job alone, and is null when it does not exist", async () => {
    const bytes = framedPng(640, 480, 100);
    const image = await checked(bytes);
    await putInputImage(env.RESULTS, JOB, image, bytes);
    expect(await openInputImage(env.RESULTS, "job_another", image)).toBeNull();
  });

  it("refuses bytes that do not match the image", async () => {
    const image = await checked(framedPng(640, 480, 100, 1));
    await expect(putInputImage(env.RESULTS, JOB, image, framedPng(640, 480, 100, 2))).rejects.toThrow();
    expect(await openInputImage(env.RESULTS, JOB, image)).toBeNull();
  });
});
