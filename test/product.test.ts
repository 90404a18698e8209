import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Product, startProduct } from "./support/product.ts";

let product: Product;

beforeAll(async () => {
  product = await startProduct();
});
afterAll(() => product?.stop());

interface JobAnswer {
  readonly id: string;
  readonly status: string;
  readonly output: { readonly images: readonly { readonly url: string; readonly sha256: string }[] } | null;
}

async function submit(prompt: string, more: object = {}): Promise<JobAnswer> {
  const response = await fetch(`${product.baseUrl}/api/workflows/image-from-text`, {
    method: "POST",
    headers: { "content-type": "application/json", prefer: "wait=30" },
    body: JSON.stringify({ prompt, ...more }),
  });
  expect([200, 202]).toContain(response.status);
  return (await response.json()) as JobAnswer;
}

async function finished(id: string): Promise<JobAnswer> {
  for (;;) {
    const response = await fetch(`${product.baseUrl}/api/jobs/${id}`, { headers: { prefer: "wait=20" } });
    const job = (await response.json()) as JobAnswer & { readonly done: boolean };
    if (job.done) return job;
  }
}

async function imageOf(job: JobAnswer): Promise<Buffer> {
  const [image] = job.output?.images ?? [];
  if (image === undefined) throw new Error(`no image in ${JSON.stringify(job)}`);
  const response = await fetch(image.url);
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

describe("the whole product", () => {
  it("is healthy", async () => {
    const health = await (await fetch(`${product.baseUrl}/api/health`)).json();
    expect(health).toMatchObject({ status: "ok", service: "darkroom" });
  });

  it("answers as the API below /api, and with the page elsewhere", async () => {
    for (const path of ["/api", "/api/", "/api?x=1", "/api/nowhere"]) {
      const answer = await fetch(`${product.baseUrl}${path}`, { headers: { accept: "text/html" } });
      expect(answer.status, path).toBe(404);
      expect(answer.headers.get("content-type"), path).toBe("application/problem+json");
    }
    for (const path of ["/", "/jobs/job_V1StGXR8_Z5jdHi6B-myT", "/apix"]) {
      const answer = await fetch(`${product.baseUrl}${path}`);
      expect(answer.headers.get("content-type"), path).toContain("text/html");
    }
  });

  it("makes an image of the requested size, pays once, and keeps the exact bytes that upstream delivered", async () => {
    const job = await submit("a lighthouse, made once", { size: "928x1664" });
    expect(job.status).toBe("succeeded");
    expect(await sharp(await imageOf(job)).metadata()).toMatchObject({ format: "png", width: 928, height: 1664 });
    const { images } = await product.emulator.ledger("a lighthouse, made once");
    expect(images.map((image) => image.sha256)).toEqual([job.output?.images[0]?.sha256]);
  });

  it("keeps jobs, images and the ledger over a kill of everything", async () => {
    const job = await submit("kept over a kill");
    await product.kill();
    await product.restart();
    expect((await finished(job.id)).output?.images[0]?.sha256).toBe(job.output?.images[0]?.sha256);
    expect((await imageOf(job)).length).toBeGreaterThan(0);
    expect((await product.emulator.ledger("kept over a kill")).images).toHaveLength(1);
  });

  it("tries again after upstream's failures, and pays only for the try that succeeds", async () => {
    await product.emulator.addFault("503 x2 prompt=third time lucky");
    const job = await submit("third time lucky");
    expect((await finished(job.id)).status).toBe("succeeded");
    const { calls, images } = await product.emulator.ledger("third time lucky");
    expect(calls.map((call) => call.end?.status)).toEqual([503, 503, 200]);
    expect(images).toHaveLength(1);
  });
});
