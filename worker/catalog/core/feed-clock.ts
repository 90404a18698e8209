/**
 * The number of a change in the feed: the time, but above every earlier number. So the numbers keep rising when old tombstones
 * are pruned or all state is lost, and a watcher that resumes is never ahead of the feed.
 */
export function nextFeedNumber(last: number, nowMs: number): number {
  return Math.max(last + 1, nowMs);
}
