import { monthOf } from "./money.ts";
import { type DaySpend, NOTHING_SPENT, type SpendPosition } from "./position.ts";

/** One day's sums of one model. `jobs`: how many jobs spent something in attempts that started on that day. */
export interface LedgerRow extends DaySpend {
  readonly model: string;
  readonly jobs: number;
}

/** Money reserved for a job; the entry of the job does not include it yet. */
export interface Grant {
  readonly jobId: string;
  /** 1 for the job's first reservation; the job's position names the newest that it has. */
  readonly number: number;
  readonly micros: number;
  /** The job's `seq` when it asked; 0 when it is not made yet. */
  readonly seq: number;
  /** Until when the job may be made, or retried by hand, with it; null for a repetition, which its job asks for until it is answered. */
  readonly untilMs: number | null;
}

/** What the ledger knows of a job that its client's list holds; null for an unknown job. */
export interface LedgerJob {
  readonly seq: number;
  readonly isDone: boolean;
  readonly position: SpendPosition;
}

/** Where the ledger keeps its books. Synchronous; what it returns is what is stored. */
export interface LedgerStorage {
  /** Charged and at risk in a month, over all models. */
  monthSum(month: string): { readonly chargedMicros: number; readonly atRiskMicros: number };
  /** Adds to the row of this day and model, which begins at zero. */
  add(row: LedgerRow): void;
  grants(): readonly Grant[];
  putGrants(grants: readonly Grant[]): void;
  /** What unfinished jobs of the list have reserved, in all. */
  reservedByJobs(): number;
  job(jobId: string): LedgerJob | "gone" | null;
}

export interface LedgerTotals {
  readonly chargedMicros: number;
  readonly reservedMicros: number;
  readonly atRiskMicros: number;
}

/** The used part of the limit. */
export function usedMicros({ chargedMicros, reservedMicros, atRiskMicros }: LedgerTotals): number {
  return chargedMicros + reservedMicros + atRiskMicros;
}

/**
 * One client's money. Charged, reserved and at risk in a month never exceed the limit together: they grow only by a grant that
 * leaves room, and every other change moves an amount from one to another or frees it. Positions are absolute and grants are
 * numbered, so that each may come twice, late or not at all.
 */
export class Ledger {
  readonly #storage: LedgerStorage;

  constructor(storage: LedgerStorage) {
    this.#storage = storage;
  }

  totals(nowMs: number): LedgerTotals {
    const grantedMicros = this.#storage.grants().reduce((sum, { micros }) => sum + micros, 0);
    return {
      ...this.#storage.monthSum(monthOf(nowMs)),
      reservedMicros: this.#storage.reservedByJobs() + grantedMicros,
    };
  }

  /**
   * Reserves money for one more attempt. `refused`: the limit has no room for it, or the job has ended since it asked. `gone`:
   * the job was removed. A grant that the job already has, or that was already given, is granted again and counted once: the
   * larger amount, until the later end.
   */
  reserve(wanted: Grant, limitMicros: number, nowMs: number): "granted" | "refused" | "gone" {
    const job = this.#storage.job(wanted.jobId);
    if (job === "gone") return "gone";
    if (job !== null) {
      // `seq` 0: the job is made already, and its position shows what it has; it was submitted again by its key.
      if (wanted.seq === 0 || job.position.grants >= wanted.number) return "granted";
      if (job.isDone && job.seq > wanted.seq) return "refused";
    }
    const grants = this.#storage.grants();
    const promised = grants.find(({ jobId, number }) => jobId === wanted.jobId && number === wanted.number);
    const grant = promised === undefined ? wanted : widest(promised, wanted);
    const moreMicros = grant.micros - (promised?.micros ?? 0);
    if (moreMicros > 0 && usedMicros(this.totals(nowMs)) + moreMicros > limitMicros) return "refused";
    if (grant !== promised) this.#storage.putGrants([...grants.filter((known) => known !== promised), grant]);
    return "granted";
  }

  /** Frees grants that no job had used at `askedAtMs`. A grant that was asked for again since then stays. */
  release(unused: readonly Pick<Grant, "jobId" | "number">[], askedAtMs: number): void {
    const isReleased = (grant: Grant) =>
      unused.some(({ jobId, number }) => jobId === grant.jobId && number === grant.number);
    this.#keepGrants((grant) => !(isReleased(grant) && isOverdue(grant, askedAtMs)));
  }

  /** Frees first grants of which no job is made. A grant that another request has asked for since has another end, and stays. */
  withdraw(parts: readonly Pick<Grant, "jobId" | "untilMs">[]): void {
    const isWithdrawn = (grant: Grant) =>
      grant.seq === 0 && parts.some(({ jobId, untilMs }) => jobId === grant.jobId && untilMs === grant.untilMs);
    this.#keepGrants((grant) => !isWithdrawn(grant));
  }

  /** Ends the grants of a removed job, whose money is booked. */
  end(jobId: string): void {
    this.#keepGrants((grant) => grant.jobId !== jobId);
  }

  /**
   * Grants whose time is over: their jobs were never made or retried, or the list was not notified of it. They count until it is
   * known which; then `release`, `settle` or `end` ends them.
   */
  overdue(nowMs: number): readonly Grant[] {
    return this.#storage.grants().filter((grant) => isOverdue(grant, nowMs));
  }

  /**
   * Books the difference between a job's last known position and its new one, and ends the grants that the new one shows.
   * Call it before the list stores the new entry; `after.seq` must be newer than what the list holds.
   */
  settle(jobId: string, model: string, after: LedgerJob): void {
    const known = this.#storage.job(jobId);
    const before = known === null || known === "gone" ? NOTHING_SPENT : known.position;
    for (const row of differences(model, before.days, after.position.days)) this.#storage.add(row);
    this.#keepGrants(
      (grant) =>
        grant.jobId !== jobId || (grant.number > after.position.grants && !(after.isDone && grant.seq < after.seq)),
    );
  }

  #keepGrants(isKept: (grant: Grant) => boolean): void {
    const grants = this.#storage.grants();
    const kept = grants.filter(isKept);
    if (kept.length < grants.length) this.#storage.putGrants(kept);
  }
}

const isOverdue = ({ untilMs }: Grant, nowMs: number): boolean => untilMs !== null && untilMs <= nowMs;

/**
 * The grant of two requests for one attempt, of which either may be used: the larger amount, until the later end. Of requests
 * with different `seq` only the later one can be used.
 */
function widest(known: Grant, asked: Grant): Grant {
  const micros = Math.max(known.micros, asked.micros);
  if (asked.seq > known.seq) return { ...asked, micros };
  if (asked.seq < known.seq) return micros === known.micros ? known : { ...known, micros };
  const untilMs = known.untilMs === null || asked.untilMs === null ? null : Math.max(known.untilMs, asked.untilMs);
  return micros === known.micros && untilMs === known.untilMs ? known : { ...known, micros, untilMs };
}

/** What must be added to the rows of these days so that they hold `after` instead of `before`. */
function differences(model: string, before: readonly DaySpend[], after: readonly DaySpend[]): LedgerRow[] {
  const beforeOf = new Map(before.map((day) => [day.day, day]));
  const afterOf = new Map(after.map((day) => [day.day, day]));
  const rows: LedgerRow[] = [];
  for (const day of new Set([...beforeOf.keys(), ...afterOf.keys()])) {
    const [was, is] = [beforeOf.get(day), afterOf.get(day)];
    const row = {
      day,
      model,
      jobs: (is === undefined ? 0 : 1) - (was === undefined ? 0 : 1),
      images: (is?.images ?? 0) - (was?.images ?? 0),
      chargedMicros: (is?.chargedMicros ?? 0) - (was?.chargedMicros ?? 0),
      atRiskMicros: (is?.atRiskMicros ?? 0) - (was?.atRiskMicros ?? 0),
    };
    if (row.jobs !== 0 || row.images !== 0 || row.chargedMicros !== 0 || row.atRiskMicros !== 0) rows.push(row);
  }
  return rows;
}
