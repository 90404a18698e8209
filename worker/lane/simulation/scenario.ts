import type { Quota } from "../../../schemas/limits.ts";

/** What comes upon a lane. Every share is of the lane's whole quota, every time of day in hours of virtual time. */
export interface Scenario {
  readonly name: string;
  readonly story: string;
  readonly quota: Quota;
  /** How much is asked for, on average. */
  readonly demand: number;
  readonly clients: number;
  /** Jobs that a client submits at a time, at least and at most: many small bursts, few large. */
  readonly burst: readonly [number, number];
  /** What somebody else with the same account uses of the quota, by the hour of the day. */
  readonly usedByOthers?: (hour: number) => number;
  /** Upstream breaks every call. */
  readonly isDown?: (hour: number) => boolean;
  /** The account is refused. */
  readonly isRefused?: (hour: number) => boolean;
}

const twoASecond: Quota = { starts: 2, periodMs: 1_000, inProgress: null };
const twoAMinute: Quota = { starts: 2, periodMs: 60_000, inProgress: null };

export const SCENARIOS: readonly Scenario[] = [
  {
    name: "calm",
    story: "2 a second, 70 % of it asked for, one job at a time",
    quota: twoASecond,
    demand: 0.7,
    clients: 2_000,
    burst: [1, 1],
  },
  {
    name: "bursts",
    story: "2 a second, 90 % asked for, in bursts of up to 1 000 jobs",
    quota: twoASecond,
    demand: 0.9,
    clients: 2_000,
    burst: [1, 1_000],
  },
  {
    name: "two a minute",
    story: "`qwen-image-max`: 90 % asked for, in bursts of up to 30",
    quota: twoAMinute,
    demand: 0.9,
    clients: 300,
    burst: [1, 30],
  },
  {
    name: "overload",
    story: "2 a second, 115 % asked for: the backlog grows to the end",
    quota: twoASecond,
    demand: 1.15,
    clients: 5_000,
    burst: [1, 200],
  },
  {
    name: "few places",
    story: "5 a second, but 5 at once: attempts of 10 to 45 s decide",
    quota: { starts: 5, periodMs: 1_000, inProgress: 5 },
    demand: 0.85 * (5 / 24 / 5),
    clients: 500,
    burst: [1, 50],
  },
  {
    name: "shared account",
    story: "2 a second, of which others take 40 % in every third hour",
    quota: twoASecond,
    demand: 0.75,
    clients: 2_000,
    burst: [1, 100],
    usedByOthers: (hour) => (hour % 3 < 1 ? 0.4 : 0),
  },
  {
    name: "outages",
    story: "2 a second; upstream breaks every call for 6 minutes in every second hour",
    quota: twoASecond,
    demand: 0.75,
    clients: 2_000,
    burst: [1, 100],
    isDown: (hour) => hour % 2 < 0.1,
  },
  {
    name: "arrears",
    story: "2 a second; the account is refused for 20 minutes in every fourth hour",
    quota: twoASecond,
    demand: 0.75,
    clients: 2_000,
    burst: [1, 100],
    isRefused: (hour) => hour % 4 < 1 / 3,
  },
];
