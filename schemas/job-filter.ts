import type { JobStatus } from "./job.ts";
import type { Workflow } from "./paths.ts";

/** Which jobs to list or count. An absent field does not filter. */
export interface JobFilter {
  readonly status?: readonly JobStatus[] | undefined;
  readonly workflow?: Workflow | undefined;
  readonly model?: string | undefined;
  /** Words that the prompt must contain, in any order and any script. */
  readonly q?: string | undefined;
  /** Entries that the job's metadata must have. Values are compared as text. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Only pinned jobs, or only those that are not. */
  readonly pinned?: boolean | undefined;
  /** Only jobs submitted before this time, ISO 8601. */
  readonly before?: string | undefined;
  /** For the operator: only this client's jobs. */
  readonly client?: string | undefined;
}

/** One page of a list. */
export interface JobPage {
  /** The most jobs on the page. */
  readonly limit?: number | undefined;
  /** `nextCursor` of the previous page. */
  readonly cursor?: string | undefined;
}

/** The filter as the query of `GET /api/jobs`, with its question mark; empty without a filter. */
export function jobQuery({
  status,
  metadata = {},
  workflow,
  model,
  q,
  pinned,
  before,
  client,
  limit,
  cursor,
}: JobFilter & JobPage) {
  const entries = Object.entries(metadata).map(([key, value]) => [`metadata.${key}`, value] as const);
  const given = {
    status: status?.join(","),
    workflow,
    model,
    q,
    before,
    pinned: pinned?.toString(),
    client,
    limit,
    cursor,
  };
  return queryOf({ ...given, ...Object.fromEntries(entries) });
}

/** The entries that have a value, as a query with its question mark; empty when no entry has one. */
export function queryOf(entries: Readonly<Record<string, string | number | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(entries)) {
    if (value !== undefined && value !== "") query.set(name, String(value));
  }
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}
