import type { Quota } from "../../../schemas/limits.ts";
import { expectedWindow, type LaneState, mayBeOut, modeOf, offerAheadMs } from "./lane-state.ts";
import { typicalDurationMs } from "./outcome.ts";
import { afterSuccess, shareAt, spacingMs, spreadFromMs } from "./pace.ts";
import { latestStartMs, paddedPeriodMs, slotAtMs } from "./quota-window.ts";

/** How long an attempt takes, before the lane has seen one: the middle of what is reported of upstream (15 to 60 s and more). */
const ASSUMED_DURATION_MS = 30_000;
/** An attempt longer than any seen is expected to end at the next multiple of this, so that estimates stay the same meanwhile. */
const OVERRUN_STEP_MS = 5_000;
/** How many starts are computed one by one where leases or a lowered pace decide; after these the last pattern repeats. */
const STEPS = 128;

export interface ForecastInput {
  readonly state: LaneState;
  readonly quota: Quota;
  /** When each job with a lease was to begin. May be empty where `needsLeases` is false. */
  readonly runningSinceMs: readonly number[];
  readonly now: number;
  /** The longest time that an attempt takes. */
  readonly attemptBudgetMs: number;
}

/** The expected start of the job with `before` others before it, if none joins or leaves; `null` while blocked. */
export type Forecast = (before: number) => number | null;

/** Whether a forecast depends on when the running attempts end. */
export function needsLeases(state: LaneState, quota: Quota): boolean {
  return state.block === null && (mayBeOut(state, quota) !== null || state.pace.share < 1);
}

/** Computes starts from the numbers that decide them: window, pace, leases out, durations seen. */
export function forecast(input: ForecastInput): Forecast {
  const { state, quota, now } = input;
  if (state.block !== null) return () => null;
  if (!needsLeases(state, quota)) {
    const window = expectedWindow(state, quota);
    const floorMs = Math.max(now, state.pace.heldUntilMs);
    return (before) => slotAtMs(window, quota, before, floorMs);
  }
  const steps: number[] = [];
  const next = stepper(input, steps);
  return (before) => {
    while (steps.length <= Math.min(before, STEPS)) steps.push(next.step());
    return steps[before] ?? beyond(steps, before, next.tail());
  };
}

/** A pattern of starts: each is `periodMs` after the one `every` places before. */
interface Pattern {
  readonly every: number;
  readonly periodMs: number;
}

/** A start after the ones computed: the pattern repeats. */
function beyond(steps: readonly number[], before: number, pattern: Pattern): number {
  const last = steps.length - 1;
  if (pattern.every * 2 <= steps.length) {
    const rounds = Math.ceil((before - last) / pattern.every);
    return (steps[before - rounds * pattern.every] ?? 0) + rounds * pattern.periodMs;
  }
  return (steps[last] ?? 0) + Math.round(((before - last) * pattern.periodMs) / pattern.every);
}

interface Running {
  readonly startedAtMs: number;
  readonly endMs: number;
}

/** Computes one start after the other, as the lane would make them. */
function stepper(input: ForecastInput, steps: readonly number[]) {
  const { state, quota, now } = input;
  const window = expectedWindow(state, quota);
  const floorMs = Math.max(now, state.pace.heldUntilMs);
  const durationMs = typicalDurationMs(state.durationsMs) ?? Math.min(ASSUMED_DURATION_MS, input.attemptBudgetMs);
  const running: Running[] = input.runningSinceMs
    .map((startedAtMs) => ({ startedAtMs, endMs: expectedEndMs(startedAtMs, input) }))
    .sort((a, b) => a.endMs - b.endMs);
  const aheadMs = offerAheadMs(quota);
  let decidedMs = now;
  let isTripped = modeOf(state) === "one_at_a_time";
  let pace = state.pace;

  /** Counts the attempts that end by `atMs` as successes: each raises the pace, and the first ends "one at a time". */
  function endUntil(atMs: number): void {
    for (let next = running[0]; next !== undefined && next.endMs <= atMs; next = running[0]) {
      running.shift();
      isTripped = false;
      pace = afterSuccess(pace, quota, next.startedAtMs, next.endMs);
    }
  }

  /** The next start. It is decided `aheadMs` before: a place must be free by then, and an attempt that ends later changes nothing. */
  function whenFree(windowMs: number, beforeMs: number | null): number {
    for (;;) {
      endUntil(decidedMs);
      const endMs = running[0]?.endMs ?? Number.POSITIVE_INFINITY;
      const bound = isTripped ? 1 : quota.inProgress;
      if (bound !== null && running.length >= bound) {
        decidedMs = endMs;
        continue;
      }
      const fromMs = Math.max(windowMs, decidedMs, isTripped ? state.trialAtMs : 0);
      const startMs = beforeMs === null ? fromMs : spreadFromMs(pace, quota, beforeMs, fromMs);
      if (startMs - aheadMs <= decidedMs) return startMs;
      decidedMs = Math.min(endMs, startMs - aheadMs);
    }
  }

  function step(): number {
    const index = steps.length;
    const windowMs =
      index < quota.starts
        ? slotAtMs(window, quota, index, floorMs)
        : (steps[index - quota.starts] ?? 0) + paddedPeriodMs(quota);
    const beforeMs = steps[index - 1] ?? latestStartMs(window);
    const atMs = whenFree(Math.max(windowMs, steps[index - 1] ?? 0), beforeMs);
    const endMs = atMs + durationMs;
    running.splice(running.findLastIndex((each) => each.endMs <= endMs) + 1, 0, { startedAtMs: atMs, endMs });
    return atMs;
  }

  function tail(): Pattern {
    const share = shareAt(pace, quota, steps.at(-1) ?? now);
    const byQuota =
      share < 1
        ? { every: 1, periodMs: spacingMs(share, quota) }
        : { every: quota.starts, periodMs: paddedPeriodMs(quota) };
    if (quota.inProgress === null) return byQuota;
    const bySlots = { every: quota.inProgress, periodMs: durationMs };
    return byQuota.periodMs / byQuota.every >= bySlots.periodMs / bySlots.every ? byQuota : bySlots;
  }

  return { step, tail };
}

/** When a running attempt is expected to end: after the median duration, or after the median of the longer ones once it is past that. */
function expectedEndMs(runningSinceMs: number, input: ForecastInput): number {
  const elapsedMs = input.now - runningSinceMs;
  const { durationsMs } = input.state;
  const usualMs = typicalDurationMs(durationsMs) ?? Math.min(ASSUMED_DURATION_MS, input.attemptBudgetMs);
  if (usualMs > elapsedMs) return runningSinceMs + usualMs;
  const longerMs = typicalDurationMs(durationsMs.filter((ms) => ms > elapsedMs));
  const overrunMs = Math.ceil((elapsedMs + 1) / OVERRUN_STEP_MS) * OVERRUN_STEP_MS;
  return runningSinceMs + (longerMs ?? overrunMs);
}
