import { forgetFiles } from "./file-store.ts";

/** `localStorage` that never throws: a full or forbidden one forgets, and the page works on. */
export function readStored(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

/** `null` removes. */
export function writeStored(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(name);
    else localStorage.setItem(name, value);
  } catch {
    // Nothing else can be done, and nothing depends on it.
  }
}

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
