import { type Draft, type DraftAction, isUntouched, parseDraft, parseDrafts, reduceDraft } from "../state/draft.ts";
import { ASIDE_NAME, DRAFT_NAME, readStored, readTab, writePrivate, writeTab } from "./browser-storage.ts";
import { announce } from "./notices.ts";
import { createStore } from "./store.ts";

/** Each tab keeps its own draft; a new tab begins with the draft that was changed last in any tab. */
export const draft = createStore<Draft>(parseDraft(readTab(DRAFT_NAME) ?? readStored(DRAFT_NAME)));

/** The most drafts put aside: one more drops the oldest. */
const MAX_ASIDE = 5;

/** The drafts that were replaced, the latest first. Each keeps the client that it is for. */
export const draftsAside = createStore<readonly Draft[]>(parseDrafts(readTab(ASIDE_NAME)));

/** The draft of a job as it was put into the form. While it is unchanged it is not put aside, because the job still has it. */
let copied: Draft | null = null;

/** Changes the draft, keeps it for the next visit, and returns it. A draft that is replaced is put aside. */
export function changeDraft(action: DraftAction): Draft {
  const before = draft.get();
  const changed = reduceDraft(before, action);
  if (action.type === "replace" && !isUntouched(before) && before !== copied) {
    keepAside([before, ...draftsAside.get()].slice(0, MAX_ASIDE));
    announce("The draft that was in the form is put aside");
  }
  draft.set(changed);
  const text = JSON.stringify(changed);
  writeTab(DRAFT_NAME, text);
  writePrivate(DRAFT_NAME, text);
  return changed;
}

/** Puts the draft of a job into the form. */
export function copyIntoDraft(ofJob: Draft): void {
  changeDraft({ type: "replace", draft: ofJob });
  copied = ofJob;
}

/** Puts a draft that was put aside back into the form; the draft in the form is put aside in turn. */
export function bringBackDraft(aside: Draft): void {
  forgetDraftAside(aside);
  copied = null;
  changeDraft({ type: "replace", draft: aside });
}

export function forgetDraftAside(aside: Draft): void {
  keepAside(draftsAside.get().filter((other) => other !== aside));
}

function keepAside(drafts: readonly Draft[]): void {
  draftsAside.set(drafts);
  writeTab(ASIDE_NAME, drafts.length === 0 ? null : JSON.stringify(drafts));
}
