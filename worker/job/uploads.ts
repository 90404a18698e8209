import { orAfter } from "../bounds.ts";
import type { SentImage } from "../dashscope/contract.ts";
import { openInputImage } from "../results/input-image.ts";
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
