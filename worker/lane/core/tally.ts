/** A lane's counts since it was first used, for metrics. They are part of the lane's state, so no event costs a row. Pure. */
import type { LeaseOutcome } from "../contract.ts";

/** Upper ends of the buckets of how long attempts took, in seconds: upstream's calls take 10 to 60 s. */
export const ATTEMPT_BUCKETS_SECONDS = [1, 5, 10, 20, 30, 45, 60, 90, 120, 300] as const;

/** The same, of how long attempts waited in the queue: from no wait to the deadline of a day. */
export const WAIT_BUCKETS_SECONDS = [1, 5, 30, 60, 300, 900, 3_600, 14_400, 43_200, 86_400] as const;

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

/** Counts of durations: how many in each bucket (the last has no end), and all seconds together. */
export interface Durations {
  readonly buckets: readonly number[];
  readonly seconds: number;
}

/** `buckets` and `seconds` are those of attempts with a known duration. */
export interface Tally extends Durations {
  readonly attempts: Readonly<Partial<Record<TalliedOutcome, number>>>;
  /** From a ticket's arrival to the start of its attempt, counted when the attempt is over. */
  readonly waits: Durations;
}

export const NO_TALLY: Tally = { attempts: {}, buckets: [], seconds: 0, waits: { buckets: [], seconds: 0 } };

export function outcomeName(outcome: LeaseOutcome): TalliedOutcome {
  if (outcome.kind !== "failed") return outcome.kind;
  return outcome.fault === "none" ? "timed_out" : "failed";
}

function withDuration(known: Durations, ends: readonly number[], durationMs: number): Durations {
  const seconds = Math.max(0, durationMs) / 1000;
  const found = ends.findIndex((end) => seconds <= end);
  const at = found === -1 ? ends.length : found;
  const buckets = Array.from({ length: ends.length + 1 }, (_, index) => {
    return (known.buckets[index] ?? 0) + (index === at ? 1 : 0);
  });
  return { buckets, seconds: Math.round((known.seconds + seconds) * 1000) / 1000 };
}

/** The tally with one more attempt; `durationMs` null where it is not known. */
export function tallied(tally: Tally, outcome: TalliedOutcome, durationMs: number | null): Tally {
  const attempts = { ...tally.attempts, [outcome]: (tally.attempts[outcome] ?? 0) + 1 };
  const durations = durationMs === null ? {} : withDuration(tally, ATTEMPT_BUCKETS_SECONDS, durationMs);
  return { ...tally, ...durations, attempts };
}

/** The tally with one more attempt that had waited `waitMs`. */
export function withWait(tally: Tally, waitMs: number): Tally {
  return { ...tally, waits: withDuration(tally.waits, WAIT_BUCKETS_SECONDS, waitMs) };
}
