import type { FeedFrame } from "../../schemas/event.ts";
import type { QueuePlace } from "../../schemas/job.ts";
import { createLinks } from "../auth/links.ts";
import { presentSummary } from "../job/core/present.ts";
import type { CatalogStore, Change } from "./catalog-store.ts";
import type { FeedSockets } from "./feed-sockets.ts";
import type { FeedStreams } from "./feed-streams.ts";
import type { FeedWatcher } from "./feed-watcher.ts";

/** Changes told at once to one who catches up, so that the object stays open for others and buffers stay small. */
const CATCH_UP_BATCH = 200;

/** Between two batches, and before a slow reader is looked at again, in ms. */
const CATCH_UP_PAUSE_MS = 20;

/** What the feed needs from its object. */
export interface FeedContext {
  readonly client: string;
  readonly signingSecrets: readonly string[];
  /** Where the lane last put the job. */
  readonly placeOf: (jobId: string) => QueuePlace | null;
  /** The waiting jobs of which that is known. */
  readonly placedJobs: () => readonly string[];
}

interface Message {
  readonly frame: FeedFrame;
  readonly json: string;
}

/**
 * Tells changes to all who watch. Whoever is behind is caught up from the store by number and is left out of what happens
 * meanwhile, which the store then holds too; so nobody misses or hears twice, whatever comes between.
 */
export class Feed {
  readonly #store: CatalogStore;
  readonly #sockets: FeedSockets;
  readonly #streams: FeedStreams;
  readonly #context: FeedContext;
  /** Who has been told all changes, and of which jobs the places are still to be told. */
  readonly #placesLeft = new WeakMap<FeedWatcher, Set<string>>();
  #catchingUp = false;

  constructor(store: CatalogStore, sockets: FeedSockets, streams: FeedStreams, context: FeedContext) {
    this.#store = store;
    this.#sockets = sockets;
    this.#streams = streams;
    this.#context = context;
  }

  get isWatched(): boolean {
    return this.#sockets.count + this.#streams.count > 0;
  }

  /** Begins to tell a new watcher: what changed after its cursor, where jobs wait, then `ready`; with no cursor only `ready`. */
  begin(watcher: FeedWatcher): void {
    if (watcher.cursor === null) this.#ready(watcher);
    else this.catchUp();
  }

  /** To all who are up to date; the others get it as they catch up. */
  tell(change: Change): void {
    const byOrigin = new Map<string, Message>();
    let someoneIsBehind = false;
    for (const watcher of this.#watchers()) {
      if (watcher.cursor !== null) {
        someoneIsBehind = true;
        continue;
      }
      const message = byOrigin.get(watcher.origin) ?? this.#message(change, watcher.origin);
      byOrigin.set(watcher.origin, message);
      watcher.send(message.frame, message.json);
    }
    if (someoneIsBehind) this.catchUp();
  }

  /** A new place of a job that is otherwise as it was; its number is the feed's newest, which these watchers have. */
  tellPlace(change: Change & { readonly kind: "job" }): void {
    for (const watcher of this.#watchers()) this.#placesLeft.get(watcher)?.add(change.entry.id);
    this.tell({ ...change, cursor: this.#store.lastCursor() });
  }

  /** Tells those who are behind, until nobody is; runs once at a time. After an eviction the next change or alarm goes on. */
  catchUp(): void {
    if (this.#catchingUp || !this.someoneIsBehind) return;
    this.#catchingUp = true;
    void this.#catchUp();
  }

  get someoneIsBehind(): boolean {
    return this.#watchers().some(({ cursor }) => cursor !== null);
  }

  async #catchUp(): Promise<void> {
    try {
      for (;;) {
        for (const watcher of this.#watchers()) if (watcher.hasRoom()) this.#catchUpBatch(watcher);
        if (!this.someoneIsBehind) return;
        await scheduler.wait(CATCH_UP_PAUSE_MS);
      }
    } finally {
      this.#catchingUp = false;
    }
  }

  #catchUpBatch(watcher: FeedWatcher): void {
    if (watcher.cursor === null) return;
    const changes = this.#store.changes(watcher.cursor, CATCH_UP_BATCH);
    for (const change of changes) {
      if (!this.#send(watcher, change)) return;
      watcher.caughtUpTo(change.cursor);
    }
    if (changes.length === CATCH_UP_BATCH) return;
    const justTold = new Set(changes.map((change) => (change.kind === "job" ? change.entry.id : change.id)));
    if (this.#catchUpPlaces(watcher, justTold)) this.#ready(watcher);
  }

  /**
   * Tells where jobs wait: that has no number in the feed, so nobody knows what of it the watcher missed. False when it takes
   * no more now; a stream goes on from there, and a socket always takes all.
   */
  #catchUpPlaces(watcher: FeedWatcher, justTold: ReadonlySet<string>): boolean {
    const left = this.#placesLeft.get(watcher) ?? new Set(this.#context.placedJobs());
    this.#placesLeft.set(watcher, left);
    for (const id of left) {
      if (!watcher.hasRoom()) return false;
      left.delete(id);
      const change = justTold.has(id) ? null : this.#store.change(id);
      if (change?.kind !== "job" || change.entry.status !== "queued") continue;
      if (!this.#send(watcher, { ...change, cursor: this.#store.lastCursor() })) return false;
    }
    return true;
  }

  #send(watcher: FeedWatcher, change: Change): boolean {
    const { frame, json } = this.#message(change, watcher.origin);
    return watcher.send(frame, json);
  }

  #ready(watcher: FeedWatcher): void {
    this.#placesLeft.delete(watcher);
    watcher.caughtUpTo(null);
    const frame: FeedFrame = { type: "ready", cursor: this.#store.lastCursor() };
    watcher.send(frame, JSON.stringify(frame));
  }

  #watchers(): FeedWatcher[] {
    return [...this.#sockets.watchers(), ...this.#streams.watchers()];
  }

  #message(change: Change, origin: string): Message {
    const frame = this.#frame(change, origin);
    return { frame, json: JSON.stringify(frame) };
  }

  #frame(change: Change, origin: string): FeedFrame {
    if (change.kind === "gone") return { type: "deleted", cursor: change.cursor, id: change.id };
    const { entry, cursor } = change;
    const links = createLinks(this.#context, origin, Date.now());
    const place = entry.status === "queued" ? this.#context.placeOf(entry.id) : null;
    return {
      type: "job",
      cursor,
      seq: entry.seq,
      job: presentSummary(entry, this.#context.client, links, place),
    };
  }
}
