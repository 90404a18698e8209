import type { FeedFrame } from "../../schemas/event.ts";
import type { QueuePlace } from "../../schemas/job.ts";
import { createLinks } from "../auth/links.ts";
import { type Config, configOf, type LinkSettings } from "../env.ts";
import { presentSummary } from "../job/core/present.ts";
import type { Place } from "../lane/contract.ts";
import { notifyAtMs, toQueuePlace } from "../lane/core/place.ts";
import { laneName } from "../lane/lane-name.ts";
import { laneStub } from "../stubs.ts";
import type { Frame } from "../watch/outlets.ts";
import type { Audience } from "../watch/watch-request.ts";
import { Watchers, type WatchItem, type WatchSource } from "../watch/watchers.ts";
import type { CatalogStore, Change } from "./catalog-store.ts";
import type { CatalogEntry } from "./contract.ts";

/** What the feed needs from its object. */
export interface FeedContext extends LinkSettings {
  readonly client: string;
  /** The place that the lane last gave the job. */
  readonly placeOf: (jobId: string) => QueuePlace | null;
  /** The waiting jobs whose place is known. */
  readonly placedJobs: () => readonly string[];
}

/** A change of the list; a new place of a waiting job; or the end of catching up. */
type FeedItem = WatchItem &
  (
    | { readonly kind: "change"; readonly change: Change }
    | { readonly kind: "place"; readonly jobId: string }
    | { readonly kind: "ready" }
  );

const READY: FeedItem = { number: null, kind: "ready" };

const changeItem = (change: Change): FeedItem => ({ number: change.cursor, kind: "change", change });
const placeItem = (jobId: string): FeedItem => ({ number: null, kind: "place", jobId });
const idOf = (change: Change): string => (change.kind === "job" ? change.entry.id : change.id);

/**
 * The live feed of one client's jobs. A watcher gets the jobs that changed after its cursor, the places of waiting jobs, `ready`,
 * then changes as they happen.
 */
export class Feed implements WatchSource<FeedItem> {
  readonly watchers: Watchers<FeedItem>;
  readonly #store: CatalogStore;
  readonly #context: FeedContext;

  constructor(ctx: DurableObjectState, store: CatalogStore, context: FeedContext) {
    this.#store = store;
    this.#context = context;
    this.watchers = new Watchers(ctx, this);
  }

  notify(change: Change): void {
    this.watchers.notify([changeItem(change)]);
  }

  /** Sends a new place of a job that has not changed otherwise. */
  notifyPlace(jobId: string): void {
    this.watchers.notify([placeItem(jobId)]);
  }

  itemsAfter(after: number, limit: number): readonly FeedItem[] {
    return this.#store.changes(after, limit).map(changeItem);
  }

  itemsNow(): readonly FeedItem[] {
    return [READY];
  }

  /** Places have no number, so what a watcher missed of them is unknown: it gets all but those sent with their job just now. */
  itemsAtEnd(missed: readonly FeedItem[]): readonly FeedItem[] {
    const sent = new Set(missed.flatMap((item) => (item.kind === "change" ? [idOf(item.change)] : [])));
    const places = this.#context.placedJobs().filter((jobId) => !sent.has(jobId));
    return [...places.map(placeItem), READY];
  }

  frame(item: FeedItem, audience: Audience): Frame | null {
    const frame = this.#frame(item, audience);
    return frame === null ? null : { type: frame.type, id: frame.cursor, json: JSON.stringify(frame) };
  }

  /** The feed never ends: a client may always submit again. */
  isOver(): null {
    return null;
  }

  #frame(item: FeedItem, audience: Audience): FeedFrame | null {
    switch (item.kind) {
      case "ready":
        return { type: "ready", cursor: this.#store.lastCursor() };
      case "place": {
        const change = this.#store.change(item.jobId);
        if (change?.kind !== "job" || change.entry.status !== "queued") return null;
        // A watcher that gets a place has every change up to the newest.
        return this.#changeFrame({ ...change, cursor: this.#store.lastCursor() }, audience);
      }
      case "change":
        return this.#changeFrame(item.change, audience);
      default:
        return item satisfies never;
    }
  }

  #changeFrame(change: Change, { origin, linkEndsAtMs }: Audience): FeedFrame {
    if (change.kind === "gone") return { type: "deleted", cursor: change.cursor, id: change.id };
    const { entry, cursor } = change;
    const links = createLinks(this.#context, origin, Date.now(), linkEndsAtMs);
    const place = entry.status === "queued" ? this.#context.placeOf(entry.id) : null;
    return { type: "job", cursor, seq: entry.seq, job: presentSummary(entry, this.#context.client, links, place) };
  }
}

/** Where waiting jobs stand, as watchers were last notified. In memory: the lanes are asked again after an eviction. */
export class PlaceWatch {
  readonly #env: Env;
  readonly #known = new Map<string, Place & { readonly atMs: number }>();

  constructor(env: Env) {
    this.#env = env;
  }

  placeOf(jobId: string): QueuePlace | null {
    const place = this.#known.get(jobId);
    return place === undefined ? null : toQueuePlace(place);
  }

  knows(jobId: string): boolean {
    return this.#known.has(jobId);
  }

  /** The job no longer waits. */
  forget(jobId: string): void {
    this.#known.delete(jobId);
  }

  clear(): void {
    this.#known.clear();
  }

  /** Asks the lanes, one call each, and answers with the jobs whose watchers are to be notified. A lane that fails is left out. */
  async moved(queued: readonly Pick<CatalogEntry, "id" | "model">[]): Promise<string[]> {
    const config = configOf(this.#env);
    if (!config.ok) return [];
    const answers = await Promise.allSettled(
      [...byModel(queued)].map(([model, jobIds]) => this.#ask(config.config, model, jobIds)),
    );
    const moved: string[] = [];
    for (const answer of answers) {
      if (answer.status === "rejected") {
        console.log(JSON.stringify({ event: "feed_places_failed", error: String(answer.reason).slice(0, 200) }));
        continue;
      }
      for (const [jobId, place] of Object.entries(answer.value)) {
        const now = Date.now();
        if ((notifyAtMs(this.#known.get(jobId), place, now) ?? Number.POSITIVE_INFINITY) > now) continue;
        this.#known.set(jobId, { ...place, atMs: now });
        moved.push(jobId);
      }
    }
    return moved;
  }

  async #ask(config: Config, model: string, jobIds: readonly string[]) {
    return laneStub(this.#env, laneName(config, model)).places(jobIds);
  }
}

function byModel(entries: readonly Pick<CatalogEntry, "id" | "model">[]): Map<string, string[]> {
  const ids = new Map<string, string[]>();
  for (const { id, model } of entries) {
    const known = ids.get(model);
    if (known === undefined) ids.set(model, [id]);
    else known.push(id);
  }
  return ids;
}
