/** What a variant is, how large it becomes, and where it is kept. Pure. */
import type { VariantFormat, VariantWidth } from "../../../schemas/paths.ts";
import type { Size } from "./downscale.ts";

/** Qualities are rounded up to a multiple of this: it bounds how many variants an image can have (164). */
const QUALITY_STEP = 5;
export const DEFAULT_QUALITY = 75;

/**
 * Pixels of the largest variant. The JPEG encoder takes 20 bytes of WebAssembly memory a pixel at quality 100, the WebP
 * encoder 14; the frame itself has 4 more (measured with noise, jsquash jpeg 1.6.0 and webp 1.5.0).
 */
export const MAX_VARIANT_PIXELS = 2_100_000;

/** Of a WebP with transparent parts: its encoder takes up to 60 bytes a pixel for them. */
export const MAX_TRANSPARENT_WEBP_PIXELS = 800_000;

export interface Variant {
  /** The wanted width; null: the image's own. */
  readonly width: VariantWidth | null;
  readonly format: VariantFormat;
  /** A multiple of 5 up to 100; null for PNG, which loses nothing. */
  readonly quality: number | null;
}

export function variantOf(width: VariantWidth | null, format: VariantFormat, quality: number | null): Variant {
  if (format === "png") return { width, format, quality: null };
  return { width, format, quality: Math.ceil((quality ?? DEFAULT_QUALITY) / QUALITY_STEP) * QUALITY_STEP };
}

/** A variant's name among those of its image: part of its key and of its entity tag. */
export function variantName({ width, format, quality }: Variant): string {
  return `${width === null ? "full" : `${width}w`}${quality === null ? "" : `-q${quality}`}.${format}`;
}

/** Under the image's own key, so that whatever removes a job's files removes its variants. */
export function variantKey(imageKey: string, variant: Variant): string {
  return `${imageKey}/${variantName(variant)}`;
}

/** The variant's size for an image as it is seen, upright: never larger than the image, nor than `mostPixels`. */
export function variantSize(image: Size, { width }: Variant, mostPixels = MAX_VARIANT_PIXELS): Size {
  const most = Math.floor(Math.sqrt((mostPixels * image.width) / image.height));
  const narrow = Math.max(1, Math.min(width ?? image.width, image.width, most));
  return { width: narrow, height: Math.max(1, Math.round((image.height * narrow) / image.width)) };
}

/** An image of which no variant can be made: another try meets the same. `reason` completes "the image …". */
export class ImageRefusal extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = "ImageRefusal";
  }
}

/** An image, decoded row by row. */
export interface PixelSource extends Size {
  /** How the rows have to be turned to be upright: an Exif orientation, 1…8. */
  readonly orientation: number;
  /** The ICC profile of its colours; null: sRGB. */
  readonly profile: Uint8Array | null;
  /** Calls `row` with each row from the top, RGBA, in a buffer that is used again. Throws `ImageRefusal`. Only once. */
  readonly rows: (row: (rgba: Uint8Array) => void) => Promise<void>;
}
