import { DurableObject } from "cloudflare:workers";
import type { JobCounts } from "../../schemas/job.ts";
import { linkSettingsOf } from "../env.ts";
import { readWatch } from "../watch/watch-request.ts";
import { CatalogStore } from "./catalog-store.ts";
import type { CatalogEntry, CatalogRpc, ClientPause, HeldClaim, JobFilter, ListQuery } from "./contract.ts";
import { decodeListCursor, encodeListCursor } from "./core/list-cursor.ts";
import { GRANT_MS, redeem, reserve } from "./core/reservations.ts";
import { Feed } from "./feed.ts";
import { HeldAnswers } from "./held-answers.ts";
import { PlaceWatch } from "./place-watch.ts";

/** How often lanes are asked for places while somebody watches and jobs wait, in ms. */
const PLACES_EVERY_MS = 4_000;

/** How soon after a job was queued its place is asked for: soon for a person, and one question for a burst of jobs. */
const PLACES_SOON_MS = 500;

/** So many waiting jobs get their places told; a list shows fewer. */
const MAX_PLACES = 1_000;

/** One client's jobs: the list, the live feed, and the bound on unfinished ones. Named by the client. */
export class ClientCatalog extends DurableObject<Env> implements CatalogRpc {
  readonly #store: CatalogStore;
  readonly #feed: Feed;
  readonly #places: PlaceWatch;
  readonly #held: HeldAnswers;
  /** What the alarm is known to be set to; null when that is not known, or it is not set. */
  #alarmAtMs: number | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = new CatalogStore(ctx.storage);
    this.#places = new PlaceWatch(env);
    this.#held = new HeldAnswers(ctx.storage);
    this.#feed = new Feed(ctx, this.#store, {
      client: ctx.id.name ?? "",
      ...linkSettingsOf(env),
      placeOf: (jobId) => this.#places.placeOf(jobId),
      placedJobs: () => this.#store.queued(MAX_PLACES).flatMap(({ id }) => (this.#places.knows(id) ? [id] : [])),
    });
  }

  /** Takes the entry unless it holds the same or a newer `seq`, or the job is gone. */
  async record(entry: CatalogEntry): Promise<void> {
    this.#record(entry);
  }

  async recordAll(entries: readonly CatalogEntry[]): Promise<void> {
    for (const entry of entries) this.#record(entry);
  }

  #record(entry: CatalogEntry): void {
    const nowMs = Date.now();
    const recorded = this.#store.record(entry, nowMs);
    if (recorded === null) return;
    if (recorded.isAsked) this.#redeem(nowMs);
    if (entry.status !== "queued") this.#places.forget(entry.id);
    this.#feed.notify(recorded.change);
    if (entry.status === "queued" && !this.#places.knows(entry.id)) this.#askPlaces(PLACES_SOON_MS);
  }

  /** The job is gone; a later `record` of it is ignored. Idempotent. */
  async forget(jobId: string): Promise<void> {
    const nowMs = Date.now();
    const forgotten = this.#store.forget(jobId, nowMs);
    if (forgotten === null) return;
    if (forgotten.isAsked) this.#redeem(nowMs);
    this.#places.forget(jobId);
    this.#feed.notify(forgotten.change);
  }

  /** Newest first. A job keeps its place in the order for ever, so pages neither repeat nor leave out jobs that move. */
  async list({ limit, cursor, ...filter }: ListQuery): ReturnType<CatalogRpc["list"]> {
    const position = cursor === null ? null : decodeListCursor(cursor);
    if (cursor !== null && position === null) return { ok: false, code: "invalid_cursor" };
    const status = filter.status === null ? null : [...new Set(filter.status)];
    const { entries, more } = this.#store.list({ ...filter, status }, position, limit);
    return {
      ok: true,
      entries,
      nextCursor: more === null ? null : encodeListCursor(more),
      feedCursor: this.#store.lastCursor(),
    };
  }

  async count(filter: JobFilter): Promise<JobCounts> {
    return this.#store.count(filter);
  }

  /** Stored before it answers, so that a crash forgets no promise; what was used of it is counted in memory and errs to the safe side. */
  async reserve(wanted: number, limit: number): ReturnType<CatalogRpc["reserve"]> {
    const nowMs = Date.now();
    const paused = this.#store.pause(nowMs);
    if (paused !== null) return { granted: 0, endsAtMs: nowMs, paused };
    const { granted, reservations } = reserve(this.#store.reservations(), this.#store.pending(), wanted, limit, nowMs);
    if (granted > 0) this.#store.keepReservations(reservations, "stored");
    return { granted, endsAtMs: nowMs + GRANT_MS };
  }

  async pause(pause: ClientPause | null): Promise<void> {
    this.#store.keepPause(pause);
  }

  async claimHeld(claim: HeldClaim): Promise<string> {
    return this.#held.claim(claim, Date.now());
  }

  async settleHeld(key: string, holder: string, how: "delivered" | "undelivered"): Promise<void> {
    this.#held.settle(key, holder, how, Date.now());
  }

  /** The live feed, for whom http let in. */
  override async fetch(request: Request): Promise<Response> {
    const watch = readWatch(request.headers);
    if (watch === null) return new Response("not let in by http", { status: 400 });
    const response = this.#feed.watchers.open(watch);
    this.#askPlaces(PLACES_EVERY_MS);
    return response;
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    this.#feed.watchers.receive(socket, message);
  }

  override async webSocketClose(socket: WebSocket, code: number): Promise<void> {
    this.#feed.watchers.closed(socket, code);
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    this.#feed.watchers.closed(socket, 1011);
  }

  #redeem(nowMs: number): void {
    this.#store.keepReservations(redeem(this.#store.reservations(), nowMs), "in memory");
  }

  /** Asks for places and comes back, while somebody watches and jobs wait; never throws, for the next one mends what this one could not. */
  override async alarm(): Promise<void> {
    this.#alarmAtMs = null;
    this.#feed.watchers.catchUp();
    if (!this.#feed.watchers.isWatched) {
      this.#places.clear();
      return;
    }
    const queued = this.#store.queued(MAX_PLACES);
    if (queued.length === 0) return;
    for (const jobId of await this.#places.moved(queued)) {
      // The lanes were asked in between: a job that has left the queue since is notified by its own record.
      const change = this.#store.change(jobId);
      if (change?.kind === "job" && change.entry.status === "queued") this.#feed.notifyPlace(jobId);
      else this.#places.forget(jobId);
    }
    this.#askPlaces(PLACES_EVERY_MS);
  }

  /** Sets the alarm unless it comes earlier anyway, or nobody would look. */
  #askPlaces(delayMs: number): void {
    const atMs = Date.now() + delayMs;
    if (this.#alarmAtMs !== null && this.#alarmAtMs <= atMs) return;
    if (!this.#feed.watchers.isWatched || this.#store.queued(1).length === 0) return;
    this.#alarmAtMs = atMs;
    void this.ctx.storage.setAlarm(atMs);
  }
}
