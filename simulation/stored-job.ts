import type { JobRecord, Tombstone } from "../worker/job/core/job-record.ts";
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

function read(value: unknown): StoredJob | null {
  if (value === undefined) return null;
  const record = value as JobRecord | Tombstone;
  if (record.kind === "tombstone") {
    return {
      isRemoved: true,
      client: record.client,
      status: "removed",
      isFinal: true,
      lastAttempt: 0,
      hasTask: false,
      hasLinks: false,
      isUnsettled: record.filesRemain || record.catalogKnows || record.outbox.cancelTasks.length > 0,
    };
  }
  const { state, outbox } = record;
  return {
    isRemoved: false,
    client: record.client,
    status: state.status,
    isFinal: ["succeeded", "failed", "canceled"].includes(state.status),
    lastAttempt: record.lastAttempt,
    hasTask: record.task !== null,
    hasLinks: record.delivery?.images.some((image) => image !== "dead") === true,
    isUnsettled: outbox.releases.length + outbox.cancelTasks.length > 0 || outbox.leave !== null,
  };
}
