import type { BudgetReport } from "../../schemas/usage.ts";
import { darkroom } from "./darkroom.ts";
import { isOperator } from "./operator.ts";
import { createStore } from "./store.ts";

/** The client's spend limit as last read, with its currency; null while there is none, or it is not known. */
export const budget = createStore<(BudgetReport & { readonly currency: string }) | null>(null);

/**
 * Reads how much of the spend limit is used. Never rejects: after a failure the last answer stays. Does nothing for the operator,
 * who sees all limits in the view of spend.
 */
export async function refreshBudget(): Promise<void> {
  if (isOperator()) return;
  try {
    const { currency, budget: known } = await darkroom.usage({ bucket: "month" });
    budget.set(known === null ? null : { ...known, currency });
  } catch {
    // The form works without it: the server refuses a submission that would pass the limit, with all amounts.
  }
}
