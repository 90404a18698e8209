import { paths } from "../../schemas/paths.ts";
import { failureWords } from "../state/failure-words.ts";
import type { ListedJob } from "../state/listed-job.ts";
import { dateWords } from "../state/time-words.ts";
import { isShutOut } from "./access.ts";
import { darkroom } from "./darkroom.ts";
import { forgetJob, learnJob } from "./live-jobs.ts";
import { notify } from "./notices.ts";
import { createStore } from "./store.ts";

/** Something that is done with many jobs: which of them take it, and what the person is told. */
export interface BulkAction {
  readonly verb: string;
  readonly done: (count: number) => string;
  readonly takes: (job: ListedJob) => boolean;
  readonly act: (id: string) => Promise<void>;
}

export const BULK_ACTIONS = {
  cancel: {
    verb: "Cancel",
    done: (count) => `${jobsWords(count)} canceled`,
    takes: ({ done }) => !done,
    act: async (id) => learnJob(await darkroom.cancel(id)),
  },
  retry: {
    verb: "Try again",
    done: (count) => `${jobsWords(count)} in line again`,
    takes: ({ status }) => status === "failed" || status === "canceled",
    act: async (id) => learnJob(await darkroom.retry(id)),
  },
  delete: {
    verb: "Delete",
    done: (count) => `${jobsWords(count)} deleted`,
    takes: () => true,
    act: async (id) => {
      await darkroom.remove(id);
      forgetJob(id);
    },
  },
} as const satisfies Record<string, BulkAction>;

export function jobsWords(count: number): string {
  return count === 1 ? "1 job" : `${count} jobs`;
}

/** Calls on their way at once: a browser opens six connections, and the page needs some itself. */
const AT_ONCE = 4;

/** What is being done with many jobs, in words; null while nothing is. */
export const bulkProgress = createStore<string | null>(null);

/** Does one thing with each of the jobs that take it. Never rejects: the person is notified of the outcome. */
export async function actOnMany(action: BulkAction, jobs: readonly ListedJob[]): Promise<void> {
  const left = jobs.filter(action.takes).map(({ id }) => id);
  const total = left.length;
  const failures: unknown[] = [];
  let done = 0;
  const work = async () => {
    for (let id = left.shift(); id !== undefined; id = left.shift()) {
      try {
        await action.act(id);
        done += 1;
      } catch (error) {
        failures.push(error);
        // Whoever is signed out need not be refused for each of the others too.
        if (await isShutOut(error)) left.length = 0;
      }
      bulkProgress.set(`${action.verb}: ${done + failures.length} of ${total}`);
    }
  };
  bulkProgress.set(`${action.verb}: 0 of ${total}`);
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  bulkProgress.set(null);
  if (done > 0) notify("done", action.done(done));
  const [first] = failures;
  if (first === undefined) return;
  const { title, detail } = failureWords(first);
  notify("failed", `${action.verb} failed for ${jobsWords(failures.length)}. ${title}. ${detail}`);
}

/** Not in TypeScript's own library yet; Chromium has it. */
interface SaveWindow {
  showSaveFilePicker?(options: { suggestedName: string }): Promise<FileSystemFileHandle>;
}

/** How long the bytes of a saved file are kept: by then any browser has begun to save them. */
const KEEP_MS = 60_000;

/**
 * Saves the originals of all images of the jobs as one zip, image by image as they come, so that it may be larger than the
 * memory where the browser lets the page write a file. Never rejects: the person is notified of the outcome.
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

/** One failed request does not end the zip. */
async function fetchImage(address: string): Promise<Response> {
  const first = await fetch(address).catch(() => null);
  if (first?.ok) return first;
  const second = await fetch(address);
  if (second.ok) return second;
  const isGone = second.status === 404 || second.status === 410;
  throw new Error(isGone ? "One of the images was deleted meanwhile." : `The server answered ${second.status}.`);
}

/** The name that the server gives an image: the one in any script where it is there (RFC 6266, 4.3). */
function fileNameOf(response: Response, index: number): string {
  const disposition = response.headers.get("content-disposition") ?? "";
  const [, encoded] = /filename\*=UTF-8''([^;]+)/i.exec(disposition) ?? [];
  if (encoded !== undefined) return decodeURIComponent(encoded);
  const [, plain] = /filename="([^"]+)"/i.exec(disposition) ?? [];
  return plain ?? `image-${index + 1}`;
}

function saveBlob(blob: Blob, name: string): void {
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), KEEP_MS);
}
