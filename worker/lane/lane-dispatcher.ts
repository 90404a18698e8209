import { DurableObject } from "cloudflare:workers";
import type { LaneReport } from "../../schemas/limits.ts";
import { within } from "../bounds.ts";
import { ModelTable } from "../dashscope/models.ts";
import { configOf } from "../env.ts";
import { jobStub } from "../stubs.ts";
import type { LaneMetrics, LaneRpc, Lease, LeaseOutcome, Place, Release, Ticket } from "./contract.ts";
import type { LaneCommand } from "./core/control.ts";
import { type EnqueueAnswer, Lane, type LaneSettings, type Settled } from "./core/lane.ts";
import type { Notice } from "./core/notifier.ts";
import { laneModel } from "./lane-name.ts";
import { LaneStore } from "./lane-store.ts";

/** How long after an alarm that threw the next one is set, in ms: soon, and not in a loop. */
const ALARM_AGAIN_MS = 5_000;
/** An alarm that is overdue by this much, in ms, is taken as lost and set again. */
const ALARM_OVERDUE_MS = 1_000;
/** An alarm that would fire within this time, in ms, with nothing to do is moved: writing the row costs less than the wake. */
const ALARM_SOON_MS = 10_000;
/** A notice takes at most this long, in ms. A job that has not answered by then gets its place with a later pass. */
const NOTICE_BOUND_MS = 5_000;
/** A job may begin for five seconds after its start was due, so this is enough for a paused lane to be quiet. */
const QUIET_WITHIN_MS = 10_000;
const QUIET_LOOK_MS = 100;
/** That a job has begun is stored so long after its answer at the latest: where starts follow each other, together with the next. */
const ANSWERS_STORED_MS = 1_000;
/** How many jobs are notified at once: a long queue must not use up the lane's memory, nor its time for other callers. */
const NOTICES_AT_ONCE = 64;

/** One lane. The pure `Lane` decides over what is stored; this object stores, sets the alarm and calls the jobs. It never calls upstream. */
export class LaneDispatcher extends DurableObject<Env> implements LaneRpc {
  readonly #name: string;
  readonly #model: string;
  #lane: Lane | null = null;
  #armedAtMs: number | null = null;
  /** The jobs that are being notified, each with a newer notice that waits for the answer to the one before. */
  readonly #notifying = new Map<string, Notice | null>();
  #isMoreScheduled = false;
  #isStoringScheduled = false;

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
    return this.#decide((lane, now) => lane.enqueue(ticket, watched, now));
  }

  async release(release: Release): Promise<{ place: Place | null }> {
    return this.#decide((lane, now) => ({ place: lane.release(release, now) }));
  }

  async renew(leaseId: string, endsAtMs: number): Promise<void> {
    this.#decide((lane) => lane.renew(leaseId, endsAtMs));
  }

  async observe(outcome: LeaseOutcome, jobId?: string): Promise<void> {
    this.#decide((lane, now) => lane.observe(outcome, jobId ?? null, now));
  }

  async leave(jobId: string, ticketNumber?: number): Promise<void> {
    this.#decide((lane, now) => lane.leave(jobId, ticketNumber ?? null, now));
  }

  async place(jobId: string, watched: boolean): Promise<Place | null> {
    return this.#decide((lane, now) => lane.place(jobId, watched, now));
  }

  async places(jobIds: readonly string[]): Promise<Record<string, Place>> {
    return this.#decide((lane, now) => lane.places(jobIds, now));
  }

  async report(): Promise<LaneReport> {
    return this.#decide((lane, now) => lane.report(this.#model, now));
  }

  async metrics(): Promise<LaneMetrics> {
    return this.#decide((lane, now) => lane.metrics(this.#model, now));
  }

  async control(command: LaneCommand): Promise<LaneReport> {
    let { quietAtMs, isCarriedOut } = this.#decide((lane, now) => {
      return { isCarriedOut: lane.command(command, now), quietAtMs: lane.quietAtMs() };
    });
    if (isCarriedOut) this.#log("lane_commanded", { command: command.kind });
    else this.#log("lane_command_outdated", { command: command.kind });
    const endsAtMs = Date.now() + QUIET_WITHIN_MS;
    const isPause = isCarriedOut && (command.kind === "pause" || command.kind === "pauseClient");
    while (isPause && Date.now() < endsAtMs) {
      // A decision that threw has dropped the lane from memory: what was known before holds until another one reads it again.
      quietAtMs = this.#lane?.quietAtMs() ?? quietAtMs;
      if (quietAtMs < Date.now()) break;
      await scheduler.wait(Math.min(QUIET_LOOK_MS, quietAtMs - Date.now() + 1));
    }
    return this.report();
  }

  override async alarm(): Promise<void> {
    this.#armedAtMs = null;
    try {
      this.#decide(() => undefined);
    } catch (error) {
      // If this threw, the platform would repeat the alarm six times and then drop it for good.
      this.#log("lane_alarm_failed", { error: String(error) });
      await this.ctx.storage.setAlarm(Date.now() + ALARM_AGAIN_MS);
    }
  }

  /**
   * One decision: the request, then everything that is due. All its writes, the alarm too, are one batch, durable before any answer,
   * offer or notice leaves the object.
   */
  #decide<T>(ask: (lane: Lane, now: number) => T): T {
    const now = Date.now();
    const { answer, settled } = this.#stored((lane) => {
      const before = lane.condition;
      lane.begin(now);
      const answered = ask(lane, now);
      const due = lane.settle(now, NOTICES_AT_ONCE - this.#notifying.size);
      if (lane.condition !== before) this.#log("lane_changed", { from: before, to: lane.condition });
      return { answer: answered, settled: due };
    }, now);
    for (const lease of settled.offers) this.ctx.waitUntil(this.#offer(lease));
    for (const notice of settled.notices) this.ctx.waitUntil(this.#notify(notice));
    if (settled.isNotifying) this.#notifyMore();
    if (settled.isToStore) this.#storeLater();
    return answer;
  }

  /** Runs `work` over what is stored, all or nothing, and sets the alarm that it asks for. */
  #stored<T extends { readonly settled: Settled }>(work: (lane: Lane) => T, now: number): T {
    try {
      const done = this.ctx.storage.transactionSync(() => {
        this.#lane ??= new Lane(new LaneStore(this.ctx.storage.sql), this.#settings(), now);
        return work(this.#lane);
      });
      this.#arm(done.settled, now);
      return done;
    } catch (error) {
      // What is in memory may be ahead of what was rolled back.
      this.#lane = null;
      throw error;
    }
  }

  #settings(): LaneSettings {
    const settings = configOf(this.env);
    if (settings.ok) {
      const { modelTable, laneLimits, region, attemptBudgetMs } = settings.config;
      const quota = modelTable.quota(this.#model, laneLimits, region);
      return { lane: this.#name, quota, attemptBudgetMs, misconfigured: null };
    }
    const [first] = settings.errors;
    const hint = `${first?.path ?? "a setting"} ${first?.message ?? "is wrong"}; GET /api/health names all that is wrong`;
    const misconfigured = { code: "misconfigured", hint };
    return {
      lane: this.#name,
      quota: new ModelTable().quota(this.#model, {}, "sg"),
      attemptBudgetMs: 0,
      misconfigured,
    };
  }

  /**
   * Sets the alarm unless an earlier one is set: an early alarm finds nothing due, which costs less than moving it with each
   * start and end. One that would fire soon and for nothing (an offer was answered) is moved.
   */
  #arm({ alarmAtMs: wantedAtMs, alarmByMs }: Settled, now: number): void {
    if (wantedAtMs === null || alarmByMs === null) return;
    const armedAtMs = this.#armedAtMs;
    const isLost = armedAtMs === null || armedAtMs < now - ALARM_OVERDUE_MS;
    const isIdle = armedAtMs !== null && armedAtMs < now + ALARM_SOON_MS && armedAtMs < wantedAtMs - ALARM_OVERDUE_MS;
    if (!isLost && !isIdle && armedAtMs <= alarmByMs) return;
    this.#armedAtMs = wantedAtMs;
    // Not awaited, so that it is in one batch with what was just written. A write that fails resets the object.
    void this.ctx.storage.setAlarm(wantedAtMs);
  }

  /** Offers a job its lease. A job that fails or never answers blocks nothing: the lease is offered again, then ends. */
  async #offer(lease: Lease): Promise<void> {
    try {
      const answer = await jobStub(this.env, lease.jobId).begin(lease);
      this.#decide((lane, now) => lane.answered(lease, answer, now));
    } catch (error) {
      this.#log("lease_offer_failed", { jobId: lease.jobId, leaseId: lease.leaseId, error: String(error) });
    }
  }

  /** Sends a job one notice at a time. Of those that come while it has not answered, only the newest is sent. */
  async #notify(notice: Notice): Promise<void> {
    const { jobId } = notice;
    const isUnderWay = this.#notifying.has(jobId);
    this.#notifying.set(jobId, isUnderWay ? notice : null);
    if (isUnderWay) return;
    for (let next: Notice | null = notice; next !== null; next = this.#notifying.get(jobId) ?? null) {
      this.#notifying.set(jobId, null);
      await this.#notifyOnce(next);
    }
    this.#notifying.delete(jobId);
    if (this.#lane?.isNotifying === true) this.#notifyMore();
  }

  async #notifyOnce({ jobId, ticketNumber, place }: Notice): Promise<void> {
    try {
      const placed = jobStub(this.env, jobId).placed(ticketNumber, place);
      const isWatched = await within(NOTICE_BOUND_MS, "the job", placed);
      if (!isWatched) this.#decide((lane) => lane.unwatch(jobId, ticketNumber));
    } catch (error) {
      this.#log("place_not_sent", { jobId, error: String(error) });
      this.#missed(jobId);
    }
  }

  #missed(jobId: string): void {
    try {
      this.#decide((lane, now) => lane.missed(jobId, now));
    } catch (error) {
      // The lane is no longer in memory: the one read next knows no job's last place, and sends each with its first pass.
      this.#log("notices_failed", { error: String(error) });
    }
  }

  /** Stores answers to offers, unless the next start does within this time. */
  #storeLater(): void {
    if (this.#isStoringScheduled) return;
    this.#isStoringScheduled = true;
    this.ctx.waitUntil(
      scheduler.wait(ANSWERS_STORED_MS).then(() => {
        this.#isStoringScheduled = false;
        try {
          this.#decide((lane) => lane.storeAnswers());
        } catch (error) {
          // The lane has left memory: its offers are made again, and answered again.
          this.#log("answers_not_stored", { error: String(error) });
        }
      }),
    );
  }

  /** Continues the pass of notices once other callers have had their turn and as soon as there is room. */
  #notifyMore(): void {
    if (this.#isMoreScheduled || this.#notifying.size >= NOTICES_AT_ONCE) return;
    this.#isMoreScheduled = true;
    this.ctx.waitUntil(
      scheduler.wait(0).then(() => {
        this.#isMoreScheduled = false;
        try {
          this.#decide(() => undefined);
        } catch (error) {
          // The alarm continues the pass.
          this.#log("notices_failed", { error: String(error) });
        }
      }),
    );
  }

  #log(event: string, facts: Readonly<Record<string, string>>): void {
    console.log(JSON.stringify({ event, lane: this.#name, ...facts }));
  }
}
