import type { FeedFrame } from "../schemas/event.ts";

/**
 * Judges the next frame of the feed: null when the watcher has had it, else the cursor to resume from after it. `position`
 * is the newest cursor so far; `connectionCursor` the newest of this connection, null at its start.
 *
 * A server whose feed begins anew (its state was wiped) counts from the start again: so a lower cursor than the position is
 * taken at the start of a connection, where the server itself has left out what the watcher knows, and never within one.
 */
export function judgeFeedFrame(connectionCursor: number | null, frame: FeedFrame): { readonly cursor: number } | null {
  if (connectionCursor !== null && frame.cursor < connectionCursor) return null;
  return { cursor: frame.cursor };
}
