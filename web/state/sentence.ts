import { clockWords, dateWords } from "./time-words.ts";

/** Words of the API or of upstream as the page shows them. Pure. */

/** Begins with a capital, where it begins with a letter that has one. */
export function capitalised(text: string): string {
  const [first = ""] = text;
  return first.toUpperCase() + text.slice(first.length);
}

/** A capital and a full stop, where they are missing. */
export function asSentence(text: string): string {
  const capital = capitalised(text.trim());
  return /[.!?…]["”)]?$/.test(capital) ? capital : `${capital}.`;
}

const DAY_MS = 86_400_000;

/** `17:03:01 UTC`, `17:03:01 UTC on 2026-11-24`, `2026-11-24 17:03 UTC`: the ways in which the API's sentences tell a time. */
const UTC_TIME = /(?:(\d{4}-\d\d-\d\d) )?\b(\d\d:\d\d)(:\d\d)? UTC(?: on (\d{4}-\d\d-\d\d))?/g;

/**
 * The sentence with its times in the reader's own zone, as all other times of the page are. A time without a day is the one
 * nearest to `nowMs`.
 */
export function withLocalTimes(text: string, nowMs: number): string {
  return text.replace(UTC_TIME, (told, dayBefore, minutes, seconds = "", dayAfter) => {
    const day: string | undefined = dayBefore ?? dayAfter;
    const today = new Date(nowMs).toISOString().slice(0, 10);
    const toldMs = Date.parse(`${day ?? today}T${minutes}${seconds || ":00"}Z`);
    if (Number.isNaN(toldMs)) return told;
    const atMs = day === undefined ? toldMs + DAY_MS * Math.round((nowMs - toldMs) / DAY_MS) : toldMs;
    const clock = seconds === "" ? clockWords(atMs).slice(0, 5) : clockWords(atMs);
    return dateWords(atMs) === dateWords(nowMs) ? clock : `${clock} on ${dateWords(atMs)}`;
  });
}
