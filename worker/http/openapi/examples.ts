import type { BulkResult } from "../../../schemas/bulk.ts";
import type { Diagnosis } from "../../../schemas/doctor.ts";
import type { EventPage, FeedFrame, JobFrame } from "../../../schemas/event.ts";
import {
  type Job,
  type JobCounts,
  type JobList,
  type JobSummary,
  NO_REASON,
  type Share,
} from "../../../schemas/job.ts";
import type { Health, Identity, LaneReport, Limits, Session } from "../../../schemas/limits.ts";
import type { ClientState, CommandedLane, OperatorEntries } from "../../../schemas/operator.ts";
import { PROBLEMS, type Problem, type ProblemCode } from "../../../schemas/problem.ts";
import type { Usage } from "../../../schemas/usage.ts";
import type { Delivery, DeliveryList, WebhookSecret, WebhookTestResult } from "../../../schemas/webhook.ts";

/** The origin in all examples, different from the document's own server. */
const ORIGIN = "https://darkroom.example";
const ID = "job_V1StGXR8_Z5jdHi6B-myT";
const SELF = `${ORIGIN}/api/jobs/${ID}`;
const LINK = "?end=1795424400&signature=3q2-7w8VbWlkbm90aGluZ3RvaGlkZWhlcmVhdGFsbA";
const REQUEST_ID = "0f8f1d0e-4a6b-4a8e-9d53-1f6f3a1f5a10";

const HEAD = {
  id: ID,
  workflow: "image-from-text",
  model: "qwen-image-max",
  createdAt: "2026-11-23T12:00:00.000Z",
  deadlineAt: "2026-11-24T12:00:00.000Z",
} as const;

const LINKS = {
  self: SELF,
  events: `${SELF}/events${LINK}`,
  cancel: `${SELF}/cancel`,
  retry: `${SELF}/retry`,
  page: `${ORIGIN}/jobs/${ID}`,
};

const REQUEST: Job["request"] = {
  prompt: "a red bicycle in the rain",
  negativePrompt: null,
  size: "1664*928",
  n: 1,
  seed: 233,
  promptExtend: null,
  promptExtendMode: null,
  thinking: null,
  watermark: null,
  images: [],
  priority: "normal",
  maxAttempts: 4,
  deadlineSeconds: 86_400,
  onUncertain: "retry",
};

const queuedJob: Job = {
  ...HEAD,
  status: "queued",
  done: false,
  seq: 1,
  updatedAt: HEAD.createdAt,
  startedAt: null,
  finishedAt: null,
  expiresAt: null,
  pinned: false,
  request: REQUEST,
  queue: {
    position: 4,
    estimatedStartAt: "2026-11-23T12:01:30.000Z",
    waitingOn: "quota",
    reason: { ...NO_REASON, nextStartAt: "2026-11-23T12:00:30.000Z", starts: 2, periodMs: 60_000, pace: 1 },
    detail: "4th in line; the next start is allowed at 12:00:30 (2 a minute)",
  },
  phase: null,
  attempts: [],
  output: null,
  cost: { currency: "USD", estimated: 0.075, charged: 0, atRisk: 0 },
  error: null,
  warnings: [],
  metadata: { order: "A-1017" },
  links: LINKS,
};

const succeededJob: Job = {
  ...queuedJob,
  status: "succeeded",
  done: true,
  seq: 5,
  updatedAt: "2026-11-23T12:01:48.300Z",
  startedAt: "2026-11-23T12:01:30.020Z",
  finishedAt: "2026-11-23T12:01:48.300Z",
  expiresAt: "2026-12-23T12:01:48.300Z",
  queue: null,
  attempts: [
    {
      number: 1,
      startedAt: "2026-11-23T12:01:30.020Z",
      finishedAt: "2026-11-23T12:01:47.900Z",
      durationMs: 17_880,
      outcome: "succeeded",
      counted: true,
      mayBeBilled: true,
      stillOpen: false,
      upstream: {
        httpStatus: 200,
        code: null,
        message: null,
        requestId: "5795d646-7395-91d2-85d7-34d8b99a3d8d",
        taskId: null,
      },
      retryAt: null,
    },
  ],
  cost: { currency: "USD", estimated: 0.075, charged: 0.075, atRisk: 0 },
  output: {
    images: [
      {
        index: 0,
        url: `${SELF}/images/0${LINK}`,
        contentType: "image/png",
        width: 1664,
        height: 928,
        bytes: 1_534_201,
        sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
      },
    ],
  },
};

const canceledJob: Job = {
  ...queuedJob,
  status: "canceled",
  done: true,
  seq: 2,
  updatedAt: "2026-11-23T12:00:12.000Z",
  finishedAt: "2026-11-23T12:00:12.000Z",
  expiresAt: "2026-12-23T12:00:12.000Z",
  queue: null,
};

const { request: _request, attempts: _attempts, warnings: _warnings, cost: _cost, ...shared } = queuedJob;
const summary: JobSummary = {
  ...shared,
  client: "addreams",
  prompt: REQUEST.prompt,
  size: REQUEST.size,
  n: 1,
  attempts: 0,
  retryAt: null,
};

const identity: Identity = { client: "addreams", role: "client", clients: ["addreams"] };

const share: Share = {
  url: `${ORIGIN}/shared/${ID}?end=1795694400&signature=3bq9`,
  expiresAt: "2026-11-26T12:00:00.000Z",
};

const jobCounts: JobCounts = {
  isAll: true,
  status: { queued: 2, running: 1, retrying: 0, succeeded: 118, failed: 3, canceled: 1 },
  models: [
    { model: "qwen-image-max", jobs: 97 },
    { model: "qwen-image-edit-max", jobs: 28 },
  ],
  metadata: [{ key: "campaign", value: "autumn", jobs: 40 }],
};

const jobList: JobList = {
  jobs: [summary],
  feedCursor: 1_795_435_200_000,
  nextCursor: "MS4xNzk1NDM1MjAwMDAwLmpvYl9WMVN0R1hSOF9aNWpkSGk2Qi1teVQ",
};

const queuedEvent = { seq: 1, at: HEAD.createdAt, type: "job.queued", data: {} } as const;

const eventPage: EventPage = {
  events: [queuedEvent, { seq: 2, at: "2026-11-23T12:01:30.020Z", type: "attempt.started", data: { attempt: 1 } }],
  nextAfter: 2,
};

const jobFrame: JobFrame = { type: "job", seq: 1, event: queuedEvent, job: queuedJob };
const feedFrame: FeedFrame = { type: "job", cursor: 41, seq: 1, job: summary };

const lane: LaneReport = {
  model: "qwen-image-max",
  quota: { starts: 2, periodMs: 60_000, inProgress: null },
  pace: 1,
  startsPerMinute: 2,
  mode: "open",
  queued: 4,
  inProgress: 1,
  nextStartAt: "2026-11-23T12:00:30.000Z",
  typicalDurationMs: 17_500,
  blocked: null,
  paused: null,
  limit: null,
};

const usage: Usage = {
  currency: "USD",
  buckets: [
    {
      start: "2026-11-23T00:00:00.000Z",
      end: "2026-11-24T00:00:00.000Z",
      results: [{ client: "addreams", model: "qwen-image-max", jobs: 12, images: 12, charged: 0.9, atRisk: 0.075 }],
    },
  ],
  budget: {
    client: "addreams",
    limit: 50,
    alertAt: 0.8,
    charged: 0.9,
    reserved: 0.3,
    atRisk: 0.075,
    resetsAt: "2026-12-01T00:00:00.000Z",
  },
  budgets: [],
};

const limits: Limits = { lanes: [lane], models: [] };

const health: Health = {
  status: "ok",
  service: "darkroom",
  version: "0.1.0",
  time: HEAD.createdAt,
  upstream: { region: "sg", host: "dashscope-intl.aliyuncs.com", keyConfigured: true },
  lanes: [{ model: "qwen-image-max", queued: 4, inProgress: 1, blocked: null }],
  authMode: "token",
};

const diagnosis: Diagnosis = {
  ok: false,
  service: "darkroom",
  version: "0.1.0",
  time: HEAD.createdAt,
  checks: [
    { name: "variables", ok: true, seen: "all 5 that are set are right", fix: null },
    { name: "storage", ok: true, seen: "wrote, read and deleted an object in R2 in 41 ms", fix: null },
    {
      name: "key",
      ok: false,
      seen: "refused by dashscope-intl.aliyuncs.com: 401 InvalidApiKey. Beijing (bj) accepts it",
      fix: 'It is a key of Beijing: set QWEN_REGION="bj" and deploy.',
    },
  ],
};

const misconfiguredHealth: Health = {
  ...health,
  status: "misconfigured",
  upstream: { region: null, host: null, keyConfigured: true },
  lanes: [],
  authMode: null,
  problems: [{ path: "QWEN_REGION", message: "must be sg, bj, us or hk" }],
};

const session: Session = { client: "addreams", expiresAt: "2026-11-30T12:00:00.000Z" };

const WEBHOOK_URL = "https://example.com/darkroom";

const delivery: Delivery = {
  number: 5,
  id: `${ID}.5`,
  type: "job.succeeded",
  url: WEBHOOK_URL,
  state: "pending",
  reason: null,
  createdAt: "2026-11-23T12:01:48.300Z",
  nextTryAt: "2026-11-23T12:01:53.612Z",
  tries: [
    {
      number: 1,
      startedAt: "2026-11-23T12:01:48.310Z",
      finishedAt: "2026-11-23T12:01:48.402Z",
      durationMs: 92,
      status: 503,
      error: "answered 503",
      answer: "down for maintenance",
    },
  ],
};

const deliveryList: DeliveryList = {
  webhook: { url: WEBHOOK_URL, events: ["job.succeeded", "job.failed", "job.canceled"] },
  deliveries: [delivery],
};

const webhookTest = { url: WEBHOOK_URL };

const webhookTestResult: WebhookTestResult = {
  delivered: true,
  id: "test_V1StGXR8_Z5jdHi6B-myT",
  url: WEBHOOK_URL,
  status: 204,
  durationMs: 92,
  error: null,
  answer: null,
};

const webhookSecret: WebhookSecret = {
  client: "addreams",
  secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwd2Vs8mZ0fJk=",
  previousSecret: null,
};

const textSubmit = { prompt: REQUEST.prompt, size: "1664*928", seed: 233, metadata: { order: "A-1017" } };
const vendorSubmit = {
  model: "qwen-image-max",
  input: { messages: [{ role: "user", content: [{ text: REQUEST.prompt }] }] },
  parameters: { size: "1664*928", negative_prompt: "blurry", prompt_extend: true },
};
const referenceSubmit = {
  prompt: "put the logo on the bag",
  images: ["https://example.com/logo.png", "https://example.com/bag.png"],
};
const snakeReferenceSubmit = {
  prompt: "put it on a bag",
  reference_image_url: "https://example.com/logo.png",
  prompt_extend: true,
};

const move = { reason: "the account is being moved", since: "2026-11-23T12:00:00.000Z", until: null };
const pausedLane: CommandedLane = { ...lane, paused: move, replaced: null };
const resumedLane: CommandedLane = { ...lane, paused: null, replaced: move };
const limitedLane: CommandedLane = {
  ...lane,
  quota: { starts: 4, periodMs: 60_000, inProgress: null },
  limit: { reason: "the quota was raised", since: "2026-11-23T12:00:00.000Z", until: null },
  replaced: {
    reason: "fewer while the bill is open",
    since: "2026-11-22T09:00:00.000Z",
    until: null,
    quota: { starts: 1, periodMs: 60_000, inProgress: null },
  },
};

const pausedClient: ClientState = {
  client: "shop",
  paused: { reason: "an unpaid bill", since: "2026-11-23T12:00:00.000Z", until: null },
};

const resumedClient: ClientState = { client: "shop", paused: null };

const operatorEntries: OperatorEntries = {
  entries: [
    {
      seq: 7,
      at: "2026-11-23T12:00:00.000Z",
      who: "operator",
      action: "lane.pause",
      target: "qwen-image-max",
      reason: "the account is being moved",
      details: { untilMs: null },
      failed: null,
    },
  ],
  nextCursor: null,
};

const bulkResult: BulkResult = {
  matched: 3,
  done: 2,
  refused: [{ id: ID, code: "job_finished" }],
  nextCursor: null,
};

/** Every example of the document, by its name there. A test checks each against the contract's schema. */
export const EXAMPLES = {
  queuedJob,
  succeededJob,
  canceledJob,
  identity,
  jobCounts,
  share,
  jobList,
  eventPage,
  jobFrame,
  feedFrame,
  limits,
  health,
  misconfiguredHealth,
  diagnosis,
  session,
  usage,
  lane,
  pausedLane,
  resumedLane,
  limitedLane,
  pausedClient,
  resumedClient,
  operatorEntries,
  bulkResult,
  delivery,
  deliveryList,
  webhookTest,
  webhookTestResult,
  webhookSecret,
  textSubmit,
  vendorSubmit,
  referenceSubmit,
  snakeReferenceSubmit,
} as const;

export type ExampleName = keyof typeof EXAMPLES;

/** A problem as it is answered, with `detail` for this case. */
export function problemExample(code: ProblemCode, detail: string): Problem {
  const [status, title] = PROBLEMS[code];
  return { type: `${ORIGIN}/api/docs#problem-${code}`, title, status, detail, code, requestId: REQUEST_ID };
}
