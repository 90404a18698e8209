/** The cursors of a catalog: where a list of its jobs stands, and the number of a change in its feed. Pure. */
import { JOB_ID_PATTERN } from "../../../schemas/paths.ts";

/** Where a list stands: everything newer has been shown. Neither part of it ever changes in a job, so jobs may move meanwhile. */
export interface ListPosition {
  readonly createdAtMs: number;
  readonly id: string;
}

/** The kind of the cursor, in case another one follows. */
const VERSION = "1";

/** The position as clients get it: opaque to them, safe in a URL. */
export function encodeListCursor(position: ListPosition): string {
  return btoa(`${VERSION}.${position.createdAtMs}.${position.id}`)
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

/** The position that a cursor stands for; `null` when it is not one of ours. */
export function decodeListCursor(cursor: string): ListPosition | null {
  // The longest of ours has 115 characters; a text above 128 is not decoded.
  if (!/^[A-Za-z0-9_-]{1,128}$/.test(cursor)) return null;
  let text: string;
  try {
    text = atob(cursor.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    return null;
  }
  const [version, createdAtMs, id, ...rest] = text.split(".");
  if (version !== VERSION || createdAtMs === undefined || id === undefined || rest.length > 0) return null;
  if (!/^\d{1,15}$/.test(createdAtMs) || !JOB_ID_PATTERN.test(id)) return null;
  return { createdAtMs: Number(createdAtMs), id };
}

/** The order of lists: newest first, and among equals by id, so that every job has one place. */
export function newestFirst(a: ListPosition, b: ListPosition): number {
  if (a.createdAtMs !== b.createdAtMs) return b.createdAtMs - a.createdAtMs;
  return a.id < b.id ? 1 : a.id > b.id ? -1 : 0;
}

/**
 * The number of a change in the feed: the time, but above every earlier number. So the numbers keep rising when old tombstones
 * are pruned or all state is lost, and a watcher that resumes is never ahead of the feed.
 */
export function nextFeedNumber(last: number, nowMs: number): number {
  return Math.max(last + 1, nowMs);
}
