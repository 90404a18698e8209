import { UNFINISHED_STATUSES } from "../../schemas/job.ts";
import { WORKFLOWS } from "../../schemas/paths.ts";

/**
 * A status besides those of a job: the job was removed, and its row records only that; `listed_at_ms` is then the time of the
 * removal.
 */
export const GONE = "gone";

export const SCHEMA = [
  // One row a job. No rowid: the id is the key, so a change of a job that keeps its status writes one row.
  `CREATE TABLE IF NOT EXISTS jobs (
     id TEXT PRIMARY KEY,
     workflow TEXT NOT NULL,
     status TEXT NOT NULL,
     listed_at_ms INTEGER NOT NULL,
     done INTEGER NOT NULL,
     seq INTEGER NOT NULL,
     cursor INTEGER NOT NULL,
     entry TEXT NOT NULL,
     search TEXT NOT NULL DEFAULT ''
   ) WITHOUT ROWID`,
  // Every list merges ranges of this index, one for each workflow and status that it shows, and reads at most its limit from
  // each.
  "CREATE INDEX IF NOT EXISTS jobs_listed ON jobs (workflow, status, listed_at_ms, id)",
  // Done jobs hardly change, so each enters this index about once; unfinished jobs are few, and found by the index above.
  "CREATE INDEX IF NOT EXISTS jobs_settled ON jobs (cursor) WHERE done = 1",
];

/** For a table from before prompts were searched. Its jobs are searched by the prompt in `entry`. */
export const ADD_SEARCH = "ALTER TABLE jobs ADD COLUMN search TEXT NOT NULL DEFAULT ''";

/** For our own constants only. They are part of the query's text, because an index is used for `IN` of constants. */
function quoted(words: readonly string[]): string {
  return words.map((word) => `'${word}'`).join(", ");
}

/** What was spent, by UTC day and model; sums over all jobs, also removed ones. Made with the first amount. */
export const SPEND_SCHEMA = `CREATE TABLE IF NOT EXISTS spend (
   day TEXT NOT NULL,
   model TEXT NOT NULL,
   jobs INTEGER NOT NULL,
   images INTEGER NOT NULL,
   charged_micros INTEGER NOT NULL,
   at_risk_micros INTEGER NOT NULL,
   PRIMARY KEY (day, model)
 ) WITHOUT ROWID`;

/** The condition of jobs that are not done, in the words of the index that finds them. */
export const UNFINISHED_JOBS = `workflow IN (${quoted(WORKFLOWS)}) AND status IN (${quoted(UNFINISHED_STATUSES)})`;
