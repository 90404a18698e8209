import type { JobEvent } from "../../schemas/event.ts";
import type { LeaseOutcome } from "../lane/contract.ts";
import type { StoredDelivery } from "../webhooks/core/delivery.ts";
import { type Message, messageOf, withMessage } from "./core/outbox.ts";
import {
  type AttemptRecord,
  type JobRecord,
  RECORD_VERSION,
  type StoredRecord,
  type Tombstone,
} from "./core/record.ts";
import { leaseEndMs } from "./core/task-moves.ts";

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

/*
 * The only place that knows how records looked before. `worker/job/stored/version-N.json` holds records of each version, and a test
 * resumes each of them.
 */

/** Version 1 had no number, five fields for what was to be sent, and called a ticket's number a round. */
interface Outbox1 {
  readonly releases: readonly {
    readonly lane: string;
    readonly leaseId: string;
    readonly outcome: LeaseOutcome;
    readonly requeueRound: number | null;
  }[];
  readonly observations: readonly { readonly lane: string; readonly outcome: LeaseOutcome }[];
  readonly leave: string | null;
  readonly cancelTasks: readonly string[];
  readonly catalogSeq: number;
}

interface Job1 extends Omit<JobRecord, "version" | "ticketNumber" | "attempts" | "outbox"> {
  readonly version?: never;
  readonly round: number;
  readonly attempts: readonly (Omit<AttemptRecord, "ticketNumber"> & { readonly round: number | null })[];
  readonly outbox: Outbox1;
}

interface Tombstone1 extends Omit<Tombstone, "version" | "successorId" | "isSwept" | "outbox"> {
  readonly version?: never;
  readonly isSwept?: boolean;
  readonly filesRemain: boolean;
  readonly catalogKnows: boolean;
  readonly outbox: Outbox1;
}

/** The record as today's code knows it, whatever version stored it. */
export function readStored(stored: StoredRecord | Job1 | Tombstone1): StoredRecord {
  if (stored.version !== undefined) {
    const { version }: { readonly version: number } = stored;
    if (version === RECORD_VERSION) return stored;
    throw new Error(`the record has version ${version}, which this code does not know`);
  }
  return stored.kind === "job" ? fromJob1(stored) : fromTombstone1(stored);
}

function fromJob1({ round, attempts, outbox, ...rest }: Job1): JobRecord {
  const messages = messages1(outbox, round);
  const running = attempts.find(({ outcome, lease }) => outcome === null && lease !== null);
  // Version 1 renewed the lease of a resumed attempt after each start of the object.
  if (running?.lease && running.round === null) {
    messages.push(messageOf("renew", { ...running.lease, endsAtMs: leaseEndMs(running) }));
  }
  const requeued = outbox.releases.some(({ requeueRound }) => requeueRound === round);
  if (rest.state.status === "queued" && !requeued) {
    messages.push(messageOf("enqueue", { ticketNumber: round, tries: 0, reason: null }));
  }
  if (outbox.catalogSeq < rest.seq) messages.push(messageOf("record", { seq: rest.seq }));
  return {
    ...rest,
    version: RECORD_VERSION,
    ticketNumber: round,
    attempts: attempts.map(({ round: ticketNumber, ...attempt }) => ({ ...attempt, ticketNumber })),
    outbox: messages.reduce(withMessage, [] as readonly Message[]),
  };
}

function fromTombstone1({ filesRemain, catalogKnows, outbox, isSwept = false, ...rest }: Tombstone1): Tombstone {
  const messages = messages1(outbox, Number.MAX_SAFE_INTEGER);
  if (catalogKnows) messages.push(messageOf("forget", null));
  if (filesRemain) messages.push(messageOf("remove_files", null));
  return { ...rest, version: RECORD_VERSION, successorId: null, isSwept, outbox: messages };
}

function messages1({ releases, observations, leave, cancelTasks }: Outbox1, ticketNumber: number): Message[] {
  return [
    ...releases.map(({ requeueRound, ...release }) => messageOf("release", { ...release, requeue: requeueRound })),
    ...(leave === null ? [] : [messageOf("leave", { lane: leave, ticketNumber })]),
    ...observations.map((observation, index) => messageOf("observe", { ...observation, attempt: -index })),
    ...cancelTasks.map((taskId) => messageOf("cancel_task", { taskId })),
  ];
}
