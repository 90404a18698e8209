import { FINAL_STATUSES, type JobCounts, JobStatus } from "../../schemas/job.ts";
import { WORKFLOWS, type Workflow } from "../../schemas/paths.ts";
import type { LedgerJob } from "../spend/core/ledger.ts";
import { NOTHING_SPENT } from "../spend/core/position.ts";
import { ADD_SEARCH, GONE, SCHEMA, UNFINISHED_JOBS } from "./catalog-schema.ts";
import type { CatalogEntry, ClientMetrics, ClientPause, JobFilter } from "./contract.ts";
import { type ListPosition, newestFirst, nextFeedNumber } from "./core/cursors.ts";
import { countJobs, matchesFilter, readsJobs, type SearchedJob } from "./core/job-filter.ts";
import type { Reservation } from "./core/reservations.ts";

/** A job as it is now, or that it was removed, and the feed's number of its last change. */
export type Change =
  | { readonly kind: "job"; readonly cursor: number; readonly entry: CatalogEntry }
  | { readonly kind: "gone"; readonly cursor: number; readonly id: string };

/**
 * How long a removal is remembered, in ms: a late message of the job must not bring it back, and a watcher that resumes is
 * notified of the removal. Jobs repeat messages within hours at most.
 */
const TOMBSTONE_MS = 30 * 86_400_000;
/** More than the clocks of two objects differ, and less than the day for which at least an object keeps its tombstone; in ms. */
const CLOCKS_DIFFER_MS = 3_600_000;

/** How many old tombstones are deleted with each new one: their number stays bounded, and no removal is slow. */
const PRUNED_AT_ONCE = 10;

/**
 * How many jobs one search reads at most, and one count: a thousand take some 20 ms, in which the object does nothing else. The
 * next page of a search continues with the next jobs.
 */
const MAX_SEARCHED = 1_000;
const SEARCHED_AT_ONCE = 100;
const MAX_COUNTED = 2_000;

const RESERVATIONS_KEY = "reservations";
const PAUSE_KEY = "pause";
/** When the operator gave the last command to pause or resume the client, in epoch ms. */
const PAUSE_GIVEN_KEY = "pause-given";
const DELIVERIES_KEY = "deliveries";

interface JobRow extends Record<string, SqlStorageValue> {
  id: string;
  status: string;
  /** Of a removed job: when it was removed. */
  listed_at_ms: number;
  seq: number;
  cursor: number;
  entry: string;
  search: string;
}

/** A change without an event, such as a pin, has the same `seq` and a larger `revision`. */
function isNewer({ seq, revision = 0 }: CatalogEntry, known: JobRow): boolean {
  if (seq !== known.seq) return seq > known.seq;
  const stored: CatalogEntry = JSON.parse(known.entry);
  return revision > (stored.revision ?? 0);
}

/** The only writer of the catalog's storage. Everything is synchronous: what it returns is what is stored. */
export class CatalogStore {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  #created: boolean | null = null;
  #lastCursor: number | null = null;
  #pending: number | null = null;
  #reserved: number | null = null;
  #reservations: readonly Reservation[] | null = null;
  /** Null before it was read. */
  #pause: ClientPause | "none" | null = null;
  #deliveries: ClientMetrics["deliveries"] | null = null;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
  }

  /** Drops what is kept in memory, after a write that was rolled back. */
  readAgain(): void {
    this.#created = null;
    this.#lastCursor = null;
    this.#pending = null;
    this.#reserved = null;
    this.#reservations = null;
    this.#pause = null;
    this.#deliveries = null;
  }

  /**
   * Stores the entry; `null` when it is no newer than what is known, or the job was removed. A job that was created after that
   * removal is another one under the same id: its key was used again once the object's tombstone had ended, at least a day later.
   * `askedAtMs`: when a client asked for it, as a new job or by a retry of a finished one; null when it did not. For a retry it is when
   * the job last changed, which may be later. `beforeStored` is called when it will be stored.
   */
  record(
    given: CatalogEntry,
    nowMs: number,
    beforeStored: (entry: CatalogEntry) => void = () => undefined,
  ): { readonly change: Change; readonly askedAtMs: number | null } | null {
    const { searchText = "", ...newer } = given;
    this.#create();
    const createdAtMs = Date.parse(newer.createdAt);
    const found = this.#row(newer.id);
    const isIdReused = found?.status === GONE && createdAtMs > found.listed_at_ms + CLOCKS_DIFFER_MS;
    const known = isIdReused ? null : found;
    if (known !== null && (known.status === GONE || !isNewer(newer, known))) return null;
    // After a rollback a job's object may be of a version before prices, whose entries lack `spend`. What is booked stays.
    const spend = newer.spend ?? (known === null ? undefined : parseEntry(known).spend);
    const entry: CatalogEntry = spend === undefined ? newer : { ...newer, spend };
    const pending = this.pending();
    const reserved = this.reservedMicros();
    if (isIdReused) this.#sql.exec("DELETE FROM jobs WHERE id = ?", entry.id);
    beforeStored(entry);
    const cursor = nextFeedNumber(this.lastCursor(), nowMs);
    this.#sql.exec(
      `INSERT INTO jobs (id, workflow, status, listed_at_ms, done, seq, cursor, entry, search)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET
         status = excluded.status, done = excluded.done, seq = excluded.seq, cursor = excluded.cursor,
         entry = excluded.entry, search = CASE excluded.search WHEN '' THEN search ELSE excluded.search END`,
      entry.id,
      entry.workflow,
      entry.status,
      createdAtMs,
      entry.done ? 1 : 0,
      entry.seq,
      cursor,
      JSON.stringify(entry),
      searchText,
    );
    this.#reserved = reserved + (entry.done ? 0 : (entry.spend?.reservedMicros ?? 0)) - reservedOf(known);
    const wasPending = known !== null && !isDone(known);
    this.#pending = pending + (entry.done ? 0 : 1) - (wasPending ? 1 : 0);
    this.#lastCursor = cursor;
    const change: Change = { kind: "job", cursor, entry };
    if (known === null) return { change, askedAtMs: createdAtMs };
    const isRetried = !wasPending && !entry.done;
    return { change, askedAtMs: isRetried ? Date.parse(entry.updatedAt) : null };
  }

  /** Leaves a tombstone, also for an unknown job (then `isAsked`); `null` when there is one already. */
  forget(
    id: string,
    nowMs: number,
    beforeStored: () => void = () => undefined,
  ): { readonly change: Change; readonly isAsked: boolean } | null {
    this.#create();
    const known = this.#row(id);
    if (known?.status === GONE) return null;
    const pending = this.pending();
    const reserved = this.reservedMicros();
    beforeStored();
    const cursor = nextFeedNumber(this.lastCursor(), nowMs);
    this.#sql.exec(
      `INSERT INTO jobs (id, workflow, status, listed_at_ms, done, seq, cursor, entry) VALUES (?, '', ?, ?, 1, 0, ?, '')
       ON CONFLICT (id) DO UPDATE SET
         workflow = '', status = excluded.status, listed_at_ms = excluded.listed_at_ms, done = 1,
         cursor = excluded.cursor, entry = '', search = ''`,
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
    this.#reserved = reserved - reservedOf(known);
    if (known !== null && !isDone(known)) this.#pending = pending - 1;
    this.#lastCursor = cursor;
    return { change: { kind: "gone", cursor, id }, isAsked: known === null };
  }

  /**
   * Entries after `position` (null: from the newest), newest first: up to `limit`, or those found among the next
   * `MAX_SEARCHED` jobs where each must be read. `more`: from where on older ones may follow; null when none do.
   */
  list(
    filter: JobFilter,
    position: ListPosition | null,
    limit: number,
  ): { readonly entries: CatalogEntry[]; readonly more: ListPosition | null } {
    if (!this.#exists()) return { entries: [], more: null };
    if (!readsJobs(filter)) {
      const found = this.#positions(filter, position, limit + 1);
      const more = found.length > limit ? (found[limit - 1] ?? null) : null;
      return { entries: found.slice(0, limit).flatMap(({ id }) => this.#searched(id)?.entry ?? []), more };
    }
    const entries: CatalogEntry[] = [];
    let read: ListPosition | null = position;
    for (let searched = 0; searched < MAX_SEARCHED; searched += SEARCHED_AT_ONCE) {
      const next: ListPosition[] = this.#positions(filter, read, SEARCHED_AT_ONCE);
      for (const place of next) {
        const job = this.#searched(place.id);
        read = place;
        if (job === null || !matchesFilter(job, filter)) continue;
        entries.push(job.entry);
        if (entries.length === limit) return { entries, more: place };
      }
      if (next.length < SEARCHED_AT_ONCE) return { entries, more: null };
    }
    return { entries, more: read };
  }

  /** How many of the newest `MAX_COUNTED` jobs there are of each kind. */
  count(filter: JobFilter): JobCounts {
    const found = this.#exists() ? this.#positions({ ...filter, status: null }, null, MAX_COUNTED + 1) : [];
    const jobs = found.slice(0, MAX_COUNTED).flatMap(({ id }) => this.#searched(id) ?? []);
    return countJobs(jobs, filter, found.length <= MAX_COUNTED);
  }

  /** Up to `limit` changes with a number above `cursor`, in the order of their numbers. Fewer: that is all. */
  changes(cursor: number, limit: number): Change[] {
    if (!this.#exists()) return [];
    const settled = this.#sql
      .exec<JobRow>(
        "SELECT id, status, seq, cursor, entry, search FROM jobs WHERE done = 1 AND cursor > ? ORDER BY cursor LIMIT ?",
        cursor,
        limit,
      )
      .toArray();
    const moving = this.#sql
      .exec<JobRow>(
        `SELECT id, status, seq, cursor, entry, search FROM jobs
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

  /** The job's last change; `null` for an unknown job. */
  change(id: string): Change | null {
    if (!this.#exists()) return null;
    const row = this.#row(id);
    return row === null ? null : toChange(row);
  }

  /** The newest `limit` jobs that are queued. */
  queued(limit: number): CatalogEntry[] {
    return this.list({ status: ["queued"], workflow: null }, null, limit).entries;
  }

  /** How many jobs are unfinished. */
  pending(): number {
    if (this.#pending === null) {
      const count = `SELECT count(*) AS n FROM jobs WHERE ${UNFINISHED_JOBS}`;
      this.#pending = this.#exists() ? this.#sql.exec<{ n: number }>(count).one().n : 0;
    }
    return this.#pending;
  }

  /** What unfinished jobs hold reserved, in millionths. */
  reservedMicros(): number {
    if (this.#reserved === null) {
      const sum = `SELECT coalesce(sum(json_extract(entry, '$.spend.reservedMicros')), 0) AS n FROM jobs WHERE ${UNFINISHED_JOBS}`;
      this.#reserved = this.#exists() ? this.#sql.exec<{ n: number }>(sum).one().n : 0;
    }
    return this.#reserved;
  }

  /** The job as its client's ledger knows it; null for an unknown one. */
  ledgerJob(id: string): LedgerJob | "gone" | null {
    const row = this.#exists() ? this.#row(id) : null;
    if (row === null) return null;
    if (row.status === GONE) return "gone";
    return { seq: row.seq, isDone: isDone(row), position: parseEntry(row).spend ?? NOTHING_SPENT };
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

  /** `in memory`: for a change whose loss in a crash only counts too much as reserved, which is not worth a row. */
  keepReservations(reservations: readonly Reservation[], where: "stored" | "in memory"): void {
    this.#reservations = reservations;
    if (where === "stored") this.#storage.kv.put(RESERVATIONS_KEY, reservations);
  }

  /** The operator's pause of the client that is in force. */
  pause(nowMs: number): ClientPause | null {
    this.#pause ??= this.#storage.kv.get<ClientPause>(PAUSE_KEY) ?? "none";
    if (this.#pause === "none") return null;
    return this.#pause.untilMs === null || this.#pause.untilMs > nowMs ? this.#pause : null;
  }

  /** Does nothing when the request of an earlier call was given later. */
  keepPause(pause: ClientPause | null, givenAtMs: number): void {
    if (givenAtMs < (this.#storage.kv.get<number>(PAUSE_GIVEN_KEY) ?? 0)) return;
    if (Number.isFinite(givenAtMs)) this.#storage.kv.put(PAUSE_GIVEN_KEY, givenAtMs);
    this.#pause = pause ?? "none";
    if (pause === null) this.#storage.kv.delete(PAUSE_KEY);
    else this.#storage.kv.put(PAUSE_KEY, pause);
  }

  /** How many tries of webhooks had which outcome: one row for all. */
  deliveries(): ClientMetrics["deliveries"] {
    this.#deliveries ??= this.#storage.kv.get<ClientMetrics["deliveries"]>(DELIVERIES_KEY) ?? {};
    return this.#deliveries;
  }

  keepDeliveries(counts: ClientMetrics["deliveries"]): void {
    this.#deliveries = counts;
    this.#storage.kv.put(DELIVERIES_KEY, counts);
  }

  /** The places of up to `limit` jobs after `position`, newest first, by what the index knows: status, workflow and time. */
  #positions(filter: JobFilter, position: ListPosition | null, limit: number): ListPosition[] {
    const { beforeMs = null } = filter;
    // No id is before the empty one.
    const bounded = beforeMs !== null && (position === null || beforeMs <= position.createdAtMs);
    const from = bounded ? { createdAtMs: beforeMs, id: "" } : position;
    const found: ListPosition[] = [];
    for (const workflow of filter.workflow === null ? WORKFLOWS : [filter.workflow]) {
      for (const status of filter.status ?? JobStatus.options)
        found.push(...this.#bucket(workflow, status, from, limit));
    }
    return found.sort(newestFirst).slice(0, limit);
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

  #searched(id: string): SearchedJob | null {
    const row = this.#row(id);
    return row === null ? null : { entry: parseEntry(row), searchText: row.search };
  }

  #row(id: string): JobRow | null {
    const rows = this.#sql
      .exec<JobRow>("SELECT id, status, listed_at_ms, seq, cursor, entry, search FROM jobs WHERE id = ?", id)
      .toArray();
    return rows[0] ?? null;
  }

  /** Any name addresses an object, so nothing is stored before there is something to store. */
  #exists(): boolean {
    if (this.#created === null) {
      const [table] = this.#sql.exec<{ sql: string }>("SELECT sql FROM sqlite_master WHERE name = 'jobs'").toArray();
      if (table !== undefined && !/\bsearch\b/.test(table.sql)) this.#sql.exec(ADD_SEARCH);
      this.#created = table !== undefined;
    }
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

/** A finished job holds nothing reserved, whatever its entry says. */
function reservedOf(row: JobRow | null): number {
  return row === null || isDone(row) ? 0 : (parseEntry(row).spend?.reservedMicros ?? 0);
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
