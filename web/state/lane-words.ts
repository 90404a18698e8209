import type { LaneReport } from "../../schemas/limits.ts";
import { periodWords } from "./model-words.ts";
import { asSentence } from "./sentence.ts";
import { countdownWords } from "./time-words.ts";

/** The state of a lane, for its headline. */
export interface LaneMood {
  readonly tone: "open" | "careful" | "blocked";
  readonly title: string;
  readonly explanation: string;
}

type Mooded = Pick<LaneReport, "mode" | "pace" | "blocked" | "paused">;

export function laneMood(lane: Mooded): LaneMood {
  const { paused = null } = lane;
  if (paused !== null) {
    const { reason, until } = paused;
    const end = until === null ? "" : ` It ends at ${new Date(until).toLocaleString()}.`;
    return { tone: "blocked", title: "Paused", explanation: `The operator has paused it: ${asSentence(reason)}${end}` };
  }
  if (lane.mode === "blocked" || lane.blocked !== null) {
    return {
      tone: "blocked",
      title: "On hold",
      explanation: "Upstream refuses this account's calls; one is tried a minute.",
    };
  }
  if (lane.mode === "one_at_a_time") {
    return {
      tone: "careful",
      title: "One at a time",
      explanation: "Upstream failed several times in a row, so the lane waits for one success before it opens again.",
    };
  }
  if (lane.pace < 1) {
    return {
      tone: "careful",
      title: `At ${Math.round(lane.pace * 100)} % of its pace`,
      explanation: "Upstream throttled; the lane climbs back step by step.",
    };
  }
  return { tone: "open", title: "Open", explanation: "Starts as many as the quota allows." };
}

/** `paused` is absent in the report of a lane of an earlier version. */
function isPaused({ paused = null }: Pick<LaneReport, "paused">): boolean {
  return paused !== null;
}

/** When the next start is allowed; `nowMs` by the server's clock. */
export function nextStartWords(lane: Pick<LaneReport, "nextStartAt" | "blocked" | "paused">, nowMs: number): string {
  if (lane.blocked !== null) return "on hold";
  if (isPaused(lane)) return "paused";
  if (lane.nextStartAt === null) return "now";
  const leftMs = Date.parse(lane.nextStartAt) - nowMs;
  return leftMs <= 0 ? "now" : `in ${countdownWords(leftMs)}`;
}

/** How fast the lane starts now, in the unit of its quota: `1.5 a minute` of `2 starts a minute`. */
export function paceWords({
  startsPerMinute,
  quota,
  blocked,
  paused,
}: Pick<LaneReport, "startsPerMinute" | "quota" | "blocked" | "paused">): string {
  if (blocked !== null) return "none while on hold";
  if (isPaused({ paused })) return "none while paused";
  const perPeriod = (startsPerMinute * quota.periodMs) / 60_000;
  const rounded = perPeriod >= 10 ? Math.round(perPeriod) : Math.round(perPeriod * 10) / 10;
  return `${rounded} ${periodWords(quota.periodMs)}`;
}

const FIRST: Readonly<Record<LaneMood["tone"], number>> = { blocked: 0, careful: 1, open: 2 };

/** Blocked and paused lanes first, then slow ones, then the rest; within each group the order stays. */
export function lanesByNeed<Lane extends Mooded>(lanes: readonly Lane[]): Lane[] {
  return [...lanes].sort((a, b) => FIRST[laneMood(a).tone] - FIRST[laneMood(b).tone]);
}
