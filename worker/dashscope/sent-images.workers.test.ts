import { describe, expect, it, vi } from "vitest";
import type { JobRequest } from "../../schemas/job.ts";
import { byteStream } from "../results/image.fixture.ts";
import { dashScope } from "./client.ts";
import type { ImageBytes, SentImage } from "./contract.ts";
import { ModelTable } from "./models.ts";

const request: JobRequest = {
  prompt: "put image 2 on image 1",
  negativePrompt: null,
  size: null,
  n: 1,
  seed: null,
  promptExtend: null,
  watermark: null,
  images: [],
  priority: "normal",
  maxAttempts: 4,
  deadlineSeconds: 60,
  onUncertain: "retry",
};

const DELIVERS = { output: { choices: [{ message: { content: [{ image: "https://results.example/a.png" }] } }] } };

function generate(images: SentImage[], fetch: (url: string, init: RequestInit) => Promise<Response>) {
  const settings = {
    baseUrl: "https://dashscope.example",
    apiKey: "sk-test",
    region: "sg",
    models: new ModelTable(),
    now: Date.now,
  } as const;
  const client = dashScope({ ...settings, fetch });
  return client.generate({ model: "qwen-image-edit-max", request, images }, new AbortController().signal);
}

/** Bytes that arrive in chunks of the given lengths, in order, announced as `announced` bytes. */
function imageOf(bytes: Uint8Array<ArrayBuffer>, chunkBytes: readonly number[], announced = bytes.byteLength) {
  let at = 0;
  let turn = 0;
  let canceled = false;
  const next = () => {
    const length = chunkBytes[turn++ % chunkBytes.length] ?? 1;
    if (at >= bytes.byteLength) return null;
    const chunk = bytes.slice(at, at + length);
    at += length;
    return chunk;
  };
  const body = byteStream(next, () => {
    canceled = true;
  });
  const image: ImageBytes = { contentType: "image/png", bytes: announced, body };
  return { image, wasCanceled: () => canceled };
}

function bytesOf(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, index) => (index * 31) % 256);
}

async function readBody(init: RequestInit): Promise<{ text: string; bytes: number }> {
  const text = await new Response(init.body).text();
  return { text, bytes: new TextEncoder().encode(text).byteLength };
}

describe("images sent as bytes", () => {
  it.each([[[1]], [[2, 5]], [[3]], [[4096]], [[1000, 1, 1, 1]]])(
    "arrive as data URLs, in order, in chunks of %j",
    async (chunkBytes) => {
      const first = bytesOf(10_000);
      const second = bytesOf(10_001);
      const images = [imageOf(first, chunkBytes).image, "https://example.com/a.png", imageOf(second, chunkBytes).image];
      let text = "";
      const answer = await generate(images, async (_url, init) => {
        text = (await readBody(init)).text;
        return Response.json(DELIVERS);
      });
      expect(answer.kind).toBe("delivered");
      expect(JSON.parse(text).input.messages[0].content).toEqual([
        { image: `data:image/png;base64,${first.toBase64()}` },
        { image: "https://example.com/a.png" },
        { image: `data:image/png;base64,${second.toBase64()}` },
        { text: "put image 2 on image 1" },
      ]);
    },
  );

  it.each([
    ["ends early", imageOf(bytesOf(999), [100], 1000)],
    ["goes on too long", imageOf(bytesOf(1001), [100], 1000)],
    [
      "cannot be read on",
      {
        image: {
          contentType: "image/png",
          bytes: 1000,
          body: byteStream(() => Promise.reject(new Error("R2 is away"))),
        },
      },
    ],
  ])("that %s: fail as not billed, with no one at fault, and worth repeating", async (_what, { image }) => {
    const answer = await generate([image], async (_url, init) => {
      await readBody(init);
      return Response.json(DELIVERS);
    });
    expect(answer).toMatchObject({
      kind: "failed",
      failure: { disposition: "retry", fault: "none", mayBeBilled: false },
    });
  });

  it.each([
    ["before its first byte", 0],
    ["halfway", 500_000],
  ])(
    "that stop coming %s: fail well within the budget, as not billed, and with no one at fault",
    async (_when, bytes) => {
      const stopped = new Promise<never>(() => undefined);
      let given = 0;
      const body = byteStream(() => {
        if (given === bytes) return stopped;
        given += 100_000;
        return bytesOf(100_000);
      });
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
      const answer = generate([{ contentType: "image/png", bytes: 1_000_000, body }], async (_url, init) => {
        await readBody(init);
        return Response.json(DELIVERS);
      });
      for (let waitedMs = 0; waitedMs < 20_000; waitedMs += 1_000) await vi.advanceTimersByTimeAsync(1_000);
      vi.useRealTimers();
      expect(await answer).toMatchObject({
        kind: "failed",
        failure: { disposition: "retry", fault: "none", counted: false, mayBeBilled: false },
      });
    },
  );

  it("do not delay the answer when they cannot be canceled", async () => {
    const never = () => new Promise<never>(() => undefined);
    const body = byteStream(never, never);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const answer = generate([{ contentType: "image/png", bytes: 1000, body }], async () => Response.json(DELIVERS));
    await vi.advanceTimersByTimeAsync(6_000);
    vi.useRealTimers();
    expect(await answer).toMatchObject({ kind: "delivered" });
  });

  it("are read no further once upstream has answered", async () => {
    const sent = imageOf(bytesOf(500_000), [1000]);
    const refusal = Response.json({ code: "InvalidApiKey", message: "Invalid API-key provided." }, { status: 401 });
    const answer = await generate([sent.image], async () => refusal);
    expect(answer).toMatchObject({ kind: "failed", failure: { disposition: "block" } });
    expect(sent.wasCanceled()).toBe(true);
  });

  it("are not read on, and cause no delay, when the connection breaks during a stalled read", async () => {
    let canceled = false;
    const stalled = () => new Promise<never>(() => undefined);
    const body = byteStream(stalled, () => {
      canceled = true;
    });
    const answer = await generate([{ contentType: "image/png", bytes: 1000, body }], async () => {
      throw new Error("Network connection lost.");
    });
    expect(answer).toMatchObject({ kind: "failed", failure: { fault: "upstream", mayBeBilled: true } });
    expect(canceled).toBe(true);
  });
});
