/** The text that replaces the key. */
const MASK = "[key]";

/** A shorter key's encoded forms would be found in any text. */
const MIN_ENCODED_BYTES = 8;

function escaped(text: string): string {
  return text.replace(/[^\w]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** The base64 characters (of either alphabet) that depend on `bytes` alone when they begin at offset `alignment` modulo 3. */
function base64Core(bytes: Uint8Array, alignment: number): string {
  const padded = Buffer.concat([Buffer.alloc(alignment), bytes]);
  const core = padded.toString("base64").slice(Math.ceil((alignment * 8) / 6), Math.floor((padded.length * 8) / 6));
  return escaped(core).replaceAll("\\x2b", "[+-]").replaceAll("\\x2f", "[/_]");
}

/**
 * Replaces the key in text from upstream or from a gateway before it, in these forms: plain; in an address, with any
 * characters escaped and in any case; in hex; in base64 after any prefix. The key is printable ASCII.
 */
export function keyMask(key: string): (text: string) => string {
  const bytes = Buffer.from(key);
  const plain = Array.from(key, (character) => {
    const hex = character.charCodeAt(0).toString(16).padStart(2, "0");
    return `(?:${escaped(character)}|%${hex})`;
  }).join("");
  if (bytes.length < MIN_ENCODED_BYTES) return (text) => text.replace(new RegExp(plain, "g"), MASK);
  const anyCase = new RegExp(`${plain}|${bytes.toString("hex")}`, "gi");
  const base64 = new RegExp([0, 1, 2].map((alignment) => base64Core(bytes, alignment)).join("|"), "g");
  return (text) => text.replace(anyCase, MASK).replace(base64, MASK);
}
