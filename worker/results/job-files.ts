/** Where a job's images are in the bucket, their removal, and the bound of every call to it. Everything of a job is under its prefix, nothing of another is. */
import { within } from "../bounds.ts";

/** A call to R2 takes milliseconds; one that takes this long is given up, and repeated by its caller. */
export const R2_BOUND_MS = 30_000;

/**
 * One call to R2, bounded from outside: its promise may never settle. A write that is given up may still land, so every
 * write here is only made where nothing is.
 */
export function fromR2<Answer>(call: Promise<Answer>, boundMs: number = R2_BOUND_MS): Promise<Answer> {
  return within(boundMs, "the image storage", call);
}

export function jobPrefix(jobId: string): string {
  return `jobs/${jobId}/`;
}

/** A result. The attempt is in it, so that a late attempt cannot overwrite the winner's image. */
export function imageKey(jobId: string, attempt: number, index: number): string {
  return `${jobPrefix(jobId)}${attempt}/${index}`;
}

/** An uploaded input image, by its content: the same bytes twice are one object. */
export function inputKey(jobId: string, sha256: string): string {
  return `${jobPrefix(jobId)}inputs/${sha256}`;
}

/** A file that a client uploads under a name of its own, to be used as an input later; `nameHash` is of the name. */
export function namedFileKey(jobId: string, nameHash: string): string {
  return `${jobPrefix(jobId)}named/${nameHash}`;
}

/**
 * Deletes everything of a job, results and inputs. Idempotent. A copy that is still running may add an object afterwards:
 * end it first, or remove again. Throws when R2 does or does not answer; then some of it may remain.
 */
export async function removeJobFiles(bucket: R2Bucket, jobId: string, boundMs?: number): Promise<void> {
  const prefix = jobPrefix(jobId);
  // Listed anew each time: a cursor over what is being deleted is not needed, and a page is what one delete takes.
  while (true) {
    const { objects } = await fromR2(bucket.list({ prefix }), boundMs);
    if (objects.length === 0) return;
    await fromR2(bucket.delete(objects.map((object) => object.key)), boundMs);
  }
}
