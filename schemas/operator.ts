import { z } from "zod";
import { Timestamp } from "./job.ts";
import { LaneReport, OperatorWord, Quota } from "./limits.ts";

/** Written into the operator's log. */
const Reason = z.string().trim().min(1).max(300).meta({ description: "Shown to everyone whose jobs wait for it." });
const Until = Timestamp.nullable().optional().meta({
  description: "When it ends, at most a year ahead; null or absent: it ends with a resume or the next limit.",
});

export const PauseBody = z.strictObject({ reason: Reason, until: Until });
export type PauseBody = z.infer<typeof PauseBody>;

/** An optional body. */
export const ResumeBody = z.strictObject({ reason: Reason.optional() });
export type ResumeBody = z.infer<typeof ResumeBody>;

/**
 * Absent fields get the deployment's values, even where an earlier limit had set them. A body with only a reason restores the
 * deployment's quota; `until` is allowed only with a quota.
 */
export const LimitBody = z.strictObject({
  starts: Quota.shape.starts.max(1_000_000).optional(),
  periodMs: Quota.shape.periodMs.min(100).max(86_400_000).optional(),
  inProgress: Quota.shape.inProgress.optional(),
  reason: Reason,
  until: Until,
});
export type LimitBody = z.infer<typeof LimitBody>;

/** The report of a lane after a command. */
export const CommandedLane = LaneReport.extend({
  replaced: OperatorWord.extend({ quota: Quota.optional().meta({ description: "That of a limit." }) })
    .nullable()
    .optional()
    .meta({
      description:
        "The pause, or the limit, that was in force before the command and is no longer; null for none. Absent: not known.",
    }),
}).meta({ id: "CommandedLane" });
export type CommandedLane = z.infer<typeof CommandedLane>;

export const OPERATOR_ACTIONS = [
  "lane.pause",
  "lane.resume",
  "lane.limit",
  "client.pause",
  "client.resume",
  "job.submit",
  "job.cancel",
  "job.retry",
  "job.delete",
  "job.patch",
  "job.share",
  "job.resend",
  "jobs.bulk",
] as const;

export const ClientState = z
  .object({ client: z.string(), paused: OperatorWord.nullable() })
  .meta({ id: "ClientState" });
export type ClientState = z.infer<typeof ClientState>;

/** One entry of the operator's log, written before the action. A failed action adds a second entry with `failed` set. */
export const OperatorEntry = z
  .object({
    seq: z.int().min(1),
    at: Timestamp,
    who: z.string().meta({ description: "`operator`; `local` in open mode." }),
    action: z.enum(OPERATOR_ACTIONS),
    target: z.string().meta({
      description: "The lane's model, the client or the job. Of `jobs.bulk` the client whose jobs they are, or `*`.",
    }),
    reason: z.string().nullable(),
    details: z.record(z.string(), z.unknown()).meta({
      description: "What was asked for; `replaced`: the pause or limit of the lane that it takes the place of.",
    }),
    failed: z
      .string()
      .nullable()
      .meta({ description: "Set when the action did not succeed. It may have been carried out." }),
  })
  .meta({ id: "OperatorEntry" });
export type OperatorEntry = z.infer<typeof OperatorEntry>;

export const OperatorEntries = z
  .object({ entries: z.array(OperatorEntry), nextCursor: z.string().nullable() })
  .meta({ id: "OperatorEntries" });
export type OperatorEntries = z.infer<typeof OperatorEntries>;
