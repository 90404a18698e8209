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

/** The delay before a try is repeated, doubled after each failure up to the cap; in ms. */
const FIRST_DELAY_MS = 500;
const LAST_DELAY_MS = 60_000;

/** Allows one run of some work at a time, and after a failure only after a growing delay. Kept in memory only, as is the work. */
export class RetryClock {
  #busy = false;
  #failures = 0;
  #againAtMs: number | null = null;

  get busy(): boolean {
    return this.#busy;
  }

  /** When the work may be tried again; null: now, or it is under way. */
  get againAtMs(): number | null {
    return this.#busy ? null : this.#againAtMs;
  }

  mayStart(nowMs: number): boolean {
    return !this.#busy && (this.#againAtMs === null || nowMs >= this.#againAtMs);
  }

  /** Runs `work`; never rejects. */
  async run(work: () => Promise<void>, onError: (error: unknown) => void): Promise<void> {
    this.#busy = true;
    try {
      await work();
      this.#failures = 0;
      this.#againAtMs = null;
    } catch (error) {
      const delayMs = Math.min(LAST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#failures);
      this.#failures += 1;
      this.#againAtMs = Date.now() + delayMs;
      onError(error);
    } finally {
      this.#busy = false;
    }
  }
}
