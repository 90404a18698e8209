import type { Priority } from "../../schemas/job.ts";
import type { LaneState } from "./core/lane-state.ts";
import type { LaneStorage, LeaseEntry, Standing, WaitingEntry } from "./core/lane-storage.ts";
import { PRIORITIES } from "./core/turns.ts";

/** Written to the first time something is stored, so that a lane that is only looked at leaves nothing behind. */
const TABLES = `
  CREATE TABLE IF NOT EXISTS lane (id INTEGER PRIMARY KEY CHECK (id = 1), state TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS waiting (
    priority INTEGER NOT NULL, turn INTEGER NOT NULL, seq INTEGER NOT NULL,
    job_id TEXT NOT NULL, client TEXT NOT NULL, round INTEGER NOT NULL, watched INTEGER NOT NULL,
    PRIMARY KEY (priority, turn, seq)
  ) WITHOUT ROWID;
  CREATE UNIQUE INDEX IF NOT EXISTS waiting_by_job ON waiting (job_id);
  CREATE INDEX IF NOT EXISTS waiting_watched ON waiting (watched) WHERE watched = 1;
  CREATE TABLE IF NOT EXISTS leases (
    job_id TEXT PRIMARY KEY, lease_id TEXT NOT NULL, client TEXT NOT NULL, priority INTEGER NOT NULL,
    turn INTEGER NOT NULL, seq INTEGER NOT NULL, round INTEGER NOT NULL, watched INTEGER NOT NULL,
    starts_at_ms INTEGER NOT NULL, ends_at_ms INTEGER NOT NULL, counted_at_ms INTEGER
  ) WITHOUT ROWID;
`;

interface WaitingRow extends Record<string, SqlStorageValue> {
  priority: number;
  turn: number;
  seq: number;
  job_id: string;
  client: string;
  round: number;
  watched: number;
}

interface LeaseRow extends WaitingRow {
  lease_id: string;
  starts_at_ms: number;
  ends_at_ms: number;
  counted_at_ms: number | null;
}

function priorityOf(row: { priority: number }): Priority {
  const priority = PRIORITIES[row.priority];
  if (priority === undefined) throw new Error(`a stored priority must be 0 to 2, got ${row.priority}`);
  return priority;
}

function entryOf(row: WaitingRow): WaitingEntry {
  const { turn, seq, job_id: jobId, client, round } = row;
  return { priority: priorityOf(row), turn, seq, jobId, client, round, watched: row.watched === 1 };
}

function leaseOf(row: LeaseRow): LeaseEntry {
  return {
    ...entryOf(row),
    leaseId: row.lease_id,
    startsAtMs: row.starts_at_ms,
    endsAtMs: row.ends_at_ms,
    countedAtMs: row.counted_at_ms,
  };
}

/**
 * `LaneStorage` in the object's SQLite. Every question but `everyone`, `watched` and those about all leases, and
 * the first for one lease, reads one row. A write that is rolled back must take this with it: what is in memory is ahead then.
 */
export class LaneStore implements LaneStorage {
  readonly #sql: SqlStorage;
  #hasTables: boolean;
  /** Who holds a lease, once asked: most who ask for theirs have just been submitted and hold none. */
  #leased: Set<string> | null = null;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.#hasTables = sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'leases'").toArray().length > 0;
  }

  #rows<Row extends Record<string, SqlStorageValue>>(query: string, ...binds: SqlStorageValue[]): Row[] {
    return this.#hasTables ? this.#sql.exec<Row>(query, ...binds).toArray() : [];
  }

  #write(query: string, ...binds: SqlStorageValue[]): void {
    if (!this.#hasTables) this.#sql.exec(TABLES);
    this.#hasTables = true;
    this.#sql.exec(query, ...binds);
  }

  loadState(): LaneState | null {
    const row = this.#rows<{ state: string }>("SELECT state FROM lane WHERE id = 1")[0];
    if (row === undefined) return null;
    // Only `saveState` writes this row; the version says whether this code knows its form.
    const state = JSON.parse(row.state) as LaneState;
    if (state.version !== 1) throw new Error(`the stored lane has version ${state.version}, this code knows 1`);
    return state;
  }

  saveState(state: LaneState): void {
    this.#write(
      "INSERT INTO lane (id, state) VALUES (1, ?) ON CONFLICT DO UPDATE SET state = excluded.state",
      JSON.stringify(state),
    );
  }

  head(priority: Priority): WaitingEntry | null {
    const query = "SELECT * FROM waiting WHERE priority = ? ORDER BY turn, seq LIMIT 1";
    const row = this.#rows<WaitingRow>(query, PRIORITIES.indexOf(priority))[0];
    return row === undefined ? null : entryOf(row);
  }

  waiting(jobId: string): WaitingEntry | null {
    const row = this.#rows<WaitingRow>("SELECT * FROM waiting WHERE job_id = ?", jobId)[0];
    return row === undefined ? null : entryOf(row);
  }

  insertWaiting(entry: WaitingEntry): void {
    const { priority, turn, seq, jobId, client, round, watched } = entry;
    this.#write(
      "INSERT INTO waiting (priority, turn, seq, job_id, client, round, watched) VALUES (?, ?, ?, ?, ?, ?, ?)",
      PRIORITIES.indexOf(priority),
      turn,
      seq,
      jobId,
      client,
      round,
      watched ? 1 : 0,
    );
  }

  updateWaiting(entry: WaitingEntry): void {
    const query = "UPDATE waiting SET round = ?, watched = ? WHERE job_id = ?";
    this.#write(query, entry.round, entry.watched ? 1 : 0, entry.jobId);
  }

  deleteWaiting(entry: WaitingEntry): void {
    const query = "DELETE FROM waiting WHERE priority = ? AND turn = ? AND seq = ?";
    this.#write(query, PRIORITIES.indexOf(entry.priority), entry.turn, entry.seq);
  }

  anyWatched(): boolean {
    return this.#rows("SELECT 1 FROM waiting WHERE watched = 1 LIMIT 1").length > 0;
  }

  watched(): readonly WaitingEntry[] {
    return this.#rows<WaitingRow>("SELECT * FROM waiting WHERE watched = 1").map(entryOf);
  }

  everyone(): readonly Standing[] {
    const query = "SELECT priority, client, turn, seq FROM waiting ORDER BY priority, turn, seq";
    type Row = { priority: number; client: string; turn: number; seq: number };
    return this.#rows<Row>(query).map((row) => ({ ...row, priority: priorityOf(row) }));
  }

  lease(jobId: string): LeaseEntry | null {
    this.#leased ??= new Set(this.#rows<{ job_id: string }>("SELECT job_id FROM leases").map((row) => row.job_id));
    if (!this.#leased.has(jobId)) return null;
    const row = this.#rows<LeaseRow>("SELECT * FROM leases WHERE job_id = ?", jobId)[0];
    return row === undefined ? null : leaseOf(row);
  }

  insertLease(lease: LeaseEntry): void {
    this.#write(
      `INSERT INTO leases (job_id, lease_id, client, priority, turn, seq, round, watched, starts_at_ms, ends_at_ms, counted_at_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      lease.jobId,
      lease.leaseId,
      lease.client,
      PRIORITIES.indexOf(lease.priority),
      lease.turn,
      lease.seq,
      lease.round,
      lease.watched ? 1 : 0,
      lease.startsAtMs,
      lease.endsAtMs,
      lease.countedAtMs,
    );
    this.#leased?.add(lease.jobId);
  }

  updateLease(lease: LeaseEntry): void {
    const query = "UPDATE leases SET ends_at_ms = ?, counted_at_ms = ? WHERE job_id = ?";
    this.#write(query, lease.endsAtMs, lease.countedAtMs, lease.jobId);
  }

  deleteLease(jobId: string): void {
    this.#write("DELETE FROM leases WHERE job_id = ?", jobId);
    this.#leased?.delete(jobId);
  }

  runningSinceMs(): readonly number[] {
    return this.#rows<{ starts_at_ms: number }>("SELECT starts_at_ms FROM leases").map((row) => row.starts_at_ms);
  }

  soonestLeaseEndMs(): number | null {
    return this.#rows<{ at: number | null }>("SELECT min(ends_at_ms) AS at FROM leases")[0]?.at ?? null;
  }

  leasesEndedBy(now: number): readonly LeaseEntry[] {
    return this.#rows<LeaseRow>("SELECT * FROM leases WHERE ends_at_ms <= ?", now).map(leaseOf);
  }
}
