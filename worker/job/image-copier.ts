import { withinSignal } from "../bounds.ts";
import type { Config } from "../env.ts";
import type { CopyAnswer, CopyImage } from "../results/contract.ts";
import { createImageCopier } from "../results/copy-image.ts";
import { imageKey, removeJobFiles } from "../results/job-files.ts";
import { isStoring, type JobRecord, type StoredRecord } from "./core/record.ts";
import { QUICK_STORING_MS } from "./core/schedule.ts";
import { type JobHost, RetryClock } from "./job-host.ts";

/** One image takes at most this long, in ms; a stalled host or bucket must not hold the object. */
const COPY_BOUND_MS = 120_000;
/** How long a copy that failed or was stopped may still put its image, in ms: the platform lets no operation run longer. */
const LATE_PUT_MS = 15 * 60_000;

/** Copies what upstream delivered into R2, one image at a time, and removes it again with the job. */
export class ImageCopier {
  readonly #bucket: R2Bucket;
  readonly #host: JobHost;
  readonly #clock = new RetryClock();
  #stop: AbortController | null = null;
  /** Until when a copy that failed or was stopped may still put its image. */
  #latePutUntilMs = 0;

  constructor(env: Env, host: JobHost) {
    this.#bucket = env.RESULTS;
    this.#host = host;
  }

  get storing(): boolean {
    return this.#clock.busy;
  }

  get againAtMs(): number | null {
    return this.#clock.againAtMs;
  }

  /** Copies the missing images when copying is due. */
  store(record: JobRecord, config: Config, nowMs: number): Promise<void> | null {
    const { state } = record;
    const isDue = state.status === "running" && state.phase === "storing" && nowMs >= state.storeAtMs;
    if (!isDue || !this.#clock.mayStart(nowMs)) return null;
    const stop = new AbortController();
    this.#stop = stop;
    const copyImage = createImageCopier(this.#bucket, { baseUrl: config.baseUrl }, (input, init) => fetch(input, init));
    const copying = this.#clock.run(
      () => this.#copyAll(copyImage, stop.signal),
      (error) => this.#host.log("storing_failed", { reason: String(error) }),
    );
    // Storing that is no longer quick is shown in the client's list: `pump` sends the entry.
    const deliveredAtMs = record.delivery?.deliveredAtMs ?? nowMs;
    const slow = setTimeout(() => this.#host.pump(), deliveredAtMs + QUICK_STORING_MS - nowMs);
    return copying.then(() => {
      clearTimeout(slow);
      this.#host.pump();
    });
  }

  async #copyAll(copyImage: CopyImage, stop: AbortSignal): Promise<void> {
    const first = this.#host.job()?.delivery;
    if (first === null || first === undefined) return;
    const { attempt, deliveredAtMs } = first;
    for (const [index, link] of first.links.entries()) {
      const record = this.#host.job();
      const delivery = record?.delivery;
      if (record === null || delivery?.attempt !== attempt || stop.aborted) return;
      if (delivery.images[index] !== null) continue;
      const key = imageKey(record.id, attempt, index);
      const copy = (signal: AbortSignal) => copyImage({ link, deliveredAtMs }, { key, index }, signal);
      const answer = await withinSignal(COPY_BOUND_MS, "the copy", copy, stop).catch(
        (error: unknown): CopyAnswer => ({ kind: "failed", dead: false, reason: String(error) }),
      );
      if (answer.kind === "failed" || stop.aborted) this.#latePutUntilMs = Date.now() + LATE_PUT_MS;
      if (stop.aborted) return;
      if (answer.kind === "stored") this.#host.apply({ type: "image_stored", attempt, index, image: answer.image });
      else this.#host.apply({ type: "store_failed", attempt, index, dead: answer.dead, reason: answer.reason });
    }
  }

  /** Stops copying once the images are not wanted any more. */
  stopUnwanted(record: StoredRecord): void {
    if (record.kind !== "job" || !isStoring(record)) this.#stop?.abort();
  }

  /** Removes every file of the job. Throws while a copy may still put an image: then the removal has to be repeated. */
  async removeFiles(jobId: string): Promise<void> {
    await removeJobFiles(this.#bucket, jobId);
    if (this.#clock.busy || Date.now() < this.#latePutUntilMs) throw new Error("a copy may still put an image");
  }
}
