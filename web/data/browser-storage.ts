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

/** Whose data it held when this page was loaded. */
const loadedFor = readStored(CLIENT_NAME);

let isLeft = false;

/** Whether the page may still keep what its client writes. It may not once the client has signed out, here or in another tab. */
export function mayKeep(): boolean {
  return !isLeft && readStored(CLIENT_NAME) === loadedFor;
}

/** Like `writeStored`, for what must not stay in this browser once its client has signed out. */
export function writePrivate(name: string, value: string | null): void {
  if (mayKeep()) writeStored(name, value);
}

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

/** `null` removes. Keeps nothing once the client has signed out. */
export function writeTab(name: string, value: string | null): void {
  if (value !== null && !mayKeep()) return;
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

/** Removes from this browser what its client wrote; this page keeps nothing more in it. Files are removed by `forgetFiles`. */
export function forgetWritten(): void {
  isLeft = true;
  // First, so that no other tab writes again what is removed.
  writeStored(CLIENT_NAME, null);
  forgetTab();
  writeStored(DRAFT_NAME, null);
  writeStored(SENT_NAME, null);
}
