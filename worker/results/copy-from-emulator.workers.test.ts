import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import type { JobRequest } from "../../schemas/job.ts";
import { dashScope } from "../dashscope/client.ts";
import { ModelTable } from "../dashscope/models.ts";
import type { CopyAnswer } from "./contract.ts";
import { createImageCopier } from "./copy-image.ts";

const KEY = "jobs/job_a/1/0";
// The test's own binding, whose name the generated Env lacks.
const baseUrl = String((env as unknown as Record<string, unknown>).QWEN_BASE_URL);
const open = (url: string, init: RequestInit) => fetch(url, init);

afterEach(() => reset());

/** The link of an image that the emulator made, with the download faults of the prompt. */
async function linkOf(prompt: string): Promise<string> {
  const request: JobRequest = {
    prompt,
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
  const client = dashScope({
    baseUrl,
    apiKey: "sk-test",
    region: "sg",
    models: new ModelTable(),
    fetch: open,
    now: Date.now,
  });
  const answer = await client.generate({ model: "z-image-turbo", request, images: [] }, AbortSignal.timeout(20_000));
  const [link] = answer.kind === "delivered" ? answer.links : [];
  if (link === undefined) throw new Error(`no image: ${answer.kind}`);
  return link;
}

function copy(link: string, boundMs = 20_000): Promise<CopyAnswer> {
  const copier = createImageCopier(env.RESULTS, { baseUrl }, open);
  return copier({ link, deliveredAtMs: Date.now() }, { key: KEY, index: 0 }, AbortSignal.timeout(boundMs));
}

describe("an image of the emulator's", () => {
  it("is stored as it was made", async () => {
    const link = await linkOf("a red bicycle");
    const original = new Uint8Array(await (await fetch(link)).arrayBuffer());
    const answer = await copy(link);
    expect(answer).toMatchObject({
      kind: "stored",
      image: { contentType: "image/png", width: 1024, height: 1536, bytes: original.byteLength },
    });
    const stored = await env.RESULTS.get(KEY);
    expect(new Uint8Array((await stored?.arrayBuffer()) ?? new ArrayBuffer(0))).toEqual(original);
  });

  it.each(["truncated", "html", "empty", "cut", "server-error", "forbidden", "not-found"])(
    "whose first downloads are %s is stored once a download is whole, and not before",
    async (how) => {
      const link = await linkOf(`[fault:result-${how} x2] once`);
      let answer = await copy(link);
      expect(answer).toMatchObject({ kind: "failed", dead: false });
      for (let again = 0; again < 2 && answer.kind === "failed"; again++) {
        expect(await env.RESULTS.head(KEY)).toBeNull();
        answer = await copy(link);
      }
      expect(answer).toMatchObject({ kind: "stored" });
    },
  );

  it("whose file is not found is tried again until its link ends", async () => {
    expect(await copy(await linkOf("[fault:result-not-found] gone"))).toMatchObject({ kind: "failed", dead: false });
  });

  it("whose file is damaged at its host is given up at once", async () => {
    expect(await copy(await linkOf("[fault:result-damaged] damaged"))).toMatchObject({ kind: "failed", dead: true });
  });

  it("whose link has ended is given up", async () => {
    expect(await copy(await linkOf("[fault:expires:0ms] ended"))).toMatchObject({ kind: "failed", dead: true });
  });

  it("is identified by its bytes when the host names a wrong type", async () => {
    const answer = await copy(await linkOf("[fault:result-wrong-type] mislabelled"));
    expect(answer).toMatchObject({ kind: "stored", image: { contentType: "image/png" } });
  });

  it("whose host never answers is ended by the signal, and can be tried again", async () => {
    const link = await linkOf("[fault:result-hang] stalled");
    expect(await copy(link, 300)).toMatchObject({ kind: "failed", dead: false });
    expect(await env.RESULTS.head(KEY)).toBeNull();
  });
});
