/** How far a running attempt is, estimated from what attempts usually take. Pure. */

/** Where an attempt stands when it has taken as long as usual; the rest is crept towards and never reached. */
const AT_TYPICAL = 0.9;
const ASYMPTOTE = 0.98;
const STORING_FROM = 0.95;

/** An attempt this much over the usual time is said to be slow. */
const SLOW_FACTOR = 1.5;

export interface Estimate {
  /** In [0, 1): an estimate never says that it is done. */
  readonly fraction: number;
  readonly words: string;
}

/** `startedAtMs` and `nowMs` by the same clock; `typicalMs` above 0. */
export function estimateProgress(
  run: { readonly startedAtMs: number; readonly storing: boolean },
  typicalMs: number,
  nowMs: number,
): Estimate {
  const elapsedMs = Math.max(0, nowMs - run.startedAtMs);
  const over = elapsedMs / typicalMs - 1;
  const fraction =
    over <= 0 ? AT_TYPICAL * (elapsedMs / typicalMs) : AT_TYPICAL + (ASYMPTOTE - AT_TYPICAL) * (1 - Math.exp(-over));
  if (run.storing) return { fraction: Math.max(STORING_FROM, fraction), words: "saving the image" };
  return { fraction, words: leftWords(typicalMs - elapsedMs, over) };
}

function leftWords(leftMs: number, over: number): string {
  if (over > SLOW_FACTOR - 1) return "taking longer than usual";
  const seconds = Math.ceil(leftMs / 1000);
  return seconds <= 1 ? "any moment now" : `about ${seconds} s left`;
}

/** The furthest that was shown of one run (`run` names it: job and attempt). */
export interface Shown {
  readonly run: string;
  readonly fraction: number;
}

/** What to show next: never less than was shown of the same run, however the estimate moved; a new run begins anew. */
export function neverBack(shown: Shown | null, run: string, fraction: number): Shown {
  return shown !== null && shown.run === run && shown.fraction >= fraction ? shown : { run, fraction };
}
