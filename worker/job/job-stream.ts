import type { JobEvent, JobFrame } from "../../schemas/event.ts";
import { createLinks } from "../auth/links.ts";
import { linkSettingsOf } from "../env.ts";
import type { Frame } from "../watch/outlets.ts";
import { type Audience, readWatch, refuseWatch } from "../watch/watch-request.ts";
import { Watchers, type WatchItem, type WatchSource } from "../watch/watchers.ts";
import type { Moment } from "./core/change.ts";
import { presentJob } from "./core/present.ts";
import { isFinal, type JobRecord } from "./core/record.ts";
import { toJobView } from "./core/view.ts";
import type { JobStore } from "./job-store.ts";
import type { QueuePlace } from "./queue-place.ts";

/** An event, or none for the state now or a new place in the queue, with the job as it was then. */
interface JobItem extends WatchItem {
  readonly event: JobEvent | null;
  readonly seq: number;
  readonly job: (audience: Audience) => JobFrame["job"];
}

/** Everyone who watches this job: its log and state as frames over sockets and streams, and requests that wait for a change. */
export class JobStream implements WatchSource<JobItem> {
  readonly #ctx: DurableObjectState;
  readonly #env: Env;
  readonly #place: QueuePlace;
  readonly #store: JobStore;
  readonly #watchers: Watchers<JobItem>;
  readonly #waiters = new Set<() => void>();

  constructor(ctx: DurableObjectState, env: Env, place: QueuePlace, store: JobStore) {
    this.#ctx = ctx;
    this.#env = env;
    this.#place = place;
    this.#store = store;
    this.#watchers = new Watchers(ctx, this);
  }

  get isWatched(): boolean {
    return this.#waiters.size > 0 || this.#watchers.isWatched;
  }

  /** Answers an upgrade or a stream that http let in; refuses it as `watch-request.ts` says. */
  open(request: Request): Response {
    const watch = readWatch(request.headers);
    if (watch === null) return new Response("only for streams", { status: 400 });
    const known = this.#store.load();
    if (known === null || (watch.viewer !== null && watch.viewer !== known.client)) return refuseWatch("job_not_found");
    if (known.kind === "tombstone") return refuseWatch("job_gone");
    const response = this.#watchers.open(watch);
    // The job is watched from now on, so the lane is asked to notify it of new places.
    const asked = isFinal(known.state) ? null : this.#place.refresh();
    if (asked !== null) this.#ctx.waitUntil(asked);
    return response;
  }

  /** Sends one frame for each event, each with the job as it was then; wakes requests that wait. */
  notify(moments: readonly Moment[], record: JobRecord): void {
    const last = moments.length - 1;
    // The last frame shows the job as it is now, with what the change did after its last event.
    const items = moments.map(({ event, record: then }, index) =>
      this.#item(event, event.seq, this.#shown(index === last ? record : then)),
    );
    if (items.length > 0) this.#watchers.notify(items);
    this.#wake();
  }

  /** Sends the job as it is now, with a new place or annotation: no event, and an unchanged seq. */
  notifyNow(record: JobRecord): void {
    this.#watchers.notify([this.#item(null, record.seq, this.#shown(record))]);
    this.#wake();
  }

  /** Resolves when something changed, or after `timeoutMs`. */
  changed(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        this.#waiters.delete(finish);
        resolve();
      };
      const timer = setTimeout(finish, timeoutMs);
      this.#waiters.add(finish);
    });
  }

  /** The job was removed: closes every watcher. */
  dismiss(reason: string): void {
    this.#watchers.closeAll(4410, reason);
    this.#wake();
  }

  receive(socket: WebSocket, message: string | ArrayBuffer): void {
    this.#watchers.receive(socket, message);
  }

  closed(socket: WebSocket, code: number): void {
    this.#watchers.closed(socket, code);
  }

  itemsAfter(after: number, limit: number): readonly JobItem[] {
    const record = this.#record();
    if (record === null) return [];
    // One job for the whole batch: the log has no earlier states of it.
    const shown = this.#shown(record);
    return this.#store.eventsAfter(after, limit).map((event) => this.#item(event, event.seq, shown));
  }

  itemsNow(): readonly JobItem[] {
    const record = this.#record();
    return record === null ? [] : [this.#item(null, record.seq, this.#shown(record))];
  }

  /** A watcher that missed nothing begins with the state now; after missed events it has the state in their frames. */
  itemsAtEnd(missed: readonly JobItem[]): readonly JobItem[] {
    return missed.length > 0 ? [] : this.itemsNow();
  }

  frame({ event, seq, job }: JobItem, audience: Audience): Frame {
    const frame: JobFrame = { type: "job", seq, event, job: job(audience) };
    return { type: frame.type, id: seq, json: JSON.stringify(frame) };
  }

  isOver(): string | null {
    const record = this.#record();
    return record !== null && isFinal(record.state) ? "the job is done" : null;
  }

  #record(): JobRecord | null {
    const known = this.#store.load();
    return known?.kind === "job" ? known : null;
  }

  #item(event: JobEvent | null, seq: number, job: JobItem["job"]): JobItem {
    return { number: event === null ? null : seq, event, seq, job };
  }

  /** The job with the links of one audience; made once for consecutive frames of the same audience. */
  #shown(record: JobRecord): JobItem["job"] {
    const view = toJobView(record, this.#place.now);
    const settings = linkSettingsOf(this.#env);
    let made: { readonly audience: Audience; readonly job: JobFrame["job"] } | null = null;
    return (audience) => {
      if (made?.audience !== audience) {
        const links = createLinks(settings, audience.origin, Date.now(), audience.linkEndsAtMs);
        made = { audience, job: presentJob(view, links) };
      }
      return made.job;
    };
  }

  #wake(): void {
    for (const waiter of [...this.#waiters]) waiter();
  }
}
