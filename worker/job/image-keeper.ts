import { within, withinSignal } from "../bounds.ts";
import type { Config } from "../env.ts";
import type { CopyAnswer, CopyImage } from "../results/contract.ts";
import { createImageCopier } from "../results/copy-image.ts";
import { imageKey, removeJobFiles } from "../results/job-files.ts";
import type { JobRecord } from "./core/job-record.ts";
import type { JobShell } from "./job-shell.ts";
import { RetryClock } from "./retry-clock.ts";

/** One image takes at most this long, in ms; a stalled host or bucket must not hold the object. */
const COPY_BOUND_MS = 120_000;
/** Removing a job's files takes at most this long, in ms; what then remains is removed by the next try. */
const REMOVE_BOUND_MS = 30_000;
/** An abandoned copy may still put its image for so long, in ms: the platform holds an object for an operation no longer than that. */
const ABANDONED_COPY_MS = 15 * 60_000;

/** Brings what upstream delivered into R2, one image at a time, and takes it out again with the job. */
export class ImageKeeper {
  readonly #env: Env;
  readonly #shell: JobShell;
  readonly #clock = new RetryClock();
  #stop: AbortController | null = null;
  /** Copies that have not settled, and when they began. One that ignored its end may put its image later. */
  readonly #unsettled = new Map<Promise<unknown>, number>();

  constructor(env: Env, shell: JobShell) {
    this.#env = env;
    this.#shell = shell;
  }

  get storing(): boolean {
    return this.#clock.busy;
  }

  get againAtMs(): number | null {
    return this.#clock.againAtMs;
  }

  /** Copies what is missing, when it is time to. */
  store(record: JobRecord, config: Config, nowMs: number): Promise<void> | null {
    const { state } = record;
    const storing = state.status === "running" && state.phase === "storing";
    if (!storing || nowMs < state.storeAtMs || !this.#clock.mayStart(nowMs)) return null;
    const stop = new AbortController();
    this.#stop = stop;
    return this.#clock
      .run(
        () =>
          this.#copyAll(
            createImageCopier(this.#env.RESULTS, { baseUrl: config.baseUrl }, (input, init) => fetch(input, init)),
            stop.signal,
          ),
        (error) => this.#shell.log("storing_failed", { reason: String(error) }),
      )
      .then(() => this.#shell.pump());
  }

  async #copyAll(copyImage: CopyImage, stop: AbortSignal): Promise<void> {
    const first = this.#shell.job()?.delivery;
    if (first === null || first === undefined) return;
    for (const [index, link] of first.links.entries()) {
      const record = this.#shell.job();
      const delivery = record?.delivery;
      if (record === null || delivery?.attempt !== first.attempt || stop.aborted) return;
      if (delivery.images[index] !== null) continue;
      const key = imageKey(record.id, first.attempt, index);
      const source = { link, deliveredAtMs: first.deliveredAtMs };
      const copy = (signal: AbortSignal) => this.#noted(copyImage(source, { key, index }, signal));
      const answer = await withinSignal(COPY_BOUND_MS, "the copy", copy, stop).catch(
        (error: unknown): CopyAnswer => ({ kind: "failed", dead: false, reason: String(error) }),
      );
      if (stop.aborted) return;
      const { attempt } = first;
      if (answer.kind === "stored") this.#shell.apply({ type: "image_stored", attempt, index, image: answer.image });
      else this.#shell.apply({ type: "store_failed", attempt, index, dead: answer.dead, reason: answer.reason });
    }
  }

  #noted(copy: Promise<CopyAnswer>): Promise<CopyAnswer> {
    this.#unsettled.set(copy, Date.now());
    const settled = () => this.#unsettled.delete(copy);
    copy.then(settled, settled);
    return copy;
  }

  /** Stops copying when nobody wants the images any more. */
  stopUnwanted(record: JobRecord | null): void {
    const wanted = record !== null && record.state.status === "running" && record.state.phase === "storing";
    if (!wanted) this.#stop?.abort();
  }

  /** Removes every file of the job, and again while a copy that was abandoned may still put an image. */
  remove(jobId: string, nowMs: number): Promise<void> | null {
    if (!this.#clock.mayStart(nowMs)) return null;
    return this.#clock
      .run(
        async () => {
          await within(REMOVE_BOUND_MS, "the removal of files", removeJobFiles(this.#env.RESULTS, jobId));
          const sinceMs = Date.now() - ABANDONED_COPY_MS;
          if ([...this.#unsettled.values()].some((startedAtMs) => startedAtMs > sinceMs)) {
            throw new Error("a copy that was abandoned may still put an image");
          }
          this.#shell.buried({ filesRemain: false });
        },
        (error) => this.#shell.log("removing_failed", { reason: String(error) }),
      )
      .then(() => this.#shell.pump());
  }
}
