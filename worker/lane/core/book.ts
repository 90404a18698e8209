import type { Quota } from "../../../schemas/limits.ts";
import type { Lease, Place } from "../contract.ts";
import { forecast, needsLeases } from "./forecast.ts";
import {
  type LaneState,
  newLaneState,
  nextGrantAtMs,
  type Offer,
  underQuota,
  withStart,
  worstWindow,
} from "./lane-state.ts";
import type { LaneStorage, LeaseEntry, WaitingEntry } from "./lane-storage.ts";
import { Line } from "./line.ts";
import { PROBE_EVERY_MS } from "./outcome.ts";
import { believedQuota } from "./pace.ts";
import { type LaneView, pausedView, placeOf, viewOf } from "./place.ts";
import { removeStart, slotAtMs } from "./quota-window.ts";
import { afterArriving, afterGivingBack, afterServing } from "./turns.ts";

export interface LaneSettings {
  /** The lane's name. */
  readonly lane: string;
  readonly quota: Quota;
  readonly attemptBudgetMs: number;
  /** Set when the deployment's settings are wrong: nothing starts, nothing is lost. */
  readonly paused: { readonly code: string; readonly hint: string } | null;
}

/**
 * How long after the lane's answer to `enqueue` a job may still begin, and is counted: the way back and one write. It
 * delays only the first starts after a pause, never a backlog's.
 */
export const DIRECT_BEGIN_MS = 1_000;
/** How long after its start is allowed a job may begin: longer than an object takes to wake, or the platform to try again. */
const OFFER_ANSWER_MS = 5_000;
/** Beyond the attempt's budget: for the job to notice its end, and to come back after a crash. */
const LEASE_SLACK_MS = 30_000;
/** The watched hear of changes at most this often. */
const PUSH_EVERY_MS = 2_000;

/** A lane's state, line and leases, and the moves that keep them one. Every move is written by `save`, together. */
export class LaneBook {
  readonly storage: LaneStorage;
  readonly settings: LaneSettings;
  readonly line: Line;
  state: LaneState;
  #saved: LaneState | null;
  #isLineChanged = false;

  constructor(storage: LaneStorage, settings: LaneSettings, now: number) {
    this.storage = storage;
    this.settings = settings;
    this.line = new Line(storage);
    this.#saved = storage.loadState();
    this.state = underQuota(this.#saved ?? newLaneState(settings.quota), settings.quota, now);
    // An unused lane stores nothing when it is only looked at.
    this.#saved ??= this.state;
  }

  /** Ends a decision: what changed is written, and the watched are due to hear of it. */
  save(now: number): void {
    const isChanged = this.state !== this.#saved || this.#isLineChanged;
    if (isChanged && this.state.pushDueAtMs === null && this.storage.anyWatched()) {
      this.state = { ...this.state, pushDueAtMs: Math.max(now, this.state.pushedAtMs + PUSH_EVERY_MS) };
    }
    this.write();
  }

  /** Writes what changed, and nothing that a watcher need hear of. */
  write(): void {
    this.#isLineChanged = false;
    if (this.state === this.#saved) return;
    this.storage.saveState(this.state);
    this.#saved = this.state;
  }

  /** When the next start may be made: `null` is not before a lease ends, or not while the settings are wrong. */
  nextGrantAtMs(now: number): number | null {
    return this.settings.paused === null ? nextGrantAtMs(this.state, this.believed(now), now) : null;
  }

  /** What every start and estimate goes by: the quota, with the period that is believed. */
  believed(now: number): Quota {
    return believedQuota(this.state.pace, this.settings.quota, now);
  }

  /** A job that comes anew. */
  arrive(entry: WaitingEntry): void {
    const { turns } = this.state;
    const now = this.line.isEmptyOf(entry.priority) ? afterArriving(turns, entry.priority) : turns;
    if (now !== turns) this.state = { ...this.state, turns: now };
    this.join(entry);
  }

  /** A job that comes, or comes back to its old place. */
  join(entry: WaitingEntry): void {
    this.line.add(entry);
    this.#isLineChanged = true;
  }

  /** A job that missed its start waits for the next turn: behind one job of each other client, before its own client's others. */
  waitForNextTurn(entry: WaitingEntry): void {
    this.join({ ...entry, ...this.line.nextTurnOf(entry.priority, this.state.turns) });
  }

  quit(entry: WaitingEntry): void {
    this.line.remove(entry);
    this.#isLineChanged = true;
  }

  /**
   * Gives `entry`, out of line already, a lease to start at `startMs`. `direct`: it is the answer to `enqueue`, and the
   * start is now; else an offer to be made now.
   */
  grant(entry: WaitingEntry, direct: boolean, startMs: number, now: number): Lease {
    const { quota, attemptBudgetMs } = this.settings;
    const grants = this.state.grants + 1;
    const endsAtMs = startMs + attemptBudgetMs + LEASE_SLACK_MS;
    const lease: LeaseEntry = {
      ...entry,
      leaseId: `${entry.jobId}.${grants}`,
      startsAtMs: startMs,
      endsAtMs,
      countedAtMs: direct ? now + DIRECT_BEGIN_MS : null,
    };
    this.storage.insertLease(lease);
    const { block } = this.state;
    this.state = {
      ...this.state,
      grants,
      turns: afterServing(this.state.turns, entry.priority, entry.turn),
      inProgress: this.state.inProgress + 1,
      leaseCheckAtMs: Math.min(this.state.leaseCheckAtMs ?? endsAtMs, endsAtMs),
      block: block === null ? null : { ...block, nextProbeAtMs: startMs + PROBE_EVERY_MS, probeLeaseId: lease.leaseId },
    };
    if (lease.countedAtMs !== null) this.state = withStart(this.state, lease.countedAtMs, quota, now);
    else this.offer(lease, 0, startMs);
    return this.publicLease(lease, startMs);
  }

  /** Writes down that a job is told of its lease; its start is counted from here on. */
  offer(lease: LeaseEntry, tries: number, startMs: number): void {
    const offer = {
      leaseId: lease.leaseId,
      jobId: lease.jobId,
      priority: lease.priority,
      notBeforeMs: startMs,
      beginByMs: startMs + OFFER_ANSWER_MS,
      nextOfferAtMs: startMs + OFFER_ANSWER_MS * 2 ** tries,
      tries: tries + 1,
    };
    this.state = { ...this.state, offers: [...this.withoutOffer(lease.leaseId), offer] };
  }

  /** Offers it again at `atMs` and not before. Its start stays counted at the last moment it may have been made. */
  postponeOffer(offer: Offer, atMs: number): void {
    this.state = { ...this.state, offers: [...this.withoutOffer(offer.leaseId), { ...offer, nextOfferAtMs: atMs }] };
  }

  withoutOffer(leaseId: string): LaneState["offers"] {
    return this.state.offers.filter((offer) => offer.leaseId !== leaseId);
  }

  /** The offer is over: its start was made at `startedAtMs`, or never (`null`). */
  settleOffer(leaseId: string, startedAtMs: number | null, now: number): void {
    this.state = { ...this.state, offers: this.withoutOffer(leaseId) };
    if (startedAtMs === null) this.#probeWasNotMade(leaseId);
    else this.state = withStart(this.state, startedAtMs, this.settings.quota, now);
  }

  /** The state without the start of a lease that was not begun, wherever it is counted. */
  withoutStartOf(lease: LeaseEntry): LaneState {
    const { state, settings } = this;
    const countedAtMs = lease.countedAtMs;
    const starts = countedAtMs === null ? state.starts : removeStart(state.starts, countedAtMs, settings.quota);
    return { ...state, starts, offers: this.withoutOffer(lease.leaseId) };
  }

  /** When a lease that was not begun may start: others may have been given a start since its own was due. Never before `now`. */
  mayStartAtMs(lease: LeaseEntry, now: number): number {
    const quota = this.believed(now);
    const floorMs = Math.max(now, this.state.pace.heldUntilMs);
    return slotAtMs(worstWindow(this.withoutStartOf(lease), quota), quota, 0, floorMs);
  }

  /** The lease is over. An unanswered offer may have been begun, up to its last moment. */
  endLease(lease: LeaseEntry, now: number): void {
    const offer = this.state.offers.find((each) => each.leaseId === lease.leaseId);
    if (offer !== undefined) this.settleOffer(lease.leaseId, Math.min(offer.beginByMs, now), now);
    this.dropLease(lease.jobId);
  }

  /** The lease was never used: its start and its priority's turn are given back. */
  giveBack(lease: LeaseEntry): void {
    this.dropLease(lease.jobId);
    const turns = afterGivingBack(this.state.turns, lease.priority);
    this.state = { ...this.withoutStartOf(lease), turns };
    this.#probeWasNotMade(lease.leaseId);
  }

  /** A blocked lane learned nothing by this lease: the probe is due again, as it was before. */
  #probeWasNotMade(leaseId: string): void {
    const { block } = this.state;
    if (block?.probeLeaseId !== leaseId) return;
    const nextProbeAtMs = block.nextProbeAtMs - PROBE_EVERY_MS;
    this.state = { ...this.state, block: { ...block, nextProbeAtMs, probeLeaseId: null } };
  }

  dropLease(jobId: string): void {
    this.storage.deleteLease(jobId);
    this.state = { ...this.state, inProgress: Math.max(0, this.state.inProgress - 1) };
  }

  publicLease(lease: LeaseEntry, startMs: number): Lease {
    const { leaseId, jobId, round, endsAtMs, countedAtMs } = lease;
    const beginByMs = countedAtMs ?? startMs + OFFER_ANSWER_MS;
    return { leaseId, lane: this.settings.lane, jobId, round, notBeforeMs: startMs, beginByMs, endsAtMs };
  }

  /** The lane in words and estimates, as of `now`. */
  view(now: number): LaneView {
    const { quota, attemptBudgetMs, paused } = this.settings;
    if (paused !== null) return pausedView(paused.code, paused.hint);
    const { state } = this;
    const runningSinceMs = needsLeases(state, quota) ? this.storage.runningSinceMs() : [];
    const foreseen = forecast({ state, quota: this.believed(now), runningSinceMs, now, attemptBudgetMs });
    return viewOf(state, quota, foreseen, now);
  }

  place(entry: WaitingEntry, view: LaneView): Place {
    return placeOf(view, this.line.before(entry, this.state.turns));
  }
}
