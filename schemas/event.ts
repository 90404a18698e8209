import { z } from "zod";
import { AttemptOutcome, Job, JobError, JobSummary, Timestamp, UpstreamReport } from "./job.ts";

export const EventType = z.enum([
  "job.queued",
  "attempt.started",
  "attempt.finished",
  "attempt.late",
  "job.retrying",
  "job.storing",
  "job.succeeded",
  "job.failed",
  "job.canceled",
  "job.retried",
]);
export type EventType = z.infer<typeof EventType>;

/** The data of an event of any type. Fields that do not apply are absent. */
export const EventData = z.object({
  attempt: z.int().optional(),
  outcome: AttemptOutcome.optional(),
  counted: z.boolean().optional(),
  mayBeBilled: z.boolean().optional(),
  stillOpen: z.boolean().optional(),
  durationMs: z.int().optional(),
  upstream: UpstreamReport.optional(),
  retryAt: Timestamp.optional(),
  images: z.int().optional(),
  error: JobError.optional(),
  reason: z.string().optional().meta({ description: "One sentence for people." }),
});
export type EventData = z.infer<typeof EventData>;

/** A numbered fact in a job's append-only log. */
export const JobEvent = z
  .object({ seq: z.int().min(1), at: Timestamp, type: EventType, data: EventData })
  .meta({ id: "JobEvent" });
export type JobEvent = z.infer<typeof JobEvent>;

export const EventPage = z
  .object({
    events: z.array(JobEvent),
    nextAfter: z.int().min(0).meta({ description: "Give it as `?after=` to go on." }),
  })
  .meta({ id: "EventPage" });
export type EventPage = z.infer<typeof EventPage>;

/** A frame of one job's stream, the same over WebSocket and SSE. `event: null`: the current state, or a new place in line. */
export const JobFrame = z
  .object({ type: z.literal("job"), seq: z.int().min(0), event: JobEvent.nullable(), job: Job })
  .meta({ id: "JobFrame" });
export type JobFrame = z.infer<typeof JobFrame>;

/**
 * A frame of the live feed of all jobs of a client. `cursor` numbers the feed: pass it as `?after=` to get each job that
 * changed since, once and in its current state. `deleted` names a removed job. After the missed changes comes a `ready`
 * frame.
 */
export const FeedFrame = z
  .discriminatedUnion("type", [
    z.object({ type: z.literal("job"), cursor: z.int().min(0), seq: z.int().min(0), job: JobSummary }),
    z.object({ type: z.literal("deleted"), cursor: z.int().min(0), id: z.string() }),
    z.object({ type: z.literal("ready"), cursor: z.int().min(0) }),
  ])
  .meta({ id: "FeedFrame" });
export type FeedFrame = z.infer<typeof FeedFrame>;

/** The text that is answered `pong` without waking the object. */
export const PING = "ping";
export const PONG = "pong";
