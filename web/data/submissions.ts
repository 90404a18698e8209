import { wasRepeated } from "../../client/api-call.ts";
import { DarkroomProblem } from "../../client/errors.ts";
import type { ReferenceImage, SubmitOptions } from "../../client/submission.ts";
import type { Job } from "../../schemas/job.ts";
import type { ModelInfo } from "../../schemas/limits.ts";
import type { Draft, DraftImage } from "../state/draft.ts";
import { type RequestFields, requestFields } from "../state/draft-request.ts";
import { MissingReference } from "../state/failure-words.ts";
import {
  asFailed,
  asTaken,
  mayForgetKey,
  parseSent,
  type Sent,
  submissionFor,
  withSent,
} from "../state/submission-key.ts";
import { readStored, SENT_NAME, writePrivate } from "./browser-storage.ts";
import { refreshBudget } from "./budget.ts";
import { darkroom } from "./darkroom.ts";
import { randomKey, readFile } from "./file-store.ts";
import { learnJob } from "./live-jobs.ts";
import { createStore, useStore } from "./store.ts";

/** The request of a draft, or of a job that is repeated. */
export interface Submission {
  readonly workflow: Draft["workflow"];
  readonly fields: RequestFields;
  readonly images: readonly DraftImage[];
  /** For whom the operator submits; null for a client. */
  readonly client: string | null;
}

function submissionOf(draft: Draft, model: ModelInfo, client: string | null): Submission {
  const images = draft.workflow === "image-from-reference" ? draft.images : [];
  return { workflow: draft.workflow, fields: requestFields(draft, model), images, client };
}

/** The submissions under way, by fingerprint: another press with an equal submission joins, one with another is sent by itself. */
const underWay = createStore<ReadonlyMap<string, Promise<Job>>>(new Map());

/** The submissions whose last call failed in this visit, by fingerprint. The key of each is sent again, however late. */
const failedHere = new Map<string, Sent>();

/** Whether just this draft is being sent. */
export function useIsSending(draft: Draft, model: ModelInfo, client: string | null): boolean {
  return useStore(underWay).has(JSON.stringify(submissionOf(draft, model, client)));
}

/** Sends a draft. `client`: for whom, where the operator submits. Rejects like `submitOnce`. */
export function submitDraft(draft: Draft, model: ModelInfo, client: string | null): Promise<Job> {
  return submitOnce(submissionOf(draft, model, client));
}

/** Makes one job, also when it is called again meanwhile. Rejects with the client library's error, or `MissingReference`. */
export function submitOnce(submission: Submission): Promise<Job> {
  const fingerprint = JSON.stringify(submission);
  const joined = underWay.get().get(fingerprint);
  if (joined !== undefined) return joined;
  const sending = send(submission, fingerprint).finally(() => {
    underWay.set(new Map([...underWay.get()].filter(([other]) => other !== fingerprint)));
  });
  underWay.set(new Map(underWay.get()).set(fingerprint, sending));
  return sending;
}

async function send(submission: Submission, fingerprint: string): Promise<Job> {
  const earlier = readSent();
  const failed = failedHere.get(fingerprint);
  const nowMs = Date.now();
  const sent =
    failed === undefined ? submissionFor(earlier, fingerprint, nowMs, randomKey) : { ...failed, sentAtMs: nowMs };
  keepSent(withSent(earlier, sent));
  const { workflow, fields, images, client } = submission;
  const options = { idempotencyKey: sent.key, client: client ?? undefined };
  try {
    const job =
      workflow === "image-from-text"
        ? await darkroom.submit(workflow, fields, options)
        : await submitReferences(fields, images, options);
    failedHere.delete(fingerprint);
    keepSent(withSent(readSent(), asTaken(sent, Date.now())));
    learnJob(job, client);
    if (job.warnings.some(({ code }) => code === "budget_alert")) void refreshBudget();
    return job;
  } catch (error) {
    if (error instanceof DarkroomProblem && error.code === "budget_exceeded") void refreshBudget();
    // A kept key makes pressing again safe.
    const sentBefore =
      failed !== undefined ||
      earlier.some(({ key }) => key === sent.key) ||
      (error instanceof Error && wasRepeated(error));
    if (mayForgetKey(error, sentBefore)) {
      failedHere.delete(fingerprint);
      keepSent(readSent().filter(({ key }) => key !== sent.key));
    } else {
      const kept = asFailed(sent, Date.now());
      failedHere.set(fingerprint, kept);
      keepSent(withSent(readSent(), kept));
    }
    throw error;
  }
}

async function submitReferences(
  fields: RequestFields,
  images: readonly DraftImage[],
  options: SubmitOptions,
): Promise<Job> {
  const sources = await Promise.all(images.map(sourceOf));
  const addresses = sources.filter((source) => typeof source === "string");
  if (addresses.length < sources.length) return darkroom.submitFiles(fields, sources, options);
  return darkroom.submit("image-from-reference", { ...fields, images: addresses }, options);
}

async function sourceOf(image: DraftImage): Promise<ReferenceImage> {
  switch (image.kind) {
    case "url":
      return image.url.trim();
    case "stored":
      // The server replaces an address of its own by the stored bytes.
      return new URL(image.path, location.origin).href;
    case "file": {
      const file = await readFile(image.key);
      if (file === null) throw new MissingReference(`${image.name} is no longer in this browser: add it again.`);
      return file;
    }
  }
}

function readSent(): Sent[] {
  return parseSent(readStored(SENT_NAME));
}

function keepSent(sent: readonly Sent[]): void {
  writePrivate(SENT_NAME, sent.length === 0 ? null : JSON.stringify(sent));
}
