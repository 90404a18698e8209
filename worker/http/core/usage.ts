import type { Usage, UsageResult } from "../../../schemas/usage.ts";
import type { LedgerRow } from "../../spend/core/ledger.ts";
import { dayOf, fromMicros, monthOf } from "../../spend/core/money.ts";

const DAY_MS = 86_400_000;

export type BucketSize = "day" | "month";

/** One client's ledger rows. */
export interface ClientRows {
  readonly client: string;
  readonly rows: readonly LedgerRow[];
}

/** The days or months from `fromDay` to `toDay`, both included: the first day of each, and the day after its last. */
function spans(fromDay: string, toDay: string, size: BucketSize): { first: string; after: string }[] {
  const found: { first: string; after: string }[] = [];
  const last = Date.parse(toDay);
  for (let atMs = Date.parse(fromDay); atMs <= last; ) {
    const at = new Date(atMs);
    const nextMs = size === "day" ? atMs + DAY_MS : Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1, 1);
    // The last month ends with the query's last day.
    const afterMs = Math.min(nextMs, last + DAY_MS);
    found.push({ first: dayOf(atMs), after: dayOf(afterMs) });
    atMs = nextMs;
  }
  return found;
}

/** The rows of every client, summed by day or month, client and model. */
export function bucketsOf(
  clients: readonly ClientRows[],
  fromDay: string,
  toDay: string,
  size: BucketSize,
): Usage["buckets"] {
  const keyOf = (day: string) => (size === "day" ? day : monthOf(day));
  const all = clients.flatMap(({ client, rows }) => rows.map((row) => ({ client, row })));
  const byBucket = Map.groupBy(all, ({ row }) => keyOf(row.day));
  return spans(fromDay, toDay, size).map(({ first, after }) => {
    const lines = Map.groupBy(byBucket.get(keyOf(first)) ?? [], ({ client, row }) => `${client}\n${row.model}`);
    const results = [...lines.values()].map((found): UsageResult => {
      const sum = (pick: (row: LedgerRow) => number) => found.reduce((total, { row }) => total + pick(row), 0);
      return {
        client: found[0]?.client ?? "",
        model: found[0]?.row.model ?? "",
        jobs: sum(({ jobs }) => jobs),
        images: sum(({ images }) => images),
        charged: fromMicros(sum(({ chargedMicros }) => chargedMicros)),
        atRisk: fromMicros(sum(({ atRiskMicros }) => atRiskMicros)),
      };
    });
    return { start: `${first}T00:00:00.000Z`, end: `${after}T00:00:00.000Z`, results };
  });
}

/** The same rows as CSV (RFC 4180). No name of a client or model holds a comma, a quote or a line break. */
export function usageCsv({ currency, buckets }: Pick<Usage, "currency" | "buckets">): string {
  const lines = buckets.flatMap(({ start, end, results }) =>
    results.map(({ client, model, jobs, images, charged, atRisk }) =>
      [start, end, client, model, jobs, images, charged, atRisk, currency].join(","),
    ),
  );
  return ["start,end,client,model,jobs,images,charged,atRisk,currency", ...lines, ""].join("\r\n");
}
