import type { JobEvent } from "../../schemas/event.ts";
import type { StoredDelivery } from "../webhooks/core/delivery.ts";
import type { JobRecord, StoredRecord } from "./core/record.ts";
import { readStored } from "./core/stored-versions.ts";

/** The record keeps this many events; older ones move into pages, so that a job with a long log stays cheap to write. */
const LOG_TAIL = 64;
const LOG_PAGE = 32;

/** An alarm that is this much too early, in ms, is left as it is: an alarm in vain costs less than writing a row. */
const EARLY_ENOUGH_MS = 45_000;

const RECORD_KEY = "record";
const PAGE_PREFIX = "log/";

/** A page is named by its last seq, padded so that names sort as numbers do. */
const pageKey = (lastSeq: number): string => `${PAGE_PREFIX}${padded(lastSeq)}`;

const DELIVERY_PREFIX = "delivery/";

const deliveryKey = (seq: number): string => `${DELIVERY_PREFIX}${padded(seq)}`;

const padded = (seq: number): string => String(seq).padStart(10, "0");

/**
 * A job's storage: one row for the record, rows for the older log, one for each event on its way to a webhook. The only reader
 * and writer of them; a change is one write, atomic with the alarm and the rows set with it.
 */
export class JobStore {
  readonly #storage: DurableObjectStorage;
  #record: StoredRecord | null | undefined;
  /** Undefined after the object woke, until the alarm is set or read. */
  #alarmAtMs: number | null | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** Null when nothing was ever submitted under this id; asking stores nothing. */
  load(): StoredRecord | null {
    if (this.#record === undefined) {
      const stored = this.#storage.kv.get<Parameters<typeof readStored>[0]>(RECORD_KEY);
      this.#record = stored === undefined ? null : readStored(stored);
    }
    return this.#record;
  }

  /** The record if it was loaded; else null. */
  get inMemory(): StoredRecord | null {
    return this.#record ?? null;
  }

  /** The first write under this id. */
  create(record: JobRecord): void {
    this.#alarmAtMs = null;
    this.save(record);
  }

  save(record: StoredRecord): void {
    const kept = record.kind === "job" ? this.#withPages(record) : record;
    if (record.kind === "tombstone") {
      for (const [key] of this.#storage.kv.list({ prefix: PAGE_PREFIX })) this.#storage.kv.delete(key);
    }
    this.#storage.kv.put(RECORD_KEY, kept);
    this.#record = kept;
  }

  /** Moves the oldest events into a page when the record has too many. */
  #withPages(record: JobRecord): JobRecord {
    if (record.log.length <= LOG_TAIL) return record;
    const page = record.log.slice(0, LOG_PAGE);
    const last = page.at(-1);
    if (last !== undefined) this.#storage.kv.put(pageKey(last.seq), page);
    return { ...record, log: record.log.slice(LOG_PAGE) };
  }

  /** Keeps the record in memory until the next write: for a change whose loss only repeats a call. */
  keepInMemory(record: StoredRecord): void {
    this.#record = record;
  }

  /** The deliveries that are kept, in the order of their events. */
  deliveries(): StoredDelivery[] {
    return [...this.#storage.kv.list<StoredDelivery>({ prefix: DELIVERY_PREFIX })].map(([, delivery]) => delivery);
  }

  delivery(seq: number): StoredDelivery | null {
    return this.#storage.kv.get<StoredDelivery>(deliveryKey(seq)) ?? null;
  }

  putDelivery(delivery: StoredDelivery): void {
    this.#storage.kv.put(deliveryKey(delivery.seq), delivery);
  }

  deleteDelivery(seq: number): void {
    this.#storage.kv.delete(deliveryKey(seq));
  }

  /** Deletes everything, the alarm included. */
  async forget(): Promise<void> {
    this.#record = null;
    this.#alarmAtMs = null;
    await this.#storage.deleteAll();
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
   * Sets the alarm, unless it is set to that time or a little earlier. Not awaited, and nothing is awaited before it: it becomes
   * durable together with the record that it was derived from.
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

  get isAlarmKnown(): boolean {
    return this.#alarmAtMs !== undefined;
  }

  /** Reads when the alarm is set, unless that is known: an object that wakes then sets it again only where it is another. */
  async readAlarm(): Promise<void> {
    if (this.isAlarmKnown) return;
    const atMs = await this.#storage.getAlarm();
    // Set meanwhile, it is known already.
    if (!this.isAlarmKnown) this.#alarmAtMs = atMs;
  }

  /** The alarm went off: none is set now. */
  alarmFired(): void {
    this.#alarmAtMs = null;
  }
}
