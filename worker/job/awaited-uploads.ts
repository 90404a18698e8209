import { within } from "../bounds.ts";
import { removeJobFiles } from "../results/job-files.ts";

const KEY = "awaited uploads";
/** How long after `untilMs` uploads are removed, in ms: a `put` that began before `untilMs` has ended by then. */
const REMOVE_AFTER_MS = 60_000;
const REMOVE_AGAIN_MS = 60_000;
const REMOVE_BOUND_MS = 30_000;

/** Stored while uploads exist under this id and no submission has come. */
interface Awaited {
  readonly untilMs: number;
  /** The requests that store uploads; of one Idempotency-Key there may be several. */
  readonly holders: readonly string[];
}

/** Uploads that were stored before their job was submitted. Without a submission they are removed, and nothing is left of the object. */
export class AwaitedUploads {
  readonly #storage: DurableObjectStorage;
  readonly #bucket: R2Bucket;
  readonly #jobId: string;
  #removing: Promise<void> | null = null;

  constructor(storage: DurableObjectStorage, bucket: R2Bucket, jobId: string) {
    this.#storage = storage;
    this.#bucket = bucket;
    this.#jobId = jobId;
  }

  /** While this is true nothing may be stored in the object: it ends with everything removed. */
  get isRemoving(): boolean {
    return this.#removing !== null;
  }

  /** Resolves once nothing is being removed: after 30 s at most. */
  async removed(): Promise<void> {
    while (this.#removing !== null) await this.#removing;
  }

  /** Resolves once the entry and its alarm are stored. Not to be called while `isRemoving`. */
  async expect(holder: string, untilMs: number): Promise<void> {
    const known = this.#storage.kv.get<Awaited>(KEY);
    const latestMs = Math.max(untilMs, known?.untilMs ?? 0);
    const awaited: Awaited = { untilMs: latestMs, holders: [...(known?.holders ?? []), holder] };
    this.#storage.kv.put(KEY, awaited);
    await this.#storage.setAlarm(latestMs + REMOVE_AFTER_MS);
    await this.#storage.sync();
  }

  /** The submission came: from here on the files are the job's. To be called together with the job's first write. */
  taken(): void {
    this.#storage.kv.delete(KEY);
  }

  async drop(holder: string): Promise<void> {
    const known = this.#storage.kv.get<Awaited>(KEY);
    if (known === undefined || !known.holders.includes(holder)) return;
    const holders = known.holders.filter((other) => other !== holder);
    if (holders.length > 0) this.#storage.kv.put(KEY, { ...known, holders } satisfies Awaited);
    else await this.#remove();
  }

  /** The alarm of an object without a job. */
  async alarm(nowMs: number): Promise<void> {
    const known = this.#storage.kv.get<Awaited>(KEY);
    if (known === undefined) return;
    if (nowMs < known.untilMs) await this.#storage.setAlarm(known.untilMs + REMOVE_AFTER_MS);
    else await this.#remove();
  }

  async #remove(): Promise<void> {
    // What holds the entry then is another request, or a job.
    if (this.isRemoving) return await this.removed();
    this.#removing = this.#removeNow();
    try {
      await this.#removing;
    } finally {
      this.#removing = null;
    }
  }

  async #removeNow(): Promise<void> {
    try {
      await within(REMOVE_BOUND_MS, "the bucket", removeJobFiles(this.#bucket, this.#jobId));
      await this.#storage.deleteAll();
    } catch (error) {
      console.error({ event: "uploads_not_removed", jobId: this.#jobId, error: String(error) });
      await this.#storage.setAlarm(Date.now() + REMOVE_AGAIN_MS);
    }
  }
}
