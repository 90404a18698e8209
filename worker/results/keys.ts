/** Where a job's images lie in the bucket. Everything of a job is under its prefix, and nothing of another is. */

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
