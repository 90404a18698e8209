import { notify } from "./notices.ts";

/** Long enough for any browser to have begun saving; after it the bytes are let go. */
const KEEP_MS = 60_000;

/**
 * Saves an image under a name of our own. The link alone would be saved under the server's name, which cannot know the prompt's
 * words. Never rejects: the person is told.
 */
export async function saveImage(url: string, fileName: string): Promise<void> {
  try {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`answered ${response.status}`);
    const objectUrl = URL.createObjectURL(await response.blob());
    const link = document.createElement("a");
    link.href = objectUrl;
    link.download = fileName;
    link.click();
    setTimeout(() => URL.revokeObjectURL(objectUrl), KEEP_MS);
  } catch {
    notify("failed", "The image could not be fetched. Load the page again and try once more.");
  }
}
