import type { Usage, UsageResult } from "../../schemas/usage.ts";

/** The sum of two amounts, rounded to millionths, in which money is counted. */
function sum(a: number, b: number): number {
  return Math.round((a + b) * 1e6) / 1e6;
}

function add<Sums extends SpendSums>(to: Sums, { jobs, images, charged, atRisk }: SpendSums): Sums {
  return {
    ...to,
    jobs: to.jobs + jobs,
    images: to.images + images,
    charged: sum(to.charged, charged),
    atRisk: sum(to.atRisk, atRisk),
  };
}

export type SpendSums = Pick<UsageResult, "jobs" | "images" | "charged" | "atRisk">;

const NOTHING: SpendSums = { jobs: 0, images: 0, charged: 0, atRisk: 0 };

/** The spend of one UTC day of a month; days count from 1. */
export interface SpentDay extends SpendSums {
  readonly day: number;
}

/** Every day of a month, `2026-11`, in order; days that the usage does not have are zero. */
export function daysOfMonth(month: string, buckets: Usage["buckets"]): SpentDay[] {
  const [year = 0, number = 1] = month.split("-").map(Number);
  const count = new Date(Date.UTC(year, number, 0)).getUTCDate();
  const spent = new Map(
    buckets.map(({ start, results }) => [start.slice(0, 10), results.reduce(add<SpendSums>, NOTHING)]),
  );
  return Array.from({ length: count }, (_, at) => {
    const day = at + 1;
    return { day, ...(spent.get(`${month}-${String(day).padStart(2, "0")}`) ?? NOTHING) };
  });
}

/** The whole spend, and the same by client and model, the most expensive first. */
export function totalsOf(buckets: Usage["buckets"]): {
  readonly all: SpendSums;
  readonly rows: readonly UsageResult[];
} {
  const rows = new Map<string, UsageResult>();
  for (const result of buckets.flatMap(({ results }) => results)) {
    const key = `${result.client}\n${result.model}`;
    const known = rows.get(key);
    rows.set(key, known === undefined ? result : add(known, result));
  }
  const sorted = [...rows.values()].sort(
    (a, b) => b.charged + b.atRisk - (a.charged + a.atRisk) || b.images - a.images || a.model.localeCompare(b.model),
  );
  return { all: sorted.reduce(add<SpendSums>, NOTHING), rows: sorted };
}

/** The upper end of an axis that shows `highest`: 1, 2 or 5 times a power of ten. */
export function axisEnd(highest: number): number {
  if (highest <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(highest));
  const step = [1, 2, 5, 10].find((steps) => steps * power >= highest * (1 - 1e-9)) ?? 10;
  return step * power;
}

/** The month that is `months` after `month`, like `2026-11`. */
export function monthAfter(month: string, months: number): string {
  const [year = 0, number = 1] = month.split("-").map(Number);
  return new Date(Date.UTC(year, number - 1 + months, 1)).toISOString().slice(0, 7);
}
