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
