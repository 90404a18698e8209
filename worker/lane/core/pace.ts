import type { Quota } from "../../../schemas/limits.ts";
import { paddedPeriodMs } from "./quota-window.ts";

/** How much of the quota the lane uses, learned from what upstream answers. */
export interface Pace {
  /** 1 is the whole quota. */
  readonly share: number;
  /** When `share` was last set. */
  readonly setAtMs: number;
  /** By what share the window is longer than the period, besides the margin: learned from 429s at the full pace. */
  readonly slack: number;
  /** When upstream last throttled a start that was made after the previous 429; 0 for never. */
  readonly throttledAtMs: number;
  /** Nothing starts before this: a full window after a 429, or upstream's own `Retry-After`. */
  readonly heldUntilMs: number;
}

export const FULL_PACE: Pace = { share: 1, setAtMs: 0, slack: 0, throttledAtMs: 0, heldUntilMs: 0 };

/** A 429 multiplies the share by this; eight in a row reach the lowest share. */
const LOWER_BY = 0.7;
/** Even with a quota of one, a start in ten windows still finds out that upstream accepts more again. */
const LOWEST_SHARE = 0.1;
/** What a success adds to the share: six make up for one 429, so a limit that is really lower is hit only now and then. */
const CLIMB_STEP = 0.05;
/**
 * A 429 at the full pace means that calls reach upstream less evenly than they are made. The window becomes a hundredth longer,
 * then two, four and eight hundredths. Each hour without another such 429 halves that.
 */
const FIRST_SLACK = 0.01;
const LONGEST_SLACK = 0.08;
const SLACK_HALVES_IN_MS = 3_600_000;
/** A lane without successes raises its share by one step in this many periods. */
const QUIET_PERIODS_PER_STEP = 5;
/**
 * The longest `Retry-After` that is honoured. A blocked account gets another answer than 429, and a wrong header must not stop
 * the lane for a day.
 */
const LONGEST_HOLD_MS = 3_600_000;

/** The share at `now`: as last set, and one step more for every `QUIET_PERIODS_PER_STEP` since. */
export function shareAt(pace: Pace, quota: Quota, now: number): number {
  if (pace.share >= 1) return 1;
  return climbed(pace.share, Math.floor(Math.max(0, now - quietSinceMs(pace)) / quietStepMs(quota)));
}

function quietSinceMs(pace: Pace): number {
  return Math.max(pace.setAtMs, pace.heldUntilMs);
}

function quietStepMs(quota: Quota): number {
  return quota.periodMs * QUIET_PERIODS_PER_STEP;
}

/** The quota with the period that was learned: never shorter than upstream's own. */
export function learnedQuota(pace: Pace, quota: Quota, now: number): Quota {
  if (pace.slack === 0) return quota;
  return { ...quota, periodMs: Math.round(quota.periodMs * (1 + slackAt(pace, now))) };
}

function slackAt(pace: Pace, now: number): number {
  const slack = pace.slack / 2 ** Math.floor(Math.max(0, now - pace.throttledAtMs) / SLACK_HALVES_IN_MS);
  return slack < FIRST_SLACK / 8 ? 0 : slack;
}

/** A share some steps higher, in whole hundredths, so that steps add up to 1 exactly. */
function climbed(share: number, steps: number): number {
  return Math.min(1, Math.round((share + steps * CLIMB_STEP) * 100) / 100);
}

/**
 * The pace after a 429. The starts of one burst are throttled together and lower it once: a start that was made before the last
 * 429 arrived only extends the hold. `startedAtMs` is `null` when it is not known.
 */
export function afterThrottling(
  pace: Pace,
  quota: Quota,
  startedAtMs: number | null,
  retryAfterMs: number | null,
  now: number,
): Pace {
  const askedMs = now + Math.min(retryAfterMs ?? 0, LONGEST_HOLD_MS);
  const sameBurst = pace.throttledAtMs > 0 && (startedAtMs ?? now) <= pace.throttledAtMs;
  if (sameBurst) return { ...pace, heldUntilMs: Math.max(pace.heldUntilMs, askedMs) };
  const share = shareAt(pace, quota, now);
  const slack = slackAt(pace, now);
  return {
    share: Math.max(LOWEST_SHARE, Math.round(share * LOWER_BY * 100) / 100),
    setAtMs: now,
    slack: share < 1 ? slack : Math.min(LONGEST_SLACK, Math.max(FIRST_SLACK, slack * 2)),
    throttledAtMs: now,
    heldUntilMs: Math.max(pace.heldUntilMs, askedMs, now + paddedPeriodMs(quota)),
  };
}

/** The pace after a success. One that started before the last 429 changes nothing. */
export function afterSuccess(pace: Pace, quota: Quota, startedAtMs: number, now: number): Pace {
  if (pace.share >= 1 || startedAtMs <= pace.throttledAtMs) return pace;
  return { ...pace, share: climbed(shareAt(pace, quota, now), 1), setAtMs: now };
}

/** The least time between two starts, in ms: none at the full pace, an even spread below it. */
export function spacingMs(share: number, quota: Quota): number {
  return share >= 1 ? 0 : Math.ceil(paddedPeriodMs(quota) / (quota.starts * share));
}

/**
 * The earliest moment from `fromMs` that is far enough from the previous start, at the share of that moment. At the full pace
 * that is `fromMs`, even when the previous start is counted a little after it.
 */
export function spreadFromMs(pace: Pace, quota: Quota, startBeforeMs: number, fromMs: number): number {
  let atMs = fromMs;
  for (;;) {
    const share = shareAt(pace, quota, atMs);
    const farEnoughMs = share >= 1 ? atMs : startBeforeMs + spacingMs(share, quota);
    if (farEnoughMs <= atMs) return atMs;
    const stepMs = quietStepMs(quota);
    const quietMs = Math.max(0, atMs - quietSinceMs(pace));
    const nextStepMs = quietSinceMs(pace) + (Math.floor(quietMs / stepMs) + 1) * stepMs;
    if (farEnoughMs <= nextStepMs) return farEnoughMs;
    atMs = nextStepMs;
  }
}
