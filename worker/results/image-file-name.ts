const EXTENSIONS: Readonly<Record<string, string>> = {
  "image/png": "png",
  "image/jpeg": "jpg",
  "image/webp": "webp",
  "image/gif": "gif",
  "image/bmp": "bmp",
  "image/tiff": "tiff",
};

const MAX_WORDS_CHARS = 48;

/** A name in the letters of the prompt, and one in ASCII for clients that understand no other (RFC 6266, 4.3). */
export interface FileName {
  readonly full: string;
  readonly ascii: string;
}

/**
 * A file name for people: the prompt's first words, the end of the job's id and the image's number from 1. Both forms hold
 * letters, digits, `-` and `.` only, so that they need no quoting anywhere.
 */
export function imageFileName(prompt: string, jobId: string, index: number, contentType: string): FileName {
  const start = prompt.slice(0, 400).toLowerCase();
  const full = wordsOf(start.normalize("NFC"), /[^\p{L}\p{M}\p{N}]+/gu);
  const ascii = wordsOf(start.normalize("NFKD").replace(/\p{M}/gu, ""), /[^a-z0-9]+/g);
  const id = jobId.replace(/[^A-Za-z0-9]/g, "").slice(-6);
  const named = (words: string) =>
    `${[words || "image", id, index + 1].filter((part) => part !== "").join("-")}.${EXTENSIONS[contentType] ?? "bin"}`;
  return { full: named(full), ascii: named(ascii) };
}

/** The words of a text. A long text is cut at the end of a word. */
function wordsOf(text: string, between: RegExp): string {
  const words = text.replace(between, "-").replace(/^-+|-+$/g, "");
  const chars = [...words];
  if (chars.length <= MAX_WORDS_CHARS) return words;
  const cut = chars.slice(0, MAX_WORDS_CHARS + 1).join("");
  const whole = cut.replace(/-[^-]*$/, "");
  return [...whole].slice(0, MAX_WORDS_CHARS).join("");
}
