import type { MessageKind } from "../worker/job/core/outbox.ts";
import { isFinal, type StoredRecord } from "../worker/job/core/record.ts";
import { readStored } from "../worker/job/job-store.ts";
import type { StoredDelivery } from "../worker/webhooks/core/delivery.ts";
import type { SimStorage } from "./platform/storage.ts";

/** The parts of a job's stored record that are read here; everything else is checked from outside. The only reader of its shape. */
export interface StoredJob {
  readonly isRemoved: boolean;
  readonly client: string;
  readonly status: string;
  readonly isFinal: boolean;
  readonly lastAttempt: number;
  /** Upstream holds a task of the job whose outcome was not read yet. */
  readonly hasTask: boolean;
  /** Upstream delivered, and the links are stored. */
  readonly hasLinks: boolean;
  /** The job has ended, but files must still be removed or messages sent. */
  readonly isUnsettled: boolean;
}

const RECORD_KEY = "record";

/** The job in its object's current view; null when there is none. */
export function storedJob(storage: SimStorage): StoredJob | null {
  return read(storage.peek(RECORD_KEY));
}

/** The job that a crash would leave. */
export function durableJob(storage: SimStorage): StoredJob | null {
  return read(storage.peekDurable(RECORD_KEY));
}

const DELIVERY_PREFIX = "delivery/";

/** The job's webhook events in its object's current view. */
export function storedDeliveries(storage: SimStorage): readonly StoredDelivery[] {
  // Only `JobStore` writes these.
  return storage.peekAll(DELIVERY_PREFIX) as StoredDelivery[];
}

/** The webhook events that a crash would leave. */
export function durableDeliveries(storage: SimStorage): readonly StoredDelivery[] {
  return storage.peekAllDurable(DELIVERY_PREFIX) as StoredDelivery[];
}

/**
 * Messages without which something would be left behind. The catalog's entry is not among them, because it can be sent again
 * at any time.
 */
const UNSETTLED: readonly MessageKind[] = ["release", "leave", "forget", "cancel_task", "remove_files"];

function read(value: unknown): StoredJob | null {
  if (value === undefined) return null;
  // Only `JobStore` writes it.
  const record = readStored(value as StoredRecord);
  const isUnsettled = record.outbox.some(({ kind }) => UNSETTLED.includes(kind));
  const { client } = record;
  if (record.kind === "tombstone") {
    const gone = { lastAttempt: 0, hasTask: false, hasLinks: false };
    return { isRemoved: true, client, status: "removed", isFinal: true, ...gone, isUnsettled };
  }
  const { state, lastAttempt, task, delivery } = record;
  return {
    isRemoved: false,
    client,
    status: state.status,
    isFinal: isFinal(state),
    lastAttempt,
    hasTask: task !== null,
    hasLinks: delivery?.images.some((image) => image !== "dead") === true,
    isUnsettled,
  };
}
