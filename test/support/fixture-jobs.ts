import { type Attempt, Job, type JobError } from "../../schemas/job.ts";
import { paths } from "../../schemas/paths.ts";

/** Sketches of jobs in the API's form, for states that are rare or slow to produce; checked by the API's schemas. */
export interface JobSketch {
  readonly number: number;
  readonly prompt: string;
  readonly agoMs?: number;
  readonly size?: string | null;
  readonly model?: string;
  readonly change?: (job: Job) => Partial<Job>;
}

export function sketchJob({
  number,
  prompt,
  agoMs = number * 190_000,
  size = "1664*928",
  model,
  change,
}: JobSketch): Job {
  const id = `job_${String(number).padStart(6, "0")}Dv7kPz2QmX9rTbL`;
  const createdAt = iso(-agoMs);
  const base: Job = {
    id,
    workflow: "image-from-text",
    model: model ?? "qwen-image-max",
    status: "queued",
    done: false,
    seq: 1,
    createdAt,
    updatedAt: createdAt,
    startedAt: null,
    finishedAt: null,
    deadlineAt: iso(86_400_000 - agoMs),
    expiresAt: null,
    pinned: false,
    request: {
      prompt,
      negativePrompt: null,
      size,
      n: 1,
      seed: null,
      promptExtend: null,
      watermark: null,
      images: [],
      priority: "normal",
      maxAttempts: 4,
      deadlineSeconds: 86_400,
      onUncertain: "retry",
    },
    queue: null,
    phase: null,
    attempts: [],
    output: null,
    cost: { currency: "USD", estimated: 0.075, charged: 0, atRisk: 0 },
    error: null,
    warnings: [],
    metadata: {},
    links: {
      self: paths.job(id),
      events: paths.jobEvents(id),
      cancel: paths.jobCancel(id),
      retry: paths.jobRetry(id),
      page: paths.jobPage(id),
    },
  };
  return Job.parse({ ...base, ...change?.(base) });
}

export function iso(fromNowMs: number): string {
  return new Date(Date.now() + fromNowMs).toISOString();
}

export function sketchAttempt(change: Partial<Attempt> & { number: number }): Attempt {
  return {
    startedAt: iso(-60_000),
    finishedAt: iso(-43_500),
    durationMs: 16_503,
    outcome: "succeeded",
    counted: true,
    mayBeBilled: false,
    stillOpen: false,
    upstream: {
      httpStatus: 200,
      code: null,
      message: null,
      requestId: `9c2ef37b-5b1a-9d67-8a30-3f0f0b1a2c${change.number}4`,
      taskId: null,
    },
    retryAt: null,
    ...change,
  };
}

/** A finished job with `count` images of its size. */
export function succeeded(count = 1): (job: Job) => Partial<Job> {
  return (job) => {
    const [width = 1328, height = 1328] = (job.request.size ?? "").split("*").map(Number);
    const finishedAt = new Date(Date.parse(job.createdAt) + 19_000).toISOString();
    return {
      status: "succeeded",
      done: true,
      seq: 5,
      startedAt: job.createdAt,
      finishedAt,
      updatedAt: finishedAt,
      expiresAt: iso(30 * 86_400_000),
      request: { ...job.request, n: count },
      attempts: [sketchAttempt({ number: 1, startedAt: job.createdAt, finishedAt, mayBeBilled: true })],
      output: {
        images: Array.from({ length: count }, (_, index) => ({
          index,
          url: paths.jobImage(job.id, index),
          contentType: "image/png",
          width: width || 1328,
          height: height || 1328,
          bytes: 1_873_204 + index,
          sha256: `${job.id}${index}`,
        })),
      },
    };
  };
}

/** A failed job. */
export function failed(error: JobError, attempts: readonly Attempt[]): (job: Job) => Partial<Job> {
  return (job) => {
    const soon = new Date(Date.parse(job.createdAt) + 150_000).toISOString();
    const finishedAt = attempts.at(-1)?.finishedAt ?? soon;
    return { status: "failed", done: true, seq: 9, finishedAt, updatedAt: finishedAt, error, attempts: [...attempts] };
  };
}
