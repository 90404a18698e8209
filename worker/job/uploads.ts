import { orAfter } from "../bounds.ts";
import type { SentImage } from "../dashscope/contract.ts";
import { openInputImage } from "../results/input-image.ts";
import { removeJobFiles } from "../results/job-files.ts";
import type { JobRecord } from "./core/record.ts";

/**
 * Uploads that were opened too late for their lease serve the next lease for this long, in ms; a body that is unread for longer
 * may break.
 */
const KEPT_MS = 10_000;
/** The wait between two tries to open them while a lease waits, in ms. */
const AGAIN_MS = 250;

/** The images that a call sends, uploads opened; or why it cannot be made. */
export type OpenedImages =
  | { readonly ok: true; readonly images: readonly SentImage[] }
  | { readonly ok: false; readonly missingSha256: string }
  | { readonly ok: false; readonly reason: string };

/**
 * Opens what a call will send before its attempt begins, so that the call goes out at the moment that the attempt records and the
 * lane counts, however long the bucket takes.
 */
export class UploadOpener {
  readonly #bucket: R2Bucket;
  #opening: { readonly atMs: number; readonly opened: Promise<OpenedImages> } | null = null;

  constructor(bucket: R2Bucket) {
    this.#bucket = bucket;
  }

  /**
   * A bucket that fails is asked again until `byMs`. Null when it has not answered by then: opening continues, for the next
   * lease. The caller that sends the images calls `sent`.
   */
  async openBy(record: JobRecord, byMs: number): Promise<OpenedImages | null> {
    for (;;) {
      const nowMs = Date.now();
      if (this.#opening !== null && nowMs - this.#opening.atMs > KEPT_MS) this.drop();
      this.#opening ??= { atMs: nowMs, opened: this.#open(record) };
      const opened = await orAfter<OpenedImages | null>(byMs - nowMs, this.#opening.opened, null);
      if (opened === null || opened.ok) return opened;
      this.#opening = null;
      if ("missingSha256" in opened || Date.now() + AGAIN_MS >= byMs) return opened;
      await scheduler.wait(AGAIN_MS);
    }
  }

  sent(): void {
    this.#opening = null;
  }

  /** Closes what is open, because no call will send it. */
  drop(): void {
    void this.#opening?.opened.then((opened) => opened.ok && close(opened.images));
    this.#opening = null;
  }

  /** Never rejects. */
  async #open({ id, request }: JobRecord): Promise<OpenedImages> {
    const images: SentImage[] = [];
    try {
      for (const image of request.images) {
        const sent = image.kind === "url" ? image.url : await openInputImage(this.#bucket, id, image);
        if (sent === null) {
          close(images);
          return { ok: false, missingSha256: image.kind === "upload" ? image.sha256 : image.url };
        }
        images.push(sent);
      }
      return { ok: true, images };
    } catch (error) {
      close(images);
      return { ok: false, reason: `an uploaded image cannot be read from storage: ${String(error).slice(0, 200)}` };
    }
  }
}

function close(images: readonly SentImage[]): void {
  // A body that cannot be canceled is broken already.
  for (const image of images) if (typeof image !== "string") void image.body.cancel().catch(() => undefined);
}

const AWAITED_KEY = "awaited uploads";
/** How long after `untilMs` uploads are removed, in ms: a `put` that began before `untilMs` has ended by then. */
const REMOVE_AFTER_MS = 60_000;
const REMOVE_AGAIN_MS = 60_000;

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
    const known = this.#storage.kv.get<Awaited>(AWAITED_KEY);
    const latestMs = Math.max(untilMs, known?.untilMs ?? 0);
    const awaited: Awaited = { untilMs: latestMs, holders: [...(known?.holders ?? []), holder] };
    this.#storage.kv.put(AWAITED_KEY, awaited);
    await this.#storage.setAlarm(latestMs + REMOVE_AFTER_MS);
    await this.#storage.sync();
  }

  /** The submission came: from here on the files are the job's. To be called together with the job's first write. */
  taken(): void {
    this.#storage.kv.delete(AWAITED_KEY);
  }

  async drop(holder: string): Promise<void> {
    const known = this.#storage.kv.get<Awaited>(AWAITED_KEY);
    if (known === undefined || !known.holders.includes(holder)) return;
    const holders = known.holders.filter((other) => other !== holder);
    if (holders.length > 0) this.#storage.kv.put(AWAITED_KEY, { ...known, holders } satisfies Awaited);
    else await this.#remove();
  }

  /** The alarm of an object without a job. */
  async alarm(nowMs: number): Promise<void> {
    const known = this.#storage.kv.get<Awaited>(AWAITED_KEY);
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
      await removeJobFiles(this.#bucket, this.#jobId);
      await this.#storage.deleteAll();
    } catch (error) {
      console.error({ event: "uploads_not_removed", jobId: this.#jobId, error: String(error) });
      await this.#storage.setAlarm(Date.now() + REMOVE_AGAIN_MS);
    }
  }
}
