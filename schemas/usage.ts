import { z } from "zod";
import { Timestamp } from "./job.ts";

const Money = z.number();

/** A client's spend limit for a calendar month (UTC), and its current use. */
export const BudgetReport = z
  .object({
    client: z.string(),
    limit: Money.meta({ example: 50 }),
    alertAt: z.number().meta({ description: "Share of the limit from which on submissions carry a warning." }),
    charged: Money.meta({ description: "Images delivered by attempts that started this month." }),
    reserved: Money.meta({ description: "For attempts that run or may still start." }),
    atRisk: Money.meta({ description: "Attempts that ended without an answer, and may have been billed." }),
    resetsAt: Timestamp,
  })
  .meta({ id: "BudgetReport" });
export type BudgetReport = z.infer<typeof BudgetReport>;

export const UsageResult = z.object({
  client: z.string(),
  model: z.string(),
  jobs: z.int().meta({
    description: "Jobs that spent something in attempts that started in this time. In a month: summed over its days.",
  }),
  images: z.int().meta({ description: "Delivered. Those of a model whose price is not known count, and cost 0 here." }),
  charged: Money,
  atRisk: Money,
});
export type UsageResult = z.infer<typeof UsageResult>;

/** What was spent, including jobs that were deleted since. */
export const Usage = z
  .object({
    currency: z.string().meta({ example: "USD" }),
    buckets: z
      .array(
        z.object({
          start: Timestamp,
          end: Timestamp.meta({ description: "Not part of the bucket." }),
          results: z.array(UsageResult),
        }),
      )
      .meta({ description: "One for each UTC day or month of the query, empty ones too." }),
    budget: BudgetReport.nullable().meta({ description: "Null: no limit, or several clients are shown." }),
    budgets: z.array(BudgetReport).meta({ description: "Of every client shown that has a limit." }),
    missing: z.array(z.string()).optional().meta({
      description:
        "For the operator: clients whose spend is not in the answer, because it could not be read. Ask again.",
    }),
  })
  .meta({ id: "Usage" });
export type Usage = z.infer<typeof Usage>;
