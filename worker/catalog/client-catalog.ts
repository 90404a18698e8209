import { DurableObject } from "cloudflare:workers";
import type { JobCounts } from "../../schemas/job.ts";
import { within } from "../bounds.ts";
import { linkSettingsOf } from "../env.ts";
import { type Grant, Ledger, usedMicros } from "../spend/core/ledger.ts";
import { monthEndsAtMs, toMicros } from "../spend/core/money.ts";
import { budgetReport, type ClientBudget } from "../spend/prices.ts";
import { jobStub } from "../stubs.ts";
import { readWatch } from "../watch/watch-request.ts";
import type { CountedResult } from "../webhooks/core/delivery.ts";
import { BudgetAlert } from "./budget-alert.ts";
import { CatalogStore } from "./catalog-store.ts";
import type {
  CatalogEntry,
  CatalogRpc,
  ClientMetrics,
  ClientPause,
  ClientSpend,
  FirstAnswer,
  FirstReservation,
  HeldClaim,
  JobFilter,
  LastSpend,
  ListQuery,
} from "./contract.ts";
import { decodeListCursor, encodeListCursor } from "./core/cursors.ts";
import { CLOCK_SLACK_MS, GRANT_MS, outstanding, redeem, reserve } from "./core/reservations.ts";
import { Feed, PlaceWatch } from "./feed.ts";
import { HeldAnswers } from "./held-answers.ts";
import { SpendBooks } from "./spend-books.ts";

/** How often lanes are asked for places while somebody watches and jobs wait, in ms. */
const PLACES_EVERY_MS = 4_000;

/** How soon after a job was queued its place is asked for, in ms: soon for a person, and one call for a burst of jobs. */
const PLACES_SOON_MS = 500;

/** The places of at most this many waiting jobs are sent; a list shows fewer. */
const MAX_PLACES = 1_000;

/** How often the jobs of overdue reservations are asked whether they used them, in ms. */
const UNKNOWN_JOBS_EVERY_MS = 65_000;
const MAX_ASKED_JOBS = 50;
const ASK_BOUND_MS = 5_000;

/** One client's jobs: the list, the live feed, the bound on unfinished ones, and what they cost. Named by the client. */
export class ClientCatalog extends DurableObject<Env> implements CatalogRpc {
  readonly #store: CatalogStore;
  readonly #feed: Feed;
  readonly #places: PlaceWatch;
  readonly #held: HeldAnswers;
  readonly #books: SpendBooks;
  readonly #ledger: Ledger;
  readonly #budgetAlert: BudgetAlert;
  /** What the alarm is known to be set to; null when that is not known, or it is not set. */
  #alarmAtMs: number | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = new CatalogStore(ctx.storage);
    this.#places = new PlaceWatch(env);
    this.#held = new HeldAnswers(ctx.storage);
    this.#books = new SpendBooks(ctx.storage, this.#store);
    this.#ledger = new Ledger(this.#books);
    this.#budgetAlert = new BudgetAlert(env, ctx.storage, {
      client: ctx.id.name ?? "",
      arm: (atMs) => this.#arm(atMs),
      count: (result) => this.#count(result),
    });
    this.#feed = new Feed(ctx, this.#store, {
      client: ctx.id.name ?? "",
      ...linkSettingsOf(env),
      placeOf: (jobId) => this.#places.placeOf(jobId),
      placedJobs: () => this.#store.queued(MAX_PLACES).flatMap(({ id }) => (this.#places.knows(id) ? [id] : [])),
    });
  }

  /** Takes the entry unless the list holds one that is as new or newer (by `seq`, then by `revision`), or the job was removed and this is no later one of its id. */
  async record(entry: CatalogEntry): Promise<void> {
    this.#record(entry);
  }

  async recordAll(entries: readonly CatalogEntry[]): Promise<void> {
    for (const entry of entries) this.#record(entry);
  }

  #record(entry: CatalogEntry): void {
    const nowMs = Date.now();
    let hasGrant = false;
    const recorded = this.#stored(() =>
      this.#store.record(entry, nowMs, ({ id, model, seq, done, spend }) => {
        if (spend === undefined) return;
        hasGrant = this.#books.grants().some((grant) => grant.jobId === id && grant.seq === 0);
        this.#ledger.settle(id, model, { seq, isDone: done, position: spend });
      }),
    );
    if (recorded === null) return;
    // A job with its own grant uses up no reservation that was made for several submissions.
    if (recorded.askedAtMs !== null && !hasGrant) this.#redeem(recorded.askedAtMs, nowMs);
    if (entry.status !== "queued") this.#places.forget(entry.id);
    this.#feed.notify(recorded.change);
    if (entry.status === "queued" && !this.#places.knows(entry.id)) this.#askPlaces(PLACES_SOON_MS);
  }

  /** The job is removed; a later `record` of it is ignored, unless it is of a job that was created later under its id. Idempotent. */
  async forget(jobId: string, last: LastSpend | null = null, removedAtMs = Date.now()): Promise<void> {
    const nowMs = Date.now();
    let hasGrant = false;
    const forgotten = this.#stored(() =>
      this.#store.forget(jobId, nowMs, () => {
        hasGrant = this.#books.grants().some((grant) => grant.jobId === jobId);
        const known = this.#store.ledgerJob(jobId);
        if (last !== null && !(known !== null && known !== "gone" && known.seq >= last.seq)) {
          this.#ledger.settle(jobId, last.model, { seq: last.seq, isDone: true, position: last.spend });
        }
        this.#ledger.end(jobId);
      }),
    );
    if (forgotten === null) return;
    // A job is asked for before it is removed, so its own room was granted by then.
    if (forgotten.isAsked && !hasGrant) this.#redeem(removedAtMs, nowMs);
    this.#places.forget(jobId);
    this.#feed.notify(forgotten.change);
  }

  /** Stores what `work` writes all or nothing: what is booked for a job and its row in the list belong together. */
  #stored<T>(work: () => T): T {
    try {
      return this.ctx.storage.transactionSync(work);
    } catch (error) {
      // What is in memory may be ahead of what was rolled back.
      this.#store.readAgain();
      this.#books.readAgain();
      throw error;
    }
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

  /**
   * Stored before it answers, so that a crash loses no reservation. What is used of it is counted in memory: after a crash too
   * much counts as reserved.
   */
  async reserve(wanted: number, limit: number, least = 1): ReturnType<CatalogRpc["reserve"]> {
    const nowMs = Date.now();
    const paused = this.#store.pause(nowMs);
    if (paused !== null) return { granted: 0, endsAtMs: nowMs, paused };
    const { granted, reservations } = reserve(
      this.#store.reservations(),
      this.#pending(),
      { wanted, least },
      limit,
      nowMs,
    );
    if (granted > 0) this.#store.keepReservations(reservations, "stored");
    return { granted, endsAtMs: nowMs + GRANT_MS };
  }

  async pause(pause: ClientPause | null, givenAtMs = Number.POSITIVE_INFINITY): Promise<void> {
    this.#store.keepPause(pause, givenAtMs);
  }

  async reserveFirst(asked: FirstReservation, budget: ClientBudget, pendingLimit: number): Promise<FirstAnswer> {
    return this.#alerted(this.#reserveFirst(asked, budget, pendingLimit), budget);
  }

  /** Adds the alert to a granted answer. Called once all grants of a request stand, so that withdrawn ones raise none. */
  #alerted(answer: FirstAnswer, budget: ClientBudget): FirstAnswer {
    return answer.result === "granted" ? { ...answer, alert: this.#alert(budget, Date.now()) } : answer;
  }

  #reserveFirst({ jobId, micros, untilMs }: FirstReservation, budget: ClientBudget, pendingLimit: number): FirstAnswer {
    const nowMs = Date.now();
    const isNew = this.#store.ledgerJob(jobId) === null && !this.#books.grants().some((grant) => grant.jobId === jobId);
    const paused = this.#store.pause(nowMs);
    if (isNew && paused !== null) return { result: "paused", paused };
    const unfinished = this.#pending() + outstanding(this.#store.reservations(), nowMs);
    if (isNew && unfinished >= pendingLimit) return { result: "too_many_pending" };
    const grant = { jobId, number: 1, micros, seq: 0, untilMs };
    const result = this.#ledger.reserve(grant, toMicros(budget.monthly), nowMs);
    // Also after a refusal: overdue grants may fill the limit, and their alarm may be lost.
    this.#askLater(nowMs);
    if (result === "gone") return { result };
    if (result === "refused") return { result: "budget_exceeded", spend: this.#spend(budget, nowMs) };
    return { result, alert: null };
  }

  async isRemoved(jobId: string): Promise<boolean> {
    return this.#store.ledgerJob(jobId) === "gone";
  }

  async reserveParts(
    asked: readonly FirstReservation[],
    budget: ClientBudget,
    pendingLimit: number,
  ): ReturnType<CatalogRpc["reserveParts"]> {
    const granted = new Set(this.#books.grants().map(({ jobId }) => jobId));
    const isNew = ({ jobId }: FirstReservation) => this.#store.ledgerJob(jobId) === null && !granted.has(jobId);
    const ours = asked.filter(isNew);
    let answer: FirstAnswer = { result: "granted", alert: null };
    for (const part of asked) {
      answer = this.#reserveFirst(part, budget, pendingLimit);
      // A part whose job was removed gets its next id, and reserves again under that.
      if (answer.result === "granted" || answer.result === "gone") continue;
      this.#ledger.withdraw(ours);
      return { answer, reserved: [] };
    }
    return { answer: this.#alerted(answer, budget), reserved: ours.map(({ jobId }) => jobId) };
  }

  async releaseParts(parts: readonly Pick<FirstReservation, "jobId" | "untilMs">[]): Promise<void> {
    this.#ledger.withdraw(parts);
  }

  async reserveAgain(grant: Grant, budget: ClientBudget): ReturnType<CatalogRpc["reserveAgain"]> {
    const nowMs = Date.now();
    const result = this.#ledger.reserve(grant, toMicros(budget.monthly), nowMs);
    this.#askLater(nowMs);
    if (result !== "granted") return { granted: false, spend: this.#spend(budget, nowMs) };
    this.#alert(budget, nowMs);
    return { granted: true };
  }

  async usage(fromDay: string, toDay: string): ReturnType<CatalogRpc["usage"]> {
    return { rows: this.#books.rows(fromDay, toDay), totals: this.#ledger.totals(Date.now()) };
  }

  async metrics(): Promise<ClientMetrics> {
    return { spend: this.#ledger.totals(Date.now()), deliveries: this.#store.deliveries() };
  }

  async countDelivery(result: CountedResult): Promise<void> {
    this.#count(result);
  }

  #count(result: CountedResult): void {
    const known = this.#store.deliveries();
    this.#store.keepDeliveries({ ...known, [result]: (known[result] ?? 0) + 1 });
  }

  /** Unfinished jobs, and those that have a first grant and are not listed yet. */
  #pending(): number {
    return this.#store.pending() + this.#books.grants().filter(({ seq }) => seq === 0).length;
  }

  #spend({ currency, monthly }: ClientBudget, nowMs: number): ClientSpend {
    const totals = this.#ledger.totals(nowMs);
    return { ...totals, currency, limitMicros: toMicros(monthly), resetsAtMs: monthEndsAtMs(nowMs) };
  }

  /** The client's money if it is used to `alertAt`, else null. Raises the alert. */
  #alert(budget: ClientBudget, nowMs: number): ClientSpend | null {
    const spend = this.#spend(budget, nowMs);
    if (usedMicros(spend) < spend.limitMicros * budget.alertAt) return null;
    this.#budgetAlert.raise(budgetReport(this.ctx.id.name ?? "", budget, spend, nowMs), budget.currency, nowMs);
    return spend;
  }

  /** Sets the alarm for grants whose time ends. */
  #askLater(nowMs: number): void {
    if (!this.#books.grants().some(({ untilMs }) => untilMs !== null)) return;
    // Watched places are asked for sooner, and their alarm, set by an earlier process, must not be put off.
    this.#askPlaces(PLACES_EVERY_MS);
    this.#arm(nowMs + UNKNOWN_JOBS_EVERY_MS);
  }

  /**
   * Asks the jobs of overdue grants whether they have used them. A job that has, or that was removed, notifies the list now; the
   * money of a job that was never made, or never retried, is free again.
   */
  async #askUnknownJobs(): Promise<void> {
    const askedAtMs = Date.now() - CLOCK_SLACK_MS;
    const overdue = this.#ledger.overdue(askedAtMs).slice(0, MAX_ASKED_JOBS);
    const unused: Grant[] = [];
    const asked = overdue.map(async (grant) => {
      const job = jobStub(this.env, grant.jobId);
      const answer = await within(ASK_BOUND_MS, "the job", job.view(null));
      const grants = answer.ok ? (answer.view.spend?.grants ?? 0) : 0;
      const isUnused = answer.ok ? grants < grant.number : answer.code === "job_not_found";
      if (isUnused) unused.push(grant);
      const isThere = answer.ok || answer.code === "job_gone";
      if (isThere && grant.seq === 0) await within(ASK_BOUND_MS, "the job", job.catalogMissed(1));
    });
    for (const { status } of await Promise.allSettled(asked)) {
      if (status === "rejected") console.error({ event: "job_not_asked", client: this.ctx.id.name });
    }
    // A grant whose job was recorded meanwhile is settled and no longer kept.
    if (unused.length > 0) this.#ledger.release(unused, askedAtMs);
    this.#askLater(Date.now());
  }

  async claimHeld(claim: HeldClaim): Promise<string> {
    return this.#held.claim(claim, Date.now());
  }

  async stillHeld(key: string, holder: string): Promise<boolean> {
    return this.#held.stillWaits(key, holder, Date.now());
  }

  async settleHeld(key: string, holder: string, how: "delivered" | "undelivered"): Promise<void> {
    this.#held.settle(key, holder, how, Date.now());
  }

  /** The live feed, for a watcher that http let in. */
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

  #redeem(askedAtMs: number, nowMs: number): void {
    this.#store.keepReservations(redeem(this.#store.reservations(), askedAtMs, nowMs), "in memory");
  }

  /**
   * Asks overdue jobs, and lanes for places, and sets the next alarm while somebody watches and jobs wait. Never throws: the next
   * alarm repeats what failed.
   */
  override async alarm(): Promise<void> {
    this.#alarmAtMs = null;
    // Not awaited: a receiver may take long, and a try that is cut off has an alarm of its own.
    this.ctx.waitUntil(this.#budgetAlert.pump(Date.now()));
    await this.#askUnknownJobs();
    this.#feed.watchers.catchUp();
    if (!this.#feed.watchers.isWatched) {
      this.#places.clear();
      return;
    }
    const queued = this.#store.queued(MAX_PLACES);
    if (queued.length === 0) return;
    for (const jobId of await this.#places.moved(queued)) {
      // A job that left the queue while the lanes were asked is sent to watchers by its own `record`.
      const change = this.#store.change(jobId);
      if (change?.kind === "job" && change.entry.status === "queued") this.#feed.notifyPlace(jobId);
      else this.#places.forget(jobId);
    }
    this.#askPlaces(PLACES_EVERY_MS);
  }

  /** Sets the alarm unless it fires earlier, nobody watches or no job waits. */
  #askPlaces(delayMs: number): void {
    const atMs = Date.now() + delayMs;
    if (this.#alarmAtMs !== null && this.#alarmAtMs <= atMs) return;
    if (!this.#feed.watchers.isWatched || this.#store.queued(1).length === 0) return;
    this.#arm(atMs);
  }

  #arm(atMs: number): void {
    if (this.#alarmAtMs !== null && this.#alarmAtMs <= atMs) return;
    this.#alarmAtMs = atMs;
    void this.ctx.storage.setAlarm(atMs);
  }
}
