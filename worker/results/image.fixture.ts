/** For tests inside workerd, where no image library runs: a valid PNG structure around bytes that are never decoded. */

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const IEND = [0, 0, 0, 0, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82];

/** A PNG's header, a chunk of `filler` bytes (0, or at least 12) that depend on `seed`, and its end. */
export function framedPng(width: number, height: number, filler: number, seed = 1): Uint8Array<ArrayBuffer> {
  if (filler !== 0 && filler < 12) throw new Error(`a chunk has at least 12 bytes, not ${filler}`);
  const bytes = new Uint8Array(33 + filler + IEND.length);
  bytes.set(SIGNATURE);
  const view = new DataView(bytes.buffer);
  view.setUint32(8, 13);
  view.setUint32(12, 0x49484452);
  view.setUint32(16, width);
  view.setUint32(20, height);
  for (let at = 0; at < filler; at++) bytes[33 + at] = (at * seed) % 251;
  if (filler > 0) {
    view.setUint32(33, filler - 12);
    view.setUint32(37, 0x49444154);
  }
  bytes.set(IEND, 33 + filler);
  return bytes;
}

/** The same with an Exif orientation, as an `eXIf` chunk after the header. */
export function turnedPng(width: number, height: number, orientation: number): Uint8Array<ArrayBuffer> {
  const exif = [0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0];
  const chunk = [0, 0, 0, exif.length, 0x65, 0x58, 0x49, 0x66, ...exif, 0, 0, 0, 0];
  const plain = framedPng(width, height, 400);
  return new Uint8Array([...plain.subarray(0, 33), ...chunk, ...plain.subarray(33)]);
}

export async function sha256Hex(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** A byte stream like a fetch's body or R2's, which can be read in chunks of any size: yields what `next` returns until null. */
export function byteStream(
  next: () => Uint8Array<ArrayBuffer> | null | Promise<never>,
  canceled: () => void | Promise<void> = () => undefined,
): ReadableStream<Uint8Array> {
  return new ReadableStream({
    type: "bytes",
    async pull(controller) {
      const chunk = await next();
      if (chunk !== null) return controller.enqueue(chunk);
      controller.close();
      controller.byobRequest?.respond(0);
    },
    cancel: canceled,
  });
}
