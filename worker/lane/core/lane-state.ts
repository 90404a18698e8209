import type { Priority } from "../../../schemas/job.ts";
import type { Quota } from "../../../schemas/limits.ts";
import { type Control, NO_CONTROL } from "./control.ts";
import { FULL_PACE, type Pace, spreadFromMs } from "./pace.ts";
import { FIRST_TURNS, type QueuedTicket, type QueueStorage, type Turns } from "./queue.ts";
import { addStart, forgetOld, latestStartMs, paddedPeriodMs, type QuotaWindow, slotAtMs } from "./quota-window.ts";
import { NO_TALLY, type Tally } from "./tally.ts";

/** A lease that is out, with the place that its ticket had in the queue. */
export interface LeaseEntry extends QueuedTicket {
  readonly leaseId: string;
  /** When the job may begin, by the first offer. */
  readonly startsAtMs: number;
  readonly endsAtMs: number;
  /** For a lease that was the answer to `enqueue`: the last moment to begin, at which its start is counted; else `null`. */
  readonly countedAtMs: number | null;
}

/** A lease that the job was offered and has not answered. Its start is counted at the last moment it may be made. */
export interface Offer {
  readonly leaseId: string;
  readonly jobId: string;
  readonly priority: Priority;
  /** When the job begins if all goes well, and at the latest. */
  readonly notBeforeMs: number;
  readonly beginByMs: number;
  /** When it is offered again if no answer has come. */
  readonly nextOfferAtMs: number;
  readonly tries: number;
}

/** Why nothing but a probe starts: the fault is the account's or the deployment's. */
export interface Block {
  readonly code: string;
  readonly hint: string;
  readonly sinceMs: number;
  readonly nextProbeAtMs: number;
  /** The lease of the latest probe, while it may come back unused; `null` before the first. */
  readonly probeLeaseId: string | null;
}

/** All that a lane must not forget besides its tickets and leases. Stored whole, in one small row. */
export interface LaneState {
  readonly version: 1;
  readonly starts: QuotaWindow;
  /** The period for which `starts` is complete: older starts were forgotten. */
  readonly periodMs: number;
  /** The latest start that `starts` forgot. A start that is counted late may be older. 0 in what earlier releases stored. */
  readonly forgottenMs: number;
  readonly offers: readonly Offer[];
  readonly pace: Pace;
  /** Upstream's own failures in a row. Until the lane tries one job at a time, a job counts once. */
  readonly upstreamFailures: number;
  /** The jobs that these failures came from, until the lane tries one at a time. Empty in what earlier releases stored. */
  readonly failedJobs: readonly string[];
  /** While one job is tried at a time: no start before this. */
  readonly trialAtMs: number;
  readonly block: Block | null;
  /** Absent in what earlier releases stored. */
  readonly control: Control;
  readonly turns: Turns;
  /** Leases out. */
  readonly inProgress: number;
  /** No lease ends before this; `null` when none is out. */
  readonly leaseCheckAtMs: number | null;
  /** Leases ever given; makes each lease id unique. */
  readonly grants: number;
  /** Absent in what earlier releases stored. */
  readonly tally: Tally;
  /** How long the latest attempts held their lease, oldest first. */
  readonly durationsMs: readonly number[];
  /** When watched jobs were last notified, and when they are next; `null` when nothing has changed since. */
  readonly pushedAtMs: number;
  readonly pushDueAtMs: number | null;
}

/** A lane that was never asked for anything. */
export function newLaneState(quota: Quota): LaneState {
  return {
    version: 1,
    starts: [],
    periodMs: quota.periodMs,
    forgottenMs: 0,
    offers: [],
    pace: FULL_PACE,
    upstreamFailures: 0,
    failedJobs: [],
    trialAtMs: 0,
    block: null,
    control: NO_CONTROL,
    turns: FIRST_TURNS,
    inProgress: 0,
    leaseCheckAtMs: null,
    grants: 0,
    tally: NO_TALLY,
    durationsMs: [],
    pushedAtMs: 0,
    pushDueAtMs: null,
  };
}

/**
 * Where a lane keeps what it must not forget. All calls are synchronous; the writes of one decision become durable together,
 * before anything outside sees an effect of it. Every call but `standings`, `watchedAfter` and those about all leases costs the
 * same however many tickets wait.
 */
export interface LaneStorage extends QueueStorage {
  loadState(): LaneState | null;
  saveState(state: LaneState): void;

  ticket(jobId: string): QueuedTicket | null;
  /** Changes `ticketNumber` and `watched` only. */
  updateTicket(ticket: QueuedTicket): void;
  /** Since when the longest-waiting ticket waits; `null` when none waits, or the time is not known. Reads every row. */
  oldestQueuedAtMs(): number | null;
  anyWatched(): boolean;
  /** At most `limit` watched tickets after `after`, in the order of priority, turn and order. */
  watchedAfter(after: QueuedTicket | null, limit: number): readonly QueuedTicket[];

  lease(jobId: string): LeaseEntry | null;
  insertLease(lease: LeaseEntry): void;
  /** Changes `endsAtMs` and `countedAtMs` only. */
  updateLease(lease: LeaseEntry): void;
  deleteLease(jobId: string): void;
  /** When each job with a lease was to begin. */
  runningSinceMs(): readonly number[];
  soonestLeaseEndMs(): number | null;
  leasesEndedBy(now: number): readonly LeaseEntry[];
}

/** From the fifth of upstream's own failures in a row on, one job is tried at a time, until one works. */
export const FAILURES_TO_TRIP = 5;

export type LaneMode = "open" | "one_at_a_time" | "blocked";

export function modeOf(state: LaneState): LaneMode {
  if (state.block !== null) return "blocked";
  return state.upstreamFailures >= FAILURES_TO_TRIP ? "one_at_a_time" : "open";
}

/**
 * The state under a changed quota. When the period grew, starts that would count again may be forgotten already, so what is
 * left of one new period since the last start is waited out once. Any other change takes effect at once.
 */
export function underQuota(state: LaneState, quota: Quota, now: number): LaneState {
  if (quota.periodMs === state.periodMs) return state;
  const changed = { ...state, periodMs: quota.periodMs };
  if (quota.periodMs < state.periodMs || state.grants === 0) return changed;
  const lastMs = Math.max(latestStartMs(state.starts) ?? now - state.periodMs, state.forgottenMs);
  const heldUntilMs = Math.max(state.pace.heldUntilMs, lastMs + paddedPeriodMs(quota));
  return { ...changed, pace: { ...state.pace, heldUntilMs } };
}

/** The state with one more start, and without the starts that no longer count. */
export function withStart(state: LaneState, atMs: number, quota: Quota, now: number): LaneState {
  const kept = forgetOld(state.starts, quota, now);
  const forgotten = state.starts[state.starts.length - kept.length - 1];
  const forgottenMs = Math.max(state.forgottenMs, forgotten?.atMs ?? 0);
  return { ...state, forgottenMs, starts: addStart(kept, atMs, quota) };
}

/** The window at its worst: every offer begun at its last moment. Decides what may start. */
export function worstWindow(state: LaneState, quota: Quota): QuotaWindow {
  return state.offers.reduce((window, offer) => addStart(window, offer.beginByMs, quota), state.starts);
}

/** The window as expected: every offer begun on time. Estimates come from it. */
export function expectedWindow(state: LaneState, quota: Quota): QuotaWindow {
  return state.offers.reduce((window, offer) => addStart(window, offer.notBeforeMs, quota), state.starts);
}

/**
 * A lease is offered this long before its start is allowed, in ms, or a quarter of a short period: the call to the job, and to
 * the next one when the job no longer waits, then costs no quota.
 */
const OFFER_AHEAD_MS = 250;

export function offerAheadMs(quota: Quota): number {
  return Math.min(OFFER_AHEAD_MS, Math.floor(quota.periodMs / 4));
}

/** How many leases may be out at once now; `null` for no limit. */
export function mayBeOut(state: LaneState, quota: Quota): number | null {
  return modeOf(state) === "one_at_a_time" ? 1 : quota.inProgress;
}

/** When time alone allows the next start: window, pace, hold, trial and probe. Never before `now`. */
export function allowedAtMs(state: LaneState, window: QuotaWindow, quota: Quota, now: number): number {
  const trialMs = modeOf(state) === "one_at_a_time" ? state.trialAtMs : 0;
  const probeMs = state.block?.nextProbeAtMs ?? 0;
  const slotMs = slotAtMs(window, quota, 0, Math.max(now, state.pace.heldUntilMs, trialMs, probeMs));
  const latestMs = latestStartMs(window);
  return latestMs === null ? slotMs : spreadFromMs(state.pace, quota, latestMs, slotMs);
}

/** When the next start may be made, however the open offers end; `null`: not before a lease ends. */
export function nextGrantAtMs(state: LaneState, quota: Quota, now: number): number | null {
  return grantAtMs(state, worstWindow(state, quota), quota, now);
}

/** The same if every open offer is begun on time. Never later than `nextGrantAtMs`: an alarm may come by it, a start may not. */
export function expectedGrantAtMs(state: LaneState, quota: Quota, now: number): number | null {
  return grantAtMs(state, expectedWindow(state, quota), quota, now);
}

function grantAtMs(state: LaneState, window: QuotaWindow, quota: Quota, now: number): number | null {
  const limit = mayBeOut(state, quota);
  if (limit !== null && state.inProgress >= limit) return null;
  return allowedAtMs(state, window, quota, now);
}
