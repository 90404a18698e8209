const EXTENSIONS: Readonly<Record<string, string>> = {
  "image/png": "png",
  "image/jpeg": "jpg",
  "image/webp": "webp",
  "image/gif": "gif",
  "image/bmp": "bmp",
  "image/tiff": "tiff",
};

const MAX_WORDS_CHARS = 48;

/**
 * A file name a person would have given: the prompt's first words, the end of the job's id and the image's number from 1.
 * ASCII letters, digits, `-` and `.` only, so that it needs no quoting anywhere; a prompt in another script leaves the id.
 */
export function imageFileName(prompt: string, jobId: string, index: number, contentType: string): string {
  const words = prompt
    .slice(0, 400)
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  const short = words.length <= MAX_WORDS_CHARS ? words : words.slice(0, MAX_WORDS_CHARS + 1).replace(/-[^-]*$/, "");
  const id = jobId.replace(/[^A-Za-z0-9]/g, "").slice(-6);
  const name = [short.slice(0, MAX_WORDS_CHARS) || "image", id, index + 1].filter((part) => part !== "").join("-");
  return `${name}.${EXTENSIONS[contentType] ?? "bin"}`;
}
