import type { BudgetReport } from "../../schemas/usage.ts";
import { darkroom } from "./darkroom.ts";
import { isOperator } from "./operator.ts";
import { createStore } from "./store.ts";

/** The client's spend limit as last asked for, with its currency; null while there is none, or it is not known. */
export const budget = createStore<(BudgetReport & { readonly currency: string }) | null>(null);

/** Asks how much of the spend limit is used. Never rejects: failing, the last answer stays. The operator sees all limits in the view of spend. */
export async function refreshBudget(): Promise<void> {
  if (isOperator()) return;
  try {
    const { currency, budget: known } = await darkroom.usage({ bucket: "month" });
    budget.set(known === null ? null : { ...known, currency });
  } catch {
    // The form works without it: a submission that has no room is refused with all that is known.
  }
}
