import type { Job } from "../../schemas/job.ts";
import { draftFromJob } from "../state/draft.ts";
import { failureWords } from "../state/failure-words.ts";
import { isShutOut } from "./access.ts";
import { darkroom } from "./darkroom.ts";
import { changeDraft } from "./draft-store.ts";
import { readFile } from "./file-store.ts";
import { forgetJob, jobList, learnJob } from "./live-jobs.ts";
import { notify } from "./notices.ts";
import { chooseClient, isOperator } from "./operator.ts";

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

/** Puts a job's request into the form; says which reference images this browser no longer has. */
export async function composeAgain(job: Job): Promise<void> {
  const draft = draftFromJob(job);
  const found = await Promise.all(
    draft.images.map(async (image) => {
      if (image.kind === "url") return image;
      const file = await readFile(image.key);
      return file === null ? null : { ...image, name: file.name };
    }),
  );
  const images = found.filter((image) => image !== null);
  // Where it is not known whose job it is, the form asks: whoever was chosen before may be another.
  if (isOperator.get()) chooseClient(jobList.get().jobs.get(job.id)?.client ?? "");
  changeDraft({ type: "replace", draft: { ...draft, images } });
  const lost = draft.images.length - images.length;
  if (lost > 0)
    notify(
      "failed",
      `${lost === 1 ? "A reference image is" : `${lost} reference images are`} not in this browser: add again.`,
    );
}

/** Long enough for any browser to have begun saving; after it the bytes are let go. */
const KEEP_MS = 60_000;

/**
 * Saves an image under a name of our own. The link alone would be saved under the server's name, which cannot know the prompt's
 * words. Never rejects: the person is told.
 */
export async function saveImage(url: string, fileName: string): Promise<void> {
  try {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`answered ${response.status}`);
    const objectUrl = URL.createObjectURL(await response.blob());
    const link = document.createElement("a");
    link.href = objectUrl;
    link.download = fileName;
    link.click();
    setTimeout(() => URL.revokeObjectURL(objectUrl), KEEP_MS);
  } catch {
    notify("failed", "The image could not be fetched. Load the page again and try once more.");
  }
}
