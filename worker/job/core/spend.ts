import type { JobCost } from "../../../schemas/job.ts";
import { fromMicros } from "../../spend/core/money.ts";
import {
  type BilledAttempt,
  type DaySpend,
  daysOf,
  estimateMicros,
  paidBills,
  runningBills,
  type SpendPosition,
  sumByDay,
  totalOf,
} from "../../spend/core/position.ts";
import { type AttemptRecord, isFinal, type JobRecord } from "./record.ts";

/** What a job knows of its price, set at its submission. */
export interface JobPrice {
  readonly currency: string;
  /** Millionths per image; null when the price is not known. */
  readonly unitMicros: number | null;
}

/**
 * The money of a job, besides what its attempts record. Each bill (an attempt, or the attempts of one upstream task) uses up one
 * grant; a grant that is not used up is reserved for the next attempt.
 */
export interface JobSpend extends JobPrice {
  /** Reservations so far. Without a limit each attempt adds its own grant when it begins. */
  readonly grants: number;
  /** Grants that went back unused when the job ended. */
  readonly returned: number;
  /** The bills and amounts of attempts that are not kept any more. */
  readonly settled: { readonly bills: number; readonly days: readonly DaySpend[] };
}

export function newSpend(price: JobPrice, grants: number): JobSpend {
  return { ...price, grants, returned: 0, settled: { bills: 0, days: [] } };
}

const billed = (attempt: AttemptRecord) =>
  ({
    number: attempt.number,
    startedAtMs: attempt.billStartedAtMs ?? attempt.startedAtMs,
    outcome: attempt.outcome,
    mayBeBilled: attempt.mayBeBilled && attempt.unpaid !== true,
    images: attempt.images ?? 0,
    taskId: attempt.report.taskId,
  }) satisfies BilledAttempt;

/** How many attempts may start without another grant. */
export function unusedGrants({ grants, returned, settled }: JobSpend, attempts: readonly AttemptRecord[]): number {
  return Math.max(0, grants - returned - settled.bills - paidBills(attempts.map(billed)));
}

/** What an attempt of the job costs, in millionths; 0 while the price is not known. */
export function attemptMicros({ request, spend }: Pick<JobRecord, "request" | "spend">): number {
  return estimateMicros(request.n, spend?.unitMicros ?? 0);
}

/** What the job has spent and reserved; null for a job from before prices. */
export function spendPosition(record: JobRecord): SpendPosition | null {
  const { spend, request, attempts, state, delivery } = record;
  if (spend === undefined) return null;
  const all = attempts.map(billed);
  const isOver = isFinal(state) || delivery !== null;
  const reserved = runningBills(all) + (isOver ? 0 : unusedGrants(spend, attempts));
  return {
    grants: spend.grants,
    reservedMicros: reserved * attemptMicros(record),
    days: sumByDay([...spend.settled.days, ...daysOf(all, request.n, spend.unitMicros ?? 0)]),
  };
}

/** As the API shows it. */
export function costOf(record: JobRecord, position: SpendPosition | null): JobCost | null {
  if (record.spend === undefined || record.spend.unitMicros === null || position === null) return null;
  const { chargedMicros, atRiskMicros } = totalOf(position.days);
  return {
    currency: record.spend.currency,
    estimated: fromMicros(attemptMicros(record)),
    charged: fromMicros(chargedMicros),
    atRisk: fromMicros(atRiskMicros),
  };
}

/**
 * The record without the attempts in `dropped`. Their money stays counted in `settled`; a bill that a kept attempt shares stays
 * with that attempt.
 */
export function withoutAttempts(record: JobRecord, dropped: ReadonlySet<AttemptRecord>): JobRecord {
  const { spend, request } = record;
  const kept = record.attempts.filter((attempt) => !dropped.has(attempt));
  if (spend === undefined || dropped.size === 0) return { ...record, attempts: kept };
  const sharerOf = ({ report }: AttemptRecord) =>
    report.taskId === null ? undefined : kept.find((attempt) => attempt.report.taskId === report.taskId);
  const begun = new Map<number, number>();
  const gone: BilledAttempt[] = [];
  for (const attempt of dropped) {
    const sharer = sharerOf(attempt);
    if (sharer === undefined) gone.push(billed(attempt));
    else {
      const startedAtMs = Math.min(billed(attempt).startedAtMs, begun.get(sharer.number) ?? Number.POSITIVE_INFINITY);
      begun.set(sharer.number, startedAtMs);
    }
  }
  const attempts = kept.map((attempt) => {
    const startedAtMs = begun.get(attempt.number);
    if (startedAtMs === undefined) return attempt;
    return { ...attempt, billStartedAtMs: Math.min(startedAtMs, billed(attempt).startedAtMs) };
  });
  const settled = {
    bills: spend.settled.bills + paidBills(gone),
    days: sumByDay([...spend.settled.days, ...daysOf(gone, request.n, spend.unitMicros ?? 0)]),
  };
  return { ...record, attempts, spend: { ...spend, settled } };
}
