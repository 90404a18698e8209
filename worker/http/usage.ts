import { z } from "zod";
import { paths } from "../../schemas/paths.ts";
import { Usage } from "../../schemas/usage.ts";
import { OPEN_CLIENT } from "../auth/authenticate.ts";
import { within } from "../bounds.ts";
import type { Config } from "../env.ts";
import { dayOf, monthOf } from "../spend/core/money.ts";
import { budgetOf, budgetReport } from "../spend/prices.ts";
import { catalogStub } from "../stubs.ts";
import { answer, jsonAnswer, negotiate, PRIVATE_VARY, ProblemError } from "./answers.ts";
import type { HttpContext } from "./context.ts";
import { type BucketSize, bucketsOf, usageCsv } from "./core/usage.ts";
import { json, shown } from "./openapi/answers.ts";
import { choice, type QueryParameter, queryProblem } from "./query.ts";
import { clientRoute, type Route } from "./route.ts";

const CATALOG_BOUND_MS = 10_000;
/** More days than are kept. */
const MOST_DAYS = 430;

function day(description: string): QueryParameter<string | null> {
  const schema = z.iso.date();
  return {
    schema: schema.optional().meta({ description, example: "2026-11-01" }),
    read: ([given], key) => {
      if (given === undefined) return null;
      // A moment is read as its day.
      const date = z.iso.datetime().safeParse(given).success ? given.slice(0, 10) : given;
      if (schema.safeParse(date).success) return date;
      throw queryProblem(key, "must be a UTC day like 2026-11-01");
    },
  };
}

interface Period {
  readonly fromDay: string;
  readonly toDay: string;
  readonly bucket: BucketSize;
}

function periodOf(
  query: { readonly from: string | null; readonly to: string | null; readonly bucket: BucketSize | null },
  nowMs: number,
): Period {
  const { from, to, bucket } = query;
  const toDay = to ?? dayOf(nowMs);
  const fromDay = from ?? `${monthOf(toDay)}-01`;
  if (fromDay > toDay) throw queryProblem("from", "must not be after `to`");
  if (Date.parse(toDay) - Date.parse(fromDay) > MOST_DAYS * 86_400_000) {
    throw queryProblem("from", `must be at most ${MOST_DAYS} days before \`to\`; 13 months are kept`);
  }
  return { fromDay, toDay, bucket: bucket ?? "day" };
}

/** Every client that a setting names. A client that calls over a service binding has no token, but a limit or a webhook may name it. */
export function namedClients({ authMode, clientTokens, budgets, clientWebhooks }: Config): string[] {
  const named = [clientTokens, budgets, clientWebhooks].flatMap((setting) => Object.keys(setting));
  const all = authMode === "open" ? [OPEN_CLIENT, ...named] : named;
  return [...new Set(all)].filter((client) => client !== "*");
}

async function usageOf(c: HttpContext, clients: readonly string[], { fromDay, toDay, bucket }: Period): Promise<Usage> {
  const config = c.get("config");
  const nowMs = Date.now();
  const missing: string[] = [];
  const asked = clients.map(async (client) => {
    try {
      const usage = catalogStub(c.env, client).usage(fromDay, toDay);
      return { client, ...(await within(CATALOG_BOUND_MS, "the catalog", usage)) };
    } catch (error) {
      // The answer about a single client would be empty.
      if (clients.length === 1) throw error;
      console.error({ event: "catalog_unavailable", client, error: String(error) });
      missing.push(client);
      return null;
    }
  });
  const found = (await Promise.all(asked)).filter((usage) => usage !== null);
  const budgets = found.flatMap(({ client, totals }) => {
    const budget = budgetOf(config, client);
    return budget === null ? [] : [budgetReport(client, budget, totals, nowMs)];
  });
  return {
    currency: config.currency,
    buckets: bucketsOf(found, fromDay, toDay, bucket),
    budget: clients.length === 1 ? (budgets[0] ?? null) : null,
    budgets,
    ...(missing.length === 0 ? {} : { missing: missing.toSorted() }),
  };
}

export const USAGE_ROUTES: readonly Route[] = [
  clientRoute(
    {
      method: "GET",
      path: paths.usage,
      id: "getUsage",
      tag: "Service",
      summary: "What was spent, by day or month, client and model",
      description:
        "Money is booked on the UTC day on which its attempt started, and kept for 13 months, also of deleted jobs. The operator's answer is about all clients that a setting names, or that of `?client=`; a client whose spend cannot be read is in `missing`. As text/csv, the same rows, or 503 when some are missing.",
      query: {
        from: day("The first UTC day; absent: the first of the month of `to`."),
        to: day("The last UTC day, included; absent: today."),
        bucket: choice(["day", "month"], "`day` when absent."),
      },
      answers: {
        "200": {
          ...json("The usage.", Usage, "usage", ["Content-Disposition"]),
          content: { "application/json": shown(Usage, "usage"), "text/csv": shown(z.string()) },
        },
      },
      problems: ["not_acceptable"],
    },
    async (c, { viewer, query }) => {
      const period = periodOf(query, Date.now());
      const form = negotiate(c, ["application/json", "text/csv"]);
      const usage = await usageOf(c, viewer === null ? namedClients(c.get("config")) : [viewer], period);
      if (form === "application/json") return jsonAnswer(c, usage satisfies Usage);
      // CSV rows cannot say that some are missing.
      if (usage.missing !== undefined) {
        const names = usage.missing.join(", ");
        throw new ProblemError("overloaded", `The spend of ${names} could not be read. Ask again.`, {
          headers: { "Retry-After": "5" },
        });
      }
      return answer(c, usageCsv(usage), 200, {
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Disposition": `attachment; filename="usage-${period.fromDay}-${period.toDay}.csv"`,
        Vary: PRIVATE_VARY,
      });
    },
  ),
];
