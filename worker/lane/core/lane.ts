import type { LaneReport, Quota } from "../../../schemas/limits.ts";
import type { LaneMetrics, Lease, LeaseOutcome, Place, Release, Ticket } from "../contract.ts";
import {
  type Control,
  commanded,
  controlEndsAtMs,
  inForce,
  isOutdated,
  type LaneCommand,
  pauseOf,
  quotaUnder,
} from "./control.ts";
import { forecast, needsLeases } from "./forecast.ts";
import {
  expectedGrantAtMs,
  type LaneState,
  type LaneStorage,
  type LeaseEntry,
  modeOf,
  newLaneState,
  nextGrantAtMs,
  type Offer,
  offerAheadMs,
  underQuota,
  withStart,
} from "./lane-state.ts";
import { type Notice, Notifier } from "./notifier.ts";
import {
  LEASE_ENDS,
  type LeaseEnd,
  mayOffer,
  mayStartAtMs,
  nextOffer,
  OFFER_ANSWER_MS,
  offerOf,
  withOffer,
  withOfferTaken,
  withoutStartOf,
  withUnusedProbe,
} from "./offers.ts";
import { afterOutcome, PROBE_EVERY_MS, typicalDurationMs, withDuration } from "./outcome.ts";
import { FULL_PACE, learnedQuota, shareAt } from "./pace.ts";
import { clientPausedView, type LaneView, misconfiguredView, pausedView, placeOf, viewOf } from "./place.ts";
import { afterArriving, afterGivingBack, afterServing, PRIORITIES, Queue, type QueuedTicket } from "./queue.ts";
import { outcomeName, type TalliedOutcome, tallied, withWait } from "./tally.ts";

export interface LaneSettings {
  /** The lane's name. */
  readonly lane: string;
  readonly quota: Quota;
  readonly attemptBudgetMs: number;
  /** Set while the deployment's settings are wrong: nothing starts, and nothing is lost. */
  readonly misconfigured: { readonly code: string; readonly hint: string } | null;
}

export interface EnqueueAnswer {
  readonly lease: Lease | null;
  readonly place: Place | null;
}

/** What a job answered to an offer. */
export type OfferAnswer = { readonly accepted: true; readonly startedAtMs: number } | { readonly accepted: false };

/** What a decision of the lane asks of its object, once everything is stored. */
export interface Settled {
  /** Leases to offer to their jobs now. */
  readonly offers: readonly Lease[];
  /** Places to send to watched jobs now. */
  readonly notices: readonly Notice[];
  /** More notices are due as soon as there is room. */
  readonly isNotifying: boolean;
  /** Answers to offers are in memory only. */
  readonly isToStore: boolean;
  /** When to settle again without a call; `null`: not before the next call. */
  readonly alarmAtMs: number | null;
  /** An alarm that is set for this at the latest need not be moved. */
  readonly alarmByMs: number | null;
}

/**
 * How long after the lane's answer to `enqueue` a job may still begin, in ms: the answer's way back and one write. The start is
 * counted at the end of this time. It delays only the first starts after an idle time, never those of a backlog.
 */
export const DIRECT_BEGIN_MS = 1_000;
/** A refusal this close to the last moment to begin, in ms, may mean that the moment has passed: the clocks of two machines differ. */
const CLOCKS_DIFFER_MS = 1_000;
/** How long a lease lasts beyond the attempt's budget, in ms: time for the job to end the attempt, or to restart after a crash. */
const LEASE_SLACK_MS = 30_000;
/** A job that answers no offer of this many leases in a row loses its ticket, so that a broken object costs no more starts. */
const MOST_UNANSWERED = 3;
/** A job that declines a lease and asks again within this, with the same ticket, gets its old place. In memory only. */
const DECLINED_KEPT_MS = 5 * 60_000;
const MOST_DECLINED_KEPT = 1_000;
/** Watched jobs are notified at most this often. */
const NOTIFY_EVERY_MS = 2_000;
/** A pass that is due so short a time before a lease is offered waits for it: that moves every place again, and wakes the lane anyway. */
const PASS_WITH_OFFER_MS = 500;
/** By this part of the time that it is ahead of its start an offer may come late: the rest is enough for most jobs to begin on time. */
const OFFER_SLACK = 0.4;
/** A place that did not reach its job is sent again after this: a job that never answers must not cause a pass every two seconds. */
const MISSED_AGAIN_MS = 10_000;
/** While a place depends on a running attempt that does not end, its estimate is computed again this often. */
const LOOK_AGAIN_MS = 4_000;
/** If the object dies during a pass of notices, the alarm continues the pass after this time. */
const NOTIFY_SAFETY_MS = 10_000;
/** While the settings are wrong the lane checks them again this often, since a deploy wakes no object. */
const MISCONFIGURED_LOOK_MS = 60_000;
const MINUTE_MS = 60_000;

/**
 * One upstream model's queue, quota and leases: everything that a lane decides. Pure over its storage and the given time. After
 * each question or message `settle` must be called, which does what is due and stores everything; `LaneRpc` says what each
 * question guarantees.
 */
export class Lane {
  readonly #storage: LaneStorage;
  /** The deployment's own settings; `#settings` has the quota that the operator set. */
  readonly #ownSettings: LaneSettings;
  #settings: LaneSettings;
  readonly #queue: Queue;
  readonly #notifier = new Notifier();
  /** Tickets of declined leases, by job: see `DECLINED_KEPT_MS`. */
  readonly #declined = new Map<string, { readonly ticket: QueuedTicket; readonly atMs: number }>();
  #state: LaneState;
  /** As it is stored. */
  #saved: LaneState;
  /** As the last decision left it; not stored where that was only an answer to an offer. */
  #settled: LaneState;
  /** The state that differs from the stored one by answers to offers only. */
  #answered: LaneState | null = null;
  #isQueueChanged = false;
  /** When a lease was last given, or this object was made: for `DIRECT_BEGIN_MS` after that a job may begin by a lease. */
  #grantedAtMs: number;
  #changedWhileNotifying = false;

  constructor(storage: LaneStorage, settings: LaneSettings, now: number) {
    this.#storage = storage;
    this.#grantedAtMs = now;
    const stored = storage.loadState();
    const state = stored ?? newLaneState(settings.quota);
    const { quota, misconfigured } = settings;
    // Wrong settings have no quota of the lane. Starts are forgotten by the last period that was in force.
    this.#ownSettings =
      misconfigured === null ? settings : { ...settings, quota: { ...quota, periodMs: state.periodMs } };
    this.#queue = new Queue(storage, Object.keys(state.control.clients));
    this.#settings = {
      ...this.#ownSettings,
      quota: quotaUnder(inForce(state.control, now), this.#ownSettings.quota),
    };
    this.#state = underQuota(state, this.#settings.quota, now);
    // A lane that is only read stores nothing.
    this.#saved = stored ?? this.#state;
    this.#settled = this.#saved;
  }

  /* ── Commands of the operator ──────────────────────────────────────────────────────────────────────────── */

  /** Ends the operator's commands whose time is over. Called before each question, so that the answer takes this into account. */
  begin(now: number): void {
    const control = inForce(this.#state.control, now);
    if (control !== this.#state.control) this.#control(control, now);
  }

  /** False when a later command about the same subject was carried out before, so that nothing changes. */
  command(command: LaneCommand, now: number): boolean {
    const before = this.#state.control;
    const control = commanded(before, command, now);
    if (control !== before) this.#control(control, now);
    return !isOutdated(before, command);
  }

  /**
   * Until when a job may begin by a lease that it was given before: in a paused lane nothing starts from then on. 0 when no lease
   * is out.
   */
  quietAtMs(): number {
    const direct = this.#state.inProgress > 0 ? this.#grantedAtMs + DIRECT_BEGIN_MS : 0;
    return Math.max(direct, ...this.#state.offers.map(({ beginByMs }) => beginByMs));
  }

  /**
   * Puts commands in force. Under another quota the pace is learned anew: what upstream refused under the old one says nothing
   * about it.
   */
  #control(control: Control, now: number): void {
    const quota = quotaUnder(control, this.#ownSettings.quota);
    const isSame = JSON.stringify(quota) === JSON.stringify(this.#settings.quota);
    this.#settings = { ...this.#ownSettings, quota };
    const held = Object.keys(control.clients);
    const isSameHeld = held.join() === Object.keys(this.#state.control.clients).join();
    this.#set({ control });
    if (!isSameHeld) this.#holdClients(held);
    if (isSame) return;
    this.#set({ pace: { ...FULL_PACE, heldUntilMs: this.#state.pace.heldUntilMs } });
    this.#state = underQuota(this.#state, quota, now);
  }

  /** A priority in which nothing could be served before gains no credit, as when a first ticket arrives in it. */
  #holdClients(held: readonly string[]): void {
    const idle = PRIORITIES.filter((priority) => this.#queue.isEmptyOf(priority));
    this.#queue.hold(held, this.#state.turns);
    for (const priority of idle) {
      if (!this.#queue.isEmptyOf(priority)) this.#set({ turns: afterArriving(this.#state.turns, priority) });
    }
    this.#isQueueChanged = true;
  }

  #isClientHeld(client: string): boolean {
    return pauseOf(this.#state.control, client) !== null;
  }

  /** Whether nothing is offered or started, because the operator paused the lane or the settings are wrong. No job loses its place. */
  get #isHeld(): boolean {
    return this.#settings.misconfigured !== null || this.#state.control.pause !== null;
  }

  /* ── What jobs and readers ask ─────────────────────────────────────────────────────────────────────────── */

  enqueue(ticket: Ticket, watched: boolean, now: number): EnqueueAnswer {
    const { jobId } = ticket;
    const number = numberOf(ticket);
    const lease = this.#storage.lease(jobId);
    if (lease !== null && number < lease.ticketNumber) return { lease: null, place: null };
    if (lease !== null && number === lease.ticketNumber) return this.#leaseAgain(lease, now);
    if (lease !== null) this.#endLease(lease, "replaced", now);
    const waiting = this.#storage.ticket(jobId);
    if (waiting !== null) {
      return { lease: null, place: this.#placeFor(this.#refreshed(waiting, number, watched), now) };
    }
    const fresh = this.#newTicket(ticket, watched, now);
    const grantAtMs = this.#nextGrantAtMs(now);
    const mayStart = grantAtMs !== null && grantAtMs <= now && !this.#isClientHeld(ticket.client);
    if (mayStart && this.#queue.isEmpty) {
      return { lease: this.#grant(fresh, true, now, now), place: null };
    }
    this.#arrive(fresh);
    return { lease: null, place: this.#placeFor(fresh, now) };
  }

  release(release: Release, now: number): Place | null {
    const { jobId, leaseId, outcome, requeue } = release;
    const lease = this.#storage.lease(jobId);
    if (lease !== null && isOver(lease, release)) {
      const ticket = requeue === null ? lease : { ...lease, ticketNumber: numberOf(requeue), unanswered: 0 };
      this.#endLease(ticket, requeue === null ? "released" : "putBack", now);
      if (lease.leaseId === leaseId) {
        this.#count(outcomeName(outcome), "durationMs" in outcome ? outcome.durationMs : null);
        const attempt = { outcome, jobId, startedAtMs: lease.startsAtMs };
        const { attemptBudgetMs, misconfigured } = this.#settings;
        // Wrong settings have no budget, so no attempt is known to have used it.
        const budgetMs = misconfigured === null ? attemptBudgetMs : Number.POSITIVE_INFINITY;
        const state = withDuration(this.#state, outcome, budgetMs);
        this.#state = afterOutcome(state, attempt, this.#learnedQuota(now), now);
      }
    } else if (lease === null && requeue !== null) {
      // The lease is not known any more, or the release is repeated. A job that wants to wait is never lost.
      const waiting = this.#storage.ticket(jobId);
      if (waiting === null) this.#arrive(this.#newTicket(requeue, false, now));
      else this.#refreshed(waiting, numberOf(requeue), false);
    } else if (lease === null) {
      const ghost = this.#storage.ticket(jobId);
      if (ghost !== null && ghost.ticketNumber <= (release.ticketNumber ?? Number.NEGATIVE_INFINITY)) this.#quit(ghost);
    }
    const waiting = this.#storage.ticket(jobId);
    return waiting === null ? null : this.#placeFor(waiting, now);
  }

  renew(leaseId: string, endsAtMs: number): void {
    const lease = this.#storage.lease(leaseId.slice(0, leaseId.lastIndexOf(".")));
    if (lease?.leaseId === leaseId && lease.endsAtMs < endsAtMs) this.#storage.updateLease({ ...lease, endsAtMs });
  }

  observe(outcome: LeaseOutcome, jobId: string | null, now: number): void {
    if (outcome.kind === "succeeded") this.#count("succeeded_late", outcome.durationMs);
    this.#state = afterOutcome(this.#state, { outcome, jobId, startedAtMs: null }, this.#learnedQuota(now), now);
  }

  leave(jobId: string, ticketNumber: number | null, now: number): void {
    const isMeant = (ticket: QueuedTicket) => ticketNumber === null || ticket.ticketNumber <= ticketNumber;
    const waiting = this.#storage.ticket(jobId);
    if (waiting !== null && isMeant(waiting)) this.#quit(waiting);
    const lease = this.#storage.lease(jobId);
    if (lease !== null && isMeant(lease)) this.#endLease(lease, lease.countedAtMs === null ? "left" : "givenBack", now);
  }

  place(jobId: string, watched: boolean, now: number): Place | null {
    const waiting = this.#storage.ticket(jobId);
    return waiting === null ? null : this.#placeFor(this.#refreshed(waiting, waiting.ticketNumber, watched), now);
  }

  places(jobIds: readonly string[], now: number): Record<string, Place> {
    const view = this.#view(now);
    const places: Record<string, Place> = {};
    for (const jobId of jobIds) {
      const waiting = this.#storage.ticket(jobId);
      if (waiting !== null) places[jobId] = this.#placeIn(waiting, view, now);
    }
    return places;
  }

  report(model: string, now: number): LaneReport {
    const { quota, misconfigured } = this.#settings;
    const pace = shareAt(this.#state.pace, this.#learnedQuota(now), now);
    const mode = misconfigured === null ? modeOf(this.#state) : "blocked";
    const startMs = mode === "blocked" || this.#isHeld ? null : this.#view(now).forecast(0);
    const perMinute = (quota.starts * pace * MINUTE_MS) / quota.periodMs;
    return {
      model,
      quota,
      pace,
      startsPerMinute: Math.round(perMinute * 1_000) / 1_000,
      mode,
      queued: this.#queue.size,
      inProgress: this.#state.inProgress,
      nextStartAt: startMs === null || startMs <= now ? null : new Date(startMs).toISOString(),
      typicalDurationMs: typicalDurationMs(this.#state.durationsMs),
      blocked: this.#reportOfBlock(now),
      paused: this.#reportOf(this.#state.control.pause),
      limit: this.#reportOf(this.#state.control.limit),
    };
  }

  /** The report, with what was counted since the lane was first used. */
  metrics(model: string, now: number): LaneMetrics {
    const sinceMs = this.#storage.oldestQueuedAtMs() ?? now;
    return { report: this.report(model, now), tally: this.#state.tally, oldestWaitMs: Math.max(0, now - sinceMs) };
  }

  #reportOf(said: Control["pause"]): LaneReport["paused"] {
    if (said === null) return null;
    const { reason, sinceMs, untilMs } = said;
    const until = untilMs === null ? null : new Date(untilMs).toISOString();
    return { reason, since: new Date(sinceMs).toISOString(), until };
  }

  #reportOfBlock(now: number): LaneReport["blocked"] {
    const { misconfigured } = this.#settings;
    const { block } = this.#state;
    const at = new Date(now).toISOString();
    if (misconfigured !== null) return { ...misconfigured, since: at, nextProbeAt: at };
    if (block === null) return null;
    const { code, hint, sinceMs, nextProbeAtMs } = block;
    const nextProbeAt = new Date(Math.max(nextProbeAtMs, now)).toISOString();
    return { code, hint, since: new Date(sinceMs).toISOString(), nextProbeAt };
  }

  /* ── What the object reports ───────────────────────────────────────────────────────────────────────────── */

  /**
   * Takes a job's answer to the offer of `lease`. An answer that comes twice, or to an older offer of the same lease, changes
   * nothing. That a lease was taken is stored with the next decision, or by `storeAnswers`: a lane that dies before has not heard
   * the answer, counts the start at the last moment, and offers the lease again.
   */
  answered(lease: Lease, answer: OfferAnswer, now: number): void {
    const { leaseId, jobId, beginByMs } = lease;
    const offer = offerOf(this.#state, leaseId);
    if (offer === undefined) return;
    const stored = this.#storage.lease(jobId);
    const entry = stored?.leaseId === leaseId ? stored : null;
    if (answer.accepted) {
      // The clocks differ a little, so the start is put between the one that was offered and now.
      const earliestMs = entry?.startsAtMs ?? lease.notBeforeMs;
      const isAllStored = this.#state === this.#saved || this.#state === this.#answered;
      this.#countOffer(leaseId, Math.min(now, Math.max(earliestMs, answer.startedAtMs)), now);
      if (isAllStored) this.#answered = this.#state;
      return;
    }
    if (offer.beginByMs !== beginByMs) return;
    if (entry === null) {
      this.#state = withUnusedProbe(this.#state, leaseId);
      return;
    }
    const isTooLate = now >= beginByMs - CLOCKS_DIFFER_MS;
    if (!isTooLate) this.#keepDeclined(ticketOf(entry), now);
    this.#endLease(entry, isTooLate ? "tooLate" : "declined", now);
  }

  /** Stores the answers to offers that are in memory only, with the `settle` that follows. */
  storeAnswers(): void {
    this.#answered = null;
  }

  /** A notice did not reach its job: a pass sends its place again, after `MISSED_AGAIN_MS` at the latest. */
  missed(jobId: string, now: number): void {
    if (this.#storage.ticket(jobId)?.watched === true) this.#notifier.missed(jobId, now + MISSED_AGAIN_MS);
    else this.#notifier.forget(jobId);
  }

  /** Nobody watches the job any more. A job that asked with a newer ticket meanwhile stays watched. */
  unwatch(jobId: string, ticketNumber: number): void {
    this.#notifier.forget(jobId);
    const ticket = this.#storage.ticket(jobId);
    if (ticket?.ticketNumber !== ticketNumber || !ticket.watched) return;
    this.#storage.updateTicket({ ...ticket, watched: false });
  }

  /**
   * Does all that is due at `now`, and stores it: ends leases that ran out, offers leases, and collects at most `room` notices.
   * Nothing of the answer may be acted on before what is stored is durable.
   */
  settle(now: number, room = Number.POSITIVE_INFINITY): Settled {
    this.begin(now);
    this.#expireLeases(now);
    const offers = this.#offerAgain(now);
    this.#offerNext(offers, now);
    const notices = this.#collectNotices(now, room);
    this.#settled = this.#state;
    this.#isQueueChanged = false;
    // Stored before the alarm comes that would offer an answered lease again.
    const isStoredOfferDue = this.#saved.offers.some(({ nextOfferAtMs }) => nextOfferAtMs <= now);
    const isAnswered = this.#state === this.#answered && !isStoredOfferDue;
    if (!isAnswered) {
      if (this.#state !== this.#saved) this.#storage.saveState(this.#state);
      this.#saved = this.#state;
      this.#answered = null;
    }
    const isNotifying = this.#notifier.isUnderWay;
    return { offers, notices, isNotifying, isToStore: isAnswered, ...this.#alarm(now) };
  }

  /** A pass of notices is under way: `settle` has more as soon as there is room. */
  get isNotifying(): boolean {
    return this.#notifier.isUnderWay;
  }

  /** What an operator should read in the log when it changes. */
  get condition(): string {
    const { block, pace, control } = this.#state;
    if (control.pause !== null) return "paused by the operator";
    return block === null ? `${modeOf(this.#state)} at ${Math.round(pace.share * 100)} %` : `blocked by ${block.code}`;
  }

  /* ── Tickets ───────────────────────────────────────────────────────────────────────────────────────────── */

  /** The place of a new ticket: after the others of its client, or where it was when its lease was declined a moment ago. */
  #newTicket(ticket: Ticket, watched: boolean, now: number): QueuedTicket {
    const { jobId, client, priority } = ticket;
    const ticketNumber = numberOf(ticket);
    const declined = this.#declined.get(jobId);
    this.#declined.delete(jobId);
    if (declined?.ticket.ticketNumber === ticketNumber && now - declined.atMs <= DECLINED_KEPT_MS) {
      return { ...declined.ticket, watched };
    }
    const key = this.#queue.afterOthersOf(client, priority, this.#state.turns);
    return { jobId, client, priority, ticketNumber, watched, unanswered: 0, queuedAtMs: now, ...key };
  }

  #keepDeclined(ticket: QueuedTicket, now: number): void {
    this.#declined.delete(ticket.jobId);
    this.#declined.set(ticket.jobId, { ticket, atMs: now });
    const [oldest] = this.#declined.keys();
    if (this.#declined.size > MOST_DECLINED_KEPT && oldest !== undefined) this.#declined.delete(oldest);
  }

  #refreshed(ticket: QueuedTicket, number: number, watched: boolean): QueuedTicket {
    const fresh = {
      ...ticket,
      ticketNumber: Math.max(ticket.ticketNumber, number),
      watched: ticket.watched || watched,
    };
    if (fresh.ticketNumber === ticket.ticketNumber && fresh.watched === ticket.watched) return ticket;
    this.#storage.updateTicket(fresh);
    return fresh;
  }

  /** A new ticket joins. */
  #arrive(ticket: QueuedTicket): void {
    const { priority } = ticket;
    const turns = this.#queue.isEmptyOf(priority) ? afterArriving(this.#state.turns, priority) : this.#state.turns;
    // No write where nothing changes.
    if (turns !== this.#state.turns) this.#set({ turns });
    this.#join(ticket);
  }

  #join(ticket: QueuedTicket): void {
    this.#queue.add(ticket);
    this.#isQueueChanged = true;
  }

  #quit(ticket: QueuedTicket): void {
    this.#queue.remove(ticket);
    this.#isQueueChanged = true;
  }

  /* ── Leases ────────────────────────────────────────────────────────────────────────────────────────────── */

  /** When the next start may be made; `null`: not before a lease ends, or not while the settings are wrong or the lane is paused. */
  #nextGrantAtMs(now: number): number | null {
    return !this.#isHeld ? nextGrantAtMs(this.#state, this.#learnedQuota(now), now) : null;
  }

  /** The quota with the learned period: every start and estimate is computed with it. */
  #learnedQuota(now: number): Quota {
    return learnedQuota(this.#state.pace, this.#settings.quota, now);
  }

  /**
   * Gives a lease for a ticket that is not in the queue. `direct`: as the answer to `enqueue`, to begin at once; else to be
   * offered now, to begin at `startMs`.
   */
  #grant(ticket: QueuedTicket, direct: boolean, startMs: number, now: number): Lease {
    const { block, turns } = this.#state;
    const grants = this.#state.grants + 1;
    this.#grantedAtMs = now;
    const endsAtMs = this.#leaseEndMs(startMs);
    const leaseId = `${ticket.jobId}.${grants}`;
    const countedAtMs = direct ? now + DIRECT_BEGIN_MS : null;
    const lease: LeaseEntry = { ...ticket, leaseId, startsAtMs: startMs, endsAtMs, countedAtMs };
    this.#storage.insertLease(lease);
    this.#set({
      grants,
      turns: afterServing(turns, ticket.priority, ticket.turn),
      inProgress: this.#state.inProgress + 1,
      leaseCheckAtMs: Math.min(this.#state.leaseCheckAtMs ?? endsAtMs, endsAtMs),
      block: block === null ? null : { ...block, nextProbeAtMs: startMs + PROBE_EVERY_MS, probeLeaseId: leaseId },
    });
    this.#state =
      countedAtMs === null
        ? withOffer(this.#state, lease, nextOffer(lease, 0, startMs))
        : withStart(this.#state, countedAtMs, this.#settings.quota, now);
    return this.#leaseToSend(lease, startMs, countedAtMs);
  }

  /**
   * The answer to a job that asks again for a lease that it has. Either the job has not begun, because the answer or the offer
   * was lost or came too late, or the message is an old one and the job runs. So the lease stays, as one whose offer is
   * unanswered.
   */
  #leaseAgain(lease: LeaseEntry, now: number): EnqueueAnswer {
    const offer = offerOf(this.#state, lease.leaseId);
    const lastBeginMs = offer?.beginByMs ?? lease.countedAtMs;
    const notBeforeMs = offer?.notBeforeMs ?? lease.startsAtMs;
    // The job has answered the offer, or may still begin by the earlier answer or offer. A lease in an answer to `enqueue` means
    // now, so it is not sent early.
    if (lastBeginMs === null || lastBeginMs > now) {
      const beginByMs = offer === undefined ? lastBeginMs : offer.beginByMs - 1;
      // The job may have refused the offer before it asked, and its refusal may arrive after this answer. `answered` ignores a
      // refusal of an offer with another last moment, so the lease stays.
      if (offer !== undefined)
        this.#state = withOffer(this.#state, lease, { ...offer, beginByMs: offer.beginByMs - 1 });
      if (notBeforeMs > now) return { lease: null, place: this.#placeFor(lease, now) };
      return { lease: this.#leaseToSend(lease, notBeforeMs, beginByMs), place: null };
    }
    const startMs = mayStartAtMs(this.#state, lease, this.#settings.quota, now);
    // While the lane or its client is held, the lease is not offered. It is offered afterwards.
    const isHeld = this.#isHeld || this.#isClientHeld(lease.client);
    const isNow = startMs <= now && !isHeld;
    const offered = this.#changed(lease, { countedAtMs: null, endsAtMs: isNow ? this.#leaseEndMs(now) : 0 });
    const beginByMs = isNow ? now + DIRECT_BEGIN_MS : lastBeginMs;
    const nextOfferAtMs = isNow ? beginByMs : this.#offerAtMs(startMs);
    const times = { tries: offer?.tries ?? 0, notBeforeMs: startMs, beginByMs, nextOfferAtMs };
    this.#state = withOffer(withoutStartOf(this.#state, lease, this.#settings.quota), offered, times);
    return isNow
      ? { lease: this.#leaseToSend(offered, now, beginByMs), place: null }
      : { lease: null, place: this.#placeFor(offered, now) };
  }

  /** Stores the lease with another count, or a later end: a job that begins late must not run without a lease. */
  #changed(lease: LeaseEntry, to: Pick<LeaseEntry, "countedAtMs" | "endsAtMs">): LeaseEntry {
    const changed = { ...lease, countedAtMs: to.countedAtMs, endsAtMs: Math.max(lease.endsAtMs, to.endsAtMs) };
    const isSame = changed.countedAtMs === lease.countedAtMs && changed.endsAtMs === lease.endsAtMs;
    if (!isSame) this.#storage.updateLease(changed);
    return changed;
  }

  #leaseEndMs(startMs: number): number {
    return startMs + this.#settings.attemptBudgetMs + LEASE_SLACK_MS;
  }

  #leaseToSend(lease: LeaseEntry, notBeforeMs: number, beginByMs: number | null): Lease {
    const { leaseId, jobId, ticketNumber, endsAtMs } = lease;
    return {
      leaseId,
      lane: this.#settings.lane,
      jobId,
      ticketNumber,
      round: ticketNumber,
      notBeforeMs,
      beginByMs: beginByMs ?? notBeforeMs + OFFER_ANSWER_MS,
      endsAtMs,
    };
  }

  /** Ends a lease in one of the ways of `LEASE_ENDS`. A ticket that goes back into the queue is the one in `lease`. */
  #endLease(lease: LeaseEntry, how: LeaseEnd, now: number): void {
    const { start, ticket } = LEASE_ENDS[how];
    const { jobId, leaseId, client, priority } = lease;
    this.#storage.deleteLease(jobId);
    this.#set({ inProgress: Math.max(0, this.#state.inProgress - 1) });
    if (start === "made") {
      const offer = offerOf(this.#state, leaseId);
      if (offer !== undefined) this.#countOffer(leaseId, Math.min(offer.beginByMs, now), now);
      // An unanswered lease most likely led to no start.
      const isAttempt = how !== "unanswered" && lease.queuedAtMs !== null;
      if (isAttempt) this.#set({ tally: withWait(this.#state.tally, lease.startsAtMs - lease.queuedAtMs) });
    } else if (start === "not made") {
      this.#state = withUnusedProbe(withoutStartOf(this.#state, lease, this.#settings.quota), leaseId);
      this.#set({ turns: afterGivingBack(this.#state.turns, priority) });
    }
    const back = ticketOf(lease);
    const { turns } = this.#state;
    if (ticket === "old place") this.#join(back);
    if (ticket === "next round") this.#join({ ...back, unanswered: 0, ...this.#queue.inNextRound(priority, turns) });
    if (ticket === "end") {
      this.#join({ ...back, unanswered: back.unanswered + 1, ...this.#queue.afterOthersOf(client, priority, turns) });
    }
  }

  #expireLeases(now: number): void {
    const { leaseCheckAtMs } = this.#state;
    if (leaseCheckAtMs === null || leaseCheckAtMs > now) return;
    for (const lease of this.#storage.leasesEndedBy(now)) {
      const how = this.#howItExpires(lease);
      if (how === "expired") this.#count("abandoned", null);
      this.#endLease(lease, how, now);
    }
    this.#set({ leaseCheckAtMs: this.#storage.soonestLeaseEndMs() });
  }

  #howItExpires(lease: LeaseEntry): LeaseEnd {
    if (offerOf(this.#state, lease.leaseId) === undefined) return "expired";
    // While the settings are wrong, or the lane or the client is paused, nothing is offered again, so the job was hardly asked.
    if (this.#isHeld || this.#isClientHeld(lease.client)) return "putBack";
    return lease.unanswered + 1 < MOST_UNANSWERED ? "unanswered" : "expired";
  }

  /* ── Starts and offers ─────────────────────────────────────────────────────────────────────────────────── */

  /** When a lease that may begin at `startMs` is offered. */
  #offerAtMs(startMs: number): number {
    return startMs - offerAheadMs(this.#settings.quota);
  }

  #countOffer(leaseId: string, startedAtMs: number, now: number): void {
    this.#state = withOfferTaken(this.#state, leaseId, startedAtMs, this.#settings.quota, now);
  }

  /**
   * Offers a lease again to a job that has not answered. The job may have begun, may be removed or may not have woken, so it
   * keeps its lease, and counts as in progress, until it answers or the lease ends.
   */
  #offerAgain(now: number): Lease[] {
    const offers: Lease[] = [];
    if (this.#isHeld) return offers;
    for (const offer of this.#state.offers) {
      if (offer.nextOfferAtMs > now) continue;
      const lease = this.#storage.lease(offer.jobId);
      if (lease?.leaseId !== offer.leaseId) {
        this.#countOffer(offer.leaseId, offer.beginByMs, now);
        continue;
      }
      if (this.#isClientHeld(lease.client)) continue;
      const startMs = mayStartAtMs(this.#state, lease, this.#settings.quota, now);
      const nextOfferAtMs = this.#offerAtMs(startMs);
      if (nextOfferAtMs > now) {
        // Its start stays counted at the last moment it may have been made.
        this.#state = withOffer(this.#state, lease, { ...offer, nextOfferAtMs });
        continue;
      }
      const again = this.#changed(lease, { ...lease, endsAtMs: this.#leaseEndMs(startMs) });
      this.#state = withOffer(this.#state, again, nextOffer(again, offer.tries, startMs));
      offers.push(this.#leaseToSend(again, startMs, null));
    }
    return offers;
  }

  /** Whether the offer is to a job of a paused client: it is not made again before the client is resumed. */
  #isOfferHeld({ jobId, leaseId }: Offer): boolean {
    if (Object.keys(this.#state.control.clients).length === 0) return false;
    const lease = this.#storage.lease(jobId);
    return lease?.leaseId === leaseId && this.#isClientHeld(lease.client);
  }

  /** Offers leases to the next in the queue, as many as may start within `offerAheadMs`. */
  #offerNext(offers: Lease[], now: number): void {
    while (mayOffer(this.#state, now)) {
      const startMs = this.#nextGrantAtMs(now);
      if (startMs === null || this.#offerAtMs(startMs) > now) return;
      const ticket = this.#queue.next(this.#state.turns);
      if (ticket === null) return;
      this.#quit(ticket);
      offers.push(this.#grant(ticket, false, startMs, now));
    }
  }

  /* ── Places and notices ────────────────────────────────────────────────────────────────────────────────── */

  #view(now: number): LaneView {
    const { quota, attemptBudgetMs, misconfigured } = this.#settings;
    if (misconfigured !== null) return misconfiguredView(misconfigured);
    const { pause } = this.#state.control;
    if (pause !== null) return pausedView(pause, now);
    const state = this.#state;
    const runningSinceMs = needsLeases(state, quota) ? this.#storage.runningSinceMs() : [];
    const foreseen = forecast({ state, quota: this.#learnedQuota(now), runningSinceMs, now, attemptBudgetMs });
    return viewOf(state, quota, foreseen, now);
  }

  #placeIn(ticket: QueuedTicket, view: LaneView, now: number): Place {
    const held = this.#isHeld ? null : pauseOf(this.#state.control, ticket.client);
    const shown = held === null ? view : clientPausedView(held, now);
    return placeOf(shown, this.#queue.before(ticket, this.#state.turns));
  }

  /** The place of a ticket, for its job: a watched job is notified of later changes only. */
  #placeFor(ticket: QueuedTicket, now: number): Place {
    const view = this.#view(now);
    const place = this.#placeIn(ticket, view, now);
    if (ticket.watched) this.#notifier.knows(ticket.jobId, place, view, now);
    return place;
  }

  /** The notices that are due, one page of them; empty and free of cost while nothing has changed or nobody watches. */
  #collectNotices(now: number, room: number): readonly Notice[] {
    const notifier = this.#notifier;
    const isChanged = this.#state !== this.#settled || this.#isQueueChanged;
    if (isChanged && notifier.isUnderWay) this.#changedWhileNotifying = true;
    else if (isChanged && this.#storage.anyWatched()) {
      const dueAtMs = Math.max(now, this.#state.pushedAtMs + NOTIFY_EVERY_MS);
      if (dueAtMs < (this.#state.pushDueAtMs ?? Number.POSITIVE_INFINITY)) this.#set({ pushDueAtMs: dueAtMs });
    }
    if (!notifier.isUnderWay) {
      const laterMs = this.#laterPassMs(this.#state.pushedAtMs + NOTIFY_EVERY_MS);
      if (laterMs !== null && laterMs < (this.#state.pushDueAtMs ?? Number.POSITIVE_INFINITY)) {
        this.#set({ pushDueAtMs: laterMs });
      }
      if (this.#state.pushDueAtMs === null || this.#state.pushDueAtMs > now) return [];
      this.#set({ pushedAtMs: now });
      this.#changedWhileNotifying = false;
    }
    if (room <= 0) return [];
    const view = this.#view(now);
    const notices = notifier.next(
      room,
      view,
      now,
      (after, limit) => this.#storage.watchedAfter(after, limit),
      (ticket) => this.#placeIn(ticket, view, now),
      this.#startsByMs(now),
    );
    // Due until the pass has ended, so that after a crash it is made again.
    if (!notifier.isUnderWay) {
      const isMore = notifier.sawAny || notifier.laterMs !== null;
      this.#set({ pushDueAtMs: isMore ? this.#nextNotifyAtMs(view, now) : null });
    }
    return notices;
  }

  /** Jobs that are expected to start by then are offered their lease before the next pass, where the clock alone decides that. */
  #startsByMs(now: number): number {
    const isByClock = !this.#isHeld && !needsLeases(this.#state, this.#learnedQuota(now));
    return isByClock ? now + NOTIFY_EVERY_MS + offerAheadMs(this.#settings.quota) : now;
  }

  /** When a pass is due for the jobs that the last one left out or did not reach. One pass notifies all that are due by then. */
  #laterPassMs(nextPassMs: number): number | null {
    const { laterMs } = this.#notifier;
    return laterMs === null ? null : Math.max(nextPassMs, laterMs);
  }

  /**
   * When the next pass is due; `null` when every watcher knows its place and only the next start, or the end of a lease, changes
   * one.
   */
  #nextNotifyAtMs(view: LaneView, now: number): number | null {
    const nextPassMs = Math.max(now, this.#state.pushedAtMs + NOTIFY_EVERY_MS);
    if (this.#changedWhileNotifying) return nextPassMs;
    const laterMs = this.#laterPassMs(nextPassMs);
    if (this.#isHeld || this.#nextGrantAtMs(now) !== null) return laterMs;
    const expectedMs = view.forecast(0);
    if (expectedMs === null) return laterMs;
    return Math.min(Math.max(expectedMs, now) + LOOK_AGAIN_MS, laterMs ?? Number.POSITIVE_INFINITY);
  }

  /* ── The alarm and the state ───────────────────────────────────────────────────────────────────────────── */

  #alarm(now: number): Pick<Settled, "alarmAtMs" | "alarmByMs"> {
    const { leaseCheckAtMs, inProgress, pushDueAtMs } = this.#state;
    // A lane that dies before it stores an answer has to offer that lease again.
    const { offers } = this.#saved;
    const dueAtMs: number[] = [];
    if (leaseCheckAtMs !== null && inProgress > 0) dueAtMs.push(leaseCheckAtMs);
    const next = this.#nextOffer(now);
    const isWithOffer = (atMs: number) => next !== null && atMs <= next.atMs && next.byMs <= atMs + PASS_WITH_OFFER_MS;
    if (this.#notifier.isUnderWay) dueAtMs.push(now + NOTIFY_SAFETY_MS);
    else if (pushDueAtMs !== null && !isWithOffer(pushDueAtMs)) dueAtMs.push(pushDueAtMs);
    const controlEndMs = controlEndsAtMs(this.#state.control);
    if (controlEndMs !== null) dueAtMs.push(controlEndMs);
    if (this.#settings.misconfigured !== null) {
      if (offers.length > 0 || !this.#queue.isEmpty) dueAtMs.push(now + MISCONFIGURED_LOOK_MS);
    } else if (!this.#isHeld) {
      for (const offer of offers) if (!this.#isOfferHeld(offer)) dueAtMs.push(offer.nextOfferAtMs);
    }
    const atMs = Math.min(next?.atMs ?? Number.POSITIVE_INFINITY, ...dueAtMs);
    const byMs = Math.min(next?.byMs ?? Number.POSITIVE_INFINITY, ...dueAtMs);
    return Number.isFinite(atMs) ? { alarmAtMs: atMs, alarmByMs: byMs } : { alarmAtMs: null, alarmByMs: null };
  }

  /**
   * When the lane looks again to offer the next ticket a lease, and when at the latest. While offers are open that is when they are
   * taken on time, and a little later, as most are: so the alarm need not be moved with each answer. Once that moment is past, it is
   * when they count at their worst.
   */
  #nextOffer(now: number): { readonly atMs: number; readonly byMs: number } | null {
    if (this.#isHeld || this.#queue.isEmpty || !mayOffer(this.#state, now)) return null;
    const startMs = this.#nextGrantAtMs(now);
    if (startMs === null) return null;
    const slackMs = offerAheadMs(this.#settings.quota) * OFFER_SLACK;
    const expectedMs = expectedGrantAtMs(this.#state, this.#learnedQuota(now), now) ?? startMs;
    const expectedByMs = this.#offerAtMs(expectedMs) + slackMs;
    if (expectedMs < startMs && expectedByMs > now) return { atMs: expectedByMs, byMs: expectedByMs };
    return { atMs: this.#offerAtMs(startMs), byMs: this.#offerAtMs(startMs) + slackMs };
  }

  #count(outcome: TalliedOutcome, durationMs: number | null): void {
    this.#set({ tally: tallied(this.#state.tally, outcome, durationMs) });
  }

  #set(patch: Partial<LaneState>): void {
    this.#state = { ...this.#state, ...patch };
  }
}

/** Jobs of the previous version call the number `round`. */
function numberOf({ ticketNumber, round }: Ticket): number {
  return ticketNumber ?? round;
}

/** The ticket that a lease was given for. */
function ticketOf(lease: LeaseEntry): QueuedTicket {
  const { jobId, client, priority, ticketNumber, watched, unanswered, queuedAtMs, turn, order } = lease;
  return { jobId, client, priority, ticketNumber, watched, unanswered, queuedAtMs, turn, order };
}

/** Whether a release ends this lease: it names the lease, the lease's ticket or a later ticket. */
function isOver(lease: LeaseEntry, { leaseId, ticketNumber, requeue }: Release): boolean {
  if (lease.leaseId === leaseId) return true;
  const isOfTicket = ticketNumber !== undefined && lease.ticketNumber <= ticketNumber;
  return isOfTicket || (requeue !== null && lease.ticketNumber < numberOf(requeue));
}
