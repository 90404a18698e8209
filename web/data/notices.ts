import { createStore } from "./store.ts";

/** The next announcement to screen readers. Its number makes the same words, said twice, two announcements. */
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

/** A short message at the page's edge: something was done, or could not be. */
export interface Notice {
  readonly id: number;
  readonly tone: "done" | "failed";
  readonly words: string;
}

export const notices = createStore<readonly Notice[]>([]);

/** Long enough to be read twice; failures stay until they are dismissed. */
const STAY_MS = 5_000;
let lastId = 0;

/** A notice of success replaces the one before; failures stay beside each other, each once. */
export function notify(tone: Notice["tone"], words: string): void {
  const id = ++lastId;
  const kept = notices.get().filter((notice) => notice.tone === "failed" && notice.words !== words);
  notices.set([...kept, { id, tone, words }]);
  announce(words);
  if (tone === "done") setTimeout(() => dismissNotice(id), STAY_MS);
}

export function dismissNotice(id: number): void {
  notices.set(notices.get().filter((notice) => notice.id !== id));
}
