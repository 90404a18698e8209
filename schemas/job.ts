import { z } from "zod";
import { JOB_ID_PATTERN, WORKFLOWS } from "./paths.ts";

export const JobId = z.string().regex(JOB_ID_PATTERN, "a job id is job_ and 21 to 64 letters, digits, - or _").meta({
  description: "`job_` and 21 to 64 URL-safe characters.",
  example: "job_V1StGXR8_Z5jdHi6B-myT",
});

/** ISO 8601 in UTC, with milliseconds. */
export const Timestamp = z.iso.datetime().meta({ example: "2026-11-23T12:03:30.000Z" });

export const JobStatus = z.enum(["queued", "running", "retrying", "succeeded", "failed", "canceled"]);
export type JobStatus = z.infer<typeof JobStatus>;

/** The statuses of a job that has ended. `done` is true in them, so that a client need not know them all. */
export const FINAL_STATUSES: readonly JobStatus[] = ["succeeded", "failed", "canceled"];
export const UNFINISHED_STATUSES = JobStatus.options.filter((status) => !FINAL_STATUSES.includes(status));

export const Priority = z.enum(["high", "normal", "low"]);
export type Priority = z.infer<typeof Priority>;

/** What to do when an attempt ended with no answer and may have been billed. */
export const OnUncertain = z.enum(["retry", "fail"]);
export type OnUncertain = z.infer<typeof OnUncertain>;

export const WaitingOn = z.enum(["turn", "quota", "backoff", "blocked", "paused"]);
export type WaitingOn = z.infer<typeof WaitingOn>;

/** The numbers and times behind `waitingOn`. Every field is present, and null where it does not apply. */
export const QueueReason = z.object({
  nextStartAt: Timestamp.nullable().meta({ description: "When the lane may start its next job." }),
  starts: z.int().nullable().meta({ description: "The lane's quota: so many starts in any window of `periodMs`." }),
  periodMs: z.int().nullable(),
  pace: z.number().nullable().meta({ description: "The share of the quota in use; below 1 after upstream throttled." }),
  inProgress: z.int().nullable().meta({ description: "Attempts that run in the lane now." }),
  inProgressLimit: z.int().nullable(),
  failuresInARow: z.int().nullable().meta({ description: "Set while the lane tries one job at a time." }),
  blockedBy: z.object({ code: z.string(), hint: z.string() }).nullable(),
  nextProbeAt: Timestamp.nullable().meta({ description: "When a blocked lane tries its next job." }),
  pausedBecause: z.string().nullable().meta({ description: "What the operator gave as the reason." }),
  pausedUntil: Timestamp.nullable(),
  failure: z.string().nullable().meta({ description: "What the job waits out: why its last try failed." }),
});
export type QueueReason = z.infer<typeof QueueReason>;

export const NO_REASON: QueueReason = {
  nextStartAt: null,
  starts: null,
  periodMs: null,
  pace: null,
  inProgress: null,
  inProgressLimit: null,
  failuresInARow: null,
  blockedBy: null,
  nextProbeAt: null,
  pausedBecause: null,
  pausedUntil: null,
  failure: null,
};

/** The place of an unfinished job. `position` 1 is next; it is null during a backoff, when the job is not in the queue. */
export const QueuePlace = z
  .object({
    position: z.int().min(1).nullable(),
    estimatedStartAt: Timestamp.nullable(),
    waitingOn: WaitingOn,
    reason: QueueReason,
    detail: z.string().meta({ example: "4th in line; the next start is allowed at 12:03:30 (2 a minute)" }),
  })
  .meta({ id: "QueuePlace" });
export type QueuePlace = z.infer<typeof QueuePlace>;

export const AttemptOutcome = z.enum([
  "succeeded",
  "succeeded_late",
  "failed",
  "throttled",
  "blocked",
  "timed_out",
  "interrupted",
  "canceled",
]);
export type AttemptOutcome = z.infer<typeof AttemptOutcome>;

/** Upstream's answer, unchanged. */
export const UpstreamReport = z.object({
  httpStatus: z.int().nullable(),
  code: z.string().nullable(),
  message: z.string().nullable(),
  requestId: z.string().nullable(),
  taskId: z.string().nullable(),
});
export type UpstreamReport = z.infer<typeof UpstreamReport>;

export const Attempt = z.object({
  number: z.int().min(1),
  startedAt: Timestamp,
  finishedAt: Timestamp.nullable(),
  durationMs: z.int().min(0).nullable(),
  outcome: AttemptOutcome.nullable(),
  counted: z.boolean().meta({ description: "Whether it counts towards `maxAttempts`." }),
  mayBeBilled: z.boolean().meta({ description: "Upstream may have made, and charged, an image in this attempt." }),
  stillOpen: z
    .boolean()
    .meta({ description: "The call is past its budget but not hung up: its answer is still taken." }),
  upstream: UpstreamReport,
  retryAt: Timestamp.nullable(),
});
export type Attempt = z.infer<typeof Attempt>;

export const OutputImage = z
  .object({
    index: z.int().min(0),
    url: z.string().meta({ description: "A signed link with an end; works in `<img>` with no token." }),
    contentType: z.string(),
    width: z.int(),
    height: z.int(),
    bytes: z.int(),
    sha256: z.string(),
  })
  .meta({ id: "OutputImage" });
export type OutputImage = z.infer<typeof OutputImage>;

export const JobErrorCode = z.enum([
  "attempts_exhausted",
  "deadline_exceeded",
  "outcome_uncertain",
  "result_lost",
  "content_rejected",
  "invalid_request",
  "invalid_image",
  "image_unreachable",
  "model_unavailable",
  "upstream_rejected",
  "budget_exceeded",
]);
export type JobErrorCode = z.infer<typeof JobErrorCode>;

export const JobError = z
  .object({
    code: JobErrorCode,
    message: z.string(),
    hint: z.string().meta({ description: "What a person can do about it." }),
    upstream: z.object({ code: z.string().nullable(), requestId: z.string().nullable() }).nullable(),
  })
  .meta({ id: "JobError" });
export type JobError = z.infer<typeof JobError>;

/** Information for people about a job that has not failed. The codes are for programs; codes may be added. */
export const Warning = z.object({
  code: z.string().meta({
    description:
      "`prompt_too_long`, `negative_prompt_too_long`: upstream cuts it. `option_ignored`: an option changes nothing here. `size_corrected`: a known misspelling of a size. `input_image_size`, `input_image_turned`: what upstream makes of an input image. `fewer_images`: upstream delivered fewer than asked for. `storing_delayed`: delivered, but not copied yet; says why, and when it is tried again. `result_partly_lost`: some of the delivered images could not be copied. `budget_alert`: most of the client's monthly spend limit is used.",
    example: "prompt_too_long",
  }),
  message: z.string(),
});
export type Warning = z.infer<typeof Warning>;

/** An input image: the address that the client gave, or a reference to an upload, never the bytes. */
export const InputImage = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("url"), url: z.string() }),
  z.object({
    kind: z.literal("upload"),
    url: z.string().optional().meta({ description: "A signed link with an end, like those of `output.images`." }),
    contentType: z.string(),
    bytes: z.int(),
    sha256: z.string(),
    width: z.int(),
    height: z.int(),
  }),
]);
export type InputImage = z.infer<typeof InputImage>;

export const MAX_METADATA_KEY_CHARS = 64;

/** The submitter's own data, returned and never interpreted. */
export const Metadata = z
  .record(
    z.string().min(1).max(MAX_METADATA_KEY_CHARS),
    z.union([z.string().max(500), z.number(), z.boolean(), z.null()]),
  )
  .refine((value) => Object.keys(value).length <= 20, "must have 20 entries at most");
export type Metadata = z.infer<typeof Metadata>;

/** How upstream extends a prompt: `direct`, or `agent`, which is for image-from-text only. */
export const PromptExtendMode = z.enum(["direct", "agent"]);
export type PromptExtendMode = z.infer<typeof PromptExtendMode>;

/** The normalised request. `null` leaves the choice to upstream. */
export const JobRequest = z.object({
  prompt: z.string(),
  negativePrompt: z.string().nullable(),
  size: z.string().nullable().meta({ example: "1664*928" }),
  n: z.int().min(1),
  seed: z.int().nullable().meta({ description: "Drawn when none was given; null where the model takes none." }),
  promptExtend: z.boolean().nullable(),
  // Absent from servers that are older than these two fields.
  promptExtendMode: PromptExtendMode.nullable().optional(),
  thinking: z.boolean().nullable().optional(),
  watermark: z.boolean().nullable(),
  images: z.array(InputImage),
  priority: Priority,
  maxAttempts: z.int().min(1),
  deadlineSeconds: z.int().min(1),
  onUncertain: OnUncertain,
});
export type JobRequest = z.infer<typeof JobRequest>;

/** Money is a number with at most 6 decimals. */
const Money = z.number().min(0);

/** What upstream billed for a job lies within [charged, charged + atRisk]. */
export const JobCost = z
  .object({
    currency: z.string().meta({ description: "An ISO 4217 code.", example: "USD" }),
    estimated: Money.meta({ description: "What one attempt costs when all goes well: `n` images.", example: 0.075 }),
    charged: Money.meta({ description: "The images that upstream is known to have delivered." }),
    atRisk: Money.meta({
      description: "Attempts that ended without an answer: upstream may have made, and billed, their images.",
    }),
  })
  .meta({ id: "JobCost" });
export type JobCost = z.infer<typeof JobCost>;

export const JobLinks = z
  .object({
    self: z.string(),
    events: z.string().meta({ description: "A signed link with an end; works in `new WebSocket()` with no token." }),
    cancel: z.string(),
    retry: z.string(),
    page: z.string(),
  })
  .meta({ id: "JobLinks" });
export type JobLinks = z.infer<typeof JobLinks>;

const jobHead = {
  id: JobId,
  workflow: z.enum(WORKFLOWS),
  model: z.string(),
  status: JobStatus,
  done: z.boolean().meta({ description: "Nothing more will happen unless the job is retried." }),
  seq: z.int().min(1).meta({ description: "The number of the last event; also the job's version." }),
  createdAt: Timestamp,
  updatedAt: Timestamp,
  startedAt: Timestamp.nullable(),
  finishedAt: Timestamp.nullable(),
  deadlineAt: Timestamp,
  expiresAt: Timestamp.nullable().meta({ description: "When a finished job is removed, unless it is pinned." }),
  pinned: z.boolean().meta({ description: "Kept beyond `expiresAt`, until it is unpinned or deleted." }),
};

const jobState = {
  queue: QueuePlace.nullable(),
  phase: z.enum(["generating", "storing"]).nullable(),
  output: z.object({ images: z.array(OutputImage) }).nullable(),
  error: JobError.nullable(),
  links: JobLinks,
};

export const Job = z
  .object({
    ...jobHead,
    request: JobRequest,
    ...jobState,
    attempts: z.array(Attempt),
    // Absent from servers that are older than prices.
    cost: JobCost.nullable().default(null).meta({
      description: "By the price at the submission. Null: the price was not known, or the job is from before prices.",
    }),
    warnings: z.array(Warning),
    metadata: Metadata,
  })
  .meta({ id: "Job" });
export type Job = z.infer<typeof Job>;

/** What can be changed of a job at any time. An absent field changes nothing. */
export const JobPatchBody = z
  .strictObject({
    pinned: z.boolean().optional(),
    metadata: Metadata.optional().meta({ description: "Replaces all of the job's metadata." }),
  })
  .refine(({ pinned, metadata }) => pinned !== undefined || metadata !== undefined, "must have pinned or metadata")
  .meta({ id: "JobPatch" });
export type JobPatchBody = z.infer<typeof JobPatchBody>;

/** A job in lists and in the live feed: without attempts, and with the start of the prompt only. */
export const JobSummary = z
  .object({
    ...jobHead,
    ...jobState,
    client: z.string().meta({ description: "Who submitted." }),
    prompt: z.string().meta({ description: "The first 200 characters." }),
    size: z.string().nullable(),
    n: z.int().min(1),
    attempts: z.int().min(0).meta({ description: "How many were started." }),
    retryAt: Timestamp.nullable(),
    metadata: Metadata,
  })
  .meta({ id: "JobSummary" });
export type JobSummary = z.infer<typeof JobSummary>;

export const JobList = z
  .object({
    jobs: z.array(JobSummary),
    nextCursor: z.string().nullable(),
    feedCursor: z.int().min(0).nullable().meta({
      description:
        "Where the live feed stood: give it as `?after=` to get every change since, without a gap. Null over several clients.",
    }),
  })
  .meta({ id: "JobList" });
export type JobList = z.infer<typeof JobList>;

const Count = z.int().min(0);

/** A link by which anyone may read one job until its end. */
export const Share = z
  .object({
    url: z.string().meta({ description: "A page of the job that only shows it; needs no token." }),
    expiresAt: Timestamp,
  })
  .meta({ id: "Share" });
export type Share = z.infer<typeof Share>;

/** The longest time, in hours, for which a shared link is valid: as long as a job is kept by default. */
export const MAX_SHARE_HOURS = 720;

export const ShareOptions = z.strictObject({
  hours: z.int().min(1).max(MAX_SHARE_HOURS).meta({ description: "How long the link opens the job." }),
});

/**
 * How many jobs there are of each kind, for a form that shows filters with counts. Each kind is counted under all given
 * filters except the one on itself.
 */
export const JobCounts = z
  .object({
    isAll: z
      .boolean()
      .meta({ description: "False where a client has more jobs than are counted: the newest 2 000 are." }),
    status: z.record(JobStatus, Count),
    models: z.array(z.object({ model: z.string(), jobs: Count })).meta({ description: "The most used first." }),
    metadata: z
      .array(z.object({ key: z.string(), value: z.string(), jobs: Count }))
      .meta({ description: "The most used entries first, 30 at most; values as text." }),
  })
  .meta({ id: "JobCounts" });
export type JobCounts = z.infer<typeof JobCounts>;
