import type { LaneReport } from "../../schemas/limits.ts";
import { countdownWords } from "./time-words.ts";

/** How a lane fares, for its headline. */
export interface LaneMood {
  readonly tone: "open" | "careful" | "blocked";
  readonly title: string;
  readonly explanation: string;
}

export function laneMood(lane: Pick<LaneReport, "mode" | "pace" | "blocked">): LaneMood {
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

/** When the next start is allowed; `nowMs` by the server's clock. */
export function nextStartWords(lane: Pick<LaneReport, "nextStartAt" | "blocked">, nowMs: number): string {
  if (lane.blocked !== null) return "on hold";
  if (lane.nextStartAt === null) return "now";
  const leftMs = Date.parse(lane.nextStartAt) - nowMs;
  return leftMs <= 0 ? "now" : `in ${countdownWords(leftMs)}`;
}

/** `1.5 a minute`, `120 a minute`, `40 a second`: a rate without false exactness. */
export function rateWords(startsPerMinute: number): string {
  if (startsPerMinute >= 600) return `${Math.round(startsPerMinute / 60)} a second`;
  const rounded = startsPerMinute >= 10 ? Math.round(startsPerMinute) : Math.round(startsPerMinute * 10) / 10;
  return `${rounded} a minute`;
}
