import type { OutputImage } from "../../schemas/job.ts";

const EXTENSIONS: Readonly<Record<string, string>> = {
  "image/png": "png",
  "image/jpeg": "jpg",
  "image/webp": "webp",
  "image/gif": "gif",
  "image/bmp": "bmp",
  "image/tiff": "tiff",
};

/** Long enough to tell what is on it, short enough for any file system. */
const MAX_SLUG_CHARS = 48;

/**
 * The name under which an image is saved: the prompt's first words, the end of the job's id, and which of several it is:
 * `a-red-bicycle-in-the-rain-B-myT-2.png`.
 */
export function imageFileName(
  job: { readonly id: string; readonly prompt: string; readonly count: number },
  image: Pick<OutputImage, "index" | "contentType">,
): string {
  const slug = slugOf(job.prompt) || "image";
  const which = job.count > 1 ? `-${image.index + 1}` : "";
  return `${slug}-${job.id.slice(-5).replace(/^-+/, "")}${which}.${EXTENSIONS[image.contentType] ?? "img"}`;
}

/** Words in any script; accents and letters stay, whatever a file system dislikes goes. */
function slugOf(prompt: string): string {
  const words =
    prompt
      .toLowerCase()
      .normalize("NFC")
      .match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  let slug = "";
  for (const word of words) {
    const longer = slug === "" ? word : `${slug}-${word}`;
    if ([...longer].length > MAX_SLUG_CHARS) return slug === "" ? [...word].slice(0, MAX_SLUG_CHARS).join("") : slug;
    slug = longer;
  }
  return slug;
}
