import { type CallToolResult, createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import { z } from "zod";
import { type Job, type JobList, JobStatus, type JobSummary } from "../../schemas/job.ts";
import { jobQuery } from "../../schemas/job-filter.ts";
import { paths, variantUrl } from "../../schemas/paths.ts";
import { within } from "../bounds.ts";
import type { DarkroomProblem, LocalApi } from "../local-api.ts";

/** Assistants' own time limit for a tool is 60 s by default; an answer also needs time for its picture. */
const MAX_WAIT_SECONDS = 45;

/** The one picture in an answer: about 20 KB, so that it does not fill an assistant's context. */
const PREVIEW = { w: 320, format: "jpeg", q: 75 } as const;
/** A tall or noisy image makes a larger picture. The answer then has only links. */
const MOST_PREVIEW_BYTES = 100_000;
/** Making a picture takes up to 3 s. With the longest wait the answer stays below the assistants' 60 s. */
const PREVIEW_WITHIN_MS = 8_000;

const NO_PREVIEW = "There is no small picture of it: it would be too large, or could not be made in time.";

const id = z.string().describe("The job's id, like job_V1StGXR8_Z5jdHi6B-myT.");

const GENERATE = z.object({
  prompt: z.string().describe("What to draw, in any language."),
  images: z
    .array(z.string())
    .optional()
    .describe("Addresses of 1 to 3 reference images to edit or combine. Leave out to draw from text."),
  negativePrompt: z.string().optional().describe("What the image must not show."),
  size: z.string().optional().describe("Width*height in pixels, like 1664*928. Each model has its own sizes."),
  n: z.int().min(1).max(6).optional().describe("How many images. Most models make one."),
  seed: z.int().min(0).optional().describe("The same seed and prompt give the same image."),
  model: z.string().optional().describe("Leave out for the default model."),
  idempotencyKey: z
    .string()
    .regex(/^(?=.*\S)[\x20-\x7e]{1,255}$/, "must be 1 to 255 printable ASCII characters")
    .optional()
    .describe(
      "A random text that you choose for each image. Repeat the call with the same key when it failed or had no answer: it then gives the same job and costs nothing more.",
    ),
  waitSeconds: z
    .number()
    .min(0)
    .max(MAX_WAIT_SECONDS)
    .optional()
    .describe(`How long to wait for the image; ${MAX_WAIT_SECONDS} when left out.`),
});

const LIST = z.object({
  status: z.array(JobStatus).optional().describe("Only jobs with one of these statuses."),
  q: z.string().optional().describe("Words that the prompt contains."),
  limit: z.int().min(1).max(50).optional().describe("How many jobs; 10 when left out."),
  cursor: z.string().optional().describe("`nextCursor` of the page before."),
});

/** Answers one MCP request with tools that act as the API's client. Nothing is kept between requests. */
export function serveTools(api: LocalApi, request: Request): Promise<Response> {
  return createMcpHandler(() => toolServer(api)).fetch(request);
}

function toolServer(api: LocalApi): McpServer {
  const server = new McpServer({ name: "darkroom", version: "1.0.0" });

  server.registerTool(
    "generate_image",
    {
      title: "Generate an image",
      description: `Makes images from a prompt, or from reference images. Each image costs money: set idempotencyKey, so that repeating a call that failed pays once. Waits up to ${MAX_WAIT_SECONDS} s; when the image is not done by then, the answer has the job's id: call get_job with it, and do not generate again.`,
      inputSchema: GENERATE,
      annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
    },
    ({ waitSeconds = MAX_WAIT_SECONDS, idempotencyKey, ...request }) => {
      const key = idempotencyKey === undefined ? {} : { "Idempotency-Key": JSON.stringify(idempotencyKey) };
      // Assistants send an empty list for one that they leave out.
      if (request.images?.length === 0) delete request.images;
      const workflow = request.images === undefined ? "image-from-text" : "image-from-reference";
      return answered(api, () =>
        api.json<Job>(paths.workflow(workflow), {
          method: "POST",
          headers: { "Content-Type": "application/json", ...key, ...waitHeader(waitSeconds) },
          body: JSON.stringify(request),
        }),
      );
    },
  );

  server.registerTool(
    "get_job",
    {
      title: "Get a job",
      description: "The state of a job: its place in line, or its images, or why it failed. Can wait until it is done.",
      inputSchema: z.object({
        id,
        waitSeconds: z
          .number()
          .min(0)
          .max(MAX_WAIT_SECONDS)
          .optional()
          .describe("How long to wait until it is done; 0 when left out."),
      }),
      annotations: { readOnlyHint: true },
    },
    ({ id, waitSeconds = 0 }) => answered(api, () => api.json<Job>(jobPath(id), { headers: waitHeader(waitSeconds) })),
  );

  server.registerTool(
    "list_jobs",
    {
      title: "List jobs",
      description: "Jobs, newest first, with the start of their prompts.",
      inputSchema: LIST,
      annotations: { readOnlyHint: true },
    },
    ({ limit = 10, ...filter }) =>
      refusable(async () => {
        const { jobs, nextCursor } = await api.json<JobList>(`${paths.jobs}${jobQuery({ ...filter, limit })}`);
        const lines = jobs.map((job) => `${job.id} ${job.status} ${JSON.stringify(job.prompt)}`);
        return {
          content: [{ type: "text", text: lines.join("\n") || "No jobs." }],
          structuredContent: { jobs: jobs.map(brief), nextCursor },
        };
      }),
  );

  server.registerTool(
    "cancel_job",
    {
      title: "Cancel a job",
      description: "Stops a job that is not done. An attempt that already runs may still be billed.",
      inputSchema: z.object({ id }),
      annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true },
    },
    ({ id }) => answered(api, () => api.json<Job>(jobPath(id, "/cancel"), { method: "POST" })),
  );

  return server;
}

function waitHeader(seconds: number): Record<string, string> {
  return seconds > 0 ? { Prefer: `wait=${Math.ceil(seconds)}` } : {};
}

/** The id is encoded, so that it stays one path segment whatever it contains. */
function jobPath(id: string, rest = ""): string {
  return paths.job(encodeURIComponent(id)) + rest;
}

/** A job as an answer: words, its fields, and a small picture of its first image. */
function answered(api: LocalApi, call: () => Promise<Job>): Promise<CallToolResult> {
  return refusable(async () => {
    const job = await call();
    const preview = await previewOf(api, job);
    const words = job.status === "succeeded" && preview === null ? `${wordsOf(job)}\n${NO_PREVIEW}` : wordsOf(job);
    return {
      content: [{ type: "text", text: words }, ...(preview === null ? [] : [preview])],
      structuredContent: { ...brief(job), warnings: job.warnings },
      ...(job.status === "failed" ? { isError: true } : {}),
    };
  });
}

/** A refusal of the API is an answer that the assistant can act on, with what is wrong with which field. */
async function refusable(call: () => Promise<CallToolResult>): Promise<CallToolResult> {
  try {
    return await call();
  } catch (error) {
    if (!isRefusal(error)) throw error;
    const fields = (error.problem.errors ?? []).map(({ path, message }) => `${path} ${message}`);
    return { content: [{ type: "text", text: [error.message, ...fields].join("\n") }], isError: true };
  }
}

/** Checked by name: importing the class would tie this file, which is evaluated late, to the API, which is needed early. */
function isRefusal(error: unknown): error is DarkroomProblem {
  return error instanceof Error && error.name === "DarkroomProblem";
}

/** The fields of a job that a program needs, without its log and its request. */
function brief(job: Job | JobSummary): Record<string, unknown> {
  const { id, status, done, model, createdAt, queue, error, links } = job;
  const images = (job.output?.images ?? []).map(({ url, width, height, contentType }) => ({
    url,
    width,
    height,
    contentType,
  }));
  const place = queue && {
    position: queue.position,
    estimatedStartAt: queue.estimatedStartAt,
    waitingOn: queue.waitingOn,
  };
  return { id, status, done, model, createdAt, queue: place, images, error, page: links.page };
}

function wordsOf(job: Job): string {
  const { id, status, queue, error, output } = job;
  switch (status) {
    case "succeeded":
      return [`Job ${id} succeeded. Full size:`, ...(output?.images ?? []).map(({ url }) => url)].join("\n");
    case "failed":
      return `Job ${id} failed: ${error?.message ?? "for an unknown reason"} ${error?.hint ?? ""}`.trim();
    case "canceled":
      return `Job ${id} is canceled.`;
    default:
      return `Job ${id} is ${status}${queue === null ? "" : `: ${queue.detail}`}. Call get_job with this id to go on.`;
  }
}

/** A small picture of the job's first image; null when there is none, or it is too large or too slow to make. */
async function previewOf(api: LocalApi, job: Job) {
  const [first] = job.output?.images ?? [];
  if (job.status !== "succeeded" || first === undefined) return null;
  try {
    return await within(PREVIEW_WITHIN_MS, "the preview", smallPicture(api, job.id, first.index));
  } catch (error) {
    // The job is done and paid for: no failure of its picture may hide its links.
    console.error({ event: "preview_failed", jobId: job.id, error: String(error) });
    return null;
  }
}

async function smallPicture(api: LocalApi, jobId: string, index: number) {
  const answer = await api.call(variantUrl(paths.jobImage(jobId, index), PREVIEW));
  const length = Number(answer.headers.get("content-length") ?? Number.POSITIVE_INFINITY);
  if (!answer.ok || length > MOST_PREVIEW_BYTES) {
    await answer.body?.cancel();
    return null;
  }
  const bytes = new Uint8Array(await answer.arrayBuffer());
  const data = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return { type: "image", data, mimeType: answer.headers.get("content-type") ?? "image/jpeg" } as const;
}
