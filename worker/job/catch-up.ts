import type { JobEvent } from "../../schemas/event.ts";
import type { JobFor } from "./frame-part.ts";
import type { JobWatchers, Watcher } from "./job-watchers.ts";

/** Events told at once to one who catches up, so that the object stays open for others and a stream's buffer takes them. */
export const CATCH_UP_BATCH = 100;

/** Between two batches, and before a slow reader is looked at again, in ms. */
const CATCH_UP_PAUSE_MS = 20;

/** What is told to those who are behind: events by number, and the job as it is now; null once there is none. */
export interface CatchUpSource {
  eventsAfter(after: number, limit: number): readonly JobEvent[];
  now(): { readonly job: JobFor; readonly done: boolean } | null;
}

/**
 * Tells those who are behind what they missed, from the log, in batches. They are left out of what happens meanwhile, which
 * the log then holds too; so nobody misses an event or hears one twice, however long the log, whatever comes between.
 */
export class CatchUp {
  readonly #watchers: JobWatchers;
  readonly #source: CatchUpSource;
  #running = false;

  constructor(watchers: JobWatchers, source: CatchUpSource) {
    this.#watchers = watchers;
    this.#source = source;
  }

  /** Goes on until nobody is behind; runs once at a time. After an eviction the next event goes on. */
  async run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    try {
      for (let behind = this.#watchers.behind(); behind.length > 0; behind = this.#watchers.behind()) {
        for (const watcher of behind) if (watcher.hasRoom(CATCH_UP_BATCH)) this.#tellBatch(watcher);
        await scheduler.wait(CATCH_UP_PAUSE_MS);
      }
    } finally {
      this.#running = false;
    }
  }

  #tellBatch(watcher: Watcher): void {
    const now = this.#source.now();
    // Removed meanwhile: whoever watched was dismissed.
    if (now === null || watcher.after === null) return;
    const events = this.#source.eventsAfter(watcher.after, CATCH_UP_BATCH);
    const after = reachedBy(events);
    const job = now.job(watcher.origin);
    const parts = events.map((event) => ({ event, seq: event.seq, job: () => job }));
    watcher.send(parts, after, now.done && after === null);
  }
}

/** How far a batch has brought its reader: the last number of a full one; null when there was no more to tell. */
export function reachedBy(events: readonly JobEvent[]): number | null {
  return events.length < CATCH_UP_BATCH ? null : (events.at(-1)?.seq ?? null);
}
