import { type Draft, type DraftAction, isUntouched, parseDraft, reduceDraft } from "../state/draft.ts";
import { ASIDE_NAME, DRAFT_NAME, readStored, readTab, writeStored, writeTab } from "./browser-storage.ts";
import { createStore } from "./store.ts";

/** Each tab keeps its own draft; a new tab begins with the one that was changed last in any. */
export const draft = createStore<Draft>(parseDraft(readTab(DRAFT_NAME) ?? readStored(DRAFT_NAME)));

/** The draft whose place another has taken; null when there is none, or it was of no use. */
export const draftAside = createStore<Draft | null>(asideOf(readTab(ASIDE_NAME)));

function asideOf(stored: string | null): Draft | null {
  return stored === null ? null : parseDraft(stored);
}

/** Changes the draft, keeps it for the next visit, and returns it as it now is. A draft that is replaced is put aside. */
export function changeDraft(action: DraftAction): Draft {
  const before = draft.get();
  const changed = reduceDraft(before, action);
  if (action.type === "replace" && !isUntouched(before)) putAside(before);
  draft.set(changed);
  const text = JSON.stringify(changed);
  writeTab(DRAFT_NAME, text);
  writeStored(DRAFT_NAME, text);
  return changed;
}

/** Swaps the draft with the one that was put aside, so that this too can be taken back. */
export function bringBackDraft(): void {
  const aside = draftAside.get();
  if (aside === null) return;
  putAside(null);
  changeDraft({ type: "replace", draft: aside });
}

export function forgetDraftAside(): void {
  putAside(null);
}

function putAside(next: Draft | null): void {
  draftAside.set(next);
  writeTab(ASIDE_NAME, next === null ? null : JSON.stringify(next));
}
