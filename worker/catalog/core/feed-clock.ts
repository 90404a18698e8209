/**
 * The number of a change in the feed: above every earlier one, and otherwise the time. So the numbers go on rising although
 * old tombstones are pruned, or all state is lost, and whoever resumes is never ahead of the feed.
 */
export function nextFeedNumber(last: number, nowMs: number): number {
  return Math.max(last + 1, nowMs);
}
