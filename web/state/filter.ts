import type { JobFilter } from "../../client/darkroom-client.ts";
import type { JobStatus } from "../../schemas/job.ts";
import { WORKFLOWS, type Workflow } from "../../schemas/paths.ts";
import { foldText, searchWords } from "../../schemas/search-text.ts";
import type { ListedJob } from "./listed-job.ts";

/** Which jobs are shown, by their status. */
export type Show = "all" | "active" | "ready" | "failed" | "canceled";

/** The statuses of a choice; null for all of them. */
export const STATUSES_OF: Readonly<Record<Show, readonly JobStatus[] | null>> = {
  all: null,
  active: ["queued", "running", "retrying"],
  ready: ["succeeded"],
  failed: ["failed"],
  canceled: ["canceled"],
};

export interface MetadataEntry {
  readonly key: string;
  readonly value: string;
}

/** Which jobs the wall shows. Every part narrows the choice; null and "" do not. */
export interface Filter {
  readonly show: Show;
  readonly workflow: Workflow | null;
  readonly model: string | null;
  /** Words that the prompt must contain, as typed. */
  readonly q: string;
  /** The last day of the wall, in the reader's own time zone: `2026-11-23`. */
  readonly until: string | null;
  /** An entry of the job's metadata. */
  readonly metadata: MetadataEntry | null;
  /** Only pinned jobs. */
  readonly pinned: boolean;
}

export const EVERYTHING: Filter = {
  show: "all",
  workflow: null,
  model: null,
  q: "",
  until: null,
  metadata: null,
  pinned: false,
};

/** Equal for equal filters. */
export function filterKey(filter: Filter): string {
  return searchFromFilter(filter);
}

/** The filter as the client's list and counts take it. */
export function queryOf({ show, workflow, model, q, metadata, until, pinned }: Filter): JobFilter {
  return {
    status: STATUSES_OF[show] ?? undefined,
    workflow: workflow ?? undefined,
    model: model ?? undefined,
    q: searchWords(q).join(" ") || undefined,
    before: beforeOf({ until }) ?? undefined,
    metadata: metadata === null ? undefined : { [metadata.key]: metadata.value },
    pinned: pinned || undefined,
  };
}

/** Whether anything but the choice by status narrows the wall. */
export function isNarrowed({ show: _show, ...rest }: Filter): boolean {
  return searchFromFilter({ ...rest, show: "all" }) !== "";
}

/** The filter in an address's query, like `show=failed&q=lighthouse`. An unknown value means all jobs. */
export function filterFromSearch(search: string): Filter {
  const query = new URLSearchParams(search);
  const show = query.get("show");
  const until = query.get("until");
  return {
    show: show !== null && isShow(show) ? show : "all",
    workflow: WORKFLOWS.find((known) => known === query.get("workflow")) ?? null,
    model: query.get("model"),
    q: query.get("q") ?? "",
    until: until !== null && /^\d{4}-\d\d-\d\d$/.test(until) ? until : null,
    metadata: entryFromText(query.get("metadata") ?? ""),
    pinned: query.get("pinned") === "true",
  };
}

/** The query of a filter with its question mark; empty for all jobs. Equal filters have equal queries. */
export function searchFromFilter(filter: Filter): string {
  const query = new URLSearchParams();
  if (filter.show !== "all") query.set("show", filter.show);
  if (filter.workflow !== null) query.set("workflow", filter.workflow);
  if (filter.model !== null) query.set("model", filter.model);
  if (filter.q !== "") query.set("q", filter.q);
  if (filter.until !== null) query.set("until", filter.until);
  if (filter.metadata !== null) query.set("metadata", entryText(filter.metadata));
  if (filter.pinned) query.set("pinned", "true");
  return query.size === 0 ? "" : `?${query}`;
}

/** An entry as `key=value`. In the key, `=` is written `%3D` and `%` is written `%25`, so that the first `=` ends it. */
export function entryText({ key, value }: MetadataEntry): string {
  return `${key.replace(/[%=]/g, encodeURIComponent)}=${value}`;
}

/** The entry of such a text; null for any other. */
export function entryFromText(text: string): MetadataEntry | null {
  const at = text.indexOf("=");
  if (at < 1) return null;
  const key = text.slice(0, at).replace(/%3D|%25/gi, decodeURIComponent);
  return { key, value: text.slice(at + 1) };
}

function isShow(text: string): text is Show {
  return Object.hasOwn(STATUSES_OF, text);
}

/** The moment before which all jobs of the wall were made, ISO; null for no bound. */
export function beforeOf({ until }: Pick<Filter, "until">): string | null {
  if (until === null) return null;
  const [year = 0, month = 1, day = 1] = until.split("-").map(Number);
  return new Date(year, month - 1, day + 1).toISOString();
}

/** A test whether a filter shows a job, prepared once for many jobs. It sees only the first 200 characters of a prompt. */
export function matcherOf(filter: Filter): (job: ListedJob) => boolean {
  const statuses = STATUSES_OF[filter.show];
  const words = searchWords(filter.q);
  const before = beforeOf(filter);
  return (job) => {
    if (statuses !== null && !statuses.includes(job.status)) return false;
    if (filter.pinned && !job.pinned) return false;
    if (filter.workflow !== null && job.workflow !== filter.workflow) return false;
    if (filter.model !== null && job.model !== filter.model) return false;
    if (before !== null && job.createdAt >= before) return false;
    if (filter.metadata !== null && String(job.metadata[filter.metadata.key]) !== filter.metadata.value) return false;
    if (words.length === 0) return true;
    const prompt = foldText(job.prompt);
    return words.every((word) => prompt.includes(word));
  };
}
