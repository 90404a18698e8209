import type { Failure, SentImage } from "../dashscope/contract.ts";
import { openInputImage } from "../results/input-image.ts";
import { inputFailure } from "./core/input-failure.ts";
import type { JobRecord } from "./core/job-record.ts";

/** Uploads that were opened for a lease which was over by then serve the next one for so long; a body unread longer may break. */
const KEPT_MS = 10_000;

/** What a call sends beside its prompt, uploads opened; or why it cannot be made. */
export type CallInputs =
  | { readonly ok: true; readonly images: readonly SentImage[] }
  | { readonly ok: false; readonly failure: Failure };

/**
 * Opens what a call will send before its attempt begins. So the call goes out at the very moment that the attempt records
 * and the lane counts, however long the bucket takes.
 */
export class InputOpener {
  readonly #bucket: R2Bucket;
  #opening: { readonly atMs: number; readonly inputs: Promise<CallInputs> } | null = null;

  constructor(bucket: R2Bucket) {
    this.#bucket = bucket;
  }

  /** Null when they are not open by `byMs`: opening goes on, for the next lease. Whoever calls upstream with them says `used`. */
  async openBy(record: JobRecord, byMs: number): Promise<CallInputs | null> {
    const nowMs = Date.now();
    if (this.#opening !== null && nowMs - this.#opening.atMs > KEPT_MS) this.drop();
    this.#opening ??= { atMs: nowMs, inputs: this.#open(record) };
    const late = Promise.withResolvers<null>();
    const timer = setTimeout(() => late.resolve(null), Math.max(0, byMs - nowMs));
    try {
      return await Promise.race([this.#opening.inputs, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  used(): void {
    this.#opening = null;
  }

  /** Nobody will call with them: what is open is let go. */
  drop(): void {
    void this.#opening?.inputs.then(letGo);
    this.#opening = null;
  }

  /** Never throws. */
  async #open(record: JobRecord): Promise<CallInputs> {
    const opened: SentImage[] = [];
    try {
      for (const image of record.request.images) {
        const sent = image.kind === "url" ? image.url : await openInputImage(this.#bucket, record.id, image);
        if (sent === null) {
          letGo({ ok: true, images: opened });
          return { ok: false, failure: inputFailure("missing", image.kind === "upload" ? image.sha256 : image.url) };
        }
        opened.push(sent);
      }
      return { ok: true, images: opened };
    } catch (error) {
      letGo({ ok: true, images: opened });
      return { ok: false, failure: inputFailure("error", String(error)) };
    }
  }
}

function letGo(inputs: CallInputs): void {
  if (!inputs.ok) return;
  // One that cannot be cancelled is broken already.
  for (const image of inputs.images) if (typeof image !== "string") void image.body.cancel().catch(() => undefined);
}
