import type { Job } from "../../schemas/job.ts";
import { failureWords } from "../state/failure-words.ts";
import { isShutOut } from "./access.ts";
import { darkroom } from "./darkroom.ts";
import { forgetJob, jobList, learnJob } from "./live-jobs.ts";
import { notify } from "./notices.ts";

/** Calls a job off. Null when it could not be done; the person is told why. */
export function cancelJob(id: string): Promise<Job | null> {
  return acted(id, () => darkroom.cancel(id), "Canceled");
}

/** Sends a failed or canceled job back into the queue. Null when it could not be done; the person is told why. */
export function retryJob(id: string): Promise<Job | null> {
  return acted(id, () => darkroom.retry(id), "In line again");
}

/** Deletes the job and its images. False when it could not be done; the person is told why. */
export async function deleteJob(id: string): Promise<boolean> {
  try {
    await darkroom.remove(id);
  } catch (error) {
    await tell(error);
    return false;
  }
  forgetJob(id);
  notify("done", "Deleted");
  return true;
}

/** How long a job's links, once asked for again, are left alone: an image that cannot be had must not be asked for in a loop. */
const RENEW_PAUSE_MS = 30_000;
const renewedAtMs = new Map<string, number>();

/** Fetches a job again for fresh image links. */
export async function renewLinks(id: string): Promise<void> {
  const nowMs = Date.now();
  for (const [other, atMs] of renewedAtMs) if (nowMs - atMs >= RENEW_PAUSE_MS) renewedAtMs.delete(other);
  if (renewedAtMs.has(id)) return;
  renewedAtMs.set(id, nowMs);
  try {
    learnJob(await darkroom.get(id));
  } catch {
    // The print stays blank; the job's own page says what is the matter.
  }
}

async function acted(id: string, act: () => Promise<Job>, done: string): Promise<Job | null> {
  try {
    const job = await act();
    learnJob(job);
    // An answer that comes after news of what followed tells nobody anything any more.
    if (jobList.get().jobs.get(id)?.seq === job.seq) notify("done", done);
    return job;
  } catch (error) {
    await tell(error);
    return null;
  }
}

async function tell(error: unknown): Promise<void> {
  if (await isShutOut(error)) return;
  const { title, detail } = failureWords(error);
  notify("failed", `${title}. ${detail}`);
}
