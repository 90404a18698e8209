import type { JobStatus, JobSummary } from "../../schemas/job.ts";
import type { Workflow } from "../../schemas/paths.ts";
import type { JobView } from "../job/contract.ts";

/** A job as the catalog keeps it: a summary without links. `queue` is null here: places are asked of the lane when needed. */
export interface CatalogEntry extends Omit<JobSummary, "links" | "output" | "client"> {
  readonly output: JobView["output"];
}

export interface ListQuery {
  readonly status: readonly JobStatus[] | null;
  readonly workflow: Workflow | null;
  readonly limit: number;
  /** Opaque, from an earlier answer. */
  readonly cursor: string | null;
}

/** What the object of a client's catalog can be asked. `fetch` takes the live feed: WebSocket or SSE. */
export interface CatalogRpc {
  /** Takes the entry unless it holds the same or a newer `seq`. */
  record(entry: CatalogEntry): Promise<void>;
  /** As `record`, of many. */
  recordAll(entries: readonly CatalogEntry[]): Promise<void>;
  /** The job is gone; a later `record` of it is ignored. */
  forget(jobId: string): Promise<void>;
  /** Newest first. `invalid_cursor` when the cursor is not one of ours. */
  list(
    query: ListQuery,
  ): Promise<{ ok: true; entries: CatalogEntry[]; nextCursor: string | null } | { ok: false; code: "invalid_cursor" }>;
  /**
   * Reserves up to `wanted` submissions for a short while, so that the limit on unfinished jobs holds without a call for
   * each submit. Answers how many were granted; 0 at the limit.
   */
  reserve(wanted: number, limit: number): Promise<{ granted: number; endsAtMs: number }>;
}
