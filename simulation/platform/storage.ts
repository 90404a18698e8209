import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { checkStorable, cloned } from "./clone.ts";

/** The alarm in storage: a time, or none. */
type AlarmTime = number | null;

type KvOp = { readonly key: string; readonly value: unknown } | { readonly key: string; readonly value?: never };

/** Writes with no await between them. They become durable together or not at all. */
interface Batch {
  isOpen: boolean;
  readonly kv: KvOp[];
  readonly sql: (readonly [query: string, binds: readonly SQLInputValue[]])[];
  /** Undefined: the alarm is unchanged. */
  alarm: AlarmTime | undefined;
  deletesAll: boolean;
  readonly waiting: (() => void)[];
}

/** What an object's storage requires of its host. */
export interface StorageHost {
  /** A batch is closed. The host calls `durable` when it has become durable, in order. */
  flush(durable: () => void): void;
  /** The durable alarm has changed. */
  alarmChanged(atMs: AlarmTime): void;
}

const ABSENT = Symbol("absent");

/**
 * One object's storage: rows in SQLite, synchronous keys, one alarm. A write is visible at once and becomes durable in
 * batches, in order. `crash` restores the durable state.
 */
export class SimStorage {
  readonly #host: StorageHost;
  readonly #durableKv = new Map<string, unknown>();
  #kv = new Map<string, unknown>();
  #durableAlarm: AlarmTime = null;
  #alarm: AlarmTime = null;
  #batches: Batch[] = [];
  #database: DatabaseSync | null = null;
  readonly #statements = new Map<string, StatementSync>();
  #inTransaction = false;
  #depth = 0;
  /** Durable statements while the database's own transaction, which later statements share, is still open. */
  #durableSql: (readonly [query: string, binds: readonly SQLInputValue[]])[] = [];
  #undo: (() => void)[] | null = null;
  writes = 0;

  constructor(host: StorageHost) {
    this.#host = host;
  }

  get isDurable(): boolean {
    return this.#batches.length === 0;
  }

  get durableAlarmAtMs(): AlarmTime {
    return this.#durableAlarm;
  }

  /** The current value, read without the object. */
  peek(key: string): unknown {
    return this.#kv.get(key);
  }

  peekAll(prefix: string): unknown[] {
    return [...this.#kv].filter(([key]) => key.startsWith(prefix)).map(([, value]) => value);
  }

  peekAllDurable(prefix: string): unknown[] {
    return [...this.#durableKv].filter(([key]) => key.startsWith(prefix)).map(([, value]) => value);
  }

  peekDurable(key: string): unknown {
    return this.#durableKv.get(key);
  }

  /** Whether nothing is stored durably. */
  get isEmpty(): boolean {
    if (this.#durableKv.size > 0) return false;
    return this.#database === null || this.rowsOf("SELECT name FROM sqlite_master").length === 0;
  }

  rowsOf(query: string): Record<string, unknown>[] {
    return this.#database === null ? [] : (this.#statement(query).all() as Record<string, unknown>[]);
  }

  /** Runs `send` once everything written so far is durable. */
  gate(send: () => void): void {
    const last = this.#batches.at(-1);
    if (last === undefined) send();
    else last.waiting.push(send);
  }

  /** Drops everything that is not durable, and everything that waits for it. */
  crash(): void {
    if (this.#database !== null && this.#inTransaction) {
      this.#database.exec("ROLLBACK");
      this.#inTransaction = false;
      if (this.#durableSql.length > 0) {
        this.#begin();
        for (const [query, binds] of this.#durableSql) this.#execute(query, binds);
        this.#commit();
      }
    }
    this.#batches = [];
    this.#depth = 0;
    this.#undo = null;
    this.#kv = new Map(this.#durableKv);
    this.#alarm = this.#durableAlarm;
  }

  close(): void {
    this.#database?.close();
    this.#database = null;
  }

  /** The alarm fires, so none is set afterwards. */
  takeAlarm(): void {
    this.#durableAlarm = null;
    const isSetAnew = this.#batches.some((batch) => batch.alarm !== undefined);
    if (!isSetAnew) this.#alarm = null;
  }

  readonly kv = {
    get: (key: string): unknown => cloned(this.#kv.get(key)),
    put: (key: string, value: unknown): void => {
      if (value === undefined) throw new TypeError("put() called with undefined value");
      const copy = cloned(value);
      checkStorable(copy);
      this.#write().kv.push({ key, value: copy });
      this.#change(key, copy);
    },
    delete: (key: string): boolean => {
      const had = this.#kv.has(key);
      this.#write().kv.push({ key });
      this.#change(key, ABSENT);
      return had;
    },
    list: (options: { prefix?: string; start?: string; end?: string; limit?: number; reverse?: boolean } = {}) => {
      const { prefix = "", start, end, limit = Number.POSITIVE_INFINITY, reverse = false } = options;
      const keys = [...this.#kv.keys()]
        .filter(
          (key) => key.startsWith(prefix) && (start === undefined || key >= start) && (end === undefined || key < end),
        )
        .sort();
      if (reverse) keys.reverse();
      return keys.slice(0, limit).map((key): [string, unknown] => [key, cloned(this.#kv.get(key))]);
    },
  };

  readonly sql = {
    exec: (query: string, ...binds: SQLInputValue[]) => {
      const isRead = /^\s*(SELECT|WITH|EXPLAIN)\b/i.test(query);
      if (!isRead) {
        const batch = this.#write();
        this.#begin();
        batch.sql.push([query, binds]);
      }
      return cursorOf(this.#execute(query, binds));
    },
  };

  /** All or nothing, also when nested. */
  transactionSync<Result>(work: () => Result): Result {
    this.#begin();
    const outerUndo = this.#undo;
    const undo: (() => void)[] = [];
    this.#undo = undo;
    const name = `s${this.#depth}`;
    this.#depth += 1;
    const batch = this.#batches.at(-1);
    const isJoined = batch?.isOpen === true;
    const before = isJoined
      ? { kv: batch.kv.length, sql: batch.sql.length, alarm: batch.alarm }
      : { kv: 0, sql: 0, alarm: undefined };
    this.#run(`SAVEPOINT ${name}`);
    try {
      const result = work();
      this.#run(`RELEASE ${name}`);
      if (outerUndo !== null) outerUndo.push(...undo);
      return result;
    } catch (error) {
      this.#run(`ROLLBACK TO ${name}`);
      this.#run(`RELEASE ${name}`);
      for (const each of undo.reverse()) each();
      const open = this.#batches.at(-1);
      if (open?.isOpen === true) {
        open.kv.length = before.kv;
        open.sql.length = before.sql;
        open.alarm = before.alarm;
      }
      throw error;
    } finally {
      this.#depth -= 1;
      this.#undo = outerUndo;
    }
  }

  get alarmAtMs(): AlarmTime {
    return this.#alarm;
  }

  setAlarm(atMs: AlarmTime): void {
    this.#write().alarm = atMs;
    const before = this.#alarm;
    this.#undo?.push(() => {
      this.#alarm = before;
    });
    this.#alarm = atMs;
  }

  deleteAll(): void {
    const batch = this.#write();
    batch.deletesAll = true;
    batch.kv.length = 0;
    batch.sql.length = 0;
    batch.alarm = null;
    this.#alarm = null;
    this.#kv = new Map();
    if (this.#database !== null) {
      this.#begin();
      for (const { name, type } of this.rowsOf(
        "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view')",
      )) {
        const query = `DROP ${String(type)} "${String(name)}"`;
        batch.sql.push([query, []]);
        this.#database.exec(query);
      }
      this.#statements.clear();
    }
  }

  #change(key: string, value: unknown): void {
    const before = this.#kv.has(key) ? this.#kv.get(key) : ABSENT;
    this.#undo?.push(() => setOrDelete(this.#kv, key, before));
    setOrDelete(this.#kv, key, value);
  }

  /** The batch for the current write. */
  #write(): Batch {
    this.writes += 1;
    const last = this.#batches.at(-1);
    if (last?.isOpen === true) return last;
    const batch: Batch = {
      isOpen: true,
      kv: [],
      sql: [],
      alarm: undefined,
      deletesAll: false,
      waiting: [],
    };
    this.#batches.push(batch);
    queueMicrotask(() => {
      batch.isOpen = false;
      if (!this.#batches.includes(batch)) return;
      this.#host.flush(() => this.#makeDurable(batch));
    });
    return batch;
  }

  #makeDurable(batch: Batch): void {
    if (this.#batches[0] !== batch) return;
    this.#batches.shift();
    if (batch.deletesAll) this.#durableKv.clear();
    for (const op of batch.kv) setOrDelete(this.#durableKv, op.key, "value" in op ? op.value : ABSENT);
    this.#durableSql.push(...batch.sql);
    if (this.#batches.length === 0) this.#commit();
    if (batch.alarm !== undefined) {
      this.#durableAlarm = batch.alarm;
      this.#host.alarmChanged(batch.alarm);
    }
    for (const send of batch.waiting) send();
  }

  #begin(): void {
    this.#open();
    if (this.#inTransaction) return;
    this.#run("BEGIN");
    this.#inTransaction = true;
  }

  #commit(): void {
    this.#durableSql = [];
    if (!this.#inTransaction) return;
    this.#run("COMMIT");
    this.#inTransaction = false;
  }

  #open(): DatabaseSync {
    this.#database ??= new DatabaseSync(":memory:");
    return this.#database;
  }

  #run(query: string): void {
    this.#open();
    this.#statement(query).run();
  }

  #execute(query: string, binds: readonly SQLInputValue[]): Record<string, unknown>[] {
    const database = this.#open();
    if (binds.length === 0 && /;\s*\S/.test(query)) {
      database.exec(query);
      return [];
    }
    return this.#statement(query).all(...binds) as Record<string, unknown>[];
  }

  #statement(query: string): StatementSync {
    const known = this.#statements.get(query);
    if (known !== undefined) return known;
    const made = this.#open().prepare(query);
    this.#statements.set(query, made);
    return made;
  }
}

function setOrDelete(map: Map<string, unknown>, key: string, value: unknown): void {
  if (value === ABSENT) map.delete(key);
  else map.set(key, value);
}

/** The used part of `SqlStorageCursor`. Rows are read at once, so that a cursor never sees later writes. */
function cursorOf(rows: Record<string, unknown>[]) {
  return {
    toArray: () => rows,
    one: () => {
      const [row] = rows;
      if (row === undefined || rows.length !== 1)
        throw new Error(`Expected exactly one result from SQL query, but got ${rows.length}`);
      return row;
    },
    raw: () => ({ toArray: () => rows.map((row) => Object.values(row)) }),
    [Symbol.iterator]: () => rows[Symbol.iterator](),
    rowsRead: rows.length,
    rowsWritten: 0,
    columnNames: Object.keys(rows[0] ?? {}),
  };
}
