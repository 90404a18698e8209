/** Which held answer a request is the repetition of. Pure. */

/**
 * From so long after its waiter's start on, in ms, an identical request is its repetition, even if the waiter looks alive: a
 * client's hang-up does not always reach us. Sooner, identical requests are parallel calls with jobs of their own. Clients
 * that repeat a request by themselves wait longer than this for its answer.
 */
export const REPEATED_AFTER_MS = 10_000;

/**
 * For so long after its answer was sent, in ms, a request that says of itself that it is a repetition takes the same job: the
 * answer may have gone to a connection that was dead already. Clients repeat within seconds.
 */
export const SENT_IN_VAIN_MS = 60_000;

/** A job, or the group of jobs of one request, whose answer is not delivered. Null: nobody waits for it. */
export interface HeldMark {
  readonly key: string;
  readonly markedAtMs: number;
  readonly waitingSinceMs: number | null;
}

/**
 * The mark that a request takes over; null: it is a new one. `isRepeat`: it says of itself that it is a repetition. Of several,
 * one that nobody waits for goes first, then the one that was waited for longest.
 */
export function markToTake(marks: readonly HeldMark[], isRepeat: boolean, nowMs: number): HeldMark | null {
  const sinceMs = ({ waitingSinceMs }: HeldMark) => waitingSinceMs ?? Number.NEGATIVE_INFINITY;
  const free = marks.filter((mark) => isRepeat || nowMs - sinceMs(mark) >= REPEATED_AFTER_MS);
  free.sort((a, b) => (sinceMs(a) === sinceMs(b) ? a.markedAtMs - b.markedAtMs : sinceMs(a) < sinceMs(b) ? -1 : 1));
  return free[0] ?? null;
}
