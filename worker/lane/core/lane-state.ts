import type { Priority } from "../../../schemas/job.ts";
import type { Quota } from "../../../schemas/limits.ts";
import { FULL_PACE, type Pace, spreadFromMs } from "./pace.ts";
import { addStart, forgetOld, latestStartMs, paddedPeriodMs, type QuotaWindow, slotAtMs } from "./quota-window.ts";
import { FIRST_TURNS, type Turns } from "./turns.ts";

/** A lease that a job was told of and has not answered. Its start is counted at the last moment it may be made. */
export interface Offer {
  readonly leaseId: string;
  readonly jobId: string;
  readonly priority: Priority;
  /** When it starts if all goes well; when it does at the latest. */
  readonly notBeforeMs: number;
  readonly beginByMs: number;
  /** When it is offered again if no answer came. */
  readonly nextOfferAtMs: number;
  readonly tries: number;
}

/** Why nothing starts but a probe: the account's or the deployment's fault. */
export interface Block {
  readonly code: string;
  readonly hint: string;
  readonly sinceMs: number;
  readonly nextProbeAtMs: number;
  /** The lease of the latest probe, while it may come back unused; `null` before the first. */
  readonly probeLeaseId: string | null;
}

/** All that a lane believes and must not forget, beside its line and its leases. Written whole, in one small row. */
export interface LaneState {
  readonly version: 1;
  readonly starts: QuotaWindow;
  /** The period for which `starts` is complete: older ones were forgotten. */
  readonly periodMs: number;
  readonly offers: readonly Offer[];
  readonly pace: Pace;
  /** Upstream's own failures in a row. */
  readonly upstreamFailures: number;
  /** While one is tried at a time: no earlier than this. */
  readonly trialAtMs: number;
  readonly block: Block | null;
  readonly turns: Turns;
  /** Leases out. */
  readonly inProgress: number;
  /** No lease ends before; `null` when none is out. */
  readonly leaseCheckAtMs: number | null;
  /** Leases ever given: makes each id its own. */
  readonly grants: number;
  /** How long the latest attempts held their lease, oldest first. */
  readonly durationsMs: readonly number[];
  readonly pushedAtMs: number;
  /** When the watched are told of new places; `null` when nothing changed since. */
  readonly pushDueAtMs: number | null;
}

/** A lane that was never asked for anything. */
export function newLaneState(quota: Quota): LaneState {
  return {
    version: 1,
    starts: [],
    periodMs: quota.periodMs,
    offers: [],
    pace: FULL_PACE,
    upstreamFailures: 0,
    trialAtMs: 0,
    block: null,
    turns: FIRST_TURNS,
    inProgress: 0,
    leaseCheckAtMs: null,
    grants: 0,
    durationsMs: [],
    pushedAtMs: 0,
    pushDueAtMs: null,
  };
}

/** Five of upstream's own failures in a row: from then on one at a time, until one works. */
export const FAILURES_TO_TRIP = 5;

export type LaneMode = "open" | "one_at_a_time" | "blocked";

export function modeOf(state: LaneState): LaneMode {
  if (state.block !== null) return "blocked";
  return state.upstreamFailures >= FAILURES_TO_TRIP ? "one_at_a_time" : "open";
}

/**
 * Under a quota whose period grew, starts that would count again may be forgotten already: what is left of a full new
 * period since the last one is waited out once. Everything else about a changed quota needs nothing done.
 */
export function underQuota(state: LaneState, quota: Quota, now: number): LaneState {
  if (quota.periodMs === state.periodMs) return state;
  const changed = { ...state, periodMs: quota.periodMs };
  if (quota.periodMs < state.periodMs || state.grants === 0) return changed;
  const lastMs = latestStartMs(state.starts) ?? now - state.periodMs;
  const heldUntilMs = Math.max(state.pace.heldUntilMs, lastMs + paddedPeriodMs(quota));
  return { ...changed, pace: { ...state.pace, heldUntilMs } };
}

/** `addStart`, and what no longer counts is forgotten. */
export function withStart(state: LaneState, atMs: number, quota: Quota, now: number): LaneState {
  return { ...state, starts: addStart(forgetOld(state.starts, quota, now), atMs, quota) };
}

/** The window as it is at worst: every offer made at its last moment. What may start is decided by this. */
export function worstWindow(state: LaneState, quota: Quota): QuotaWindow {
  return state.offers.reduce((window, offer) => addStart(window, offer.beginByMs, quota), state.starts);
}

/** The window as it is expected: every offer begun as told. Estimates come from this. */
export function expectedWindow(state: LaneState, quota: Quota): QuotaWindow {
  return state.offers.reduce((window, offer) => addStart(window, offer.notBeforeMs, quota), state.starts);
}

/**
 * A lease is offered so much before its start is allowed, or a quarter of a short period: the way to the job, and to the
 * next one when it no longer waits, costs no quota.
 */
const OFFER_AHEAD_MS = 250;

export function offerAheadMs(quota: Quota): number {
  return Math.min(OFFER_AHEAD_MS, Math.floor(quota.periodMs / 4));
}

/** How many leases may be out at once just now; `null` for no bound. */
export function mayBeOut(state: LaneState, quota: Quota): number | null {
  return modeOf(state) === "one_at_a_time" ? 1 : quota.inProgress;
}

/** When time alone allows the next start: window, pace, hold, trial and probe. Never before `now`. */
export function allowedAtMs(state: LaneState, window: QuotaWindow, quota: Quota, now: number): number {
  const mode = modeOf(state);
  const trialMs = mode === "one_at_a_time" ? state.trialAtMs : 0;
  const probeMs = state.block?.nextProbeAtMs ?? 0;
  const slotMs = slotAtMs(window, quota, 0, Math.max(now, state.pace.heldUntilMs, trialMs, probeMs));
  const latestMs = latestStartMs(window);
  return latestMs === null ? slotMs : spreadFromMs(state.pace, quota, latestMs, slotMs);
}

/** When the next start may be made; `null`: not before a lease ends. Never more than the quota, whatever comes. */
export function nextGrantAtMs(state: LaneState, quota: Quota, now: number): number | null {
  const bound = mayBeOut(state, quota);
  if (bound !== null && state.inProgress >= bound) return null;
  return allowedAtMs(state, worstWindow(state, quota), quota, now);
}
