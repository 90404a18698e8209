import { wasRepeated } from "../../client/api-call.ts";
import type { Job } from "../../schemas/job.ts";
import type { ModelInfo } from "../../schemas/limits.ts";
import { type Draft, type DraftAction, type DraftImage, parseDraft, reduceDraft } from "../state/draft.ts";
import { requestFields } from "../state/draft-request.ts";
import { mayForgetKey, parseSent, type Sent, submissionFor } from "../state/submission-key.ts";
import { readStored, writeStored } from "./browser-storage.ts";
import { darkroom } from "./darkroom.ts";
import { randomKey, readFile } from "./file-store.ts";
import { learnJob } from "./live-jobs.ts";
import { DRAFT_NAME, SENT_NAME } from "./private-data.ts";
import { createStore } from "./store.ts";

export const draft = createStore<Draft>(parseDraft(readStored(DRAFT_NAME)));

/** Changes the draft, keeps it for the next visit, and answers it as it now is. */
export function changeDraft(action: DraftAction): Draft {
  const changed = reduceDraft(draft.get(), action);
  draft.set(changed);
  writeStored(DRAFT_NAME, JSON.stringify(changed));
  return changed;
}

/** A submission under way; while there is one, another press joins it. */
let underWay: Promise<Job> | null = null;

/** Sends the draft: one job however often it is pressed. Rejects with the client's error, or a `TypeError` for a lost file. */
export function submitDraft(model: ModelInfo): Promise<Job> {
  underWay ??= submitOnce(draft.get(), model).finally(() => {
    underWay = null;
  });
  return underWay;
}

async function submitOnce(current: Draft, model: ModelInfo): Promise<Job> {
  const fields = requestFields(current, model);
  const images = current.workflow === "image-from-reference" ? current.images : [];
  const fingerprint = JSON.stringify({ workflow: current.workflow, fields, images });
  const earlier = parseSent(readStored(SENT_NAME));
  const sent = submissionFor(earlier, fingerprint, Date.now(), randomKey);
  keepSent(sent);
  const options = { idempotencyKey: sent.key };
  try {
    const job =
      current.workflow === "image-from-text"
        ? await darkroom.submit("image-from-text", fields, options)
        : await submitReferences(fields, images, options);
    keepSent({ ...sent, takenAtMs: Date.now() });
    learnJob(job);
    return job;
  } catch (error) {
    // A kept key makes pressing again safe.
    const sentBefore = sent === earlier || (error instanceof Error && wasRepeated(error));
    if (mayForgetKey(error, sentBefore)) keepSent(null);
    throw error;
  }
}

async function submitReferences(
  fields: ReturnType<typeof requestFields>,
  images: readonly DraftImage[],
  options: { readonly idempotencyKey: string },
): Promise<Job> {
  const files = await Promise.all(images.map(fileOf));
  const onlyFiles = files.filter((file) => file !== null);
  if (onlyFiles.length === images.length) return darkroom.submitFiles(fields, onlyFiles, options);
  const sources = await Promise.all(
    images.map((image, index) => (image.kind === "url" ? image.url.trim() : dataUrl(files[index] ?? null))),
  );
  return darkroom.submit("image-from-reference", { ...fields, images: sources }, options);
}

/** The file of an image; null for an address. */
async function fileOf(image: DraftImage): Promise<File | null> {
  if (image.kind === "url") return null;
  const file = await readFile(image.key);
  if (file === null) throw new TypeError(`${image.name} is no longer in this browser: add it again`);
  return file;
}

function dataUrl(file: File | null): Promise<string> {
  return new Promise((resolve, reject) => {
    if (file === null) return reject(new TypeError("an image is missing"));
    const reader = new FileReader();
    // `readAsDataURL` gives a string, or an error.
    reader.onload = () => resolve(reader.result as string);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

function keepSent(sent: Sent | null): void {
  writeStored(SENT_NAME, sent === null ? null : JSON.stringify(sent));
}
