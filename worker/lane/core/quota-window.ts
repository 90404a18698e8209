import type { Quota } from "../../../schemas/limits.ts";

/** `count` starts, all counted at `atMs`: never earlier than they were made. */
export interface CountedStarts {
  readonly atMs: number;
  readonly count: number;
}

/** The starts that may still count against the quota, oldest first. */
export type QuotaWindow = readonly CountedStarts[];

/**
 * How much longer than upstream's period the lane's is, because calls take unequal times to reach upstream (600 ms in a minute
 * are allowed for). A backlog uses 1 / 1.01 = 99 % of its quota.
 */
export const SAFETY_MARGIN = 0.01;

/** Above this many starts in a period, those within a 200th of it share an entry, so that the stored window stays small. */
const EXACT_STARTS = 60;
const COARSE_PARTS = 200;

/** Upstream's period with the margin, in ms: the lane makes at most `quota.starts` in any window of this length. */
export function paddedPeriodMs(quota: Quota): number {
  return Math.ceil(quota.periodMs * (1 + SAFETY_MARGIN));
}

function grainOfMs(quota: Quota): number {
  return quota.starts > EXACT_STARTS ? quota.periodMs / COARSE_PARTS : 0;
}

/** The window with one more start, in any order. An entry of several starts is counted at the latest of them. */
export function addStart(window: QuotaWindow, atMs: number, quota: Quota): QuotaWindow {
  const grainMs = grainOfMs(quota);
  const entries = window.slice();
  let index = entries.length;
  while (index > 0 && (entries[index - 1]?.atMs ?? 0) > atMs) index -= 1;
  const later = entries[index];
  const earlier = entries[index - 1];
  if (grainMs > 0 && later !== undefined && later.atMs - atMs < grainMs) {
    entries[index] = { atMs: later.atMs, count: later.count + 1 };
  } else if (
    grainMs > 0 &&
    earlier !== undefined &&
    Math.floor(earlier.atMs / grainMs) === Math.floor(atMs / grainMs)
  ) {
    entries[index - 1] = { atMs, count: earlier.count + 1 };
  } else {
    entries.splice(index, 0, { atMs, count: 1 });
  }
  return entries;
}

/** The window without one start that was added at `atMs` and never made. Unchanged if it has been forgotten. */
export function removeStart(window: QuotaWindow, atMs: number, quota: Quota): QuotaWindow {
  const index = window.findIndex((entry) => entry.atMs >= atMs);
  const entry = window[index];
  // An entry is counted at most two grains after any start in it. A later entry holds other starts, which were made.
  if (entry === undefined || entry.atMs - atMs > 2 * grainOfMs(quota)) return window;
  if (entry.count === 1) return window.toSpliced(index, 1);
  return window.with(index, { atMs: entry.atMs, count: entry.count - 1 });
}

/** The window without the starts that no longer count at `now`, even with a learned period that is a tenth longer. */
export function forgetOld(window: QuotaWindow, quota: Quota, now: number): QuotaWindow {
  const keepFromMs = now - paddedPeriodMs(quota) * 1.1;
  const first = window.findIndex((entry) => entry.atMs > keepFromMs);
  if (first === 0) return window;
  return first === -1 ? [] : window.slice(first);
}

/** When the latest counted start was made; `null` when there is none. */
export function latestStartMs(window: QuotaWindow): number | null {
  return window.at(-1)?.atMs ?? null;
}

/**
 * The earliest moment of start number `index` (0 is the next), if every start is made as early as the quota allows and none
 * before `floorMs`. Exact. Costs the same for any `index`.
 */
export function slotAtMs(window: QuotaWindow, quota: Quota, index: number, floorMs: number): number {
  const rounds = Math.floor(index / quota.starts);
  return firstSlotAtMs(window, quota, index % quota.starts, floorMs) + rounds * paddedPeriodMs(quota);
}

/** `slotAtMs` for an index below `quota.starts`: only one start of the window decides, the `starts`-th before it. */
function firstSlotAtMs(window: QuotaWindow, quota: Quota, index: number, floorMs: number): number {
  let toSkip = quota.starts - 1 - index;
  for (let at = window.length - 1; at >= 0; at -= 1) {
    const entry = window[at];
    if (entry === undefined) break;
    if (toSkip < entry.count) return Math.max(floorMs, entry.atMs + paddedPeriodMs(quota));
    toSkip -= entry.count;
  }
  return floorMs;
}
