import { z } from "zod";
import { JobId, JobStatus, MAX_METADATA_KEY_CHARS, Timestamp } from "./job.ts";
import { WORKFLOWS } from "./paths.ts";
import { ProblemCode } from "./problem.ts";

/** The most jobs that one call acts on. */
export const MOST_BULK_JOBS = 100;

export const BULK_ACTIONS = ["cancel", "retry", "delete", "pin", "unpin"] as const;
export type BulkAction = (typeof BULK_ACTIONS)[number];

/** The same parts as the keys of a list's query. A job must match all of them; a filter without any is refused. */
export const BulkFilter = z.strictObject({
  status: z.array(JobStatus).min(1).optional(),
  workflow: z.enum(WORKFLOWS).optional(),
  model: z.string().min(1).max(100).optional(),
  q: z.string().min(1).max(200).optional(),
  pinned: z.boolean().optional(),
  before: Timestamp.optional(),
  metadata: z
    .record(z.string().min(1).max(MAX_METADATA_KEY_CHARS), z.union([z.string(), z.number(), z.boolean()]))
    .optional(),
});
export type BulkFilter = z.infer<typeof BulkFilter>;

export const BulkBody = z.strictObject({
  action: z.enum(BULK_ACTIONS),
  ids: z.array(JobId).min(1).max(MOST_BULK_JOBS).optional(),
  filter: BulkFilter.optional(),
  dryRun: z.boolean().optional().meta({ description: "Only counts the jobs that match; nothing is done." }),
  cursor: z
    .string()
    .min(1)
    .max(500)
    .optional()
    .meta({ description: "`nextCursor` of the previous call with the same filter." }),
});
export type BulkBody = z.infer<typeof BulkBody>;

export const BulkResult = z
  .object({
    matched: z.int().min(0).meta({ description: "Jobs of this call that match." }),
    done: z.int().min(0),
    refused: z.array(z.object({ id: JobId, code: ProblemCode })),
    nextCursor: z
      .string()
      .nullable()
      .meta({ description: "Send it as `cursor` to act on the next jobs; null when there are none." }),
  })
  .meta({ id: "BulkResult" });
export type BulkResult = z.infer<typeof BulkResult>;
