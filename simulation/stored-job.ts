import type { MessageKind } from "../worker/job/core/outbox.ts";
import { isFinal, type StoredRecord } from "../worker/job/core/record.ts";
import { readStored } from "../worker/job/core/stored-versions.ts";
import type { StoredDelivery } from "../worker/webhooks/core/delivery.ts";
import type { SimStorage } from "./platform/storage.ts";

/** What is read of a job's stored record here; everything else is checked from outside. The only reader of its shape. */
export interface StoredJob {
  readonly isRemoved: boolean;
  readonly client: string;
  readonly status: string;
  readonly isFinal: boolean;
  readonly lastAttempt: number;
  /** Upstream holds a task of the job whose outcome is still to be read. */
  readonly hasTask: boolean;
  /** Upstream delivered, and the links are stored. */
  readonly hasLinks: boolean;
  /** Files or messages to others are still to be dealt with, though the job is over. */
  readonly isUnsettled: boolean;
}

const RECORD_KEY = "record";

/** The job as its object sees it now; null when there is none. */
export function storedJob(storage: SimStorage): StoredJob | null {
  return read(storage.peek(RECORD_KEY));
}

/** The job as it would be after a crash. */
export function durableJob(storage: SimStorage): StoredJob | null {
  return read(storage.peekDurable(RECORD_KEY));
}

const DELIVERY_PREFIX = "delivery/";

/** The job's events for its webhook as its object sees them now. */
export function storedDeliveries(storage: SimStorage): readonly StoredDelivery[] {
  // Written by `JobStore` alone.
  return storage.peekAll(DELIVERY_PREFIX) as StoredDelivery[];
}

/** The same as they would be after a crash. */
export function durableDeliveries(storage: SimStorage): readonly StoredDelivery[] {
  return storage.peekAllDurable(DELIVERY_PREFIX) as StoredDelivery[];
}

/** Messages without which something would be left behind. The catalog's entry is not among them: it is sent again at any time. */
const UNSETTLED: readonly MessageKind[] = ["release", "leave", "forget", "cancel_task", "remove_files"];

function read(value: unknown): StoredJob | null {
  if (value === undefined) return null;
  // Written by `JobStore` alone.
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
