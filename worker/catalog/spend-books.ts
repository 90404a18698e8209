import type { Grant, LedgerJob, LedgerRow, LedgerStorage } from "../spend/core/ledger.ts";
import { dayOf } from "../spend/core/money.ts";
import { SPEND_SCHEMA } from "./catalog-schema.ts";
import type { CatalogStore } from "./catalog-store.ts";

const GRANTS_KEY = "grants";

/** Spec section 12: 13 months. The current month is kept besides. */
const KEPT_MONTHS = 13;

/** The ledger's rows and grants in the catalog's storage. Synchronous: what is booked is stored with the row of the list. */
export class SpendBooks implements LedgerStorage {
  readonly #storage: DurableObjectStorage;
  readonly #store: CatalogStore;
  #created: boolean | null = null;
  #grants: readonly Grant[] | null = null;
  #prunedOn: string | null = null;

  constructor(storage: DurableObjectStorage, store: CatalogStore) {
    this.#storage = storage;
    this.#store = store;
  }

  /** Drops what is kept in memory, after a write that was rolled back. */
  readAgain(): void {
    this.#created = null;
    this.#grants = null;
    this.#prunedOn = null;
  }

  monthSum(month: string): { chargedMicros: number; atRiskMicros: number } {
    if (!this.#exists()) return { chargedMicros: 0, atRiskMicros: 0 };
    return this.#storage.sql
      .exec<{ chargedMicros: number; atRiskMicros: number }>(
        `SELECT coalesce(sum(charged_micros), 0) AS chargedMicros, coalesce(sum(at_risk_micros), 0) AS atRiskMicros
         FROM spend WHERE day BETWEEN ? AND ?`,
        `${month}-01`,
        `${month}-31`,
      )
      .one();
  }

  add({ day, model, jobs, images, chargedMicros, atRiskMicros }: LedgerRow): void {
    if (!this.#exists()) this.#storage.sql.exec(SPEND_SCHEMA);
    this.#created = true;
    this.#storage.sql.exec(
      `INSERT INTO spend (day, model, jobs, images, charged_micros, at_risk_micros) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (day, model) DO UPDATE SET
         jobs = jobs + excluded.jobs, images = images + excluded.images,
         charged_micros = charged_micros + excluded.charged_micros,
         at_risk_micros = at_risk_micros + excluded.at_risk_micros`,
      day,
      model,
      jobs,
      images,
      chargedMicros,
      atRiskMicros,
    );
    this.#prune(day);
  }

  /** The rows of these days, both included, in order. */
  rows(fromDay: string, toDay: string): LedgerRow[] {
    if (!this.#exists()) return [];
    return this.#storage.sql
      .exec<Record<string, SqlStorageValue> & LedgerRow>(
        `SELECT day, model, jobs, images, charged_micros AS chargedMicros, at_risk_micros AS atRiskMicros
         FROM spend WHERE day BETWEEN ? AND ? AND (jobs <> 0 OR images <> 0 OR charged_micros <> 0 OR at_risk_micros <> 0)
         ORDER BY day, model`,
        fromDay,
        toDay,
      )
      .toArray();
  }

  grants(): readonly Grant[] {
    this.#grants ??= this.#storage.kv.get<readonly Grant[]>(GRANTS_KEY) ?? [];
    return this.#grants;
  }

  putGrants(grants: readonly Grant[]): void {
    this.#grants = grants;
    if (grants.length === 0) this.#storage.kv.delete(GRANTS_KEY);
    else this.#storage.kv.put(GRANTS_KEY, grants);
  }

  reservedByJobs(): number {
    return this.#store.reservedMicros();
  }

  job(jobId: string): LedgerJob | "gone" | null {
    return this.#store.ledgerJob(jobId);
  }

  /** Once a day at most; a row is not written where nothing is too old. */
  #prune(day: string): void {
    if (this.#prunedOn !== null && this.#prunedOn >= day) return;
    this.#prunedOn = day;
    const [year = 0, month = 1] = day.split("-").map(Number);
    const oldest = dayOf(Date.UTC(year, month - 1 - KEPT_MONTHS, 1));
    this.#storage.sql.exec("DELETE FROM spend WHERE day < ?", oldest);
  }

  /** Any name addresses an object, so nothing is stored before there is something to store. */
  #exists(): boolean {
    this.#created ??= this.#storage.sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'spend'").toArray().length > 0;
    return this.#created;
  }
}
