import type { BulkAction } from "../../schemas/bulk.ts";
import { paths } from "../../schemas/paths.ts";
import { PROBLEMS, type ProblemCode } from "../../schemas/problem.ts";
import { failureWords } from "../state/failure-words.ts";
import type { ListedJob } from "../state/listed-job.ts";
import { wantsChanges } from "../state/standing.ts";
import { dateWords } from "../state/time-words.ts";
import { isShutOut } from "./access.ts";
import { darkroom } from "./darkroom.ts";
import { forgetJob, jobList, learnJobs } from "./live-jobs.ts";
import { notify } from "./notices.ts";
import { saveBlob } from "./save-file.ts";
import { createStore } from "./store.ts";

/** An action on many jobs: which jobs take it, and the words for it. */
interface ManyWords {
  readonly verb: string;
  readonly done: (count: number) => string;
  readonly takes: (job: ListedJob) => boolean;
  /** A job that is refused with this code already has the wanted state, by an earlier call or by someone else. */
  readonly already?: ProblemCode;
}

export const MANY: Readonly<Record<BulkAction, ManyWords>> = {
  retry: {
    verb: "Try again",
    done: (count) => `${jobsWords(count)} in line again`,
    takes: (job) => (job.status === "failed" && !wantsChanges(job)) || job.status === "canceled",
    already: "job_not_finished",
  },
  cancel: { verb: "Cancel", done: (count) => `${jobsWords(count)} canceled`, takes: ({ done }) => !done },
  pin: { verb: "Pin", done: (count) => `${jobsWords(count)} pinned`, takes: ({ pinned }) => !pinned },
  unpin: { verb: "Unpin", done: (count) => `${jobsWords(count)} unpinned`, takes: ({ pinned }) => pinned },
  delete: {
    verb: "Delete",
    done: (count) => `${jobsWords(count)} deleted`,
    takes: () => true,
    already: "job_gone",
  },
};

export function jobsWords(count: number): string {
  return count === 1 ? "1 job" : `${count} jobs`;
}

/** The running action on many jobs, in words; null while none runs. */
export const bulkProgress = createStore<string | null>(null);

/** Does one thing with each of the jobs that take it, up to 100 per call. Never rejects: the person is notified of the outcome. */
export async function actOnMany(action: BulkAction, jobs: readonly ListedJob[]): Promise<void> {
  const { verb, done: doneWords, takes, already } = MANY[action];
  const ids = jobs.filter(takes).map(({ id }) => id);
  const refused = new Map<string, ProblemCode>();
  let reached = 0;
  const showProgress = () => bulkProgress.set(`${verb}: ${reached} of ${ids.length}`);
  showProgress();
  let failure: unknown = null;
  try {
    for await (const result of darkroom.bulk(action, { ids })) {
      for (const { id, code } of result.refused) if (code !== already) refused.set(id, code);
      const acted = ids.slice(reached, reached + result.matched).filter((id) => !refused.has(id));
      reached += result.matched;
      learnOutcome(action, acted);
      showProgress();
    }
  } catch (error) {
    failure = error;
  }
  bulkProgress.set(null);
  const count = reached - refused.size;
  if (count > 0) notify("done", doneWords(count));
  if (refused.size > 0) notify("failed", `${verb} failed for ${jobsWords(refused.size)}: ${reasonsOf(refused)}`);
  if (failure === null || (await isShutOut(failure))) return;
  const { title, detail } = failureWords(failure);
  notify("failed", `${verb} failed for ${jobsWords(ids.length - reached)}. ${title}. ${detail}`);
}

/** Shows at once the changes that the action alone decides; the live feed brings the others. */
function learnOutcome(action: BulkAction, ids: readonly string[]): void {
  if (action === "delete") for (const id of ids) forgetJob(id);
  if (action !== "pin" && action !== "unpin") return;
  const known = ids.flatMap((id) => jobList.get().jobs.get(id) ?? []);
  learnJobs(known.map((job) => ({ ...job, pinned: action === "pin" })));
}

/** `The job is gone (2), Too many unfinished jobs (1)`. */
function reasonsOf(refused: ReadonlyMap<string, ProblemCode>): string {
  const byCode = [...Map.groupBy(refused.values(), (code) => code)];
  return byCode.map(([code, all]) => `${PROBLEMS[code][1]} (${all.length})`).join(", ");
}

/** Chromium has it; TypeScript's library does not declare it yet. */
interface SaveWindow {
  showSaveFilePicker?(options: { suggestedName: string }): Promise<FileSystemFileHandle>;
}

/**
 * Saves the originals of all images of the jobs as one zip, image by image as they arrive. Where the browser lets the page write
 * a file, the zip may be larger than the memory. Never rejects: the person is notified of the outcome.
 */
export async function saveZip(jobs: readonly ListedJob[]): Promise<void> {
  const images = jobs.flatMap((job) => (job.output?.images ?? []).map(({ index }) => paths.jobImage(job.id, index)));
  if (images.length === 0) return;
  const name = `darkroom ${dateWords(Date.now())}, ${images.length} images.zip`;
  const reached = (count: number) => bulkProgress.set(`Zip: ${count} of ${images.length} images`);
  reached(0);
  try {
    const picker = (window as SaveWindow).showSaveFilePicker;
    const handle = picker === undefined ? null : await picker.call(window, { suggestedName: name });
    const { makeZip } = await import("client-zip");
    const stream = makeZip(responsesOf(images, reached), { buffersAreUTF8: true });
    if (handle !== null) await stream.pipeTo(await handle.createWritable());
    else saveBlob(await new Response(stream).blob(), name);
    notify("done", `${images.length} images saved as a zip`);
  } catch (error) {
    // The person closed the browser's own dialog.
    if (error instanceof DOMException && error.name === "AbortError") return;
    notify("failed", `The zip could not be saved. ${error instanceof Error ? error.message : "Try again."}`);
  } finally {
    bulkProgress.set(null);
  }
}

async function* responsesOf(addresses: readonly string[], reached: (count: number) => void) {
  for (const [index, address] of addresses.entries()) {
    const response = await fetchImage(address);
    yield { name: fileNameOf(response, index), input: response };
    reached(index + 1);
  }
}

/** Tries twice, so that one failed request does not end the zip. */
async function fetchImage(address: string): Promise<Response> {
  const first = await fetch(address).catch(() => null);
  if (first?.ok) return first;
  const second = await fetch(address);
  if (second.ok) return second;
  const isGone = second.status === 404 || second.status === 410;
  throw new Error(isGone ? "One of the images was deleted meanwhile." : `The server answered ${second.status}.`);
}

/** The name that the server gives an image; `filename*`, which allows any script, wins over `filename` (RFC 6266, 4.3). */
function fileNameOf(response: Response, index: number): string {
  const disposition = response.headers.get("content-disposition") ?? "";
  const [, encoded] = /filename\*=UTF-8''([^;]+)/i.exec(disposition) ?? [];
  if (encoded !== undefined) return decodeURIComponent(encoded);
  const [, plain] = /filename="([^"]+)"/i.exec(disposition) ?? [];
  return plain ?? `image-${index + 1}`;
}
