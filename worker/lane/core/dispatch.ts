import type { Lease } from "../contract.ts";
import type { LaneBook } from "./book.ts";
import { offerAheadMs } from "./lane-state.ts";

/** While the settings are wrong the lane looks again this often: a deploy wakes no object. */
const PAUSED_LOOK_MS = 60_000;

/** So many offers may be on their way at once: ten thousand a second where an answer takes 10 ms, and a small state. */
const OFFERS_ON_THE_WAY = 100;

/** How far the clocks of two machines may differ: a refusal so close to the last moment to begin may mean that it has passed. */
const CLOCKS_DIFFER_MS = 1_000;

/** What a job said to an offer. */
export type OfferAnswer = { readonly accepted: true; readonly startedAtMs: number } | { readonly accepted: false };

/**
 * Does all that is due at `now`: forgets leases that ended, and gives out what the quota allows in a moment. Answers the leases that
 * jobs must now be told of; each is written down, with its start, before that.
 */
export function advance(book: LaneBook, now: number): readonly Lease[] {
  endOverdueLeases(book, now);
  const told = offerAgain(book, now);
  for (;;) {
    const startMs = book.nextGrantAtMs(now);
    if (startMs === null || startMs - offerAheadMs(book.settings.quota) > now) return told;
    if (offersOnTheWay(book, now) >= OFFERS_ON_THE_WAY) return told;
    const entry = book.line.next(book.state.turns);
    if (entry === null) return told;
    book.quit(entry);
    told.push(book.grant(entry, false, startMs, now));
  }
}

function offersOnTheWay(book: LaneBook, now: number): number {
  return book.state.offers.filter((offer) => offer.beginByMs > now).length;
}

function endOverdueLeases(book: LaneBook, now: number): void {
  if (book.state.leaseCheckAtMs === null || book.state.leaseCheckAtMs > now) return;
  for (const lease of book.storage.leasesEndedBy(now)) book.endLease(lease, now);
  book.state = { ...book.state, leaseCheckAtMs: book.storage.soonestLeaseEndMs() };
}

/**
 * Offers a lease again to a job that did not answer. The job may have begun, may be gone or may be asleep, so it keeps its
 * lease, and its place among those in progress, until it answers or the lease ends.
 */
function offerAgain(book: LaneBook, now: number): Lease[] {
  const told: Lease[] = [];
  if (book.settings.paused !== null) return told;
  for (const offer of book.state.offers) {
    if (offer.nextOfferAtMs > now) continue;
    const lease = book.storage.lease(offer.jobId);
    if (lease?.leaseId !== offer.leaseId) {
      book.settleOffer(offer.leaseId, offer.beginByMs, now);
      continue;
    }
    // Others may have been given a start since its own was due: then it is offered again once the window allows it.
    const startMs = book.mayStartAtMs(lease, now);
    const offerAtMs = startMs - offerAheadMs(book.settings.quota);
    if (offerAtMs > now) {
      book.postponeOffer(offer, offerAtMs);
      continue;
    }
    book.offer(lease, offer.tries, startMs);
    told.push(book.publicLease(lease, startMs));
  }
  return told;
}

/**
 * Takes a job's answer to the offer of `lease`. An answer that comes twice, or to an older offer of the same lease, changes
 * nothing. A refusal after the last moment to begin may mean only that the offer came too late, so the job keeps its ticket: it
 * waits for its client's next turn, and refuses in time if it no longer wants it.
 */
export function takeAnswer(book: LaneBook, lease: Lease, answer: OfferAnswer, now: number): void {
  const offer = book.state.offers.find((each) => each.leaseId === lease.leaseId);
  if (offer === undefined) return;
  const entry = book.storage.lease(lease.jobId);
  if (answer.accepted) {
    // The job's clock may differ a little; it began after it was first told to and before its answer was here.
    const notBeforeMs = entry?.leaseId === lease.leaseId ? entry.startsAtMs : lease.notBeforeMs;
    const startedAtMs = Math.min(now, Math.max(notBeforeMs, answer.startedAtMs));
    book.settleOffer(lease.leaseId, startedAtMs, now);
    return;
  }
  if (offer.beginByMs !== lease.beginByMs) return;
  book.settleOffer(lease.leaseId, null, now);
  if (entry?.leaseId !== lease.leaseId) return;
  book.giveBack(entry);
  if (now >= lease.beginByMs - CLOCKS_DIFFER_MS) book.waitForNextTurn(entry);
}

/** When the lane must look again by itself; `null` when nothing is left to do but to be asked. */
export function nextAlarmAtMs(book: LaneBook, now: number): number | null {
  const { state } = book;
  const dueAtMs: number[] = [];
  if (state.leaseCheckAtMs !== null && state.inProgress > 0) dueAtMs.push(state.leaseCheckAtMs);
  if (state.pushDueAtMs !== null) dueAtMs.push(state.pushDueAtMs);
  if (book.settings.paused !== null) {
    if (state.offers.length > 0 || !book.line.isEmpty()) dueAtMs.push(now + PAUSED_LOOK_MS);
  } else {
    for (const offer of state.offers) dueAtMs.push(offer.nextOfferAtMs);
    const isWaiting = !book.line.isEmpty() && offersOnTheWay(book, now) < OFFERS_ON_THE_WAY;
    const startMs = isWaiting ? book.nextGrantAtMs(now) : null;
    if (startMs !== null) dueAtMs.push(startMs - offerAheadMs(book.settings.quota));
  }
  return dueAtMs.length === 0 ? null : Math.min(...dueAtMs);
}
