import type { Job } from "../../schemas/job.ts";
import { draftFromJob, type PrintFacts, printAsInput } from "../state/draft.ts";
import { failureWords } from "../state/failure-words.ts";
import { chosenModel } from "../state/model-words.ts";
import { isShutOut } from "./access.ts";
import { darkroom } from "./darkroom.ts";
import { changeDraft, draft } from "./draft-store.ts";
import { takeImages } from "./incoming-images.ts";
import { limits } from "./limits.ts";
import { forgetJob, jobList, learnJob } from "./live-jobs.ts";
import { notify } from "./notices.ts";
import { chooseClient, isOperator } from "./operator.ts";
import { submitDraft } from "./submissions.ts";

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
 * Puts a job's request into the form, in place of the draft there, which is put aside. False when the job could not be read;
 * the person is notified why.
 */
export async function composeAgain(id: string): Promise<boolean> {
  const again = await draftOf(id);
  if (again === null) return false;
  // The operator is asked for whom, where the job's client is not known: another may have been chosen before.
  if (isOperator()) chooseClient(clientOf(id) ?? "");
  changeDraft({ type: "replace", draft: again });
  return true;
}

/**
 * Submits what a job asked for once more, as a new job with a seed of its own; the draft in the form stays. The person is
 * notified of the outcome.
 */
export async function submitAgain(id: string): Promise<void> {
  const again = await draftOf(id);
  if (again === null) return;
  const model = chosenModel(again.workflow, again.model, limits.get()?.models ?? []);
  const client = isOperator() ? clientOf(id) : null;
  if (model === null || (isOperator() && client === null)) {
    notify("failed", "This job cannot be repeated from here yet. Open it and choose “Again with changes”.");
    return;
  }
  try {
    await submitDraft({ ...again, seed: "" }, model, client);
    notify("done", "In line: the same once more, with a new seed");
  } catch (error) {
    await notifyFailure(error);
  }
}

/** Adds a finished image to the draft as a reference. */
export function addAsReference(job: { readonly id: string; readonly prompt: string }, image: PrintFacts): void {
  const input = printAsInput(job, image);
  const model = chosenModel("image-from-reference", draft.get().model, limits.get()?.models ?? []);
  if (takeImages([input], model?.images.max ?? 1)) notify("done", "Added to the references");
}

/** A draft that asks for what a job asked for; null when the job could not be read, of which the person is notified. */
async function draftOf(id: string) {
  try {
    return draftFromJob(await darkroom.get(id));
  } catch (error) {
    await notifyFailure(error);
    return null;
  }
}

function clientOf(id: string): string | null {
  return jobList.get().jobs.get(id)?.client ?? null;
}

async function acted(id: string, act: () => Promise<Job>, done: string): Promise<Job | null> {
  try {
    const job = await act();
    learnJob(job);
    // An answer that comes after a later change of the job says nothing that still holds.
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
