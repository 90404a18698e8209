/** Times in short words. Pure; the clock is passed in. */

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** The time left until a moment, in ms: `now`, `12 s`, `1:05 min`, `2 h 05 min`. Rounded up, so it does not reach 0 s too early. */
export function countdownWords(leftMs: number): string {
  if (leftMs <= 0) return "now";
  const seconds = Math.ceil(leftMs / SECOND_MS);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}:${pad(seconds % 60)} min`;
  const minutes = Math.ceil(leftMs / MINUTE_MS);
  return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`;
}

/** How long something took, in ms: `850 ms`, `16.5 s`, `1 min 05 s`, `2 h 05 min`. It is rounded before its unit is chosen. */
export function durationWords(durationMs: number): string {
  const ms = Math.round(durationMs);
  if (ms < SECOND_MS) return `${ms} ms`;
  const tenths = Math.round(durationMs / 100);
  if (tenths < 600) return `${(tenths / 10).toFixed(1)} s`;
  const seconds = Math.round(durationMs / SECOND_MS);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${pad(seconds % 60)} s`;
  const minutes = Math.round(durationMs / MINUTE_MS);
  return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`;
}

/** How long ago: `just now`, `3 min ago`, `2 h ago`, then the date. A moment in the future (a clock that is off) is just now. */
export function agoWords(thenMs: number, nowMs: number): string {
  const agoMs = nowMs - thenMs;
  if (agoMs < MINUTE_MS) return "just now";
  if (agoMs < HOUR_MS) return `${Math.floor(agoMs / MINUTE_MS)} min ago`;
  if (agoMs < DAY_MS) return `${Math.floor(agoMs / HOUR_MS)} h ago`;
  return dateWords(thenMs);
}

/** `14:03:30`, in the reader's own time zone. */
export function clockWords(atMs: number): string {
  const at = new Date(atMs);
  return `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
}

/** `23 November 2026`, in the reader's own time zone. */
export function dateWords(atMs: number): string {
  return new Date(atMs).toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric" });
}

/** The day as a heading: `Today`, `Yesterday`, or the date, in the reader's own time zone. */
export function dayWords(atMs: number, nowMs: number): string {
  const day = startOfDayMs(atMs);
  const today = startOfDayMs(nowMs);
  if (day === today) return "Today";
  if (day === startOfDayMs(today - DAY_MS / 2)) return "Yesterday";
  return dateWords(atMs);
}

function startOfDayMs(atMs: number): number {
  return new Date(atMs).setHours(0, 0, 0, 0);
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}
