import type { InputImage, Warning } from "../../schemas/job.ts";
import { MAX_IMAGE_BYTES } from "../../schemas/submit.ts";
import { type ImageType, inspectImage } from "./image-reader.ts";
import { fromR2, inputKey } from "./job-files.ts";

export type UploadedImage = Extract<InputImage, { kind: "upload" }>;

export type InputCheck =
  | { readonly ok: true; readonly image: UploadedImage; readonly warnings: readonly Warning[] }
  /** `message` completes "the image …". */
  | { readonly ok: false; readonly code: "too_large" | "not_an_image"; readonly message: string };

/** The input types that upstream documents. */
const TAKEN_TYPES: readonly ImageType[] = [
  ...(["image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff"] as const),
];
const TAKEN = "taken are JPEG, PNG, WEBP, GIF, BMP and TIFF";

/** The fault of an image above the limit. Exact bytes: rounded to MB, an image slightly above the limit would seem to be allowed. */
export function tooLarge(bytes: number | null): InputCheck {
  const most = `${MAX_IMAGE_BYTES.toLocaleString("en-US")} bytes (${MAX_IMAGE_BYTES / 1024 / 1024} MB)`;
  const has = bytes === null ? "more bytes" : `${bytes.toLocaleString("en-US")} bytes`;
  return { ok: false, code: "too_large", message: `has ${has}; at most ${most} are taken` };
}

export function notBase64(): InputCheck {
  return { ok: false, code: "not_an_image", message: "is not base64" };
}

/** Checks an uploaded image by its bytes alone, not by its name or declared type. Its model's rules decide about its sides. */
export async function checkInputImage(bytes: Uint8Array<ArrayBuffer>): Promise<InputCheck> {
  if (bytes.byteLength > MAX_IMAGE_BYTES) return tooLarge(bytes.byteLength);
  const seen = inspectImage(bytes);
  if (!seen.ok)
    return { ok: false, code: "not_an_image", message: seen.cutOff ? seen.reason : `${seen.reason}; ${TAKEN}` };
  const { type: contentType, width, height } = seen;
  if (!TAKEN_TYPES.includes(contentType)) {
    return { ok: false, code: "not_an_image", message: `is ${contentType.slice(6).toUpperCase()}; ${TAKEN}` };
  }
  const sha256 = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
  const image: UploadedImage = { kind: "upload", contentType, bytes: bytes.byteLength, sha256, width, height };
  return { ok: true, image, warnings: orientationWarnings(seen.orientation) };
}

/** Cameras store the pixels as the sensor was held, and the orientation as a number beside them. */
function orientationWarnings(orientation: number): Warning[] {
  if (orientation === 1) return [];
  const message = `the image is turned or mirrored by its EXIF data (orientation ${orientation}), which upstream ignores: it sees the pixels as they are stored`;
  return [{ code: "image_orientation", message }];
}

/**
 * Stores a checked image under its job. Idempotent: the key is its content. Throws when R2 fails or does not answer, or when
 * the bytes do not match the checksum.
 */
export async function putInputImage(
  bucket: R2Bucket,
  jobId: string,
  image: UploadedImage,
  bytes: Uint8Array<ArrayBuffer>,
  boundMs?: number,
): Promise<void> {
  const put = bucket.put(inputKey(jobId, image.sha256), bytes, {
    sha256: image.sha256,
    httpMetadata: { contentType: image.contentType },
    onlyIf: { etagDoesNotMatch: "*" },
  });
  await fromR2(put, boundMs);
}

/** A stored image as a stream; null when it no longer exists. Throws when R2 fails or does not answer. */
export async function openInputImage(
  bucket: R2Bucket,
  jobId: string,
  image: UploadedImage,
  boundMs?: number,
): Promise<{ contentType: string; bytes: number; body: ReadableStream<Uint8Array> } | null> {
  const object = await fromR2(bucket.get(inputKey(jobId, image.sha256)), boundMs);
  if (object === null) return null;
  return { contentType: image.contentType, bytes: object.size, body: object.body };
}
