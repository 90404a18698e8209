import { type Draft, type DraftAction, parseDraft, reduceDraft } from "../state/draft.ts";
import { DRAFT_NAME, readStored, writeStored } from "./browser-storage.ts";
import { createStore } from "./store.ts";

export const draft = createStore<Draft>(parseDraft(readStored(DRAFT_NAME)));

/** Changes the draft, keeps it for the next visit, and answers it as it now is. */
export function changeDraft(action: DraftAction): Draft {
  const changed = reduceDraft(draft.get(), action);
  draft.set(changed);
  writeStored(DRAFT_NAME, JSON.stringify(changed));
  return changed;
}
