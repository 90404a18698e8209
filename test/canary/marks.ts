/** The bytes of possible leaks: every secret in pieces, each piece in every encoding that it could have. Pure. */

/** A text that must not appear anywhere, and its name for people. */
export interface Secret {
  readonly name: string;
  readonly text: string;
}

/** Bytes that only a leak of `secret` can produce. */
export interface Needle {
  readonly secret: string;
  readonly form: string;
  readonly bytes: Buffer;
}

/**
 * Any whole piece shows a leak, so a secret is also found when it is cut, split over two database pages, or only in part there:
 * any 23 characters in a row contain a whole piece. A piece has 96 bits, so nothing else equals it by chance.
 */
const PIECE_BYTES = 12;

function piecesOf(bytes: Buffer): Buffer[] {
  if (bytes.length < PIECE_BYTES) throw new Error(`a marked secret has ${PIECE_BYTES} bytes at least`);
  const pieces: Buffer[] = [];
  for (let at = 0; at + PIECE_BYTES <= bytes.length; at += PIECE_BYTES)
    pieces.push(bytes.subarray(at, at + PIECE_BYTES));
  if (bytes.length % PIECE_BYTES !== 0) pieces.push(bytes.subarray(-PIECE_BYTES));
  return pieces;
}

/** The base64 characters that depend only on `bytes`, in the base64 of any text with `bytes` at an offset of `alignment` (mod 3). */
export function base64Core(bytes: Buffer, alignment: 0 | 1 | 2, encoding: "base64" | "base64url"): string {
  const padded = Buffer.concat([Buffer.alloc(alignment), bytes]);
  // Each character has 6 bits: the characters that begin and end inside `bytes`.
  return padded.toString(encoding).slice(Math.ceil((alignment * 8) / 6), Math.floor((padded.length * 8) / 6));
}

const HTML: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** The encodings of a text in an address, in JSON, in HTML, by V8 beside wider characters, and in a host name. */
function textForms(text: string): [string, string | Buffer][] {
  const percent = encodeURIComponent(text);
  return [
    ["UTF-16", Buffer.from(text, "utf16le")],
    ["URL-encoded", percent],
    ["URL-encoded in lower case", percent.replace(/%../g, (code) => code.toLowerCase())],
    ["in JSON", JSON.stringify(text).slice(1, -1)],
    ["in HTML", text.replace(/[&<>"']/g, (character) => HTML[character] ?? "")],
    ["lower case", text.toLowerCase()],
  ];
}

/** Every form of one run of bytes, by its name; equal forms are there once. */
export function formsOf(bytes: Buffer): ReadonlyMap<string, Buffer> {
  const text = bytes.toString("latin1");
  const forms: [string, string | Buffer][] = [
    ["raw", bytes],
    ["hex", bytes.toString("hex")],
    ["HEX", bytes.toString("hex").toUpperCase()],
  ];
  for (const encoding of ["base64", "base64url"] as const) {
    for (const alignment of [0, 1, 2] as const) {
      forms.push([`${encoding} at ${alignment}`, base64Core(bytes, alignment, encoding)]);
    }
  }
  if (/^[\x20-\x7e]+$/.test(text)) forms.push(...textForms(text));
  const found = new Map<string, Buffer>();
  const seen = new Set<string>();
  for (const [name, form] of forms) {
    const written = typeof form === "string" ? Buffer.from(form, "latin1") : form;
    const key = written.toString("latin1");
    if (!seen.has(key)) found.set(name, written);
    seen.add(key);
  }
  return found;
}

/** All needles. A secret that is a hash in hex is also searched as its bytes. */
export function needlesOf(secrets: readonly Secret[]): Needle[] {
  return secrets.flatMap(({ name, text }) => {
    const whole = [Buffer.from(text, "latin1")];
    if (/^[0-9a-f]{64}$/.test(text)) whole.push(Buffer.from(text, "hex"));
    return whole.flatMap((bytes) =>
      piecesOf(bytes).flatMap((piece) =>
        Array.from(formsOf(piece), ([form, written]) => ({ secret: name, form, bytes: written })),
      ),
    );
  });
}
