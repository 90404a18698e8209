/** Defines variants, their sizes and their keys. Pure. */
import type { VariantFormat, VariantWidth } from "../../../schemas/paths.ts";
import type { Size } from "./downscale.ts";

/** Qualities are rounded up to a multiple of this, which bounds how many variants an image can have (164). */
const QUALITY_STEP = 5;
export const DEFAULT_QUALITY = 75;

/**
 * Pixels of the largest variant. At quality 100 the JPEG encoder takes 20 bytes of WebAssembly memory a pixel and the WebP
 * encoder 14; the frame itself takes 4 more (measured with noise, jsquash jpeg 1.6.0 and webp 1.5.0).
 */
export const MAX_VARIANT_PIXELS = 2_100_000;

/** The same for a WebP with transparent parts, whose encoder takes up to 60 bytes a pixel for them. */
export const MAX_TRANSPARENT_WEBP_PIXELS = 800_000;

export interface Variant {
  /** The requested width; null: the image's own. */
  readonly width: VariantWidth | null;
  readonly format: VariantFormat;
  /** A multiple of 5 up to 100; null for PNG, which is lossless. */
  readonly quality: number | null;
}

export function variantOf(width: VariantWidth | null, format: VariantFormat, quality: number | null): Variant {
  if (format === "png") return { width, format, quality: null };
  return { width, format, quality: Math.ceil((quality ?? DEFAULT_QUALITY) / QUALITY_STEP) * QUALITY_STEP };
}

/** A variant's name, unique within its image: part of its key and of its entity tag. */
export function variantName({ width, format, quality }: Variant): string {
  return `${width === null ? "full" : `${width}w`}${quality === null ? "" : `-q${quality}`}.${format}`;
}

/** The key is under the image's own key, so that removing a job's files removes the variants. */
export function variantKey(imageKey: string, variant: Variant): string {
  return `${imageKey}/${variantName(variant)}`;
}

/** The variant's size for an upright image: never larger than the image, nor than `mostPixels`. */
export function variantSize(image: Size, { width }: Variant, mostPixels = MAX_VARIANT_PIXELS): Size {
  const most = Math.floor(Math.sqrt((mostPixels * image.width) / image.height));
  const narrow = Math.max(1, Math.min(width ?? image.width, image.width, most));
  return { width: narrow, height: Math.max(1, Math.round((image.height * narrow) / image.width)) };
}

/** No variant can be made of this image, and another try cannot help. `reason` completes "the image …". */
export class ImageRefusal extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = "ImageRefusal";
  }
}

/** A source of an image's pixels, row by row. */
export interface PixelSource extends Size {
  /** How to turn the rows upright: an Exif orientation, 1…8. */
  readonly orientation: number;
  /** The ICC profile of its colours; null: sRGB. */
  readonly profile: Uint8Array | null;
  /** Calls `row` with each row from the top, RGBA, in a buffer that is reused. Throws `ImageRefusal`. May be called once. */
  readonly rows: (row: (rgba: Uint8Array) => void) => Promise<void>;
}
