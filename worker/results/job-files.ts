/**
 * Where a job's images are in the bucket, their removal, and the bound on every call to it. All files of a job, and only
 * those, are under its prefix.
 */
import { OutOfTime, within } from "../bounds.ts";

/** A call to R2 takes milliseconds. After this time it is abandoned, and its caller repeats it. */
export const R2_BOUND_MS = 30_000;
/** The storage's name in errors. */
const STORAGE = "the image storage";

/**
 * One call to R2, bounded from outside because its promise may never settle. An abandoned write may still be carried out, so
 * every write here is made only where no object exists.
 */
export function fromR2<Answer>(call: Promise<Answer>, boundMs: number = R2_BOUND_MS): Promise<Answer> {
  return within(boundMs, STORAGE, call);
}

export function jobPrefix(jobId: string): string {
  return `jobs/${jobId}/`;
}

/** A result. The key contains the attempt, so that a late attempt cannot overwrite the winner's image. */
export function imageKey(jobId: string, attempt: number, index: number): string {
  return `${jobPrefix(jobId)}${attempt}/${index}`;
}

/** An uploaded input image, by its content: equal bytes are one object. */
export function inputKey(jobId: string, sha256: string): string {
  return `${jobPrefix(jobId)}inputs/${sha256}`;
}

/** A file that a client uploads under its own name, to use as an input later. `nameHash` is the hash of that name. */
export function namedFileKey(jobId: string, nameHash: string): string {
  return `${jobPrefix(jobId)}named/${nameHash}`;
}

/**
 * Deletes all files of a job, results and inputs. Idempotent. A copy that is still running may add an object afterwards: end
 * it first, or remove again. Throws when R2 fails, or when it takes longer than `boundMs` altogether; then some files may remain. No
 * call begins after that: a job may be made under this id by then, and its files must stay.
 */
export async function removeJobFiles(bucket: R2Bucket, jobId: string, boundMs: number = R2_BOUND_MS): Promise<void> {
  const prefix = jobPrefix(jobId);
  const endsAtMs = Date.now() + boundMs;
  const inTime = <Answer>(call: () => Promise<Answer>): Promise<Answer> => {
    const leftMs = endsAtMs - Date.now();
    if (leftMs <= 0) throw new OutOfTime(STORAGE, boundMs);
    return fromR2(call(), leftMs);
  };
  // Listed anew each time instead of by a cursor over files that are being deleted. One page is what one delete takes.
  while (true) {
    const { objects } = await inTime(() => bucket.list({ prefix }));
    if (objects.length === 0) return;
    await inTime(() => bucket.delete(objects.map((object) => object.key)));
  }
}

/** Deletes the uploaded inputs of a job except those with these hashes. Idempotent. Throws when R2 does or does not answer. */
export async function removeOtherInputs(bucket: R2Bucket, jobId: string, kept: readonly string[]): Promise<void> {
  const { objects } = await fromR2(bucket.list({ prefix: inputKey(jobId, "") }));
  const keptKeys = kept.map((sha256) => inputKey(jobId, sha256));
  const others = objects.map(({ key }) => key).filter((key) => !keptKeys.includes(key));
  if (others.length > 0) await fromR2(bucket.delete(others));
}
