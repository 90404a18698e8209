import { createStore } from "./store.ts";

/** What screen readers are told next. The number makes the same words, said twice, two announcements. */
export const announcement = createStore({ number: 0, words: "" });

/** Said once the reader is free. Several within a moment are said together. */
export function announce(words: string): void {
  if (pending.length === 0) setTimeout(say, GATHER_MS);
  pending.push(words);
}

const GATHER_MS = 300;
let pending: string[] = [];

function say(): void {
  announcement.set({ number: announcement.get().number + 1, words: pending.join(". ") });
  pending = [];
}
