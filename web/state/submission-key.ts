import { z } from "zod";
import { DarkroomProblem } from "../../client/errors.ts";

/**
 * One submission of a draft: its idempotency key and the exact content sent under it. Stored before the call, so that
 * a second press, a reload or a crash in between sends the same key again and makes no second job.
 */
export const Sent = z.object({
  key: z.string(),
  fingerprint: z.string(),
  /** When it was last sent, or its last call failed, epoch ms. Absent when an older page stored it. */
  sentAtMs: z.number().optional(),
  /** When the server first confirmed it, epoch ms; null while that is unknown. */
  takenAtMs: z.number().nullable(),
});
export type Sent = z.infer<typeof Sent>;

/** How long after the first success the same draft, sent again, still counts as the same press. */
export const SAME_PRESS_MS = 2_000;

/**
 * How long after a call without an answer the same draft, sent again by a later visit, still counts as the same request. In the
 * visit that shows the failure it always does, because the page says there that pressing again makes no second job.
 */
export const UNANSWERED_MS = 24 * 3_600_000;

/** How many submissions are remembered: several drafts may be under way at once, or without an answer. */
const MAX_SENT = 8;

/**
 * The submission to make now: the earlier one of the same draft while a second press may be an accident, or while the answer to
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

/** The submission once the server took it. It keeps the time of the first success, so that repeated presses do not extend it. */
export function asTaken(sent: Sent, nowMs: number): Sent {
  return { ...sent, takenAtMs: sent.takenAtMs ?? nowMs };
}

/**
 * The submission after a failed call whose key is kept: the next press sends the key again, also when an earlier call
 * was answered. The time counts from the failure, which the person sees; a call may last for hours while the machine sleeps.
 */
export function asFailed(sent: Sent, nowMs: number): Sent {
  return { ...sent, sentAtMs: nowMs, takenAtMs: null };
}

/** The submissions with `sent` added, newest first; of one draft only the newest, and at most `MAX_SENT`. */
export function withSent(earlier: readonly Sent[], sent: Sent): Sent[] {
  return [sent, ...earlier.filter(({ fingerprint }) => fingerprint !== sent.fingerprint)].slice(0, MAX_SENT);
}

/** Refusals because of the caller, its origin or its rate: they are not about the request, and they pass. */
const NOT_OF_THE_REQUEST: readonly number[] = [401, 403, 429];

/**
 * Whether a failed submission's key can be forgotten: the server refused the request itself, and nothing was sent under the key
 * before (`sentBefore`: by an earlier press, or by a repetition within this one). Otherwise an earlier try may have been
 * carried out, and only its key keeps the next press from making a second job. A key that the server holds for another request
 * is useless, so it is always forgotten.
 */
export function mayForgetKey(error: unknown, sentBefore: boolean): boolean {
  if (!(error instanceof DarkroomProblem)) return false;
  if (error.code === "idempotency_key_reused") return true;
  return !sentBefore && error.status < 500 && !NOT_OF_THE_REQUEST.includes(error.status);
}

/** The stored submissions; none when they cannot be read. */
export function parseSent(stored: string | null): Sent[] {
  if (stored === null) return [];
  try {
    return z.array(Sent).parse(JSON.parse(stored));
  } catch {
    return [];
  }
}
