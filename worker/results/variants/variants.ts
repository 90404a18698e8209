/** Finds a variant beside its image in the bucket, or makes and stores it. */
import { OutOfTime, within, withinSignal } from "../../bounds.ts";
import type { StoredImage } from "../contract.ts";
import { fromR2 } from "../job-files.ts";
import { type MadeVariant, makeVariant } from "./make-variant.ts";
import { ImageRefusal, type Variant, variantKey, variantName } from "./variant.ts";

/** Making a variant takes 0.1 to 3 s of computing. If it takes this long, R2 or the Images service hangs. */
const MAKE_WITHIN_MS = 20_000;
const IMAGES_WITHIN_MS = 8_000;
const BUCKET_WITHIN_MS = 10_000;
/** The first sixty variants of a page take this long one after another. A request that waits longer is answered 503. */
const WAIT_AT_MOST_MS = 25_000;
/** How many requests may wait for their turn. Others are asked to try again. */
const MOST_WAITING = 200;
const LOOK_EVERY_MS = 20;

/** The limit of the Images binding: variants of larger files are made here. */
const IMAGES_MAX_BYTES = 20_000_000;

export type VariantAnswer =
  | { readonly kind: "stored"; readonly key: string; readonly bytes: number }
  /** The image is not in the bucket. */
  | { readonly kind: "gone" }
  /** No variant can be made of this image. `reason` completes "the image …". */
  | { readonly kind: "refused"; readonly reason: string }
  /** Too many variants are being made; ask again later. */
  | { readonly kind: "busy" };

export interface VariantMaker {
  readonly bucket: R2Bucket;
  /** The Images binding, when the deployment has one. */
  readonly images: ImagesBinding | null;
  /** Lets a request's work continue after its client hung up. */
  readonly keepAlive: (work: Promise<unknown>) => void;
}

type Source = Pick<StoredImage, "key" | "contentType" | "bytes">;

export function contentTypeOf({ format }: Variant): string {
  return `image/${format}`;
}

/** The text of a strong entity tag: a variant is written once, from bytes that never change. */
export function variantTag(image: Pick<StoredImage, "sha256">, variant: Variant): string {
  return `${image.sha256}-${variantName(variant)}`;
}

/**
 * One turn at a time in this isolate, to limit memory. A turn has an end, and waiting requests poll for it: a request whose
 * client hung up may never be resumed, and must not block the others.
 */
class Turn {
  #heldUntilMs = 0;
  #holder = 0;
  #waiting = 0;

  /** The holder's number; null when the turn did not come in time. */
  async take(): Promise<number | null> {
    const endsAtMs = Date.now() + WAIT_AT_MOST_MS;
    if (this.#waiting >= MOST_WAITING) return null;
    this.#waiting += 1;
    try {
      while (Date.now() < this.#heldUntilMs) {
        if (Date.now() > endsAtMs) return null;
        await scheduler.wait(LOOK_EVERY_MS);
      }
      this.#heldUntilMs = Date.now() + 2 * MAKE_WITHIN_MS;
      this.#holder += 1;
      return this.#holder;
    } finally {
      this.#waiting -= 1;
    }
  }

  giveBack(holder: number): void {
    if (holder === this.#holder) this.#heldUntilMs = 0;
  }
}

const turn = new Turn();

/** Images without a possible variant, so that asking again costs nothing. Of this isolate, the newest ones. */
const refusals = new Map<string, string>();
const MOST_REFUSALS = 500;

function remember(key: string, reason: string): VariantAnswer {
  const [oldest] = refusals.keys();
  if (refusals.size >= MOST_REFUSALS && oldest !== undefined) refusals.delete(oldest);
  refusals.set(key, reason);
  return { kind: "refused", reason };
}

/**
 * Finds the variant, or makes it when its turn comes. A second request for the same variant finds what the first one stored.
 * Two isolates may both make it; the first to store it wins.
 */
export async function findOrMakeVariant(maker: VariantMaker, image: Source, variant: Variant): Promise<VariantAnswer> {
  const key = variantKey(image.key, variant);
  try {
    const found = await fromR2(maker.bucket.head(key), BUCKET_WITHIN_MS);
    if (found !== null) return { kind: "stored", key, bytes: found.size };
    const reason = refusals.get(image.key);
    if (reason !== undefined) return { kind: "refused", reason };
    const work = inTurn(maker, image, variant, key);
    maker.keepAlive(work);
    return await work;
  } catch (error) {
    if (error instanceof ImageRefusal) return remember(image.key, error.message);
    const isLate = error instanceof DOMException && error.name === "AbortError";
    if (isLate || error instanceof OutOfTime) return { kind: "busy" };
    throw error;
  }
}

async function inTurn(maker: VariantMaker, image: Source, variant: Variant, key: string): Promise<VariantAnswer> {
  const holder = await turn.take();
  if (holder === null) return { kind: "busy" };
  try {
    return await withinSignal(MAKE_WITHIN_MS, "the variant", (signal) => makeOnce(maker, image, variant, key, signal));
  } finally {
    turn.giveBack(holder);
  }
}

async function makeOnce(
  maker: VariantMaker,
  image: Source,
  variant: Variant,
  key: string,
  signal: AbortSignal,
): Promise<VariantAnswer> {
  const { bucket, images } = maker;
  const found = await bucket.head(key);
  if (found !== null) return { kind: "stored", key, bytes: found.size };
  const startedAtMs = Date.now();
  const viaImages = images === null ? null : await viaBinding(images, maker, image, variant);
  let made: MadeVariant | null = null;
  if (viaImages === null) {
    const object = await bucket.get(image.key);
    if (object === null) return { kind: "gone" };
    made = await makeVariant({ ...image, bytes: object.size }, object.body, variant, signal);
  }
  const bytes = viaImages ?? made?.bytes ?? new Uint8Array(0);
  // Another isolate may have been faster. Its bytes are equally good, and someone may have seen them.
  const kept =
    (await bucket.put(key, bytes, {
      httpMetadata: { contentType: contentTypeOf(variant) },
      onlyIf: { etagDoesNotMatch: "*" },
    })) ?? (await bucket.head(key));
  // The job may have been removed while the variant was made. Then nothing would ever remove the variant.
  if ((await bucket.head(image.key)) === null) {
    await bucket.delete(key);
    return { kind: "gone" };
  }
  if (kept === null) return { kind: "gone" };
  const line = {
    event: "variant_made",
    variant: variantName(variant),
    by: made === null ? "images binding" : "codecs",
    tookMs: Date.now() - startedAtMs,
    bytes: kept.size,
    heldBytes: made?.heldBytes ?? 0,
    wasmBytes: made?.wasmBytes ?? 0,
  };
  console.log(JSON.stringify(line));
  return { kind: "stored", key, bytes: kept.size };
}

/** The variant as the Images service makes it; null when it cannot, so that the codecs make it. */
async function viaBinding(
  images: ImagesBinding,
  { bucket }: VariantMaker,
  image: Source,
  variant: Variant,
): Promise<Uint8Array<ArrayBuffer> | null> {
  if (image.bytes > IMAGES_MAX_BYTES) return null;
  const object = await bucket.get(image.key);
  if (object === null) return null;
  const make = async () => {
    const input = images.input(object.body);
    const sized = variant.width === null ? input : input.transform({ width: variant.width, fit: "scale-down" });
    const output = await sized.output({
      format: `image/${variant.format}`,
      ...(variant.quality === null ? {} : { quality: variant.quality }),
    });
    return new Uint8Array(await new Response(output.image()).arrayBuffer());
  };
  try {
    return await within(IMAGES_WITHIN_MS, "the Images service", make());
  } catch (error) {
    console.warn(JSON.stringify({ event: "images_binding_failed", reason: String(error).slice(0, 200) }));
    return null;
  }
}
