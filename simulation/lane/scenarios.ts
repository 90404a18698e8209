import type { Quota } from "../../schemas/limits.ts";
import type { LeaseOutcome } from "../../worker/lane/contract.ts";

/** A source of numbers in [0, 1). */
export type Random = () => number;

/** Numbers that look random and are the same for the same seed (mulberry32). */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** The time in ms to the next of events that come at random, `perMs` of them on average. */
export function untilNext(random: Random, perMs: number): number {
  return -Math.log(1 - random()) / perMs;
}

/** A whole number from `min` to `max`; small ones are as likely as large ones are rare (uniform in its logarithm). */
export function manySmall(random: Random, min: number, max: number): number {
  return Math.floor(min * (max / min) ** random());
}

/** What happens to a lane. Shares are of its whole quota, times are hours of virtual time. */
export interface Scenario {
  readonly name: string;
  readonly description: string;
  readonly quota: Quota;
  /** How much of the quota is asked for, on average. */
  readonly demand: number;
  readonly clients: number;
  /** Jobs that a client submits at a time, at least and at most; many bursts are small. */
  readonly burst: readonly [number, number];
  /** The share that others with the same account use. */
  readonly usedByOthers?: (hour: number) => number;
  /** Whether upstream fails every call. */
  readonly isDown?: (hour: number) => boolean;
  /** Whether upstream refuses the account in that hour. */
  readonly isRefused?: (hour: number) => boolean;
  /**
   * How much longer than the fastest a call takes to reach upstream, in ms: each up to the first, and one in ten, on a new
   * connection, up to the second more. Absent: all take the same time.
   */
  readonly uneven?: readonly [number, number];
  /** A margin of the lane's window over upstream's period in place of `SAFETY_MARGIN`. */
  readonly margin?: number;
}

const twoASecond: Quota = { starts: 2, periodMs: 1_000, inProgress: null };
const twoAMinute: Quota = { starts: 2, periodMs: 60_000, inProgress: null };

export const SCENARIOS: readonly Scenario[] = [
  {
    name: "calm",
    description: "2 a second, 70 % of it asked for, one job at a time",
    quota: twoASecond,
    demand: 0.7,
    clients: 2_000,
    burst: [1, 1],
  },
  {
    name: "bursts",
    description: "2 a second, 90 % asked for, in bursts of up to 1 000 jobs",
    quota: twoASecond,
    demand: 0.9,
    clients: 2_000,
    burst: [1, 1_000],
  },
  {
    name: "two a minute",
    description: "`qwen-image-max`: 90 % asked for, in bursts of up to 30",
    quota: twoAMinute,
    demand: 0.9,
    clients: 300,
    burst: [1, 30],
  },
  {
    name: "overload",
    description: "2 a second, 115 % asked for: the backlog grows to the end",
    quota: twoASecond,
    demand: 1.15,
    clients: 5_000,
    burst: [1, 200],
  },
  {
    name: "few places",
    description: "5 a second, but 5 at once: attempts of 10 to 45 s decide",
    quota: { starts: 5, periodMs: 1_000, inProgress: 5 },
    demand: 0.85 * (5 / 24 / 5),
    clients: 500,
    burst: [1, 50],
  },
  {
    name: "shared account",
    description: "2 a second, of which others take 40 % in every third hour",
    quota: twoASecond,
    demand: 0.75,
    clients: 2_000,
    burst: [1, 100],
    usedByOthers: (hour) => (hour % 3 < 1 ? 0.4 : 0),
  },
  {
    name: "outages",
    description: "2 a second; upstream fails every call for 6 minutes in every second hour",
    quota: twoASecond,
    demand: 0.75,
    clients: 2_000,
    burst: [1, 100],
    isDown: (hour) => hour % 2 < 0.1,
  },
  {
    name: "arrears",
    description: "2 a second; the account is refused for 20 minutes in every fourth hour",
    quota: twoASecond,
    demand: 0.75,
    clients: 2_000,
    burst: [1, 100],
    isRefused: (hour) => hour % 4 < 1 / 3,
  },
];

/** Two starts a minute with more asked for than allowed: margins of the window, and calls that reach upstream more or less evenly. */
export const MARGINS: readonly Scenario[] = (
  [
    [40, 0],
    [40, 300],
    [40, 600],
    [200, 600],
    [40, 1_500],
  ] as const
).flatMap((uneven) =>
  [0.01, 0.005, 0.0025, 0.001].map((margin) => ({
    name: `${uneven.join(" + ")} ms`,
    description: "two a minute, 115 % asked for",
    quota: twoAMinute,
    demand: 1.15,
    clients: 300,
    burst: [1, 30] as const,
    uneven,
    margin,
  })),
);

const HOUR_MS = 3_600_000;
const NEW_CONNECTIONS = 0.1;

/** When a call that is made now reaches upstream. */
export function reachesAtMs({ uneven }: Scenario, random: Random, now: number): number {
  if (uneven === undefined) return now;
  const [eachMs, newMs] = uneven;
  return now + Math.round(random() * eachMs + (random() < NEW_CONNECTIONS ? random() * newMs : 0));
}

/** One attempt in fifty gets no answer within its budget of 45 s. */
const SILENT_SHARE = 0.02;
const BUDGET_MS = 45_000;

/** A strict upstream: a sliding window that counts what others use too and refuses what is above it; fails and blocks as the scenario says. */
export class UpstreamModel {
  readonly #scenario: Scenario;
  readonly #random: Random;
  readonly #startMs: number;
  /** Calls that count: the last `starts` of them. */
  readonly #taken: number[] = [];
  #othersAtMs: number;
  throttled = 0;

  constructor(scenario: Scenario, random: Random, startMs: number) {
    this.#scenario = scenario;
    this.#random = random;
    this.#startMs = startMs;
    this.#othersAtMs = startMs;
  }

  call(now: number): { readonly outcome: LeaseOutcome; readonly afterMs: number } {
    const hour = (now - this.#startMs) / HOUR_MS;
    this.#callsOfOthers(now);
    if (this.#scenario.isRefused?.(hour)) {
      const outcome = { kind: "blocked", code: "Arrearage", hint: "Pay the bill." } as const;
      return { outcome, afterMs: 60 };
    }
    if (!this.#take(now)) {
      this.throttled += 1;
      return { outcome: { kind: "throttled", retryAfterMs: null }, afterMs: 60 };
    }
    if (this.#scenario.isDown?.(hour)) {
      return { outcome: { kind: "failed", fault: "upstream", durationMs: 300 }, afterMs: 300 };
    }
    if (this.#random() < SILENT_SHARE) {
      return { outcome: { kind: "failed", fault: "none", durationMs: BUDGET_MS }, afterMs: BUDGET_MS };
    }
    // 10 to 45 s with a middle of 21 s.
    const durationMs = Math.round(10_000 * 4.5 ** this.#random());
    return { outcome: { kind: "succeeded", durationMs }, afterMs: durationMs };
  }

  #take(now: number): boolean {
    const { starts, periodMs } = this.#scenario.quota;
    // A call may have overtaken an earlier one, so more than the last `starts` are looked at.
    if (this.#taken.slice(-2 * starts).filter((atMs) => now - atMs < periodMs).length >= starts) return false;
    this.#taken.push(now);
    if (this.#taken.length > 4 * starts) this.#taken.splice(0, 2 * starts);
    return true;
  }

  /** Counts the calls that others have made since. */
  #callsOfOthers(now: number): void {
    const { quota, usedByOthers } = this.#scenario;
    if (usedByOthers === undefined) return;
    for (;;) {
      const share = usedByOthers((this.#othersAtMs - this.#startMs) / HOUR_MS);
      const waitMs = share > 0 ? untilNext(this.#random, (share * quota.starts) / quota.periodMs) : 60_000;
      if (this.#othersAtMs + waitMs > now) return;
      this.#othersAtMs += waitMs;
      if (share > 0) this.#take(this.#othersAtMs);
    }
  }
}
