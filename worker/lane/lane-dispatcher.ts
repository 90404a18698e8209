import { DurableObject } from "cloudflare:workers";
import type { LaneReport } from "../../schemas/limits.ts";
import { quotaFor } from "../dashscope/models.ts";
import { configOf } from "../env.ts";
import { jobStub } from "../stubs.ts";
import type { LaneRpc, Lease, LeaseOutcome, Place, Release, Ticket } from "./contract.ts";
import { LaneBook, type LaneSettings } from "./core/book.ts";
import { type EnqueueAnswer, LaneDesk } from "./core/desk.ts";
import { advance, nextAlarmAtMs, takeAnswer } from "./core/dispatch.ts";
import { modeOf } from "./core/lane-state.ts";
import { type PlaceNews, Watching } from "./core/watching.ts";
import { laneModel } from "./lane-name.ts";
import { LaneStore } from "./lane-store.ts";

/** After a failure that should not be: soon enough to go unnoticed, late enough not to spin. */
const ALARM_AGAIN_MS = 5_000;
/** An alarm so long overdue is taken for lost and set again. */
const ALARM_OVERDUE_MS = 1_000;
/** Within this an alarm with nothing to do is worth moving: the row costs less than the wake. */
const ALARM_SOON_MS = 10_000;

/** What a lane has in memory, made from what is stored. */
interface LaneCore {
  readonly book: LaneBook;
  readonly desk: LaneDesk;
  readonly watching: Watching;
}

/** One lane: everything decided by the pure core over what is stored, told to the jobs from here. Never calls upstream. */
export class LaneDispatcher extends DurableObject<Env> implements LaneRpc {
  readonly #name: string;
  readonly #model: string;
  #core: LaneCore | null = null;
  #armedAtMs: number | null = null;
  /** Places on their way, by job, each with the newer one that waits until the job has answered. */
  readonly #telling = new Map<string, PlaceNews | null>();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const name = ctx.id.name ?? "";
    const model = laneModel(name);
    if (model === null) throw new Error(`a lane is reached by laneName(), not by ${JSON.stringify(name)}`);
    this.#name = name;
    this.#model = model;
    void ctx.blockConcurrencyWhile(async () => {
      this.#armedAtMs = await ctx.storage.getAlarm();
    });
  }

  async enqueue(ticket: Ticket, watched: boolean): Promise<EnqueueAnswer> {
    return this.#decide(({ desk, watching }, now) => {
      const answer = desk.enqueue(ticket, watched, now);
      if (watched && answer.place !== null) watching.knows(ticket.jobId, answer.place);
      return answer;
    });
  }

  async release(release: Release): Promise<{ place: Place | null }> {
    return this.#decide(({ desk }, now) => ({ place: desk.release(release, now) }));
  }

  async renew(leaseId: string, endsAtMs: number): Promise<void> {
    this.#decide(({ desk }) => desk.renew(leaseId, endsAtMs));
  }

  async observe(outcome: LeaseOutcome): Promise<void> {
    this.#decide(({ desk }, now) => desk.observe(outcome, now));
  }

  async leave(jobId: string): Promise<void> {
    this.#decide(({ desk }) => desk.leave(jobId));
  }

  async place(jobId: string, watched: boolean): Promise<Place | null> {
    return this.#decide(({ desk, watching }, now) => {
      const place = desk.place(jobId, watched, now);
      if (watched && place !== null) watching.knows(jobId, place);
      return place;
    });
  }

  async places(jobIds: readonly string[]): Promise<Record<string, Place>> {
    return this.#decide(({ desk }, now) => desk.places(jobIds, now));
  }

  async report(): Promise<LaneReport> {
    return this.#decide(({ desk }, now) => desk.report(this.#model, now));
  }

  override async alarm(): Promise<void> {
    this.#armedAtMs = null;
    try {
      this.#decide(() => undefined);
    } catch (error) {
      // Thrown out of here, the platform would try six times and then drop the alarm for good.
      this.#log("lane_alarm_failed", { error: String(error) });
      await this.ctx.storage.setAlarm(Date.now() + ALARM_AGAIN_MS);
    }
  }

  /**
   * One decision: what was asked, then whatever is due. All its writes, the alarm too, are one batch, durable before any
   * answer, offer or news leaves the object.
   */
  #decide<T>(ask: (core: LaneCore, now: number) => T): T {
    const now = Date.now();
    const { answer, leases, news } = this.#written((core) => {
      const { book, watching } = core;
      const before = stance(book);
      const answer = ask(core, now);
      const leases = advance(book, now);
      book.save(now);
      const news = watching.news(now);
      book.write();
      if (stance(book) !== before) this.#log("lane_changed", { from: before, to: stance(book) });
      return { answer, leases, news, alarmAtMs: nextAlarmAtMs(book, now) };
    }, now);
    for (const lease of leases) this.ctx.waitUntil(this.#offer(lease));
    for (const each of news) this.ctx.waitUntil(this.#tell(each));
    return answer;
  }

  /** Runs `work` over what is stored, all or nothing, and sets the alarm that it asks for. */
  #written<T extends { readonly alarmAtMs: number | null }>(work: (core: LaneCore) => T, now: number): T {
    try {
      const done = this.ctx.storage.transactionSync(() => {
        this.#core ??= this.#load(now);
        return work(this.#core);
      });
      this.#arm(done.alarmAtMs, now);
      return done;
    } catch (error) {
      // What is in memory may be ahead of what was rolled back.
      this.#core = null;
      throw error;
    }
  }

  #load(now: number): LaneCore {
    const book = new LaneBook(new LaneStore(this.ctx.storage.sql), this.#settings(), now);
    return { book, desk: new LaneDesk(book), watching: new Watching(book) };
  }

  #settings(): LaneSettings {
    const settings = configOf(this.env);
    if (settings.ok) {
      const { laneLimits, region, attemptBudgetMs } = settings.config;
      const quota = quotaFor(this.#model, laneLimits, region);
      return { lane: this.#name, quota, attemptBudgetMs, paused: null };
    }
    const [first] = settings.errors;
    const hint = `${first?.path ?? "a setting"} ${first?.message ?? "is wrong"}; GET /api/health names all that is wrong`;
    const paused = { code: "misconfigured", hint };
    return { lane: this.#name, quota: quotaFor(this.#model, {}, "sg"), attemptBudgetMs: 0, paused };
  }

  /**
   * Sets the alarm unless one comes before anyway: an early one only looks, which is cheaper than moving it with each
   * start and end. One that would soon come for nothing (an offer was answered) is moved.
   */
  #arm(wantedAtMs: number | null, now: number): void {
    if (wantedAtMs === null) return;
    const armedAtMs = this.#armedAtMs;
    const isLost = armedAtMs === null || armedAtMs < now - ALARM_OVERDUE_MS;
    const isIdle = armedAtMs !== null && armedAtMs < now + ALARM_SOON_MS && armedAtMs < wantedAtMs - ALARM_OVERDUE_MS;
    if (!isLost && !isIdle && armedAtMs <= wantedAtMs) return;
    this.#armedAtMs = wantedAtMs;
    // Not awaited: so it is one batch with what was just written. A write that fails resets the object.
    void this.ctx.storage.setAlarm(wantedAtMs);
  }

  /** Tells a job of its lease. One that fails or never answers blocks nothing: the lease is offered again, then ends. */
  async #offer(lease: Lease): Promise<void> {
    try {
      const answer = await jobStub(this.env, lease.jobId).begin(lease);
      this.#decide(({ book }, now) => takeAnswer(book, lease, answer, now));
    } catch (error) {
      this.#log("lease_offer_failed", { jobId: lease.jobId, leaseId: lease.leaseId, error: String(error) });
    }
  }

  /** Tells one place at a time: of those that come while a busy job has not answered, only the newest is told. */
  async #tell(news: PlaceNews): Promise<void> {
    const { jobId } = news;
    const isOnItsWay = this.#telling.has(jobId);
    this.#telling.set(jobId, isOnItsWay ? news : null);
    if (isOnItsWay) return;
    for (let next: PlaceNews | null = news; next !== null; next = this.#telling.get(jobId) ?? null) {
      this.#telling.set(jobId, null);
      await this.#tellOnce(next);
    }
    this.#telling.delete(jobId);
  }

  async #tellOnce({ jobId, round, place }: PlaceNews): Promise<void> {
    try {
      const isWatched = await jobStub(this.env, jobId).placed(round, place);
      if (!isWatched) this.#decide(({ watching }) => watching.unwatch(jobId, round));
    } catch (error) {
      this.#core?.watching.missed(jobId);
      this.#log("place_not_told", { jobId, error: String(error) });
    }
  }

  #log(event: string, facts: Readonly<Record<string, string>>): void {
    console.log(JSON.stringify({ event, lane: this.#name, ...facts }));
  }
}

/** What an operator should read in the log when it changes. */
function stance(book: LaneBook): string {
  const { block, pace } = book.state;
  return block !== null ? `blocked by ${block.code}` : `${modeOf(book.state)} at ${Math.round(pace.share * 100)} %`;
}
