/** What stands where our key stood. */
const MASK = "[key]";

/** Below this the encoded forms of a key are so short that they would be found in any text. */
const MIN_ENCODED_BYTES = 8;

function escaped(text: string): string {
  return text.replace(/[^\w]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** The characters of any base64 with `bytes` at an offset of `alignment` (mod 3) that `bytes` alone decide; both alphabets. */
function base64Core(bytes: Uint8Array, alignment: number): string {
  const padded = Buffer.concat([Buffer.alloc(alignment), bytes]);
  const core = padded.toString("base64").slice(Math.ceil((alignment * 8) / 6), Math.floor((padded.length * 8) / 6));
  return escaped(core).replaceAll("\\x2b", "[+-]").replaceAll("\\x2f", "[/_]");
}

/**
 * Takes our key out of whatever upstream, or a gateway before it, tells: as it is, in an address (any characters of it
 * escaped, any case, as host names lose theirs), in hex, and in base64 with anything before it. The key is printable ASCII.
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
