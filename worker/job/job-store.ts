import type { JobEvent } from "../../schemas/event.ts";
import type { JobRecord, Tombstone } from "./core/job-record.ts";

/** The record keeps this many events; what is older moves into pages, so that a long life stays cheap to write. */
const LOG_TAIL = 64;
const LOG_PAGE = 32;

/** An alarm this much too early is left alone: looking once in vain costs a seventh of a row. */
const EARLY_ENOUGH_MS = 45_000;

const RECORD_KEY = "record";
const PAGE_PREFIX = "log/";

/** A page is named by its last seq, padded so that names sort as numbers do. */
const pageKey = (lastSeq: number): string => `${PAGE_PREFIX}${String(lastSeq).padStart(10, "0")}`;

/**
 * A job's storage: one row for the record, rows for the older log. The only reader and writer of both; a change is one
 * write, atomic with the alarm set beside it.
 */
export class JobStore {
  readonly #storage: DurableObjectStorage;
  #record: JobRecord | Tombstone | null | undefined;
  #alarmAtMs: number | null | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** Null when nothing was ever submitted under this id; asking stores nothing. */
  load(): JobRecord | Tombstone | null {
    if (this.#record === undefined) {
      this.#record = this.#storage.kv.get<JobRecord | Tombstone>(RECORD_KEY) ?? null;
    }
    return this.#record;
  }

  /** The first write under this id. */
  create(record: JobRecord): void {
    this.#alarmAtMs = null;
    this.save(record);
  }

  save(record: JobRecord): void {
    let kept = record;
    if (record.log.length > LOG_TAIL) {
      const page = record.log.slice(0, LOG_PAGE);
      const last = page.at(-1);
      if (last !== undefined) this.#storage.kv.put(pageKey(last.seq), page);
      kept = { ...record, log: record.log.slice(LOG_PAGE) };
    }
    this.#storage.kv.put(RECORD_KEY, kept);
    this.#record = kept;
  }

  /** Keeps the record in memory only: for what is told again, harmlessly, if it is forgotten. */
  keepInMemory(record: JobRecord): void {
    this.#record = record;
  }

  /** The tombstone takes the place of everything. */
  bury(tombstone: Tombstone): void {
    for (const [key] of this.#storage.kv.list({ prefix: PAGE_PREFIX })) this.#storage.kv.delete(key);
    this.#storage.kv.put(RECORD_KEY, tombstone);
    this.#record = tombstone;
  }

  /** Nothing is left, the alarm included. */
  async forget(): Promise<void> {
    await this.#storage.deleteAll();
    this.#record = null;
    this.#alarmAtMs = null;
  }

  /** Events after `after`, oldest first, at most `limit`. */
  eventsAfter(after: number, limit: number): JobEvent[] {
    const record = this.load();
    if (record === null || record.kind === "tombstone") return [];
    const events: JobEvent[] = [];
    const first = record.log[0]?.seq ?? record.seq + 1;
    if (after + 1 < first) {
      for (const [, page] of this.#storage.kv.list<JobEvent[]>({ prefix: PAGE_PREFIX, start: pageKey(after + 1) })) {
        events.push(...page.filter((event) => event.seq > after));
        if (events.length >= limit) return events.slice(0, limit);
      }
    }
    for (const event of record.log) {
      if (events.length >= limit) break;
      if (event.seq > after) events.push(event);
    }
    return events;
  }

  /**
   * Sets the alarm, unless it is known to go off then, or a little earlier. Not awaited, and never preceded by a wait: it must become
   * durable together with the record it was derived from.
   */
  arm(atMs: number | null): void {
    const known = this.#alarmAtMs;
    if (known === atMs) return;
    if (known != null && atMs !== null && known > Date.now() && known <= atMs && atMs - known <= EARLY_ENOUGH_MS)
      return;
    this.#alarmAtMs = atMs;
    if (atMs === null) void this.#storage.deleteAlarm();
    else void this.#storage.setAlarm(atMs);
  }

  /** The alarm went off: none is set now. */
  alarmFired(): void {
    this.#alarmAtMs = null;
  }
}
