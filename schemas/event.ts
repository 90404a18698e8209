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

/** What an event of any type may carry; absent where it does not apply. */
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

/** What a watcher of one job gets, the same over WebSocket and SSE. `event: null` is the state now, or a new place in line. */
export const JobFrame = z
  .object({ type: z.literal("job"), seq: z.int().min(0), event: JobEvent.nullable(), job: Job })
  .meta({ id: "JobFrame" });
export type JobFrame = z.infer<typeof JobFrame>;

/**
 * What a watcher of all a client's jobs gets. `cursor` numbers the feed: give it as `?after=` to get every job that
 * changed since, each once, as it is now. `deleted` names a job that is gone. A `ready` frame ends the catching up.
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
