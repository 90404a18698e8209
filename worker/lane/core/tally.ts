/** A lane's counts since it was first used, for metrics. They are part of the lane's state, so no event costs a row. Pure. */
import type { LeaseOutcome } from "../contract.ts";

/** Upper ends of the buckets of how long attempts took, in seconds: upstream's calls take 10 to 60 s. */
export const ATTEMPT_BUCKETS_SECONDS = [1, 5, 10, 20, 30, 45, 60, 90, 120, 300] as const;

/** How an attempt ended, as the lane knows it. */
export const TALLIED_OUTCOMES = [
  "succeeded",
  /** After its budget; its lease was released before. */
  "succeeded_late",
  "failed",
  /** Its budget ended without an answer, or it was never made. */
  "timed_out",
  "throttled",
  "blocked",
  /** Canceled, cut by a crash, or its lease ended without a release. */
  "abandoned",
] as const;
export type TalliedOutcome = (typeof TALLIED_OUTCOMES)[number];

export interface Tally {
  readonly attempts: Readonly<Partial<Record<TalliedOutcome, number>>>;
  /** Of attempts with a known duration: how many in each bucket (the last has no end), and all seconds together. */
  readonly buckets: readonly number[];
  readonly seconds: number;
}

export const NO_TALLY: Tally = { attempts: {}, buckets: [], seconds: 0 };

export function outcomeName(outcome: LeaseOutcome): TalliedOutcome {
  if (outcome.kind !== "failed") return outcome.kind;
  return outcome.fault === "none" ? "timed_out" : "failed";
}

/** The tally with one more attempt; `durationMs` null where it is not known. */
export function tallied(tally: Tally, outcome: TalliedOutcome, durationMs: number | null): Tally {
  const attempts = { ...tally.attempts, [outcome]: (tally.attempts[outcome] ?? 0) + 1 };
  if (durationMs === null) return { ...tally, attempts };
  const seconds = Math.max(0, durationMs) / 1000;
  const found = ATTEMPT_BUCKETS_SECONDS.findIndex((end) => seconds <= end);
  const at = found === -1 ? ATTEMPT_BUCKETS_SECONDS.length : found;
  const buckets = Array.from({ length: ATTEMPT_BUCKETS_SECONDS.length + 1 }, (_, index) => {
    return (tally.buckets[index] ?? 0) + (index === at ? 1 : 0);
  });
  return { attempts, buckets, seconds: Math.round((tally.seconds + seconds) * 1000) / 1000 };
}
