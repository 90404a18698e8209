/** Looks at an image's bytes as they pass: what it is, how large, and whether it is whole. Pure, and holds little. */
import { type ImageHead, type ImageType, readImageHead } from "./image-head.ts";

/** JPEGs may carry several 64 KB segments (colour profile, Exif) before their frame header. */
const MAX_HEAD_BYTES = 512 * 1024;
/** Room for a few stray bytes after the end mark. */
const TAIL_BYTES = 1024;

export type Inspection =
  | { readonly ok: true; readonly type: ImageType; readonly width: number; readonly height: number }
  | { readonly ok: false; readonly reason: string };

export class ImageInspector {
  #head: ImageHead = { kind: "incomplete" };
  #start = new Uint8Array(0);
  #tail = new Uint8Array(0);
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** `incomplete` until enough was seen. */
  get head(): ImageHead {
    return this.#head;
  }

  add(chunk: Uint8Array): void {
    this.#bytes += chunk.byteLength;
    this.#tail = joined(this.#tail, chunk.subarray(-TAIL_BYTES)).slice(-TAIL_BYTES);
    if (this.#head.kind !== "incomplete") return;
    this.#start = joined(this.#start, chunk);
    this.#head = readImageHead(this.#start);
    if (this.#head.kind === "incomplete" && this.#start.byteLength > MAX_HEAD_BYTES) {
      this.#head = { kind: "foreign", looksLike: "an image whose size cannot be found" };
    }
    // Kept for the few formats that say in the head how long they are.
    if (this.#head.kind !== "incomplete") this.#start = this.#start.slice(0, 12);
  }

  /** To be asked after the last chunk. */
  end(): Inspection {
    const head = this.#head;
    if (head.kind === "foreign") return { ok: false, reason: `it is ${head.looksLike}, not an image` };
    if (head.kind === "incomplete") {
      const what = this.#bytes === 0 ? "it is empty" : `it ends after ${this.#bytes} bytes, amid its header`;
      return { ok: false, reason: what };
    }
    if (!this.#isWhole(head.type)) {
      return { ok: false, reason: `it is cut off: an ${head.type} of ${this.#bytes} bytes without its end` };
    }
    return { ok: true, type: head.type, width: head.width, height: head.height };
  }

  #isWhole(type: ImageType): boolean {
    const start = new DataView(this.#start.buffer);
    switch (type) {
      case "image/png":
        // IEND with its checksum.
        return includes(this.#tail, [0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82]);
      case "image/jpeg":
        // End of image; inside image data FF is always followed by 00 or a restart.
        return includes(this.#tail, [0xff, 0xd9]);
      case "image/webp":
        return this.#bytes >= start.getUint32(4, true) + 8;
      case "image/gif":
        // The last block's terminator, then the trailer; two bytes of data look the same once in 65 536.
        return this.#tail.at(-2) === 0x00 && this.#tail.at(-1) === 0x3b;
      case "image/bmp":
        return this.#bytes >= start.getUint32(2, true);
      case "image/tiff":
        // Nothing in it says where it ends.
        return true;
      default:
        throw new Error(`no such type: ${JSON.stringify(type satisfies never)}`);
    }
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(first.byteLength + second.byteLength);
  both.set(first);
  both.set(second, first.byteLength);
  return both;
}

function includes(bytes: Uint8Array, wanted: readonly number[]): boolean {
  for (let at = bytes.byteLength - wanted.length; at >= 0; at--) {
    if (wanted.every((byte, index) => bytes[at + index] === byte)) return true;
  }
  return false;
}
