import sharp from "sharp";
import { refusalOf, type WireRefusal } from "../core/error-table.ts";
import type { Pixels } from "../core/image-size.ts";
import type { InputPreview } from "./painter.ts";

/** The vendor's bound on one input image. */
const MAX_IMAGE_BYTES = 10 * 1024 * 1024;
const FETCH_TIMEOUT_MS = 5000;
/** The side of the stored preview: enough for its frame in any picture. */
const PREVIEW_SIDE = 720;
/** The formats of the vendor's list, by sharp's names. BMP is on that list too, but sharp cannot read it: a placeholder is drawn. */
const FORMATS: readonly string[] = ["jpeg", "png", "tiff", "webp", "gif"];

export interface InputImage {
  readonly preview: InputPreview;
  /** The original size; null when the image could not be read. */
  readonly size: Pixels | null;
}

export type InputAnswer =
  | { readonly ok: true; readonly image: InputImage }
  | { readonly ok: false; readonly refusal: WireRefusal };

/** Returns the bytes of an upload by its oss address; null when the caller may not use it, or it no longer exists. */
export type OpenUpload = (address: string) => Buffer | null;

const UNSEEN: InputAnswer = { ok: true, image: { preview: null, size: null } };

function refuse(code: string, message?: string): InputAnswer {
  return { ok: false, refusal: refusalOf(code, message) };
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
}

async function look(bytes: Buffer): Promise<InputAnswer> {
  if (bytes.length > MAX_IMAGE_BYTES) {
    return refuse(
      "BadRequest.TooLarge",
      `Payload Too Large. The image must not exceed 10MB, but got ${bytes.length} bytes.`,
    );
  }
  if (bytes.toString("latin1", 0, 2) === "BM") return UNSEEN;
  try {
    const image = sharp(bytes, { limitInputPixels: 100_000_000 });
    const { format, width, height } = await image.metadata();
    if (!FORMATS.includes(format)) return refuse("InvalidImage.FileFormat");
    const preview = await image
      .rotate()
      .resize(PREVIEW_SIDE, PREVIEW_SIDE, { fit: "inside", withoutEnlargement: true })
      .png({ compressionLevel: 3 })
      .toBuffer();
    return { ok: true, image: { preview, size: { width, height } } };
  } catch {
    // sharp's message has nothing in common with upstream's.
    return refuse("InvalidImage.FileFormat");
  }
}

/** Fetches only from this machine: the emulator needs no other host, and works without a network. */
async function fetchLoopback(url: URL): Promise<InputAnswer> {
  let response: Response;
  try {
    response = await fetch(url, { redirect: "error", signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
  } catch (error) {
    const timedOut = error instanceof DOMException && error.name === "TimeoutError";
    return refuse(timedOut ? "InvalidURL.Timeout" : "InvalidURL.ConnectionRefused");
  }
  if (!response.ok || response.body === null) return refuse("InvalidParameter.DataInspection");
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response.body) {
      bytes += chunk.length;
      if (bytes > MAX_IMAGE_BYTES) break;
      chunks.push(chunk);
    }
  } catch {
    return refuse("BadRequest.InputDownloadFailed");
  }
  if (bytes > MAX_IMAGE_BYTES) return refuse("BadRequest.TooLarge");
  return look(Buffer.concat(chunks));
}

/**
 * Reads one input image: a data URL, an upload, or an address on this machine. Any other http(s) address is accepted without
 * a fetch, and drawn as an empty frame. An unreadable image is refused with upstream's own code.
 */
export async function readInputImage(source: string, openUpload: OpenUpload): Promise<InputAnswer> {
  const data = /^data:([\w.+-]+\/[\w.+-]+);base64,([A-Za-z0-9+/=\s]*)$/.exec(source);
  if (data !== null) {
    if (!data[1]?.startsWith("image/")) return refuse("InvalidImage.FileFormat");
    return look(Buffer.from(data[2] ?? "", "base64"));
  }
  const url = URL.parse(source);
  if (url?.protocol === "oss:") {
    const bytes = openUpload(source);
    return bytes === null ? refuse("InvalidParameter.DataInspection") : look(bytes);
  }
  if (url === null || !/^https?:$/.test(url.protocol)) return refuse("InvalidURL");
  return isLoopback(url.hostname) ? fetchLoopback(url) : UNSEEN;
}
