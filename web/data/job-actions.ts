import type { Job } from "../../schemas/job.ts";
import { draftFromJob, type PrintFacts, printAsInput } from "../state/draft.ts";
import { repeatFields } from "../state/draft-request.ts";
import { failureWords } from "../state/failure-words.ts";
import { chosenModel } from "../state/model-words.ts";
import { isShutOut } from "./access.ts";
import { darkroom } from "./darkroom.ts";
import { copyIntoDraft, draft } from "./draft-store.ts";
import { takePrint } from "./incoming-images.ts";
import { limits } from "./limits.ts";
import { findClient, forgetJob, jobList, learnJob } from "./live-jobs.ts";
import { notify } from "./notices.ts";
import { isOperator } from "./operator.ts";
import { submitOnce } from "./submissions.ts";

/** Cancels a job. Null when that failed; the person is notified why. */
export function cancelJob(id: string): Promise<Job | null> {
  return acted(id, () => darkroom.cancel(id), "Canceled");
}

/** Sends a failed or canceled job back into the queue. Null when that failed; the person is notified why. */
export function retryJob(id: string): Promise<Job | null> {
  return acted(id, () => darkroom.retry(id), "In line again");
}

/** Pins or unpins a job. Null when that failed; the person is notified why. */
export function pinJob(id: string, pinned: boolean): Promise<Job | null> {
  return acted(id, () => darkroom.update(id, { pinned }), pinned ? "Pinned: kept until it is unpinned" : "Unpinned");
}

/** Deletes the job and its images. False when that failed; the person is notified why. */
export async function deleteJob(id: string): Promise<boolean> {
  try {
    await darkroom.remove(id);
  } catch (error) {
    await notifyFailure(error);
    return false;
  }
  forgetJob(id);
  notify("done", "Deleted");
  return true;
}

/**
 * Puts a job's whole request into the form, for the job's client. The draft that was in the form is put aside. False when the job
 * could not be read; the person is notified why.
 */
export async function composeAgain(id: string): Promise<boolean> {
  const job = await readJob(id);
  if (job === null) return false;
  // Where the job's client cannot be found, the form asks the operator for one.
  const client = isOperator() ? await findClient(job).catch(() => null) : null;
  copyIntoDraft(draftFromJob(job, client ?? ""));
  const models = limits.get()?.models ?? [];
  const offered = chosenModel(job.workflow, job.model, models);
  if (offered !== null && offered.model !== job.model) {
    notify("failed", `${job.model} is no longer offered here. The form uses ${offered.model}: check its settings.`);
  }
  return true;
}

/**
 * Submits a job's request again, as a new job with a new seed; the draft in the form stays. The person is notified of the outcome.
 */
export async function submitAgain(id: string): Promise<void> {
  const job = await readJob(id);
  if (job === null) return;
  try {
    const client = isOperator() ? await findClient(job) : null;
    if (isOperator() && client === null) {
      notify(
        "failed",
        "The list does not say whose job this is. Choose “Again with changes”, and the client in the form.",
      );
      return;
    }
    const { images } = draftFromJob(job);
    await submitOnce({ workflow: job.workflow, fields: repeatFields(job), images, client });
    notify("done", "In line: the same once more, with a new seed");
  } catch (error) {
    await notifyFailure(error);
  }
}

/** Adds a finished image to the draft as a reference. The person is notified of the outcome. Never rejects. */
export async function addAsReference(
  job: { readonly id: string; readonly prompt: string },
  image: PrintFacts,
): Promise<void> {
  const input = printAsInput(job, image);
  const model = chosenModel("image-from-reference", draft.get().model, limits.get()?.models ?? []);
  if (await takePrint(input, model?.images.max ?? 1)) notify("done", "Added to the references");
}

/** The job in its current state; null when it could not be read: the person is then notified. */
async function readJob(id: string): Promise<Job | null> {
  try {
    return await darkroom.get(id);
  } catch (error) {
    await notifyFailure(error);
    return null;
  }
}

async function acted(id: string, act: () => Promise<Job>, done: string): Promise<Job | null> {
  try {
    const job = await act();
    learnJob(job);
    // When the job has changed since this answer, the notice would be outdated.
    if (jobList.get().jobs.get(id)?.seq === job.seq) notify("done", done);
    return job;
  } catch (error) {
    await notifyFailure(error);
    return null;
  }
}

/** Says on the page why something failed, unless the person is signed out by now. */
export async function notifyFailure(error: unknown): Promise<void> {
  if (await isShutOut(error)) return;
  const { title, detail } = failureWords(error);
  notify("failed", `${title}. ${detail}`);
}
