import type { Quota } from "../../../schemas/limits.ts";
import type { LeaseOutcome } from "../contract.ts";
import { type Block, FAILURES_TO_TRIP, type LaneState } from "./lane-state.ts";
import { afterSuccess, afterThrottling } from "./pace.ts";

/** A blocked lane tries one job a minute: soon enough for someone who has just corrected the key, and cheap for upstream. */
export const PROBE_EVERY_MS = 60_000;

/** The pause before a trial of an upstream that keeps failing. Doubled with each failure, up to half a minute. */
const FIRST_TRIAL_PAUSE_MS = 1_000;
const LONGEST_TRIAL_PAUSE_MS = 30_000;

/** Enough for a steady median of unlike jobs, few enough to follow a change within the hour. Odd, so that the median is one of them. */
const DURATIONS_KEPT = 31;

/** An attempt that ended; `null` where something is not known. */
export interface EndedAttempt {
  readonly outcome: LeaseOutcome;
  readonly jobId: string | null;
  readonly startedAtMs: number | null;
}

/** The state after an attempt ended. No outcome touches a ticket or another lease. */
export function afterOutcome(state: LaneState, attempt: EndedAttempt, quota: Quota, now: number): LaneState {
  const { outcome, startedAtMs } = attempt;
  switch (outcome.kind) {
    case "succeeded": {
      const startMs = startedAtMs ?? now - outcome.durationMs;
      const pace = afterSuccess(state.pace, quota, startMs, now);
      return { ...state, ...NO_FAILURES, pace, block: lifted(state.block, startMs) };
    }
    case "failed":
      switch (outcome.fault) {
        case "upstream":
          return afterUpstreamFailure(state, attempt.jobId, now);
        case "request":
          // A proper answer: upstream works, and it accepted the key.
          return { ...state, ...NO_FAILURES, block: lifted(state.block, startedAtMs ?? now - outcome.durationMs) };
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

const NO_FAILURES = { upstreamFailures: 0, failedJobs: [] } as const;

/**
 * Counts one of upstream's own failures. A job that fails again counts once, since the fault may be its request's: one job
 * must not slow the lane for all. From the fifth on every failure counts, and makes the pause before the next trial longer.
 */
function afterUpstreamFailure(state: LaneState, jobId: string | null, now: number): LaneState {
  const isTripped = state.upstreamFailures >= FAILURES_TO_TRIP;
  if (!isTripped && jobId !== null && state.failedJobs.includes(jobId)) return state;
  const upstreamFailures = state.upstreamFailures + 1;
  const beyond = upstreamFailures - FAILURES_TO_TRIP;
  const pauseMs = beyond < 0 ? 0 : Math.min(LONGEST_TRIAL_PAUSE_MS, FIRST_TRIAL_PAUSE_MS * 2 ** beyond);
  const failedJobs = isTripped || jobId === null ? state.failedJobs : [...state.failedJobs, jobId];
  return { ...state, upstreamFailures, failedJobs, trialAtMs: now + pauseMs };
}

/** A block is over once an attempt works that was started under it. One that was started before proves nothing. */
function lifted(block: Block | null, startedAtMs: number): Block | null {
  return block !== null && startedAtMs >= block.sinceMs ? null : block;
}

/** The state with the duration of an attempt that worked or used its whole budget. */
export function withDuration(state: LaneState, outcome: LeaseOutcome, attemptBudgetMs: number): LaneState {
  // Quick refusals, broken calls and calls that were never made would make estimates too early.
  const counts =
    outcome.kind === "succeeded" ||
    (outcome.kind === "failed" && outcome.fault === "none" && outcome.durationMs >= attemptBudgetMs);
  if (!counts) return state;
  return { ...state, durationsMs: [...state.durationsMs, Math.round(outcome.durationMs)].slice(-DURATIONS_KEPT) };
}

/** The median of the durations; `null` before the first. */
export function typicalDurationMs(durationsMs: readonly number[]): number | null {
  const sorted = durationsMs.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? null;
}
