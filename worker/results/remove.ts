import { jobPrefix } from "./keys.ts";

/**
 * Deletes everything of a job, results and inputs. Idempotent. A copy that is under way meanwhile may still land: end it
 * first, or remove again. Throws when R2 does; then some of it may remain.
 */
export async function removeJobFiles(bucket: R2Bucket, jobId: string): Promise<void> {
  const prefix = jobPrefix(jobId);
  // Listed anew each time: a cursor over what is being deleted is not needed, and a page is what one delete takes.
  while (true) {
    const { objects } = await bucket.list({ prefix });
    if (objects.length === 0) return;
    await bucket.delete(objects.map((object) => object.key));
  }
}
