import type { JobStatus } from "../../../schemas/job.ts";

/**
 * Every legal change of status, with what causes it. The README's diagram is checked against this table, and
 * `Change.goTo` refuses to write any other.
 */
export const LEGAL_EDGES = [
  ["queued", "running", "its turn came, or an earlier attempt's late answer"],
  ["queued", "failed", "deadline, or a late refusal that no retry can mend"],
  ["queued", "canceled", "cancel"],
  ["running", "succeeded", "every image is stored"],
  ["running", "retrying", "a failure worth repeating"],
  ["running", "queued", "upstream throttled, or the lane is blocked"],
  ["running", "failed", "a failure that no retry can mend, attempts spent, or deadline"],
  ["running", "canceled", "cancel"],
  ["retrying", "queued", "the backoff is over"],
  ["retrying", "running", "a late answer, or the upstream task is resumed"],
  ["retrying", "failed", "deadline, or a late refusal that no retry can mend"],
  ["retrying", "canceled", "cancel"],
  ["failed", "queued", "retry"],
  ["canceled", "queued", "retry"],
] as const satisfies readonly (readonly [JobStatus, JobStatus, string])[];

const legal = new Set<string>(LEGAL_EDGES.map(([from, to]) => `${from}>${to}`));

/** Whether a job may go from one status to another; staying is always legal. */
export function isLegalEdge(from: JobStatus, to: JobStatus): boolean {
  return from === to || legal.has(`${from}>${to}`);
}
