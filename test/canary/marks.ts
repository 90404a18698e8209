/** What a leak would look like: every secret in pieces, each piece in every form it could take on its way out. Pure. */

/** A text that must be nowhere, and its name for people. */
export interface Secret {
  readonly name: string;
  readonly text: string;
}

/** Bytes that only a leak of `secret` can have put there. */
export interface Needle {
  readonly secret: string;
  readonly form: string;
  readonly bytes: Buffer;
}

/**
 * A leak is found by any whole piece, so also where the secret was cut, split over two database pages, or only half there:
 * every 23 characters in a row of it hold one. 96 bits: nothing else looks like it.
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

/** The characters of the base64 of any text with `bytes` at an offset of `alignment` (mod 3) that `bytes` alone decide. */
export function base64Core(bytes: Buffer, alignment: 0 | 1 | 2, encoding: "base64" | "base64url"): string {
  const padded = Buffer.concat([Buffer.alloc(alignment), bytes]);
  // 6 bits a character: those that begin inside of `bytes` and end inside of it.
  return padded.toString(encoding).slice(Math.ceil((alignment * 8) / 6), Math.floor((padded.length * 8) / 6));
}

const HTML: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** How a text is written in an address, in JSON, in HTML, by V8 beside wider characters, in a host name. */
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

/** Every form of one run of bytes, by its name; forms that look the same are there once. */
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

/** Everything to look for. A secret that is a hash in hex is also looked for as the bytes it stands for. */
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
