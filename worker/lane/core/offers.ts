import type { Quota } from "../../../schemas/limits.ts";
import { type LaneState, type LeaseEntry, modeOf, type Offer, withStart, worstWindow } from "./lane-state.ts";
import { PROBE_EVERY_MS } from "./outcome.ts";
import { learnedQuota } from "./pace.ts";
import { removeStart, slotAtMs } from "./quota-window.ts";

/* How a lease is offered, when its start counts meanwhile, and how the lease ends. */

/** How long after its start is allowed an offered job may begin. An object wakes, or a failed call is repeated, in less time. */
export const OFFER_ANSWER_MS = 5_000;
/** How often a lease is offered: at once, and 5, 15 and 35 s after the start was due. */
const MOST_OFFERS = 4;
/**
 * How many offers may be unanswered at once: enough for ten thousand starts a second where an answer takes 10 ms, and a small
 * state.
 */
const MOST_OPEN_OFFERS = 100;

/**
 * The ways in which a lease ends.
 *
 * `start` is the start that the lease counts: `made` (counted when it was made or, if the offer is unanswered, when it was made
 * at the latest), `not made` (counted no more; the turn is given back, and a probe is due again) or `unknown` (counted at the
 * latest moment until the job answers).
 *
 * `ticket`: `gone`, or back in the queue: at its `old place`, in the `next round` (behind one job of each other client), or at
 * the `end` (behind the others of its client).
 */
export const LEASE_ENDS = {
  /** The job reports that the attempt is over. */
  released: { start: "made", ticket: "gone" },
  /** The same, and the job waits again because upstream throttled or refused the account. */
  putBack: { start: "made", ticket: "old place" },
  /** The job answers the offer in time that it does not want it. */
  declined: { start: "not made", ticket: "gone" },
  /** The job answers after the last moment to begin. It may still wait. */
  tooLate: { start: "not made", ticket: "next round" },
  /** The job asks with a newer ticket, so the attempt of the older one is over. The newer ticket is queued next. */
  replaced: { start: "made", ticket: "gone" },
  /** The job leaves, and has not begun: the lease was the answer to `enqueue`. */
  givenBack: { start: "not made", ticket: "gone" },
  /** The job leaves before it has answered the offer: it may have begun. */
  left: { start: "unknown", ticket: "gone" },
  /** The lease runs out, and the job had begun, or should have by the answer to `enqueue`. */
  expired: { start: "made", ticket: "gone" },
  /** The lease runs out with no answer to any offer of it. */
  unanswered: { start: "made", ticket: "end" },
} as const satisfies Record<
  string,
  { readonly start: "made" | "not made" | "unknown"; readonly ticket: "gone" | "old place" | "next round" | "end" }
>;

export type LeaseEnd = keyof typeof LEASE_ENDS;

export function offerOf(state: LaneState, leaseId: string): Offer | undefined {
  return state.offers.find((offer) => offer.leaseId === leaseId);
}

function withoutOffer(state: LaneState, leaseId: string): readonly Offer[] {
  return state.offers.filter((offer) => offer.leaseId !== leaseId);
}

/** Whether one more lease may be offered. */
export function mayOffer(state: LaneState, now: number): boolean {
  return state.offers.filter((offer) => offer.beginByMs > now).length < MOST_OPEN_OFFERS;
}

/** The part of an offer that does not come from its lease. */
export type OfferTimes = Omit<Offer, "leaseId" | "jobId" | "priority">;

/** One more offer of a lease, to begin from `startMs`; after the last one the lease is left to run out. */
export function nextOffer(lease: LeaseEntry, triesBefore: number, startMs: number): OfferTimes {
  const tries = triesBefore + 1;
  const nextOfferAtMs = tries < MOST_OFFERS ? startMs + OFFER_ANSWER_MS * 2 ** triesBefore : lease.endsAtMs;
  return { tries, notBeforeMs: startMs, beginByMs: startMs + OFFER_ANSWER_MS, nextOfferAtMs };
}

/** The state with an offer of the lease, instead of an earlier one. Its start counts at the last moment to begin. */
export function withOffer(state: LaneState, { leaseId, jobId, priority }: LeaseEntry, times: OfferTimes): LaneState {
  return { ...state, offers: [...withoutOffer(state, leaseId), { leaseId, jobId, priority, ...times }] };
}

/** The state after the start of an offer was made at `startedAtMs`. */
export function withOfferTaken(
  state: LaneState,
  leaseId: string,
  startedAtMs: number,
  quota: Quota,
  now: number,
): LaneState {
  return withStart({ ...state, offers: withoutOffer(state, leaseId) }, startedAtMs, quota, now);
}

/** The state without the start of a lease that was not begun, wherever it is counted. */
export function withoutStartOf(state: LaneState, { leaseId, countedAtMs }: LeaseEntry, quota: Quota): LaneState {
  const starts = countedAtMs === null ? state.starts : removeStart(state.starts, countedAtMs, quota);
  return { ...state, starts, offers: withoutOffer(state, leaseId) };
}

/** The state after a lease was not used. If it was a probe, the block learned nothing, and the probe is due again as before. */
export function withUnusedProbe(state: LaneState, leaseId: string): LaneState {
  const { block } = state;
  const offers = withoutOffer(state, leaseId);
  if (block?.probeLeaseId !== leaseId) return { ...state, offers };
  const nextProbeAtMs = block.nextProbeAtMs - PROBE_EVERY_MS;
  return { ...state, offers, block: { ...block, nextProbeAtMs, probeLeaseId: null } };
}

/**
 * When a lease that was not begun may start, never before `now`. Others may have been given a start since its own was due, and
 * upstream may have throttled, failed or blocked.
 */
export function mayStartAtMs(state: LaneState, lease: LeaseEntry, quota: Quota, now: number): number {
  const { block, pace } = state;
  const learned = learnedQuota(pace, quota, now);
  const isProbe = block === null || block.probeLeaseId === lease.leaseId;
  const probeMs = isProbe ? 0 : Math.max(block.nextProbeAtMs, now + OFFER_ANSWER_MS);
  const trialMs = modeOf(state) === "one_at_a_time" ? state.trialAtMs : 0;
  const window = worstWindow(withoutStartOf(state, lease, quota), learned);
  return slotAtMs(window, learned, 0, Math.max(now, pace.heldUntilMs, trialMs, probeMs));
}
