import type { Quota } from "../../../schemas/limits.ts";
import type { Place } from "../contract.ts";
import type { Forecast } from "./forecast.ts";
import { allowedAtMs, expectedWindow, type LaneState, modeOf } from "./lane-state.ts";
import { believedQuota, shareAt } from "./pace.ts";

/** The lane as a whole, in words: what its next start waits for. Worked out once for all places of one moment. */
export interface LaneView {
  readonly forecast: Forecast;
  readonly because: string;
  readonly waitingOn: (position: number) => Place["waitingOn"];
}

/** How far an estimate may move before a watcher is told of it alone. */
const ESTIMATE_SLACK_MS = 2_000;

/** The place of a job with `before` others before it. */
export function placeOf(view: LaneView, before: number): Place {
  const position = before + 1;
  return {
    position,
    estimatedStartAtMs: view.forecast(before),
    waitingOn: view.waitingOn(position),
    detail: `${position === 1 ? "Next" : ordinal(position)} in line; ${view.because}`,
  };
}

/** Whether a watcher should hear of the new place. */
export function hasMoved(known: Place | undefined, place: Place): boolean {
  if (known === undefined || known.position !== place.position || known.waitingOn !== place.waitingOn) return true;
  if (known.estimatedStartAtMs === null || place.estimatedStartAtMs === null) {
    return known.estimatedStartAtMs !== place.estimatedStartAtMs || known.detail !== place.detail;
  }
  return Math.abs(known.estimatedStartAtMs - place.estimatedStartAtMs) > ESTIMATE_SLACK_MS;
}

/** A lane that starts nothing because the deployment's settings are wrong. */
export function pausedView(code: string, hint: string): LaneView {
  return { forecast: () => null, because: `nothing starts (${code}): ${hint}`, waitingOn: () => "blocked" };
}

/** Says of a lane why the next job waits. */
export function viewOf(state: LaneState, quota: Quota, forecast: Forecast, now: number): LaneView {
  const mode = modeOf(state);
  if (mode === "blocked" && state.block !== null) {
    const { code, hint, nextProbeAtMs } = state.block;
    const probe = nextProbeAtMs > now ? `the next at ${clockTime(nextProbeAtMs, now)}` : "the next is due";
    return {
      forecast,
      because: `the lane is blocked by ${code}: ${hint.replace(/[.\s]*$/, "")}. One job a minute probes it, ${probe}`,
      waitingOn: () => "blocked",
    };
  }
  const startMs = forecast(0) ?? now;
  if (mode === "one_at_a_time") {
    const next = startMs > now ? `, the next at about ${clockTime(startMs, now)}` : "";
    const because = `upstream failed ${state.upstreamFailures} times in a row, so one job is tried at a time until one works${next}`;
    return { forecast, because, waitingOn: () => "turn" };
  }
  if (quota.inProgress !== null && state.inProgress >= quota.inProgress) {
    const all =
      quota.inProgress === 1 ? "the one job that may run is" : `all ${quota.inProgress} jobs that may run at once are`;
    const because = `${all} running; the next start is expected at ${clockTime(startMs, now)}`;
    return { forecast, because, waitingOn: (position) => (position === 1 ? "quota" : "turn") };
  }
  const believed = believedQuota(state.pace, quota, now);
  const allowedMs = allowedAtMs(state, expectedWindow(state, quota), believed, now);
  const rate = rateInWords(shareAt(state.pace, believed, now), quota);
  if (allowedMs <= now) return { forecast, because: `a start is allowed now (${rate})`, waitingOn: () => "turn" };
  return {
    forecast,
    because: `the next start is allowed at ${clockTime(allowedMs, now)} (${rate})`,
    waitingOn: (position) => (position === 1 ? "quota" : "turn"),
  };
}

function rateInWords(share: number, quota: Quota): string {
  const whole = `${quota.starts} ${periodInWords(quota.periodMs)}`;
  return share < 1 ? `${Math.round(share * 100)} % of ${whole}, since upstream throttled` : whole;
}

function periodInWords(periodMs: number): string {
  if (periodMs === 1_000) return "a second";
  if (periodMs === 60_000) return "a minute";
  if (periodMs === 3_600_000) return "an hour";
  return `every ${periodMs % 1_000 === 0 ? `${periodMs / 1_000} s` : `${periodMs} ms`}`;
}

/** A moment for people: to the second (never before it), in UTC, with the day when that is not today's. */
export function clockTime(atMs: number, now: number): string {
  const iso = new Date(Math.ceil(atMs / 1_000) * 1_000).toISOString();
  const today = new Date(now).toISOString().slice(0, 10);
  const time = `${iso.slice(11, 19)} UTC`;
  return iso.startsWith(today) ? time : `${time} on ${iso.slice(0, 10)}`;
}

/** 1st, 2nd, 3rd, 4th, 11th, 21st. */
export function ordinal(value: number): string {
  const tens = value % 100;
  const ending = tens >= 11 && tens <= 13 ? "th" : (["th", "st", "nd", "rd"][value % 10] ?? "th");
  return `${value}${ending}`;
}
