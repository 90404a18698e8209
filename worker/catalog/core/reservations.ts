/** Submissions, and retries by hand, that were promised together and have not all turned up as jobs yet. */
export interface Reservation {
  /** Counted against the limit until then. */
  readonly endsAtMs: number;
  readonly left: number;
}

/** How long a grant may be used. Short, so that what is reserved and not used stands in nobody's way for long. */
export const GRANT_MS = 10_000;

/** A job submitted at the last moment of its grant is recorded a little later; until then its grant still counts. */
export const RECORD_DELAY_MS = 10_000;

/** A grant takes at most this part of what is free, so that near the limit several places that submit share it. */
const SHARE_OF_FREE = 8;

/** Submissions that are promised now and have not turned up as jobs. */
export function outstanding(reservations: readonly Reservation[], nowMs: number): number {
  return reservations.reduce((sum, { endsAtMs, left }) => (endsAtMs > nowMs ? sum + left : sum), 0);
}

/**
 * Grants up to `wanted`, so that unfinished jobs and all that is promised never exceed `limit`; `granted` 0 when nothing is
 * free. `reservations` are those that still count, the new one included.
 */
export function reserve(
  reservations: readonly Reservation[],
  pending: number,
  wanted: number,
  limit: number,
  nowMs: number,
): { readonly granted: number; readonly reservations: readonly Reservation[] } {
  const alive = reservations.filter(({ endsAtMs, left }) => endsAtMs > nowMs && left > 0);
  const free = Math.max(0, limit - pending - outstanding(alive, nowMs));
  const granted = Math.min(wanted, free, Math.max(1, Math.floor(free / SHARE_OF_FREE)));
  if (granted <= 0) return { granted: 0, reservations: alive };
  return {
    granted,
    reservations: [...alive, { endsAtMs: nowMs + GRANT_MS + RECORD_DELAY_MS, left: granted }],
  };
}

/** A job turned up: the oldest promise that still counts is one smaller. */
export function redeem(reservations: readonly Reservation[], nowMs: number): readonly Reservation[] {
  const at = reservations.findIndex(({ endsAtMs, left }) => endsAtMs > nowMs && left > 0);
  return reservations.map((reservation, index) =>
    index === at ? { ...reservation, left: reservation.left - 1 } : reservation,
  );
}
