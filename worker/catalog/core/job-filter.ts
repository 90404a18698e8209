import { type JobCounts, JobStatus } from "../../../schemas/job.ts";
import { foldText } from "../../../schemas/search-text.ts";
import type { CatalogEntry, JobFilter } from "../contract.ts";

/** What a search reads of a job: its entry, and the words of its whole prompt, empty where only the entry has them. */
export interface SearchedJob {
  readonly entry: CatalogEntry;
  readonly searchText: string;
}

/** Whether a filter asks for more than the catalog's index knows, so that each job must be read. */
export function readsJobs({ model = null, words = [], metadata = [], pinned = null }: JobFilter): boolean {
  return model !== null || pinned !== null || words.length > 0 || metadata.length > 0;
}

/** Whether the job matches the filter in all but what the index decides: status, workflow and time. */
export function matchesFilter(
  job: SearchedJob,
  { model = null, words = [], metadata = [], pinned = null }: JobFilter,
): boolean {
  if (model !== null && job.entry.model !== model) return false;
  if (pinned !== null && (job.entry.pinned ?? false) !== pinned) return false;
  return hasWords(job, words) && hasMetadata(job.entry, metadata);
}

function hasWords({ entry, searchText }: SearchedJob, words: readonly string[]): boolean {
  if (words.length === 0) return true;
  const text = searchText === "" ? foldText(entry.prompt) : searchText;
  return words.every((word) => text.includes(word));
}

function hasMetadata({ metadata = {} }: CatalogEntry, wanted: NonNullable<JobFilter["metadata"]>): boolean {
  return wanted.every(({ key, value }) => Object.hasOwn(metadata, key) && String(metadata[key]) === value);
}

/** Entries of metadata that a count names. */
const MAX_COUNTED_ENTRIES = 30;

/** Counts under way. Entries of metadata are named by the JSON of key and value. */
class Tally {
  readonly #status = Object.fromEntries(JobStatus.options.map((name) => [name, 0])) as Record<JobStatus, number>;
  readonly #models = new Map<string, number>();
  readonly #metadata = new Map<string, number>();

  status(name: JobStatus, jobs = 1): void {
    this.#status[name] += jobs;
  }

  model(name: string, jobs = 1): void {
    this.#models.set(name, (this.#models.get(name) ?? 0) + jobs);
  }

  metadata(key: string, value: string, jobs = 1): void {
    const name = JSON.stringify([key, value]);
    this.#metadata.set(name, (this.#metadata.get(name) ?? 0) + jobs);
  }

  counts(isAll: boolean): JobCounts {
    const metadata = byUse(this.#metadata).slice(0, MAX_COUNTED_ENTRIES);
    return {
      isAll,
      status: this.#status,
      models: byUse(this.#models).map(([model, jobs]) => ({ model, jobs })),
      metadata: metadata.map(([name, jobs]) => {
        // Made above, of two texts.
        const [key, value] = JSON.parse(name) as [string, string];
        return { key, value, jobs };
      }),
    };
  }
}

function byUse(counts: ReadonlyMap<string, number>): [string, number][] {
  return [...counts].sort(([a, most], [b, more]) => more - most || (a < b ? -1 : 1));
}

/**
 * How many of the jobs there are of each kind; see `JobCounts`. `jobs` are those of the filter's workflow and time, of any
 * status. `isAll`: there are no older ones.
 */
export function countJobs(jobs: Iterable<SearchedJob>, filter: JobFilter, isAll: boolean): JobCounts {
  const tally = new Tally();
  for (const job of jobs) {
    const { entry } = job;
    if (!matchesFilter(job, { ...filter, model: null })) continue;
    const isOfModel = filter.model == null || entry.model === filter.model;
    const isOfStatus = filter.status === null || filter.status.includes(entry.status);
    if (isOfModel) tally.status(entry.status);
    if (isOfStatus) tally.model(entry.model);
    if (!isOfModel || !isOfStatus) continue;
    for (const [key, value] of Object.entries(entry.metadata ?? {})) tally.metadata(key, String(value));
  }
  return tally.counts(isAll);
}

/** The counts of several clients together. */
export function addCounts(counts: readonly JobCounts[]): JobCounts {
  const tally = new Tally();
  for (const { status, models, metadata } of counts) {
    for (const name of JobStatus.options) tally.status(name, status[name] ?? 0);
    for (const { model, jobs } of models) tally.model(model, jobs);
    for (const { key, value, jobs } of metadata) tally.metadata(key, value, jobs);
  }
  return tally.counts(counts.every(({ isAll }) => isAll));
}
