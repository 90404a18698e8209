import type { Priority } from "../../schemas/job.ts";
import { NO_CONTROL } from "./core/control.ts";
import type { LaneState, LaneStorage, LeaseEntry } from "./core/lane-state.ts";
import { PRIORITIES, type QueuedTicket, type Standing } from "./core/queue.ts";
import { NO_TALLY } from "./core/tally.ts";

/** Created with the first write, so that a lane that is only read stores nothing. */
const TABLES = `
  CREATE TABLE IF NOT EXISTS lane (id INTEGER PRIMARY KEY CHECK (id = 1), state TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS waiting (
    priority INTEGER NOT NULL, turn INTEGER NOT NULL, seq INTEGER NOT NULL,
    job_id TEXT NOT NULL, client TEXT NOT NULL, round INTEGER NOT NULL, watched INTEGER NOT NULL,
    unanswered INTEGER NOT NULL DEFAULT 0, queued_at_ms INTEGER,
    PRIMARY KEY (priority, turn, seq)
  ) WITHOUT ROWID;
  CREATE UNIQUE INDEX IF NOT EXISTS waiting_by_job ON waiting (job_id);
  CREATE INDEX IF NOT EXISTS waiting_watched ON waiting (watched) WHERE watched = 1;
  CREATE TABLE IF NOT EXISTS leases (
    job_id TEXT PRIMARY KEY, lease_id TEXT NOT NULL, client TEXT NOT NULL, priority INTEGER NOT NULL,
    turn INTEGER NOT NULL, seq INTEGER NOT NULL, round INTEGER NOT NULL, watched INTEGER NOT NULL,
    starts_at_ms INTEGER NOT NULL, ends_at_ms INTEGER NOT NULL, counted_at_ms INTEGER,
    unanswered INTEGER NOT NULL DEFAULT 0, queued_at_ms INTEGER
  ) WITHOUT ROWID;
`;

/** The columns that earlier versions of `waiting` and `leases` lack. Rows from then count as never unanswered. */
const NEWER_COLUMNS = { unanswered: "INTEGER NOT NULL DEFAULT 0", queued_at_ms: "INTEGER" } as const;

/** A stored ticket: `seq` is its `order`, `round` its `ticketNumber`. */
interface TicketRow extends Record<string, SqlStorageValue> {
  priority: number;
  turn: number;
  seq: number;
  job_id: string;
  client: string;
  round: number;
  watched: number;
  queued_at_ms: number | null;
}

interface LeaseRow extends TicketRow {
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

function ticketOf(row: TicketRow): QueuedTicket {
  const { turn, seq: order, job_id: jobId, client, round: ticketNumber } = row;
  const unanswered = Number(row.unanswered ?? 0);
  return {
    priority: priorityOf(row),
    turn,
    order,
    jobId,
    client,
    ticketNumber,
    watched: row.watched === 1,
    unanswered,
    queuedAtMs: row.queued_at_ms ?? null,
  };
}

function leaseOf(row: LeaseRow): LeaseEntry {
  return {
    ...ticketOf(row),
    leaseId: row.lease_id,
    startsAtMs: row.starts_at_ms,
    endsAtMs: row.ends_at_ms,
    countedAtMs: row.counted_at_ms,
  };
}

/**
 * `LaneStorage` in the object's SQLite. A read of one ticket or lease reads one row, but the first question about a lease reads
 * the ids of all that are out. What is in memory must be dropped with a transaction that is rolled back.
 */
export class LaneStore implements LaneStorage {
  readonly #sql: SqlStorage;
  /** Null while there are no tables. */
  #missingColumns: readonly (keyof typeof NEWER_COLUMNS)[] | null;
  /** The jobs with a lease, read with the first question: most jobs that enqueue have just been submitted and hold none. */
  #leased: Set<string> | null = null;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    const made = sql.exec<{ sql: string }>("SELECT sql FROM sqlite_master WHERE name = 'leases'").toArray()[0]?.sql;
    const newer = Object.keys(NEWER_COLUMNS) as (keyof typeof NEWER_COLUMNS)[];
    this.#missingColumns = made === undefined ? null : newer.filter((column) => !made.includes(column));
  }

  #rows<Row extends Record<string, SqlStorageValue>>(query: string, ...binds: SqlStorageValue[]): Row[] {
    return this.#missingColumns === null ? [] : this.#sql.exec<Row>(query, ...binds).toArray();
  }

  #write(query: string, ...binds: SqlStorageValue[]): void {
    if (this.#missingColumns === null) this.#sql.exec(TABLES);
    for (const column of this.#missingColumns ?? []) {
      for (const table of ["waiting", "leases"]) {
        this.#sql.exec(`ALTER TABLE ${table} ADD COLUMN ${column} ${NEWER_COLUMNS[column]}`);
      }
    }
    this.#missingColumns = [];
    this.#sql.exec(query, ...binds);
  }

  loadState(): LaneState | null {
    const row = this.#rows<{ state: string }>("SELECT state FROM lane WHERE id = 1")[0];
    if (row === undefined) return null;
    // Only `saveState` writes this row. A version that this code does not know is a newer form; a missing field is an older one.
    const state = JSON.parse(row.state) as Omit<LaneState, "failedJobs" | "forgottenMs" | "control" | "tally"> &
      Partial<LaneState>;
    if (state.version !== 1) throw new Error(`the stored lane has version ${state.version}, this code knows 1`);
    const tally = { ...NO_TALLY, ...state.tally };
    return { failedJobs: [], forgottenMs: 0, ...state, tally, control: { ...NO_CONTROL, ...state.control } };
  }

  saveState(state: LaneState): void {
    this.#write(
      "INSERT INTO lane (id, state) VALUES (1, ?) ON CONFLICT DO UPDATE SET state = excluded.state",
      JSON.stringify(state),
    );
  }

  /** Reads one row, and one more for each ticket of `exceptOf` before it. */
  head(priority: Priority, exceptOf: readonly string[]): QueuedTicket | null {
    const except = exceptOf.length === 0 ? "" : "AND client NOT IN (SELECT value FROM json_each(?))";
    const query = `SELECT * FROM waiting WHERE priority = ? ${except} ORDER BY turn, seq LIMIT 1`;
    const binds = exceptOf.length === 0 ? [] : [JSON.stringify(exceptOf)];
    const row = this.#rows<TicketRow>(query, PRIORITIES.indexOf(priority), ...binds)[0];
    return row === undefined ? null : ticketOf(row);
  }

  /** Reads every row. */
  ticketsOf(client: string): readonly QueuedTicket[] {
    const query = "SELECT * FROM waiting WHERE client = ? ORDER BY priority, turn, seq";
    return this.#rows<TicketRow>(query, client).map(ticketOf);
  }

  ticket(jobId: string): QueuedTicket | null {
    const row = this.#rows<TicketRow>("SELECT * FROM waiting WHERE job_id = ?", jobId)[0];
    return row === undefined ? null : ticketOf(row);
  }

  insertTicket(ticket: QueuedTicket): void {
    this.#write(
      `INSERT INTO waiting (priority, turn, seq, job_id, client, round, watched, unanswered, queued_at_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      PRIORITIES.indexOf(ticket.priority),
      ticket.turn,
      ticket.order,
      ticket.jobId,
      ticket.client,
      ticket.ticketNumber,
      ticket.watched ? 1 : 0,
      ticket.unanswered,
      ticket.queuedAtMs,
    );
  }

  updateTicket(ticket: QueuedTicket): void {
    const query = "UPDATE waiting SET round = ?, watched = ? WHERE job_id = ?";
    this.#write(query, ticket.ticketNumber, ticket.watched ? 1 : 0, ticket.jobId);
  }

  deleteTicket(ticket: QueuedTicket): void {
    const query = "DELETE FROM waiting WHERE priority = ? AND turn = ? AND seq = ?";
    this.#write(query, PRIORITIES.indexOf(ticket.priority), ticket.turn, ticket.order);
  }

  oldestQueuedAtMs(): number | null {
    if (this.#missingColumns?.includes("queued_at_ms") === true) return null;
    return this.#rows<{ at: number | null }>("SELECT min(queued_at_ms) AS at FROM waiting")[0]?.at ?? null;
  }

  anyWatched(): boolean {
    return this.#rows("SELECT 1 FROM waiting WHERE watched = 1 LIMIT 1").length > 0;
  }

  watchedAfter(after: QueuedTicket | null, limit: number): readonly QueuedTicket[] {
    const { priority, turn, order } = after ?? { priority: "high", turn: -1, order: -1 };
    const query = `SELECT * FROM waiting WHERE watched = 1 AND (priority, turn, seq) > (?, ?, ?)
       ORDER BY priority, turn, seq LIMIT ?`;
    return this.#rows<TicketRow>(query, PRIORITIES.indexOf(priority), turn, order, limit).map(ticketOf);
  }

  *standings(): Iterable<Standing> {
    if (this.#missingColumns === null) return;
    type Row = { priority: number; client: string; turn: number; order: number };
    // Read row by row: all at once would be a hundred thousand objects in memory.
    const query = 'SELECT priority, client, turn, seq AS "order" FROM waiting ORDER BY priority, turn, seq';
    for (const row of this.#sql.exec<Row>(query)) yield { ...row, priority: priorityOf(row) };
  }

  lease(jobId: string): LeaseEntry | null {
    this.#leased ??= new Set(this.#rows<{ job_id: string }>("SELECT job_id FROM leases").map((row) => row.job_id));
    if (!this.#leased.has(jobId)) return null;
    const row = this.#rows<LeaseRow>("SELECT * FROM leases WHERE job_id = ?", jobId)[0];
    return row === undefined ? null : leaseOf(row);
  }

  insertLease(lease: LeaseEntry): void {
    this.#write(
      `INSERT INTO leases (job_id, lease_id, client, priority, turn, seq, round, watched, starts_at_ms, ends_at_ms,
         counted_at_ms, unanswered, queued_at_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      lease.jobId,
      lease.leaseId,
      lease.client,
      PRIORITIES.indexOf(lease.priority),
      lease.turn,
      lease.order,
      lease.ticketNumber,
      lease.watched ? 1 : 0,
      lease.startsAtMs,
      lease.endsAtMs,
      lease.countedAtMs,
      lease.unanswered,
      lease.queuedAtMs,
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
