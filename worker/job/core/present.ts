import { type Job, type JobLinks, type JobSummary, NO_REASON, type QueuePlace } from "../../../schemas/job.ts";
import type { CatalogEntry } from "../../catalog/contract.ts";
import type { JobView } from "../contract.ts";

/** Makes the addresses of a job for one asker and one moment; see `auth/links.ts`. */
export interface LinkMaker {
  job(jobId: string): JobLinks;
  image(jobId: string, index: number): string;
  /** Changes exactly when the same job would get other links. */
  readonly epoch: string;
}

function presentOutput(id: string, output: JobView["output"], links: LinkMaker): Job["output"] {
  if (output === null) return null;
  return { images: output.images.map((image) => ({ ...image, url: links.image(id, image.index) })) };
}

/** The job as the API shows it, in the order of its fields in the spec. */
export function presentJob(view: JobView, links: LinkMaker): Job {
  const { client: _client, tag: _tag, copyAgainAt: _copyAgainAt, ...shown } = view;
  const { output, queue, phase, attempts, error, warnings, metadata, ...head } = shown;
  return {
    ...head,
    queue,
    phase,
    attempts,
    output: presentOutput(view.id, output, links),
    error,
    warnings: [...warnings],
    metadata,
    links: links.job(view.id),
  };
}

/** Entries that were stored before places had a reason have none. */
function withReason(queue: CatalogEntry["queue"]): QueuePlace | null {
  return queue === null ? null : { ...queue, reason: queue.reason ?? NO_REASON };
}

/** A catalog's entry as lists and the live feed show it. `place` is the lane's word, null when the job is not in line. */
export function presentSummary(
  entry: CatalogEntry,
  client: string,
  links: LinkMaker,
  place: QueuePlace | null,
): JobSummary {
  return {
    ...entry,
    client,
    queue: place ?? withReason(entry.queue),
    output: presentOutput(entry.id, entry.output, links),
    metadata: entry.metadata ?? {},
    links: links.job(entry.id),
  };
}
