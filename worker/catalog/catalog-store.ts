import { FINAL_STATUSES, JobStatus } from "../../schemas/job.ts";
import { WORKFLOWS, type Workflow } from "../../schemas/paths.ts";
import { GONE, SCHEMA, UNFINISHED_JOBS } from "./catalog-schema.ts";
import type { CatalogEntry } from "./contract.ts";
import { nextFeedNumber } from "./core/feed-clock.ts";
import { type ListPosition, newestFirst } from "./core/list-cursor.ts";
import type { Reservation } from "./core/reservations.ts";

/** A job as it is now, or that it is gone, and the feed's number of its last change. */
export type Change =
  | { readonly kind: "job"; readonly cursor: number; readonly entry: CatalogEntry }
  | { readonly kind: "gone"; readonly cursor: number; readonly id: string };

/**
 * How long a removal is remembered, in ms: what a job sends late must not bring it back, and a watcher that was away hears
 * of it. Jobs repeat themselves within hours at most.
 */
const TOMBSTONE_MS = 30 * 86_400_000;

/** So many old tombstones go with each new one; their number cannot grow for ever, and no removal is slow. */
const PRUNED_AT_ONCE = 10;

const RESERVATIONS_KEY = "reservations";

interface JobRow extends Record<string, SqlStorageValue> {
  id: string;
  status: string;
  seq: number;
  cursor: number;
  entry: string;
}

/** The only writer of the catalog's storage. Everything is synchronous: what it returns is what is stored. */
export class CatalogStore {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  #created: boolean | null = null;
  #lastCursor: number | null = null;
  #pending: number | null = null;
  #reservations: readonly Reservation[] | null = null;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
  }

  /**
   * Stores the entry; `null` when it is no newer than what is known, or the job is gone. `isAsked`: a client asked for it, as a
   * job never heard of before or by a retry of a finished one.
   */
  record(entry: CatalogEntry, nowMs: number): { readonly change: Change; readonly isAsked: boolean } | null {
    this.#create();
    const known = this.#row(entry.id);
    if (known !== null && (known.status === GONE || known.seq >= entry.seq)) return null;
    const pending = this.pending();
    const cursor = nextFeedNumber(this.lastCursor(), nowMs);
    this.#sql.exec(
      `INSERT INTO jobs (id, workflow, status, listed_at_ms, done, seq, cursor, entry) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET
         status = excluded.status, done = excluded.done, seq = excluded.seq, cursor = excluded.cursor, entry = excluded.entry`,
      entry.id,
      entry.workflow,
      entry.status,
      Date.parse(entry.createdAt),
      entry.done ? 1 : 0,
      entry.seq,
      cursor,
      JSON.stringify(entry),
    );
    const wasPending = known !== null && !isDone(known);
    this.#pending = pending + (entry.done ? 0 : 1) - (wasPending ? 1 : 0);
    this.#lastCursor = cursor;
    return { change: { kind: "job", cursor, entry }, isAsked: known === null || (!wasPending && !entry.done) };
  }

  /** Leaves a tombstone, also of a job never heard of (then `isAsked`); `null` when there is one already. */
  forget(id: string, nowMs: number): { readonly change: Change; readonly isAsked: boolean } | null {
    this.#create();
    const known = this.#row(id);
    if (known?.status === GONE) return null;
    const pending = this.pending();
    const cursor = nextFeedNumber(this.lastCursor(), nowMs);
    this.#sql.exec(
      `INSERT INTO jobs (id, workflow, status, listed_at_ms, done, seq, cursor, entry) VALUES (?, '', ?, ?, 1, 0, ?, '')
       ON CONFLICT (id) DO UPDATE SET
         workflow = '', status = excluded.status, listed_at_ms = excluded.listed_at_ms, done = 1,
         cursor = excluded.cursor, entry = ''`,
      id,
      GONE,
      nowMs,
      cursor,
    );
    this.#sql.exec(
      `DELETE FROM jobs WHERE id IN
         (SELECT id FROM jobs WHERE workflow = '' AND status = ? AND listed_at_ms < ? ORDER BY listed_at_ms LIMIT ?)`,
      GONE,
      nowMs - TOMBSTONE_MS,
      PRUNED_AT_ONCE,
    );
    if (known !== null && !isDone(known)) this.#pending = pending - 1;
    this.#lastCursor = cursor;
    return { change: { kind: "gone", cursor, id }, isAsked: known === null };
  }

  /** Up to `limit` entries after `position` (null: from the newest), newest first. */
  list(
    statuses: readonly JobStatus[] | null,
    workflow: Workflow | null,
    position: ListPosition | null,
    limit: number,
  ): CatalogEntry[] {
    if (!this.#exists()) return [];
    const found: ListPosition[] = [];
    for (const bucketWorkflow of workflow === null ? WORKFLOWS : [workflow]) {
      for (const status of statuses ?? JobStatus.options) {
        found.push(...this.#bucket(bucketWorkflow, status, position, limit));
      }
    }
    const ids = found
      .sort(newestFirst)
      .slice(0, limit)
      .map(({ id }) => id);
    return this.#entries(ids);
  }

  /** Up to `limit` changes with a number above `cursor`, in the order of their numbers. Fewer: that is all. */
  changes(cursor: number, limit: number): Change[] {
    if (!this.#exists()) return [];
    const settled = this.#sql
      .exec<JobRow>(
        "SELECT id, status, seq, cursor, entry FROM jobs WHERE done = 1 AND cursor > ? ORDER BY cursor LIMIT ?",
        cursor,
        limit,
      )
      .toArray();
    const moving = this.#sql
      .exec<JobRow>(
        `SELECT id, status, seq, cursor, entry FROM jobs
         WHERE ${UNFINISHED_JOBS} AND cursor > ?
         ORDER BY cursor LIMIT ?`,
        cursor,
        limit,
      )
      .toArray();
    return [...settled, ...moving]
      .sort((a, b) => a.cursor - b.cursor)
      .slice(0, limit)
      .map(toChange);
  }

  /** The job's last change; `null` when it was never heard of. */
  change(id: string): Change | null {
    if (!this.#exists()) return null;
    const row = this.#row(id);
    return row === null ? null : toChange(row);
  }

  /** The newest `limit` jobs that wait in line. */
  queued(limit: number): CatalogEntry[] {
    return this.list(["queued"], null, null, limit);
  }

  /** How many jobs are unfinished. */
  pending(): number {
    if (this.#pending === null) {
      const count = `SELECT count(*) AS n FROM jobs WHERE ${UNFINISHED_JOBS}`;
      this.#pending = this.#exists() ? this.#sql.exec<{ n: number }>(count).one().n : 0;
    }
    return this.#pending;
  }

  /** The number of the newest change; 0 before the first. */
  lastCursor(): number {
    if (this.#lastCursor === null) {
      const newest = `SELECT max(
          coalesce((SELECT max(cursor) FROM jobs WHERE done = 1), 0),
          coalesce((SELECT max(cursor) FROM jobs WHERE ${UNFINISHED_JOBS}), 0)) AS n`;
      this.#lastCursor = this.#exists() ? this.#sql.exec<{ n: number }>(newest).one().n : 0;
    }
    return this.#lastCursor;
  }

  reservations(): readonly Reservation[] {
    this.#reservations ??= this.#storage.kv.get<readonly Reservation[]>(RESERVATIONS_KEY) ?? [];
    return this.#reservations;
  }

  /** `in memory`: for what a crash may forget to the safe side, and no row is worth. */
  keepReservations(reservations: readonly Reservation[], where: "stored" | "in memory"): void {
    this.#reservations = reservations;
    if (where === "stored") this.#storage.kv.put(RESERVATIONS_KEY, reservations);
  }

  #bucket(workflow: Workflow, status: JobStatus, position: ListPosition | null, limit: number): ListPosition[] {
    const after = position === null ? "" : "AND (listed_at_ms, id) < (?, ?)";
    const bound = position === null ? [] : [position.createdAtMs, position.id];
    return this.#sql
      .exec<{ createdAtMs: number; id: string }>(
        `SELECT listed_at_ms AS createdAtMs, id FROM jobs WHERE workflow = ? AND status = ? ${after}
         ORDER BY listed_at_ms DESC, id DESC LIMIT ?`,
        workflow,
        status,
        ...bound,
        limit,
      )
      .toArray();
  }

  #entries(ids: readonly string[]): CatalogEntry[] {
    return ids.flatMap((id) => {
      const row = this.#row(id);
      return row === null ? [] : [parseEntry(row)];
    });
  }

  #row(id: string): JobRow | null {
    const rows = this.#sql.exec<JobRow>("SELECT id, status, seq, cursor, entry FROM jobs WHERE id = ?", id).toArray();
    return rows[0] ?? null;
  }

  /** Any name addresses an object, so nothing is stored before there is something to store. */
  #exists(): boolean {
    this.#created ??= this.#sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'jobs'").toArray().length > 0;
    return this.#created;
  }

  #create(): void {
    if (this.#exists()) return;
    for (const statement of SCHEMA) this.#sql.exec(statement);
    this.#created = true;
  }
}

function isDone(row: JobRow): boolean {
  return row.status === GONE || FINAL_STATUSES.some((status) => status === row.status);
}

function parseEntry(row: JobRow): CatalogEntry {
  // Written by `record` from a value of this type.
  return JSON.parse(row.entry) as CatalogEntry;
}

function toChange(row: JobRow): Change {
  return row.status === GONE
    ? { kind: "gone", cursor: row.cursor, id: row.id }
    : { kind: "job", cursor: row.cursor, entry: parseEntry(row) };
}
