import { dayOf } from "./money.ts";

/** What one attempt says about its bill. */
export interface BilledAttempt {
  readonly number: number;
  readonly startedAtMs: number;
  /** Null while it runs. */
  readonly outcome: string | null;
  readonly mayBeBilled: boolean;
  /** Images that upstream delivered in it. */
  readonly images: number;
  /** Attempts that waited for one upstream task share its bill. */
  readonly taskId: string | null;
}

/** What a job spent in attempts that started on one UTC day. */
export interface DaySpend {
  readonly day: string;
  readonly images: number;
  readonly chargedMicros: number;
  readonly atRiskMicros: number;
}

/**
 * What a job costs its client, as absolute amounts: a later position replaces an earlier one, so that it may be sent twice or
 * be skipped.
 */
export interface SpendPosition {
  /** How many reservations the job has been granted; names the newest. */
  readonly grants: number;
  /** For an attempt that runs or may still start. */
  readonly reservedMicros: number;
  readonly days: readonly DaySpend[];
}

export const NOTHING_SPENT: SpendPosition = { grants: 0, reservedMicros: 0, days: [] };

/** What an attempt of a job costs when all goes well. */
export function estimateMicros(n: number, unitMicros: number): number {
  return n * unitMicros;
}

/** Attempts by bill: those of one task together, each other by itself. */
function bills(attempts: readonly BilledAttempt[]): BilledAttempt[][] {
  const byBill = new Map<string, BilledAttempt[]>();
  for (const attempt of attempts) {
    const key = attempt.taskId === null ? `attempt ${attempt.number}` : `task ${attempt.taskId}`;
    const known = byBill.get(key);
    if (known === undefined) byBill.set(key, [attempt]);
    else known.push(attempt);
  }
  return [...byBill.values()];
}

/** How many bills are open now: attempts that run, the resumed ones of one task counted once. */
export function runningBills(attempts: readonly BilledAttempt[]): number {
  return bills(attempts).filter((bill) => isRunning(bill) && imagesOf(bill) === 0).length;
}

const isRunning = (bill: readonly BilledAttempt[]): boolean => bill.some(({ outcome }) => outcome === null);
const imagesOf = (bill: readonly BilledAttempt[]): number => Math.max(0, ...bill.map(({ images }) => images));

/** How many bills stand for images that were paid for or may be, or that run. Each uses up one grant. */
export function paidBills(attempts: readonly BilledAttempt[]): number {
  return bills(attempts).filter(
    (bill) => imagesOf(bill) > 0 || isRunning(bill) || bill.some(({ mayBeBilled }) => mayBeBilled),
  ).length;
}

/**
 * What attempts spent, by the day on which each bill's first attempt started: delivered images are charged; a bill that ended
 * without them and may have been paid is at risk, in full. One that runs is neither: its money is reserved.
 */
export function daysOf(attempts: readonly BilledAttempt[], n: number, unitMicros: number): DaySpend[] {
  const days = bills(attempts).map((bill): DaySpend => {
    const images = imagesOf(bill);
    const isAtRisk = images === 0 && !isRunning(bill) && bill.some(({ mayBeBilled }) => mayBeBilled);
    return {
      day: dayOf(Math.min(...bill.map(({ startedAtMs }) => startedAtMs))),
      images,
      chargedMicros: images * unitMicros,
      atRiskMicros: isAtRisk ? estimateMicros(n, unitMicros) : 0,
    };
  });
  return sumByDay(days);
}

/** One entry for each day on which something was spent, in order. */
export function sumByDay(days: readonly DaySpend[]): DaySpend[] {
  const sums = new Map<string, DaySpend>();
  for (const { day, images, chargedMicros, atRiskMicros } of days) {
    if (images === 0 && chargedMicros === 0 && atRiskMicros === 0) continue;
    const known = sums.get(day);
    sums.set(day, {
      day,
      images: (known?.images ?? 0) + images,
      chargedMicros: (known?.chargedMicros ?? 0) + chargedMicros,
      atRiskMicros: (known?.atRiskMicros ?? 0) + atRiskMicros,
    });
  }
  return [...sums.values()].sort((a, b) => (a.day < b.day ? -1 : 1));
}

/** What a job spent in all. */
export function totalOf(days: readonly DaySpend[]): Omit<DaySpend, "day"> {
  const sum = (pick: (day: DaySpend) => number) => days.reduce((total, day) => total + pick(day), 0);
  return {
    images: sum(({ images }) => images),
    chargedMicros: sum(({ chargedMicros }) => chargedMicros),
    atRiskMicros: sum(({ atRiskMicros }) => atRiskMicros),
  };
}
