import type { BudgetReport } from "../../schemas/usage.ts";
import type { ModelTable } from "../dashscope/models.ts";
import { priceOf } from "../dashscope/models.ts";
import type { Region } from "../dashscope/wire.ts";
import type { LedgerTotals } from "./core/ledger.ts";
import { fromMicros, monthEndsAtMs, toMicros } from "./core/money.ts";

/** What a deployment decides about money: a part of `Config`. */
export interface SpendSettings {
  readonly currency: string;
  /** `PRICES`: per image, in `currency`; they win over the model table. */
  readonly prices: Readonly<Record<string, number>>;
  readonly budgets: Readonly<Record<string, Budget>>;
}

/** A client's limit for a calendar month (UTC), in the deployment's currency. */
export interface Budget {
  readonly monthly: number;
  /** Share of the limit from which on submissions carry a warning. */
  readonly alertAt: number;
}

/** The currency of the vendor's price list in a region. */
export function listCurrency(region: Region): string {
  return region === "bj" ? "CNY" : "USD";
}

/** A client's limit, with the deployment's currency. */
export interface ClientBudget extends Budget {
  readonly currency: string;
}

/** The limit of a client: its own, else that of `*`; null when it has none. */
export function budgetOf(
  { budgets, currency }: Pick<SpendSettings, "budgets" | "currency">,
  client: string,
): ClientBudget | null {
  const budget = Object.hasOwn(budgets, client) ? budgets[client] : budgets["*"];
  return budget === undefined ? null : { ...budget, currency };
}

/** How a client's limit is used, as the API shows it. */
export function budgetReport(client: string, budget: Budget, totals: LedgerTotals, nowMs: number): BudgetReport {
  return {
    client,
    limit: budget.monthly,
    alertAt: budget.alertAt,
    charged: fromMicros(totals.chargedMicros),
    reserved: fromMicros(totals.reservedMicros),
    atRisk: fromMicros(totals.atRiskMicros),
    resetsAt: new Date(monthEndsAtMs(nowMs)).toISOString(),
  };
}

/**
 * Millionths per image; null when the price is not known. The model table's prices are in the region's currency: another
 * `CURRENCY` needs `PRICES`.
 */
export function unitMicrosOf(
  settings: SpendSettings & { readonly modelTable: ModelTable; readonly region: Region },
  model: string,
  promptExtend: boolean | null,
): number | null {
  const { prices, currency, region, modelTable } = settings;
  if (Object.hasOwn(prices, model)) return toMicros(prices[model] ?? 0);
  const facts = modelTable.facts(model);
  if (facts === null || currency !== listCurrency(region)) return null;
  const price = priceOf(facts, region, promptExtend);
  return price === null ? null : toMicros(price);
}
