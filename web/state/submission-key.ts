import { z } from "zod";
import { DarkroomProblem } from "../../client/errors.ts";

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

/** Refusals of who asks, from where, and how often: they say nothing of what became of the request, and pass. */
const NOT_OF_THE_REQUEST: readonly number[] = [401, 403, 429];

/**
 * Whether a failed submission's key can be forgotten: the server refused the request itself, and nothing was sent under the key
 * before (`sentBefore`: by an earlier press, or by a repetition within this one). Otherwise an earlier try may have been
 * carried out, and only its key keeps the next press from making a second job. A key that the server holds for another request
 * is of no more use.
 */
export function mayForgetKey(error: unknown, sentBefore: boolean): boolean {
  if (!(error instanceof DarkroomProblem)) return false;
  if (error.code === "idempotency_key_reused") return true;
  return !sentBefore && error.status < 500 && !NOT_OF_THE_REQUEST.includes(error.status);
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
