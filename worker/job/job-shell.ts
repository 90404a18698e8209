import type { Config } from "../env.ts";
import type { Lease } from "../lane/contract.ts";
import type { JobFact } from "./core/job-fact.ts";
import type { JobRecord, Tombstone } from "./core/job-record.ts";

/** What the object offers to those who do its I/O. Whoever awaited anything reads the record anew. */
export interface JobShell {
  /** The job as stored; null when there is none, or only its tombstone. */
  job(): JobRecord | null;
  tombstone(): Tombstone | null;
  /** Null while the Worker is misconfigured: then nothing is called, and nothing is lost. */
  config(): Config | null;
  readonly watched: boolean;
  /** Tells everyone who watches that the job has another place in line. */
  placeMoved(): void;
  /** Puts a fact to the state machine; false when it was refused. */
  apply(fact: JobFact): boolean;
  /** Applies what is due, starts what is to be done, sets the alarm. */
  pump(): void;
  /** Starts the attempt of a lease; null when the job no longer waits for it. Answers when the call went out. */
  begin(lease: Lease): Promise<number | null>;
  /** The tombstone's outbox or files are done with. */
  buried(patch: Partial<Tombstone>): void;
  log(event: string, data?: Record<string, unknown>): void;
}
