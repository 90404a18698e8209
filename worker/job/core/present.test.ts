import { describe, expect, it } from "vitest";
import { Job, JobSummary, NO_REASON } from "../../../schemas/job.ts";
import type { CatalogEntry } from "../../catalog/contract.ts";
import type { JobView } from "../contract.ts";
import { type LinkMaker, presentJob, presentSummary } from "./present.ts";

const id = "job_V1StGXR8_Z5jdHi6B-myT";
const at = "2026-11-23T12:03:30.000Z";

const links: LinkMaker = {
  epoch: "1",
  input: (jobId, index) => `https://d.example/${jobId}/in/${index}`,
  image: (jobId, index) => `https://d.example/${jobId}/${index}`,
  job: (jobId) => ({ self: `/${jobId}`, events: "/e", cancel: "/c", retry: "/r", page: "/p" }),
};

const head = {
  id,
  workflow: "image-from-text",
  model: "qwen-image-max",
  status: "succeeded",
  done: true,
  seq: 4,
  createdAt: at,
  updatedAt: at,
  startedAt: at,
  finishedAt: at,
  deadlineAt: at,
  expiresAt: at,
  pinned: false,
  queue: null,
  phase: null,
  output: { images: [{ index: 0, contentType: "image/png", width: 8, height: 8, bytes: 9, sha256: "ab" }] },
  error: null,
} as const;

const view: JobView = {
  ...head,
  request: {
    prompt: "a red bicycle",
    negativePrompt: null,
    size: null,
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
  attempts: [],
  warnings: [],
  metadata: {},
  client: "app",
  copyAgainAt: null,
  cost: { currency: "USD", estimated: 0.075, charged: 0.075, atRisk: 0 },
  spend: { grants: 1, reservedMicros: 0, days: [] },
  tag: "t1",
};

const entry: CatalogEntry = { ...head, prompt: "a red bicycle", size: null, n: 1, attempts: 1, retryAt: null };

describe("presentJob", () => {
  it("is a job of the contract, with links and without internal fields", () => {
    const job = presentJob(view, links);
    expect(Job.parse(job)).toEqual(job);
    expect(job.output?.images[0]?.url).toBe(`https://d.example/${id}/0`);
    expect(job.links.self).toBe(`/${id}`);
    expect(job).not.toHaveProperty("client");
    expect(job).not.toHaveProperty("tag");
  });
});

describe("presentSummary", () => {
  it("is a summary of the contract, with the place that its lane sent", () => {
    const place = {
      position: 4,
      estimatedStartAt: at,
      waitingOn: "quota",
      reason: NO_REASON,
      detail: "4th in line",
    } as const;
    const summary = presentSummary(entry, "app", links, place);
    expect(JobSummary.parse(summary)).toEqual(summary);
    expect(summary.queue).toEqual(place);
    expect(summary.output?.images[0]?.url).toBe(`https://d.example/${id}/0`);
  });
});
