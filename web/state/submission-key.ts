import { z } from "zod";
import { DarkroomProblem } from "../../client/errors.ts";

/**
 * One submission of a draft: its idempotency key and what exactly was sent under it. Stored before the call goes out, so that
 * a second press, a reload or a crash in between sends the same key again and makes no second job.
 */
export const Sent = z.object({
  key: z.string(),
  fingerprint: z.string(),
  /** When it was last sent, or its last call failed, epoch ms. Absent in what an older page stored. */
  sentAtMs: z.number().optional(),
  /** When the server first said that it took it, epoch ms; null while that is unknown. */
  takenAtMs: z.number().nullable(),
});
export type Sent = z.infer<typeof Sent>;

/** How long after the first success the same draft, sent again, still counts as the same press. */
export const SAME_PRESS_MS = 2_000;

/**
 * How long after a call without an answer the same draft, sent again by a later visit, still counts as the same request. The visit
 * that shows the failure says that pressing again makes no second job, so there it always counts as the same.
 */
export const UNANSWERED_MS = 24 * 3_600_000;

/** How many submissions are remembered: several drafts may be on their way at once, or of unknown fate. */
const MAX_SENT = 8;

/**
 * The submission to make now: an earlier one of the same draft again while a second press may be an accident, or the answer to
 * the earlier one may be lost; else a new one.
 */
export function submissionFor(
  earlier: readonly Sent[],
  fingerprint: string,
  nowMs: number,
  newKey: () => string,
): Sent {
  const same = earlier.find((sent) => sent.fingerprint === fingerprint);
  return same !== undefined && isSamePress(same, nowMs)
    ? { ...same, sentAtMs: nowMs }
    : { key: newKey(), fingerprint, sentAtMs: nowMs, takenAtMs: null };
}

function isSamePress({ sentAtMs, takenAtMs }: Sent, nowMs: number): boolean {
  if (takenAtMs !== null) return nowMs - takenAtMs < SAME_PRESS_MS;
  return sentAtMs === undefined || nowMs - sentAtMs < UNANSWERED_MS;
}

/** The submission once the server took it. Taken again under the same key, it keeps its first time, so that no series of presses goes on for ever. */
export function asTaken(sent: Sent, nowMs: number): Sent {
  return { ...sent, takenAtMs: sent.takenAtMs ?? nowMs };
}

/**
 * The submission once a call under its key failed, and the key is kept: the next press sends it again, also when an earlier call
 * was answered. The time counts from the failure, which the person sees; a call may wait for hours while the machine sleeps.
 */
export function asFailed(sent: Sent, nowMs: number): Sent {
  return { ...sent, sentAtMs: nowMs, takenAtMs: null };
}

/** The submissions with one as it now is, newest first; of one draft the newest only, and no more than are worth keeping. */
export function withSent(earlier: readonly Sent[], sent: Sent): Sent[] {
  return [sent, ...earlier.filter(({ fingerprint }) => fingerprint !== sent.fingerprint)].slice(0, MAX_SENT);
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

/** The stored ones; none when they cannot be read. */
export function parseSent(stored: string | null): Sent[] {
  if (stored === null) return [];
  try {
    return z.array(Sent).parse(JSON.parse(stored));
  } catch {
    return [];
  }
}
