import { z } from "zod";

/**
 * One submission of a draft: its idempotency key and what exactly was sent under it. Stored before the call goes out, so that
 * a second press, a reload or a crash in between sends the same key again and makes no second job.
 */
export const Sent = z.object({
  key: z.string(),
  fingerprint: z.string(),
  /** When the server took it, epoch ms; null while that is unknown. */
  takenAtMs: z.number().nullable(),
});
export type Sent = z.infer<typeof Sent>;

/** How long after a success the same draft, sent again, still counts as the same press. */
export const SAME_PRESS_MS = 2_000;

/** The submission to make now: the earlier one again when it is the same draft and may have been an accident, else a new one. */
export function submissionFor(sent: Sent | null, fingerprint: string, nowMs: number, newKey: () => string): Sent {
  const same = sent !== null && sent.fingerprint === fingerprint;
  const accident = same && (sent.takenAtMs === null || nowMs - sent.takenAtMs < SAME_PRESS_MS);
  return accident ? sent : { key: newKey(), fingerprint, takenAtMs: null };
}

/** A stored one; null when there is none or it cannot be read. */
export function parseSent(stored: string | null): Sent | null {
  if (stored === null) return null;
  try {
    return Sent.parse(JSON.parse(stored));
  } catch {
    return null;
  }
}
