import { writeStored } from "./browser-storage.ts";
import { forgetFiles } from "./file-store.ts";

/** Where the draft and its last submission are kept. */
export const DRAFT_NAME = "darkroom.draft";
export const SENT_NAME = "darkroom.sent";

/** Removes from this browser what its client wrote and chose. Never rejects. */
export async function forgetPrivate(): Promise<void> {
  writeStored(DRAFT_NAME, null);
  writeStored(SENT_NAME, null);
  await forgetFiles();
}
