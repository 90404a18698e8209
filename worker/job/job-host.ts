import type { Config } from "../env.ts";
import type { JobFact } from "./core/facts.ts";
import type { JobRecord, StoredRecord } from "./core/record.ts";

/** What the object of a job offers to the parts that do its I/O. After every await the record is read anew. */
export interface JobHost {
  /** The record as stored; null when there is none. */
  record(): StoredRecord | null;
  /** The job; null when there is none, or only its tombstone. */
  job(): JobRecord | null;
  /** Null while the Worker is misconfigured: then nothing is called, and nothing is lost. */
  config(): Config | null;
  readonly isWatched: boolean;
  /** The lane that today's settings name for the job; null while the Worker is misconfigured. */
  laneOf(record: JobRecord): string | null;
  /** The job has another place in the queue: its watchers are notified. */
  placeMoved(): void;
  /** Puts a fact to the state machine, and stores what it changes. False when the fact was refused. */
  apply(fact: JobFact): boolean;
  /** Applies what is due, starts what is to be done, sets the alarm. Never throws. */
  pump(): void;
  /** Keeps the object in memory until the work is done. */
  keepRunning(work: Promise<unknown> | null): void;
  /** One line of JSON: ids, codes and times; never a prompt, a link or a key. */
  log(event: string, data?: Record<string, unknown>): void;
}
