import { NO_REASON, type QueuePlace, type QueueReason } from "../../../schemas/job.ts";
import type { Quota } from "../../../schemas/limits.ts";
import type { Place } from "../contract.ts";
import type { Order } from "./control.ts";
import type { Forecast } from "./forecast.ts";
import { allowedAtMs, expectedWindow, type LaneState, modeOf } from "./lane-state.ts";
import { learnedQuota, shareAt } from "./pace.ts";

/** What all places of one moment have in common: what the lane's next start waits for, in fields and in words. */
export interface LaneView {
  readonly forecast: Forecast;
  readonly waitingOn: (position: number) => Place["waitingOn"];
  readonly reason: QueueReason;
  readonly because: string;
}

/** A watcher is notified of each change of a place among the first of the queue, and of others at most every `LATER_MS`. */
export const FIRST_PLACES = 5;
const LATER_MS = 30_000;
/** How far an estimate may move before a watcher is notified of that alone: by this, in ms, and by this part of the wait. */
const ESTIMATE_SLACK_MS = 2_000;
const ESTIMATE_SLACK_SHARE = 1 / 20;

/** The place of a job that `before` others are served before. */
export function placeOf(view: LaneView, before: number): Place {
  const position = before + 1;
  return {
    position,
    estimatedStartAtMs: view.forecast(before),
    waitingOn: view.waitingOn(position),
    reason: view.reason,
    detail: `${position === 1 ? "Next" : ordinal(position)} in line; ${view.because}`,
  };
}

/** The parts of a place whose change is worth a notification. */
export type PlaceBrief = Pick<Place, "position" | "estimatedStartAtMs" | "waitingOn" | "detail">;

/** What a watcher was last notified of, and when. `isLeftOut`: it was not notified of a change since, because it was to start. */
export type KnownPlace = PlaceBrief & { readonly atMs: number; readonly isLeftOut?: boolean };

/**
 * When a watcher is notified of the new place: at `now`, later, or not before something else changes (`null`). So what a watcher
 * knows is wrong by at most a twentieth of the wait (2 s at least), its place among the first five is exact, and any other place is
 * at most 30 s old. A job that is expected to start by `startsByMs`, before it could be notified again, is not notified until that
 * start. It is left out only once, because starts may be put off again and again.
 */
export function notifyAtMs(
  known: KnownPlace | undefined,
  place: PlaceBrief,
  now: number,
  startsByMs = now,
): number | null {
  const dueAtMs = changeDueAtMs(known, place, now);
  const { estimatedStartAtMs } = place;
  if (known === undefined || dueAtMs === null || estimatedStartAtMs === null) return dueAtMs;
  const isStarting = estimatedStartAtMs <= startsByMs && now < (known.estimatedStartAtMs ?? now);
  return isStarting && known.isLeftOut !== true ? Math.max(dueAtMs, estimatedStartAtMs) : dueAtMs;
}

function changeDueAtMs(known: KnownPlace | undefined, place: PlaceBrief, now: number): number | null {
  if (known === undefined || known.waitingOn !== place.waitingOn) return now;
  const isMoved = known.position !== place.position;
  if (isMoved && Math.min(known.position, place.position) <= FIRST_PLACES) return now;
  const laterMs = Math.max(now, known.atMs + LATER_MS);
  if (known.estimatedStartAtMs === null || place.estimatedStartAtMs === null) {
    if (known.estimatedStartAtMs !== place.estimatedStartAtMs || known.detail !== place.detail) return now;
    return isMoved ? laterMs : null;
  }
  const movedByMs = Math.abs(known.estimatedStartAtMs - place.estimatedStartAtMs);
  if (movedByMs > Math.max(ESTIMATE_SLACK_MS, (place.estimatedStartAtMs - now) * ESTIMATE_SLACK_SHARE)) return now;
  return isMoved || movedByMs > ESTIMATE_SLACK_MS ? laterMs : null;
}

/** A lane that starts nothing because the deployment's settings are wrong. */
export function misconfiguredView(fault: { readonly code: string; readonly hint: string }): LaneView {
  return {
    forecast: () => null,
    waitingOn: () => "blocked",
    reason: { ...NO_REASON, blockedBy: fault },
    because: `nothing starts (${fault.code}): ${fault.hint}`,
  };
}

/** A lane that the operator has paused. */
export function pausedView(pause: Order, now: number): LaneView {
  return heldView(pause, "lane", now);
}

/** For the jobs of a client that the operator has paused. */
export function clientPausedView(pause: Order, now: number): LaneView {
  return heldView(pause, "client", now);
}

function heldView({ reason, untilMs }: Order, what: "lane" | "client", now: number): LaneView {
  const end = untilMs === null ? "until the operator resumes it" : `until ${clockTime(untilMs, now)}`;
  return {
    forecast: () => null,
    waitingOn: () => "paused",
    reason: { ...NO_REASON, pausedBecause: reason, pausedUntil: untilMs === null ? null : isoTime(untilMs) },
    because: `the operator has paused the ${what} ${end}: ${reason}`,
  };
}

/** Why the next job of the lane waits. */
export function viewOf(state: LaneState, quota: Quota, forecast: Forecast, now: number): LaneView {
  const mode = modeOf(state);
  const pace = shareAt(state.pace, learnedQuota(state.pace, quota, now), now);
  const numbers: QueueReason = {
    ...NO_REASON,
    starts: quota.starts,
    periodMs: quota.periodMs,
    pace,
    inProgress: state.inProgress,
    inProgressLimit: quota.inProgress,
  };
  if (mode === "blocked" && state.block !== null) {
    const { code, hint, nextProbeAtMs } = state.block;
    const probe = nextProbeAtMs > now ? `the next at ${clockTime(nextProbeAtMs, now)}` : "the next is due";
    return {
      forecast,
      waitingOn: () => "blocked",
      reason: { ...numbers, blockedBy: { code, hint }, nextProbeAt: isoTime(Math.max(nextProbeAtMs, now)) },
      because: `the lane is blocked by ${code}: ${hint.replace(/[.\s]*$/, "")}. One job a minute probes it, ${probe}`,
    };
  }
  const startMs = forecast(0) ?? now;
  if (mode === "one_at_a_time") {
    const { upstreamFailures } = state;
    const next = startMs > now ? `, the next at about ${clockTime(startMs, now)}` : "";
    return {
      forecast,
      waitingOn: () => "turn",
      reason: { ...numbers, nextStartAt: laterTime(startMs, now), failuresInARow: upstreamFailures },
      because: `upstream failed ${upstreamFailures} times in a row, so one job is tried at a time until one works${next}`,
    };
  }
  if (quota.inProgress !== null && state.inProgress >= quota.inProgress) {
    const all =
      quota.inProgress === 1 ? "the one job that may run is" : `all ${quota.inProgress} jobs that may run at once are`;
    return {
      forecast,
      waitingOn: (position) => (position === 1 ? "quota" : "turn"),
      reason: { ...numbers, nextStartAt: laterTime(startMs, now) },
      because: `${all} running; the next start is expected at ${clockTime(startMs, now)}`,
    };
  }
  const learned = learnedQuota(state.pace, quota, now);
  const allowedMs = allowedAtMs(state, expectedWindow(state, quota), learned, now);
  const rate = rateInWords(pace, quota);
  const isOpen = allowedMs <= now;
  return {
    forecast,
    waitingOn: (position) => (position === 1 && !isOpen ? "quota" : "turn"),
    reason: { ...numbers, nextStartAt: laterTime(allowedMs, now) },
    because: isOpen
      ? `a start is allowed now (${rate})`
      : `the next start is allowed at ${clockTime(allowedMs, now)} (${rate})`,
  };
}

function isoTime(atMs: number): string {
  return new Date(atMs).toISOString();
}

/** `null` for a moment that has come. */
function laterTime(atMs: number, now: number): string | null {
  return atMs > now ? isoTime(atMs) : null;
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

/** A time for people: rounded up to the second, in UTC, with the day when it is not today. */
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

/** The place of a waiting job in its lane, as the API shows it. */
export function toQueuePlace(place: Place): QueuePlace {
  const { position, estimatedStartAtMs, waitingOn, reason = NO_REASON, detail } = place;
  return {
    position,
    estimatedStartAt: estimatedStartAtMs === null ? null : new Date(estimatedStartAtMs).toISOString(),
    waitingOn,
    reason,
    detail,
  };
}
