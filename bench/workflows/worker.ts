import { WorkflowEntrypoint, type WorkflowEvent, type WorkflowStep } from "cloudflare:workers";
import { NonRetryableError } from "cloudflare:workflows";
import { Hono } from "hono";
import { z } from "zod";

/*
 * The peer: the same image job as a Workflow, written as Cloudflare's docs advise. Every side effect is a named step; the
 * step bounds and retries the call to upstream; its answer (a link) is kept as the step's result, so that storing is repeated
 * without generating again; the image is streamed to R2; the status is read from the instance.
 */

export interface PeerEnv {
  readonly IMAGE_JOBS: Workflow<ImageRequest>;
  readonly RESULTS: R2Bucket;
  readonly QWEN_API_KEY: string;
  /** Ends before `/api/v1`. */
  readonly QWEN_BASE_URL: string;
}

const ImageRequest = z.object({ prompt: z.string().min(1), size: z.string().default("1664*928") });
export type ImageRequest = z.infer<typeof ImageRequest>;

const Generated = z.object({
  output: z.object({
    choices: z.array(z.object({ message: z.object({ content: z.array(z.object({ image: z.url() })).min(1) }) })).min(1),
  }),
});

const GENERATE = {
  timeout: "45 seconds",
  retries: { limit: 3, delay: "2 seconds", backoff: "exponential" },
} as const;

const STORE = {
  timeout: "1 minute",
  retries: { limit: 5, delay: "1 second", backoff: "exponential" },
} as const;

export class ImageJob extends WorkflowEntrypoint<PeerEnv, ImageRequest> {
  override async run(event: Readonly<WorkflowEvent<ImageRequest>>, step: WorkflowStep) {
    const link = await step.do("generate", GENERATE, () => this.#generate(event.payload));
    return await step.do("store", STORE, () => this.#store(event.instanceId, link));
  }

  async #generate({ prompt, size }: ImageRequest): Promise<string> {
    const response = await fetch(`${this.env.QWEN_BASE_URL}/api/v1/services/aigc/multimodal-generation/generation`, {
      method: "POST",
      headers: { Authorization: `Bearer ${this.env.QWEN_API_KEY}`, "Content-Type": "application/json" },
      body: JSON.stringify({
        model: "qwen-image-max",
        input: { messages: [{ role: "user", content: [{ text: prompt }] }] },
        parameters: { size },
      }),
    });
    if (!response.ok) {
      const text = await response.text();
      const message = `upstream answered ${response.status}: ${text.slice(0, 200)}`;
      if (response.status === 429 || response.status >= 500) throw new Error(message);
      throw new NonRetryableError(message);
    }
    const answer = Generated.parse(await response.json());
    const link = answer.output.choices[0]?.message.content[0]?.image;
    if (link === undefined) throw new NonRetryableError("upstream answered without an image");
    return link;
  }

  async #store(instanceId: string, link: string): Promise<{ key: string; bytes: number }> {
    const response = await fetch(link);
    if (!response.ok || response.body === null) throw new Error(`the image answered ${response.status}`);
    const key = `jobs/${instanceId}/0.png`;
    const stored = await this.env.RESULTS.put(key, response.body, { httpMetadata: { contentType: "image/png" } });
    return { key, bytes: stored.size };
  }
}

const app = new Hono<{ Bindings: PeerEnv }>();

app.post("/api/jobs", async (c) => {
  const parsed = ImageRequest.safeParse(await c.req.json());
  if (!parsed.success) return c.json({ code: "invalid_request", detail: z.prettifyError(parsed.error) }, 400);
  const instance = await c.env.IMAGE_JOBS.create({ params: parsed.data });
  return c.json({ id: instance.id }, 202, { Location: `/api/jobs/${instance.id}` });
});

app.get("/api/jobs/:id", async (c) => {
  const id = c.req.param("id");
  const instance = await c.env.IMAGE_JOBS.get(id).catch(() => null);
  if (instance === null) return c.json({ code: "job_not_found" }, 404);
  const { status, output, error } = await instance.status();
  return c.json({ id, status, output: output ?? null, error: error ?? null });
});

app.get("/api/jobs/:id/image", async (c) => {
  const image = await c.env.RESULTS.get(`jobs/${c.req.param("id")}/0.png`);
  if (image === null) return c.json({ code: "image_not_found" }, 404);
  return c.body(image.body, 200, { "Content-Type": "image/png", ETag: image.httpEtag });
});

export default { fetch: app.fetch } satisfies ExportedHandler<PeerEnv>;
