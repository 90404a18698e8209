/** Which held answer a request is the repetition of. Pure. */

/**
 * How long after the call that says that its answer is sent, in ms, a request that states that it is a repetition takes the same
 * job: the answer may have gone to a connection that was already dead. The answer leaves up to 17 s after the first such call (three
 * tries), and OpenAI's clients repeat within 8 s. A later repetition is a new call.
 */
export const SENT_IN_VAIN_MS = 30_000;

/** A request that waits reports it this often, in ms. */
export const HEARD_EVERY_MS = 4_000;
/** A waiter that has not reported for this long, in ms, counts as no longer waiting: its Worker died, or cannot reach the catalog. */
export const SILENT_MS = 13_000;

/** A request that waits for an answer: since when, and when it last reported it. */
export interface Waiter {
  readonly sinceMs: number;
  readonly heardAtMs: number;
}

/** A job, or the group of jobs of one request, whose answer is held or was sent a moment ago. `waiter` null: nobody waits for it. */
export interface HeldMark {
  readonly key: string;
  readonly markedAtMs: number;
  readonly waiter: Waiter | null;
  /** When the latest repetition that took the mark arrived, in epoch ms; null: none did. */
  readonly repeatedAtMs: number | null;
  /** When the answer was sent, in epoch ms; null: it is not delivered. */
  readonly sentAtMs: number | null;
}

/** What is known of a request besides its marks. */
export interface HeldAsker {
  /** It states that it is a repetition. */
  readonly isRepeat: boolean;
  /** After how long a waiter may have hung up unseen, in ms; infinite where each hang-up is seen. */
  readonly hiddenHangUpMs: number;
}

/**
 * The mark that a repetition took which arrived after this request, whose claim comes late: its client has given it up, so it
 * waits for that job, takes nothing over and makes none. Null: the request is not known to be given up.
 */
export function markOfLater(marks: readonly HeldMark[], receivedAtMs: number): HeldMark | null {
  return marks.find(({ repeatedAtMs }) => repeatedAtMs !== null && receivedAtMs < repeatedAtMs) ?? null;
}

/**
 * The mark that a request takes over; null: it is a new one. The job of a waiter that looks alive is given only to a request that
 * states that it is a repetition: identical requests are parallel calls with jobs of their own. Of several marks, one that nobody
 * waits for goes first, then the one that was waited for longest.
 */
export function markToTake(
  marks: readonly HeldMark[],
  { isRepeat, hiddenHangUpMs }: HeldAsker,
  nowMs: number,
): HeldMark | null {
  const isAlive = (waiter: Waiter | null) => waiter !== null && nowMs - waiter.heardAtMs < SILENT_MS;
  const sinceMs = ({ waiter }: HeldMark) => (isAlive(waiter) ? (waiter?.sinceMs ?? 0) : Number.NEGATIVE_INFINITY);
  const open = marks.filter(({ sentAtMs }) => sentAtMs === null);
  const free = open.filter((mark) => isRepeat || nowMs - sinceMs(mark) >= hiddenHangUpMs);
  free.sort((a, b) => (sinceMs(a) === sinceMs(b) ? a.markedAtMs - b.markedAtMs : sinceMs(a) < sinceMs(b) ? -1 : 1));
  return free[0] ?? null;
}

/** The mark whose answer was sent last, and may have gone to a connection that was already dead; null: none was sent just now. */
export function sentInVain(marks: readonly HeldMark[], nowMs: number): HeldMark | null {
  const sent = marks.filter(({ sentAtMs }) => sentAtMs !== null && nowMs - sentAtMs < SENT_IN_VAIN_MS);
  return sent.toSorted((a, b) => (b.sentAtMs ?? 0) - (a.sentAtMs ?? 0))[0] ?? null;
}
