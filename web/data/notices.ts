import { announcementOfAll, type Change } from "../state/standing.ts";
import { createStore } from "./store.ts";

/** The latest announcement to screen readers. Its number makes the same words a second announcement. */
export const announcement = createStore({ number: 0, words: "" });

/** Announces words; all words within 300 ms make one announcement. */
export function announce(words: string): void {
  if (pending.length === 0) setTimeout(say, GATHER_MS);
  pending.push(words);
}

const GATHER_MS = 300;

/** From the first change of a job until the changes are announced: many jobs may end within a second. */
const GATHER_CHANGES_MS = 1_000;
let changes = new Map<string, Change>();

/** Announces a job's change together with those of other jobs within a second; for each job only the latest. */
export function announceChange(jobId: string, change: Change): void {
  if (changes.size === 0) setTimeout(sayChanges, GATHER_CHANGES_MS);
  changes.set(jobId, change);
}

function sayChanges(): void {
  announce(announcementOfAll([...changes.values()]));
  changes = new Map();
}

let pending: string[] = [];

function say(): void {
  announcement.set({ number: announcement.get().number + 1, words: pending.join(". ") });
  pending = [];
}

/** A short message at the page's edge: something was done, or failed. */
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
