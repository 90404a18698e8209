import { writeStored } from "./browser-storage.ts";
import { forgetFiles } from "./file-store.ts";

/** Where the draft and its last submission are kept. */
export const DRAFT_NAME = "darkroom.draft";
export const SENT_NAME = "darkroom.sent";

/** Whose data this browser holds. */
export const CLIENT_NAME = "darkroom.client";

/** For whom the operator submitted last. */
export const FOR_CLIENT_NAME = "darkroom.for-client";

/** Removes from this browser what its client wrote and chose. Never rejects. */
export async function forgetPrivate(): Promise<void> {
  writeStored(DRAFT_NAME, null);
  writeStored(SENT_NAME, null);
  writeStored(FOR_CLIENT_NAME, null);
  await forgetFiles();
}
