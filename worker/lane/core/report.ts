import type { LaneReport } from "../../../schemas/limits.ts";
import type { LaneBook } from "./book.ts";
import { modeOf } from "./lane-state.ts";
import { typicalDurationMs } from "./outcome.ts";
import { shareAt } from "./pace.ts";

const MINUTE_MS = 60_000;

/** What the lane believes and holds, for `GET /api/limits` and health. */
export function reportOf(book: LaneBook, model: string, now: number): LaneReport {
  const { state, settings } = book;
  const { quota, paused } = settings;
  const pace = shareAt(state.pace, book.believed(now), now);
  const mode = paused === null ? modeOf(state) : "blocked";
  const startMs = mode === "blocked" ? null : book.view(now).forecast(0);
  const perMinute = (quota.starts * pace * MINUTE_MS) / quota.periodMs;
  return {
    model,
    quota,
    pace,
    startsPerMinute: Math.round(perMinute * 1_000) / 1_000,
    mode,
    queued: book.line.size(),
    inProgress: state.inProgress,
    nextStartAt: startMs === null || startMs <= now ? null : new Date(startMs).toISOString(),
    typicalDurationMs: typicalDurationMs(state.durationsMs),
    blocked: blockOf(book, now),
  };
}

function blockOf(book: LaneBook, now: number): LaneReport["blocked"] {
  const { paused } = book.settings;
  const { block } = book.state;
  if (paused !== null) {
    const at = new Date(now).toISOString();
    return { ...paused, since: at, nextProbeAt: at };
  }
  if (block === null) return null;
  return {
    code: block.code,
    hint: block.hint,
    since: new Date(block.sinceMs).toISOString(),
    nextProbeAt: new Date(Math.max(block.nextProbeAtMs, now)).toISOString(),
  };
}
