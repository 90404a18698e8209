import { setTimeout as pause } from "node:timers/promises";

/** Between two looks: much shorter than the waits, and long enough not to load a small machine. */
const LOOK_EVERY_MS = 50;
/** Far more than any wait takes: a test that waits this long has failed, and names what it waited for. */
const GIVE_UP_AFTER_MS = 90_000;

/** Calls `look` until it returns something other than `undefined`; rejects with `what` when it never does. */
export async function until<Found>(
  what: string,
  look: () => Promise<Found | undefined> | Found | undefined,
  giveUpAfterMs: number = GIVE_UP_AFTER_MS,
): Promise<Found> {
  const endsAtMs = Date.now() + giveUpAfterMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > endsAtMs) throw new Error(`waited ${giveUpAfterMs} ms in vain for ${what}`);
    await pause(LOOK_EVERY_MS);
  }
}
