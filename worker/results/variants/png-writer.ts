/** Writes a frame as PNG: RGB when nothing is transparent, each row with the filter that gives the smallest values. */
import { isOpaque } from "./downscale.ts";

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1;
  return crc;
});

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let at = 0; at < bytes.byteLength; at++) {
    crc = (CRC_TABLE[(crc ^ (bytes[at] as number)) & 0xff] as number) ^ (crc >>> 8);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

function chunk(type: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(data.byteLength + 12);
  const view = new DataView(whole.buffer);
  view.setUint32(0, data.byteLength);
  whole.set(new TextEncoder().encode(type), 4);
  whole.set(data, 8);
  view.setUint32(whole.byteLength - 4, crc32(whole.subarray(4, -4)));
  return whole;
}

async function deflate(data: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new CompressionStream("deflate");
  const writer = stream.writable.getWriter();
  const writing = writer.write(data).then(() => writer.close());
  const [packed] = await Promise.all([new Response(stream.readable).arrayBuffer(), writing]);
  return new Uint8Array(packed);
}

/**
 * Writes the row itself (0) or its difference to the pixel to the left (1) or above (2), whichever has the smallest sum as
 * signed bytes.
 */
function writeRow(row: Uint8Array, above: Uint8Array | null, step: number, to: Uint8Array): void {
  const sums = [0, 0, 0];
  for (let at = 0; at < row.byteLength; at++) {
    const value = row[at] as number;
    const left = at < step ? value : value - (row[at - step] as number);
    const up = above === null ? value : value - (above[at] as number);
    sums[0] = (sums[0] as number) + Math.abs((value << 24) >> 24);
    sums[1] = (sums[1] as number) + Math.abs((left << 24) >> 24);
    sums[2] = (sums[2] as number) + Math.abs((up << 24) >> 24);
  }
  const filter = sums.indexOf(Math.min(...sums));
  to[0] = filter;
  for (let at = 0; at < row.byteLength; at++) {
    const value = row[at] as number;
    const left = at < step ? 0 : (row[at - step] as number);
    to[at + 1] = filter === 0 ? value : value - (filter === 1 ? left : ((above?.[at] ?? 0) as number));
  }
}

export async function encodePng(
  frame: Uint8ClampedArray,
  width: number,
  height: number,
  profile: Uint8Array | null,
): Promise<Uint8Array<ArrayBuffer>> {
  const opaque = isOpaque(frame);
  const step = opaque ? 3 : 4;
  const rowBytes = width * step;
  const filtered = new Uint8Array((rowBytes + 1) * height);
  let row = new Uint8Array(rowBytes);
  let above: Uint8Array<ArrayBuffer> | null = null;
  for (let y = 0; y < height; y++) {
    for (let x = 0, from = y * width * 4, to = 0; x < width; x++, from += 4, to += step) {
      for (let channel = 0; channel < step; channel++) row[to + channel] = frame[from + channel] as number;
    }
    writeRow(row, above, step, filtered.subarray(y * (rowBytes + 1), (y + 1) * (rowBytes + 1)));
    [row, above] = [above ?? new Uint8Array(rowBytes), row];
  }
  const head = new Uint8Array(13);
  const view = new DataView(head.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  head.set([8, opaque ? 2 : 6], 8);
  const parts: Uint8Array[] = [SIGNATURE, chunk("IHDR", head)];
  if (profile !== null) {
    const packed = await deflate(profile.slice());
    // The name, its terminator, and method 0.
    parts.push(chunk("iCCP", Uint8Array.of(...new TextEncoder().encode("icc"), 0, 0, ...packed)));
  }
  parts.push(chunk("IDAT", await deflate(filtered)), chunk("IEND", new Uint8Array(0)));
  return new Uint8Array(await new Blob(parts as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}
