import { forgetFiles } from "./file-store.ts";

/** Reads from `localStorage`. Never throws: where the browser forbids it, the page works without it. */
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
    // The storage is full or forbidden. Nothing depends on it.
  }
}

/** Whose data this browser holds. */
export const CLIENT_NAME = "darkroom.client";

/** Where the draft, the drafts put aside, and the last submissions are kept. */
export const DRAFT_NAME = "darkroom.draft";
export const ASIDE_NAME = "darkroom.drafts-aside";
export const SENT_NAME = "darkroom.sent";

/** How dense the wall is, and whether this browser shows notifications. Signing out keeps both. */
export const DENSITY_NAME = "darkroom.density";
export const NOTIFY_NAME = "darkroom.notify";

/** What this tab keeps for itself over a reload. Null in a tab that the browser restores after another client has signed in. */
export function readTab(name: string): string | null {
  try {
    const isSameClient = sessionStorage.getItem(CLIENT_NAME) === (readStored(CLIENT_NAME) ?? "");
    return isSameClient ? sessionStorage.getItem(name) : null;
  } catch {
    return null;
  }
}

/** `null` removes. */
export function writeTab(name: string, value: string | null): void {
  try {
    sessionStorage.setItem(CLIENT_NAME, readStored(CLIENT_NAME) ?? "");
    if (value === null) sessionStorage.removeItem(name);
    else sessionStorage.setItem(name, value);
  } catch {
    // The storage is full or forbidden: the draft then lasts as long as the page.
  }
}

/** Removes from this tab what its client wrote. */
export function forgetTab(): void {
  writeTab(DRAFT_NAME, null);
  writeTab(ASIDE_NAME, null);
}

/** Removes from this browser what its client wrote and chose. Never rejects. */
export async function forgetPrivate(): Promise<void> {
  forgetTab();
  writeStored(DRAFT_NAME, null);
  writeStored(SENT_NAME, null);
  await forgetFiles();
}
