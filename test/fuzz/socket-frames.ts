/** WebSocket on the wire (RFC 6455, 5.2), right and wrong. */

export const OPCODE = { more: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

interface FrameOptions {
  readonly fin?: boolean;
  /** Bits that mean nothing without an extension. */
  readonly reserved?: number;
  readonly masked?: boolean;
  /** The length in the head, instead of the payload's real length. */
  readonly declaredLength?: bigint;
}

/** Any mask works: masking hides frames from proxies, not from the server. */
const MASK = Buffer.from([0x12, 0x34, 0x56, 0x78]);

function lengthBytes(length: bigint, maskBit: number): Buffer {
  if (length < 126n) return Buffer.from([maskBit | Number(length)]);
  if (length < 65_536n) return Buffer.from([maskBit | 126, Number(length >> 8n), Number(length & 255n)]);
  const wide = Buffer.alloc(9);
  wide[0] = maskBit | 127;
  wide.writeBigUInt64BE(length, 1);
  return wide;
}

/** One frame as a client sends it. */
export function frame(opcode: number, payload: string | Uint8Array, options: FrameOptions = {}): Buffer {
  const { fin = true, reserved = 0, masked = true } = options;
  const bytes = Buffer.from(payload as Uint8Array);
  const length = options.declaredLength ?? BigInt(bytes.length);
  const head = [Buffer.from([(fin ? 0x80 : 0) | (reserved << 4) | opcode]), lengthBytes(length, masked ? 0x80 : 0)];
  if (!masked) return Buffer.concat([...head, bytes]);
  return Buffer.concat([...head, MASK, bytes.map((byte, index) => byte ^ (MASK[index % 4] ?? 0))]);
}

export function closeFrame(code: number, reason: string | Uint8Array = ""): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(code);
  return frame(OPCODE.close, Buffer.concat([head, Buffer.from(reason as Uint8Array)]));
}

export interface ServerFrame {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** The whole frames at the start of a server's bytes, and the rest. Throws on frames that no server may send. */
export function readFrames(bytes: Buffer): { readonly frames: readonly ServerFrame[]; readonly rest: Buffer } {
  const frames: ServerFrame[] = [];
  let at = 0;
  while (bytes.length - at >= 2) {
    const [first = 0, second = 0] = bytes.subarray(at, at + 2);
    if ((first & 0xf0) !== 0x80 || second >= 0x80) throw new Error(`a frame that begins with ${first} ${second}`);
    const extra = second === 127 ? 8 : second === 126 ? 2 : 0;
    const start = at + 2 + extra;
    if (bytes.length < start) break;
    const length =
      extra === 8 ? Number(bytes.readBigUInt64BE(at + 2)) : extra === 2 ? bytes.readUInt16BE(at + 2) : second;
    if (bytes.length < start + length) break;
    frames.push({ opcode: first & 15, payload: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return { frames, rest: bytes.subarray(at) };
}
