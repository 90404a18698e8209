import type { Quota } from "../../../schemas/limits.ts";

/** `count` starts, all counted at `atMs`: never earlier than they were made. */
export interface CountedStarts {
  readonly atMs: number;
  readonly count: number;
}

/** The starts that may still count against the quota, oldest first. */
export type QuotaWindow = readonly CountedStarts[];

/**
 * How much longer than upstream's period ours is: what the way to upstream may differ from call to call (600 ms of a
 * minute). A backlog uses 1 / 1.01 = 99 % of its quota; the bar is 98 %.
 */
export const SAFETY_MARGIN = 0.01;

/** Above so many starts a period, those within a 200th of it share an entry, so that the window stays small to store. */
const EXACT_STARTS = 60;
const COARSE_PARTS = 200;

/** No more than `quota.starts` in any window of this length, upstream's period and the margin. In ms. */
export function paddedPeriodMs(quota: Quota): number {
  return Math.ceil(quota.periodMs * (1 + SAFETY_MARGIN));
}

function grainOfMs(quota: Quota): number {
  return quota.starts > EXACT_STARTS ? quota.periodMs / COARSE_PARTS : 0;
}

/** The window with one more start. Starts may come in any order; where some share an entry it is counted at its latest. */
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

/** The window without one start that was added at `atMs` and never made. One already forgotten: unchanged. */
export function removeStart(window: QuotaWindow, atMs: number, quota: Quota): QuotaWindow {
  const index = window.findIndex((entry) => entry.atMs >= atMs);
  const entry = window[index];
  // An entry is counted at most two grains after any start in it; a later one holds other starts, which were made.
  if (entry === undefined || entry.atMs - atMs > 2 * grainOfMs(quota)) return window;
  if (entry.count === 1) return window.toSpliced(index, 1);
  return window.with(index, { atMs: entry.atMs, count: entry.count - 1 });
}

/** The window without what no longer counts at `now`, even if upstream's period is believed to be a tenth longer. */
export function forgetOld(window: QuotaWindow, quota: Quota, now: number): QuotaWindow {
  const keepFromMs = now - paddedPeriodMs(quota) * 1.1;
  const first = window.findIndex((entry) => entry.atMs > keepFromMs);
  if (first === 0) return window;
  return first === -1 ? [] : window.slice(first);
}

/** When the latest start was made; `null` when none counts any more. */
export function latestStartMs(window: QuotaWindow): number | null {
  return window.at(-1)?.atMs ?? null;
}

/**
 * The earliest moment of the start number `index` from now (0 is the next), if every one is made as early as the quota
 * allows and none before `floorMs`. Exact, and as cheap for the hundred thousandth as for the next.
 */
export function slotAtMs(window: QuotaWindow, quota: Quota, index: number, floorMs: number): number {
  const rounds = Math.floor(index / quota.starts);
  return firstSlotAtMs(window, quota, index % quota.starts, floorMs) + rounds * paddedPeriodMs(quota);
}

/** `slotAtMs` for an index below `quota.starts`: it waits for one start of the window only, the `starts`-th before it. */
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
