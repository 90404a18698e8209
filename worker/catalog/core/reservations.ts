/** Submissions, and retries by hand, that were granted together and are not all recorded yet. */
export interface Reservation {
  /** Counted against the limit until then. */
  readonly endsAtMs: number;
  readonly left: number;
}

/** How long a grant may be used. Short, so that an unused reservation does not block others for long. */
export const GRANT_MS = 10_000;

/**
 * A job submitted at the last moment of its grant is recorded a little later; until then its grant still counts. Long enough for one
 * call to the catalog that is given up after 12 s, its repetition, and clocks that differ.
 */
export const RECORD_DELAY_MS = 20_000;

/**
 * A grant of more than one request needs takes at most one part in this many of what is free, so that near the limit several
 * isolates share it.
 */
const SHARE_OF_FREE = 8;

/** Submissions that are granted now and not recorded yet. */
export function outstanding(reservations: readonly Reservation[], nowMs: number): number {
  return reservations.reduce((sum, { endsAtMs, left }) => (endsAtMs > nowMs ? sum + left : sum), 0);
}

/**
 * Grants up to `wanted`, and `least` or nothing, so that unfinished jobs and reservations together never exceed `limit`. Answers
 * the reservations that still count, the new one included.
 */
export function reserve(
  reservations: readonly Reservation[],
  pending: number,
  { wanted, least }: { readonly wanted: number; readonly least: number },
  limit: number,
  nowMs: number,
): { readonly granted: number; readonly reservations: readonly Reservation[] } {
  const alive = reservations.filter(({ endsAtMs, left }) => endsAtMs > nowMs && left > 0);
  const free = Math.max(0, limit - pending - outstanding(alive, nowMs));
  const granted = Math.max(least, Math.min(wanted, Math.floor(free / SHARE_OF_FREE)));
  if (granted > free) return { granted: 0, reservations: alive };
  return {
    granted,
    reservations: [...alive, { endsAtMs: nowMs + GRANT_MS + RECORD_DELAY_MS, left: granted }],
  };
}

/** Clocks of two objects differ less than this, in ms. */
export const CLOCK_SLACK_MS = 3_000;

/**
 * A job that a client asked for at `askedAtMs` was recorded: the oldest reservation that still counts and may be the one that the job
 * was submitted under becomes one smaller. An entry that arrives after the job's own reservation has ended uses up none: those that
 * were made since belong to other submissions, which may still be under way.
 */
export function redeem(reservations: readonly Reservation[], askedAtMs: number, nowMs: number): readonly Reservation[] {
  const madeByMs = askedAtMs + CLOCK_SLACK_MS;
  const at = reservations.findIndex(
    ({ endsAtMs, left }) => endsAtMs > nowMs && left > 0 && endsAtMs - GRANT_MS - RECORD_DELAY_MS <= madeByMs,
  );
  return reservations.map((reservation, index) =>
    index === at ? { ...reservation, left: reservation.left - 1 } : reservation,
  );
}
