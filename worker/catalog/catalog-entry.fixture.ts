import { FINAL_STATUSES } from "../../schemas/job.ts";
import type { CatalogEntry } from "./contract.ts";

/** For tests: the nth job's id. */
export function jobId(n: number): string {
  return `job_${String(n).padStart(21, "0")}`;
}

/** For tests: an entry as a job records it; `createdAtMs` orders it in lists. */
export function catalogEntry(given: Partial<CatalogEntry> & { n: number; createdAtMs?: number }): CatalogEntry {
  const { n, createdAtMs = Date.UTC(2026, 10, 23, 12) + n, ...rest } = given;
  const status = rest.status ?? "queued";
  const at = new Date(createdAtMs).toISOString();
  return {
    id: jobId(n),
    workflow: "image-from-text",
    model: "qwen-image-max",
    status,
    done: FINAL_STATUSES.includes(status),
    seq: 1,
    createdAt: at,
    updatedAt: at,
    startedAt: null,
    finishedAt: null,
    deadlineAt: at,
    expiresAt: null,
    pinned: false,
    queue: null,
    phase: null,
    output: null,
    error: null,
    prompt: `prompt ${n}`,
    size: null,
    attempts: 0,
    retryAt: null,
    ...rest,
    n: 1,
  };
}

/** The object's own storage, with its statements' rows added up. */
export function countingStorage(storage: DurableObjectStorage) {
  let [written, read] = [0, 0];
  const cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];
  const settle = () => {
    for (const cursor of cursors.splice(0)) {
      written += cursor.rowsWritten;
      read += cursor.rowsRead;
    }
  };
  const sql = {
    exec: (query: string, ...bindings: SqlStorageValue[]) => {
      settle();
      const cursor = storage.sql.exec(query, ...bindings);
      cursors.push(cursor);
      return cursor;
    },
  };
  // Only these parts of the storage are used by the store.
  const counted = { sql, kv: storage.kv } as unknown as DurableObjectStorage;
  return {
    storage: counted,
    rowsWritten: () => {
      settle();
      return written;
    },
    rowsRead: () => {
      settle();
      return read;
    },
  };
}
