import type { JobCost } from "../../schemas/job.ts";

/** An amount in its currency, with cents, or two digits where it is below a cent: `$0.08`, `CN¥12.50`, `$0.0025`. */
export function moneyWords(amount: number, currency: string): string {
  const digits = amount > 0 && amount < 0.01 ? { maximumSignificantDigits: 2 } : {};
  return new Intl.NumberFormat("en-US", { style: "currency", currency, ...digits }).format(amount);
}

/** An amount that was or may be billed, with all its digits: `$0.075`, `$12.50`. Amounts have at most six decimals. */
export function exactMoneyWords(amount: number, currency: string): string {
  return new Intl.NumberFormat("en-US", { style: "currency", currency, maximumFractionDigits: 6 }).format(amount);
}

/** A job's cost: the amount charged, the amount that may be billed on top, or the estimate. */
export function costWords({ currency, estimated, charged, atRisk }: JobCost, done: boolean): string {
  const risk = `${exactMoneyWords(atRisk, currency)} at risk: no answer came, and upstream may have billed it`;
  if (charged > 0) return `${exactMoneyWords(charged, currency)}${atRisk > 0 ? `, and ${risk}` : ""}`;
  if (atRisk > 0) return risk;
  return done ? "nothing" : `${exactMoneyWords(estimated, currency)} when it succeeds`;
}

/** How much of a client's spend limit is used. */
export interface Used {
  readonly currency: string;
  readonly limit: number;
  readonly charged: number;
  readonly reserved: number;
  readonly atRisk: number;
}

/** The amount that counts against the limit. Rounded to millionths, as the server counts, so that both sums are equal. */
export function usedOf({ charged, reserved, atRisk }: Omit<Used, "currency" | "limit">): number {
  return Math.round((charged + reserved + atRisk) * 1e6) / 1e6;
}

/** `$41.20 of $50.00 are used`. */
export function usedSumWords(used: Used): string {
  return `${exactMoneyWords(usedOf(used), used.currency)} of ${exactMoneyWords(used.limit, used.currency)} are used`;
}

/** The same with its parts that are not zero: `…: $38.00 charged, $3.00 reserved for jobs under way, $0.20 at risk`. */
export function usedWords(used: Used): string {
  const { currency, charged, reserved, atRisk } = used;
  const parts = [
    [charged, "charged"],
    [reserved, "reserved for jobs under way"],
    [atRisk, "at risk"],
  ] as const;
  const shown = parts.filter(([amount]) => amount > 0);
  const words = shown.map(([amount, what]) => `${exactMoneyWords(amount, currency)} ${what}`).join(", ");
  return words === "" ? usedSumWords(used) : `${usedSumWords(used)}: ${words}`;
}

/** `1 December`: the day on which a limit starts again. Months are in UTC. */
export function resetWords(resetsAt: string): string {
  return new Date(resetsAt).toLocaleDateString("en-GB", { day: "numeric", month: "long", timeZone: "UTC" });
}
