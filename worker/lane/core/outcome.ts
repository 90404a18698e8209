import type { Quota } from "../../../schemas/limits.ts";
import type { LeaseOutcome } from "../contract.ts";
import { type Block, FAILURES_TO_TRIP, type LaneState } from "./lane-state.ts";
import { afterSuccess, afterThrottling } from "./pace.ts";

/** A blocked lane tries one job a minute: often enough for people who just mended the key, cheap enough for upstream. */
export const PROBE_EVERY_MS = 60_000;

/** Between trials of an upstream that keeps failing: doubled each time, and soon enough to notice that it is well again. */
const FIRST_TRIAL_PAUSE_MS = 1_000;
const LONGEST_TRIAL_PAUSE_MS = 30_000;

/** Enough for a steady median of a lane whose jobs differ, few enough to follow a change within the hour. Odd on purpose. */
const DURATIONS_KEPT = 31;

/**
 * What the lane believes after an attempt that started at `startedAtMs` (`null` when unknown). Nothing waiting or running
 * is touched by any outcome.
 */
export function afterOutcome(
  state: LaneState,
  outcome: LeaseOutcome,
  startedAtMs: number | null,
  quota: Quota,
  now: number,
): LaneState {
  switch (outcome.kind) {
    case "succeeded": {
      const startMs = startedAtMs ?? now - outcome.durationMs;
      const pace = afterSuccess(state.pace, quota, startMs, now);
      return { ...state, pace, upstreamFailures: 0, block: lifted(state.block, startMs) };
    }
    case "failed":
      switch (outcome.fault) {
        case "upstream":
          return afterUpstreamFailure(state, now);
        case "request":
          // A proper answer: upstream works, and it took the key.
          return {
            ...state,
            upstreamFailures: 0,
            block: lifted(state.block, startedAtMs ?? now - outcome.durationMs),
          };
        case "none":
          return state;
        default:
          return outcome.fault satisfies never;
      }
    case "throttled":
      return { ...state, pace: afterThrottling(state.pace, quota, startedAtMs, outcome.retryAfterMs, now) };
    case "blocked": {
      const { code, hint } = outcome;
      const since = state.block ?? { sinceMs: now, nextProbeAtMs: now + PROBE_EVERY_MS, probeLeaseId: null };
      return { ...state, block: { ...since, code, hint } };
    }
    case "abandoned":
      return state;
    default:
      return outcome satisfies never;
  }
}

/** From the fifth in a row on the next is tried after a while only: each costs some job an attempt. */
function afterUpstreamFailure(state: LaneState, now: number): LaneState {
  const upstreamFailures = state.upstreamFailures + 1;
  const beyond = upstreamFailures - FAILURES_TO_TRIP;
  const pauseMs = beyond < 0 ? 0 : Math.min(LONGEST_TRIAL_PAUSE_MS, FIRST_TRIAL_PAUSE_MS * 2 ** beyond);
  return { ...state, upstreamFailures, trialAtMs: now + pauseMs };
}

/** A block is over once an attempt works that was started under it; one from before proves nothing. */
function lifted(block: Block | null, startedAtMs: number): Block | null {
  return block !== null && startedAtMs >= block.sinceMs ? null : block;
}

/** The state with how long an attempt held its lease, where that says how long attempts take: it worked, or its budget ended. */
export function withDuration(state: LaneState, outcome: LeaseOutcome, attemptBudgetMs: number): LaneState {
  // Quick refusals, broken calls and calls that were never made would promise slots sooner than they come.
  const tells =
    outcome.kind === "succeeded" ||
    (outcome.kind === "failed" && outcome.fault === "none" && outcome.durationMs >= attemptBudgetMs);
  if (!tells) return state;
  return { ...state, durationsMs: [...state.durationsMs, Math.round(outcome.durationMs)].slice(-DURATIONS_KEPT) };
}

/** The median of the durations; `null` before the first. */
export function typicalDurationMs(durationsMs: readonly number[]): number | null {
  const sorted = durationsMs.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? null;
}
